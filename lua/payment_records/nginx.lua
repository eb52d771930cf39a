--- Waiting under nginx, where a handler that waits must let the others run.
--
-- For each client that has calls in flight one timer of the worker, the driver, steps the engine; handlers wait on
-- semaphores meanwhile. Each stepping for itself would cost many times as much, and a driver that was a handler's
-- thread would end with its request.
-- SPDX-License-Identifier: MIT

local nginx = {}

-- Seconds between two steps while nothing is left to do at once: the resolution of nginx's timers.
local PAUSE = 0.001

-- Seconds that one step works when much is to be done; the worker does its other work in the pauses.
local BUDGET = 0.002

-- Seconds after which a handler looks whether there still is a driver.
local PATIENCE = 1

-- Where nginx's Lua module allows ngx.sleep.
local YIELDING_PHASES = {
  rewrite = true, access = true, content = true, timer = true, preread = true,
  ssl_cert = true, ssl_session_fetch = true, ssl_client_hello = true,
}

-- The semaphores of waiting handlers by their calls.
local waiting = {}

-- Whether a client, by its core object, has a driver: "starting" until the timer runs, which nginx may refuse it.
local drivers = setmetatable({}, { __mode = "k" })

--- Whether this is nginx.
function nginx.is_here()
  local ngx = rawget(_G, "ngx")
  return ngx ~= nil and ngx.sleep ~= nil and ngx.get_phase ~= nil
end

--- Raises, without a position, in a phase where nothing may wait.
function nginx.check_phase()
  local phase = ngx.get_phase()
  if YIELDING_PHASES[phase] then return end
  error("payment_records: a call would block the nginx worker in the phase " .. phase .. ", where nothing may "
    .. "yield; make it from ngx.timer.at, or give the client sleep = false to insist on blocking", 0)
end

-- The timer. It ends when no call is unfinished, or when a step fails: handlers that still wait start another then.
-- (ngx.sleep(0) would log a warning each time where nginx lacks a patch of OpenResty's.)
local function drive(_, core)
  drivers[core] = "running"
  local stepped, unfinished = pcall(core.advance, core, 0, BUDGET)
  while stepped and unfinished > 0 do
    ngx.sleep(PAUSE)
    stepped, unfinished = pcall(core.advance, core, 0, BUDGET)
  end
  drivers[core] = nil
end

local function wake(call)
  local semaphore = waiting[call]
  waiting[call] = nil
  semaphore:post()
end

--- Waits until a call of the client is done. False when nginx's Lua library, which has the semaphores, is missing.
---@param core userdata the client of the C core
---@param call payment_records.Call
---@return boolean waited
function nginx.wait(core, call)
  if call:done() then return true end
  local found, semaphores = pcall(require, "ngx.semaphore")
  if not found then return false end
  local semaphore = semaphores.new()
  waiting[call] = semaphore
  call:when_done(wake)
  while not call:done() do
    drivers[core] = drivers[core] or ngx.timer.at(0, drive, core) and "starting" or nil
    if drivers[core] == "running" then
      semaphore:wait(PATIENCE)
    else
      core:advance(0, BUDGET)
      semaphore:wait(PAUSE)
    end
  end
  if drivers[core] == "starting" then drivers[core] = nil end -- so that another time one is asked for
  return true
end

return nginx
