--- Waiting under nginx, where a handler that waits must let the others run.
--
-- For each client that has calls in flight one timer of the worker, the driver, steps the engine; handlers wait on
-- semaphores meanwhile. Each stepping for itself would cost many times as much, and a driver that was a handler's
-- thread would end with its request.
-- SPDX-License-Identifier: MIT

local nginx = {}

-- Seconds between two steps while nothing is left to do at once: the resolution of nginx's timers.
local PAUSE = 0.001

-- Seconds that one step works, when there is so much to do: the worker does its other work in the pauses.
local BUDGET = 0.002

-- The same where so many steps one after another have not done all there was. nginx has no shorter pause, in which a
-- worker that is full would be idle for a third of its time.
local FULL = 50
local BUDGET_WHEN_FULL = 0.01

-- Seconds without a step after which a driver is taken for dead.
local PATIENCE = 1

-- Where nginx's Lua module allows ngx.sleep.
local YIELDING_PHASES = {
  server_rewrite = true, rewrite = true, access = true, content = true, timer = true, preread = true,
  ssl_cert = true, ssl_session_fetch = true, ssl_client_hello = true,
}

-- The semaphores of waiting handlers by their calls, which the client keeps until they are done.
local waiting = setmetatable({}, { __mode = "k" })

-- Semaphores that nobody waits for: to make one costs as much as to wait.
local spare = {}

-- Errors of callbacks that go to the log after one step.
local MOST_ERRORS = 16

-- Seconds that a new driver is given to begin.
local GRACE = 0.05

-- By a client's core object, when its driver was asked for and when it last stepped. nginx may refuse it to run, or
-- end it: a callback may call ngx.exit.
local drivers = setmetatable({}, { __mode = "k" })

--- Whether this is nginx. (With a LuaJIT that is not OpenResty's each request has globals of its own, which inherit.
--- Hosts such as Luanti take the table of modules away.)
function nginx.is_here()
  local ngx = package and package.loaded and package.loaded.ngx or rawget(_G, "ngx")
  return ngx ~= nil and ngx.sleep ~= nil and ngx.get_phase ~= nil
end

--- Raises, without a position, in a phase where nothing may wait.
function nginx.check_phase()
  local phase = ngx.get_phase()
  if YIELDING_PHASES[phase] then return end
  error("payment_records: a call would block the nginx worker in the phase " .. phase .. ", where nothing may "
    .. "yield; make it from ngx.timer.at or by client:start, or give the client sleep = false to insist on blocking", 0)
end

-- What callbacks of calls made by start have raised is for step. Where nobody but the driver steps, the log has it.
local function log_errors(client)
  for _ = 1, MOST_ERRORS do
    local quiet, reason = pcall(client.core.raise, client.core)
    if quiet then return end
    local shown, text = pcall(tostring, reason)
    ngx.log(ngx.ERR, "payment_records: a callback raised: ", shown and text or type(reason))
  end
end

-- The timer. It ends when no call is unfinished, when a step fails, or when another one has taken its place: who still
-- waits starts another then. (ngx.sleep(0) would log a warning each time where nginx lacks a patch of OpenResty's.)
local function drive(_, client)
  local core = client.core
  local driver = drivers[core] or {}
  local late_steps = 0
  local goes_on
  repeat
    driver.stepped = ngx.now()
    local budget = late_steps < FULL and BUDGET or BUDGET_WHEN_FULL
    local stepped, unfinished, late = pcall(core.advance, core, 0, budget)
    late_steps = late and late_steps + 1 or 0
    if not client.host_steps then log_errors(client) end
    goes_on = stepped and (unfinished or 0) > 0
    if goes_on then ngx.sleep(PAUSE) end
  until not goes_on or drivers[core] ~= driver
  if drivers[core] == driver then drivers[core] = nil end
end

-- In some phases there are no timers: the next one has to ask.
local function start_driver(client)
  drivers[client.core] = { asked = ngx.now(), stepped = -math.huge }
  if not pcall(ngx.timer.at, 0, drive, client) then drivers[client.core] = nil end
end

--- Sees to it that the client has a driver. Returns how long to wait for it to do something; nil when nginx does not
--- let it run. (Only then handlers step for themselves: a callback of another's call might end them by ngx.exit.)
---@param client payment_records.Client
---@return number|nil seconds
function nginx.drive(client)
  local now, driver = ngx.now(), drivers[client.core]
  if not driver or now - math.max(driver.asked, driver.stepped) >= PATIENCE then
    start_driver(client)
    return GRACE
  end
  if driver.stepped > 0 then return PATIENCE end
  return now - driver.asked < GRACE and GRACE or nil
end

local function wake(call)
  local semaphore = waiting[call]
  waiting[call] = nil
  if semaphore then semaphore:post() end
end

-- Nil when there is none to be had.
local function take_semaphore()
  if #spare > 0 then return table.remove(spare) end
  local found, semaphores = pcall(require, "ngx.semaphore")
  return found and semaphores.new() or nil
end

--- Waits until a call of the client, which is not done, is. False when there is no semaphore to be had.
---@param client payment_records.Client
---@param call payment_records.Call
---@return boolean waited
function nginx.wait(client, call)
  local semaphore = take_semaphore()
  if not semaphore then return false end
  waiting[call] = semaphore
  call:when_done(wake)
  while not call:done() do
    local seconds = nginx.drive(client)
    if not seconds then client.core:advance(0, BUDGET) end
    local waited, reason = pcall(semaphore.wait, semaphore, seconds or PAUSE)
    if not waited then -- as within string.gsub(), across which nothing yields
      waiting[call] = nil
      call:cancel("nginx let the handler not wait for the call: " .. tostring(reason))
    end
  end
  if semaphore:count() == 0 then spare[#spare + 1] = semaphore end -- else it was posted after the wait's end
  return true
end

return nginx
