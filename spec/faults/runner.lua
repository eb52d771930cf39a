--- Runs fault cases side by side: warm the connections, meet the fault, make the next call, close, and check.
-- The servers of the cases (case.server, case.faulty) are started by the caller; of them it needs `url`, `ca_file`,
-- `unix_socket`, `go_on(steps, per_call)`, `entries()` and `is_quiet()`, as spec.support.servers describes them.
-- SPDX-License-Identifier: MIT

local checks = require "spec.faults.checks"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"

local runner = { finished = 0 } -- how many cases

local MOST_CALLS = 200 -- at once, so that the machine is not what makes them late
local MOST_CASES = 300 -- whose servers are one process
local PATIENCE = 40 -- seconds until a run that does not end is given up
local CALM = { deadline = 30, timeout = 30, max_retries = 5 } -- options of calls that meet no fault

local ONCE = { deadline = 30, timeout = 30, max_retries = 0 }

local jit = rawget(_G, "jit")

-- Bytes of Lua's memory that a group of cases may leave behind; LuaJIT's table of strings is among them.
local LEFT_OVER = jit and 262144 or 65536

local function payment(reference, change)
  local params = payments.with { metadata = { reference = reference } }
  if change then change(params) end
  return params
end

-- Starts a call, which writes down what on_done is told and when. `change` may change the payment.
local function start(case, reference, options, method, change)
  local call = { reference = reference, told = 0, deadline = options.deadline, started = processes.now() }
  local given = {}
  for name, value in pairs(options) do given[name] = value end
  given.on_done = function(record, err, response)
    call.told = call.told + 1
    call.record, call.err, call.response, call.ended = record, err, response, processes.now()
    call.idle_at = case.idle_at or call.started
    call.sleeps = processes.sleeps() - case.sleeps_before
  end
  if method == "GET" then
    call.path = "/v1/payment_records/pr_" .. reference
    call.handle = case.client:start("retrieve_payment_record", "pr_" .. reference, nil, given)
  else
    call.handle = case.client:start("report_payment", payment(reference, change), given)
  end
  case.started[#case.started + 1] = call
  return call
end

local function is_done(case)
  for _, call in ipairs(case.started) do
    if call.told == 0 then return false end
  end
  return true
end

-- Steps a client until it has nothing more to do, for some milliseconds at most, and notes when that step began.
local function step(case)
  local last, began = processes.now() + 0.01
  repeat
    began, case.sleeps_before = processes.now(), processes.sleeps()
    case.client:step()
    if case.client:timeout() ~= 0 then
      case.idle_at = began
      return
    end
  until began > last
end

-- Steps the clients until all that was started is done.
local function finish(group)
  local last = processes.now() + PATIENCE
  local open = group
  while #open > 0 and processes.now() < last do
    local waiting = {}
    for _, case in ipairs(open) do
      step(case)
      if not is_done(case) then waiting[#waiting + 1] = case end
    end
    open = waiting
    if open[1] then processes.pause(0.001) end
  end
  for _, case in ipairs(open) do checks.fail(case, "not done after %d s", PATIENCE) end
end

-- The options of a call, among those of the client.
local CALL_OPTIONS = { "deadline", "timeout", "max_retries" }

local function open_client(case)
  local options = { connect_timeout = 10 }
  for name, value in pairs(case.client_options) do options[name] = value end
  for _, name in ipairs(CALL_OPTIONS) do options[name] = nil end
  options.proxy = case.faulty ~= case.server and case.faulty.url or nil
  case.timed_out = {} -- how many attempts of each call, by path or key
  options.on_attempt = function(event)
    local call = event.idempotency_key or event.path
    if event.error_type == "timeout_error" then case.timed_out[call] = (case.timed_out[call] or 0) + 1 end
    if event.error_type and case.mends and case.armed then
      case.armed = false
      case.faulty:go_on { {} }
    end
  end
  if case.row.elsewhere then options.api_base, options.ca_file = case.row.elsewhere, nil end
  case.client, case.started = payments.client(case.server, options), {}
end

local function each(group, action)
  for _, case in ipairs(group) do action(case) end
end

local function warm(case)
  for i = 1, case.is_warm and case.calls or 0 do start(case, ("warm-%d-%d"):format(case.id, i), CALM) end
end

local function arm(case)
  case.armed = true
  if case.row[2] then case.faulty:go_on(case.steps, case.per_call) end
end

local function meet(case)
  local options = { timeout = 20 }
  for _, name in ipairs(CALL_OPTIONS) do options[name] = case.client_options[name] or options[name] end
  for i = 1, case.calls do
    start(case, ("faulty-%d-%d"):format(case.id, i), options, case.method, case.row.params).faulty = true
  end
end

local function go_on(case)
  case.armed = false
  case.faulty:go_on { {} }
  start(case, "next-" .. case.id, case.row.lasting and ONCE or CALM)
end

-- A connection that the server had not accepted by then may come later.
local function wait_until_quiet(case)
  local last = processes.now() + PATIENCE
  while not case.server:is_quiet() do
    if processes.now() > last then return checks.fail(case, "a connection was left open") end
    processes.pause(0.002)
  end
end

local OK, LOST = { ok = true }, { not_sent = true, unknown = true }

-- The call after the faulty ones is a POST.
local function expected_of(case, call)
  if call.faulty then return case.expected end
  if not case.row.lasting then return OK end
  return case.method == "GET" and LOST or case.expected
end

local function check(case, on_request)
  local known = checks.ledger_of(case)
  for _, call in ipairs(case.started) do
    if call.told == 1 then
      checks.result(case, call)
      checks.deadline(case, call)
      checks.expectation(case, call, expected_of(case, call))
      checks.truth(case, call, known)
    else
      checks.fail(case, "%s: on_done ran %d times", call.reference, call.told)
    end
  end
  for _, request in ipairs(on_request and case.server:entries "request" or {}) do
    if request.complete then on_request(request) end
  end
end

local function run_group(group, look)
  each(group, open_client)
  each(group, warm)
  finish(group)
  each(group, arm)
  each(group, meet)
  finish(group)
  each(group, go_on)
  finish(group)
  each(group, function(case) case.client:close() end)
  each(group, wait_until_quiet)
  each(group, look)
  each(group, function(case) case.client, case.started, case.server, case.faulty = nil, nil, nil, nil end)
  runner.finished = runner.finished + #group
end

local function memory()
  payments.close_all()
  if jit then jit.flush() end -- what it has compiled
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end

-- A thread that resolves a name, and its descriptors, live until the system's resolver gives up.
local function wait_for_descriptors(number)
  local last, now_open = processes.now() + 60, processes.descriptors()
  while now_open > number and processes.now() < last do
    processes.pause(0.05)
    now_open = processes.descriptors()
  end
  return now_open
end

-- Runs a group, after which the descriptors and the memory of this process are as before.
local function run_balanced(group, look)
  local before, memory_before = processes.descriptors(), memory()
  run_group(group, look)
  local memory_after = memory()
  local after = wait_for_descriptors(before)
  if after ~= before then checks.fail(group[1], "%d descriptors before the group, %d after it", before, after) end
  if memory_after - memory_before > LEFT_OVER then
    checks.fail(group[1], "%d bytes of memory before the group, %d after it", memory_before, memory_after)
  end
end

-- Runs cases whose servers have been started, in groups of as many calls as the machine can serve at once.
local function run_groups(list, look)
  local group, calls = {}, 0
  local function flush()
    if #group > 0 then run_balanced(group, look) end
    group, calls = {}, 0
  end
  for _, case in ipairs(list) do
    if calls + case.calls > MOST_CALLS then flush() end
    group[#group + 1], calls = case, calls + case.calls
  end
  flush()
end

---Runs cases.
---@param list table[]
---@param start_servers fun(list: table[]): table starts the servers of some cases, and returns something to stop() them
---@param on_request? fun(request: table) called with each whole request that a server has read
---@param look? fun(case: table) in place of the checks
function runner.run(list, start_servers, on_request, look)
  look = look or function(case) check(case, on_request) end
  table.sort(list, function(a, b)
    if a.calls ~= b.calls then return a.calls < b.calls end
    return a.id < b.id
  end)
  for first = 1, #list, MOST_CASES do
    local part = {}
    for i = first, math.min(first + MOST_CASES - 1, #list) do part[#part + 1] = list[i] end
    local started = start_servers(part)
    run_groups(part, look)
    started:stop()
  end
end

return runner
