--- Calls that only their deadline ends: made in every way there is to wait, and timed.
--
-- A case is a table: `name`; `server`, as spec.support.payments takes it; `large`: with a body of 300 KB; `queued`:
-- behind a call that keeps the only place on the wire. A sample is what became of one call: `name`, `way`, `deadline`,
-- `elapsed`, `outcome`, `type`.

local files = require "spec.support.files"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"

local waiting = {}

local DEADLINES = { 0.3, 1 }
local AT_ONCE = 6 -- calls of a client
local IN_TURN = 3 -- where one blocks

local now = processes.now

-- Pauses and works in turn for about 0.3 s. Returns how much longer that took than it should.
local function lateness()
  local start, work, paused = now(), os.clock(), 0
  while now() - start < 0.3 do
    processes.pause(0.015)
    local worked = os.clock()
    repeat until os.clock() - worked > 0.003
    paused = paused + 0.015
  end
  return now() - start - paused - (os.clock() - work)
end

-- Starts a process that does nothing but look how late the machine is. Returns a function that ends it, and says how
-- much that was at worst.
local function start_probe()
  local directory = files.temporary_directory()
  local result = processes.start(function()
    local last, stall = now() + 60, 0
    while now() < last and not files.read(directory .. "/end") do stall = math.max(stall, lateness()) end
    return stall
  end)
  return function()
    files.write(directory .. "/end", "")
    local stall = result()
    files.remove(directory)
    return stall
  end
end

local function client_of(case, deadline, sleep)
  local client = payments.client(case.server, { deadline = deadline, sleep = sleep, max_retries = 1000,
    max_in_flight = case.queued and 1 or nil, allow_unknown_params = true })
  if case.queued then
    client:start("report_payment", payments.PAYMENT, { timeout = 60, deadline = 60 })
    client:step(0)
  end
  return client
end

local LARGE = payments.with { padding = ("x"):rep(300000) }

local function params_of(case)
  return case.large and LARGE or payments.PAYMENT
end

local function result_of(start, record, err)
  return { elapsed = now() - start, outcome = record and "done" or err.outcome, type = err and err.type }
end

local ways = {}

function ways.block(case, deadline)
  local client, results = client_of(case, deadline), {}
  for i = 1, IN_TURN do
    local start = now()
    results[i] = result_of(start, client:report_payment(params_of(case)))
  end
  return results
end

function ways.step(case, deadline)
  local client, results = client_of(case, deadline), {}
  for _ = 1, AT_ONCE do
    local start = now()
    client:start("report_payment", params_of(case), {
      on_done = function(record, err) results[#results + 1] = result_of(start, record, err) end,
    })
  end
  while #results < AT_ONCE do
    client:step()
    processes.pause(0.001)
  end
  return results
end

-- Coroutines under a scheduler that knows nothing but the time.
function ways.sleep(case, deadline)
  local results, threads = {}, {}
  local client = client_of(case, deadline, function(seconds) coroutine.yield(now() + seconds) end)
  for _ = 1, AT_ONCE do
    threads[coroutine.create(function()
      local start = now()
      local result = result_of(start, client:report_payment(params_of(case)))
      results[#results + 1] = result -- whose place is known only now
    end)] = 0
  end
  while #results < AT_ONCE do
    for thread, time in pairs(threads) do
      if time <= now() then
        local _, wake = assert(coroutine.resume(thread))
        threads[thread] = wake -- nil when it has ended
      end
    end
    processes.pause(0.001)
  end
  return results
end

---Makes the calls of all cases, in each way and for each deadline in a process of its own, at the same time.
---@param cases table[]
---@return table[] samples, number stall seconds that the machine was late by itself, at worst
function waiting.measure(cases)
  local runs, samples = {}, {}
  local end_probe = start_probe()
  for _, case in ipairs(cases) do
    for way, measure in pairs(ways) do
      for _, deadline in ipairs(DEADLINES) do
        runs[#runs + 1] = { case.name, way, deadline, processes.start(function() return measure(case, deadline) end) }
      end
    end
  end
  for _, run in ipairs(runs) do
    local results = run[4]()
    assert(type(results) == "table", results)
    for _, result in ipairs(results) do
      result.name, result.way, result.deadline = run[1], run[2], run[3]
      samples[#samples + 1] = result
    end
  end
  return samples, end_probe()
end

return waiting
