--- Runs fault cases side by side: warm the connections, meet the fault, make the next call, close, and check.
-- The servers of the cases (case.server, case.faulty) are started by the caller; of them it needs `url`, `ca_file`,
-- `unix_socket`, `go_on(steps, per_call)`, `entries()` and `is_quiet()`, as spec.support.servers describes them.
-- SPDX-License-Identifier: MIT

local checks = require "spec.faults.checks"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"

local runner = { doubles = 0, finished = 0 }

local MOST_CALLS = 200 -- at once, so that the machine is not what makes them late
local MOST_CASES = 300 -- whose servers are one process
local PATIENCE = 12 -- seconds until a run that does not end is given up
local CALM = { deadline = 10, timeout = 10, max_retries = 5 } -- options of calls that meet no fault

local ONCE = { deadline = 10, timeout = 10, max_retries = 0 }

-- Bytes of Lua's memory that a group of cases may leave behind; the messages of busted are among them.
local LEFT_OVER = 65536

local function payment(reference, change)
  local params = {}
  for name, value in pairs(payments.PAYMENT) do params[name] = value end
  params.metadata = { reference = reference }
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
    call.waited_until, call.step_began = case.step_ended or call.started, case.step_began
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

-- Notes when it was the client's turn: a call cannot end before its host comes to it.
local function step(case, seconds)
  case.step_began = processes.now()
  case.client:step(seconds)
  case.step_ended = processes.now()
end

-- Steps the clients until all that was started is done.
local function finish(group)
  local last = processes.now() + PATIENCE
  local open = group
  while #open > 0 and processes.now() < last do
    local waiting = {}
    for _, case in ipairs(open) do
      step(case, 0)
      if not is_done(case) then waiting[#waiting + 1] = case end
    end
    open = waiting
    if open[1] then step(open[1], 0.001) end
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
  options.on_attempt = function(event)
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

local function wait_until_quiet(case)
  local last = processes.now() + PATIENCE
  while not case.server:is_quiet() and processes.now() < last do processes.sleep(0.002) end
  if not case.server:is_quiet() then checks.fail(case, "a connection was left open") end
end

local OK = { ok = true }

local function check(case)
  local known = checks.ledger_of(case)
  for _, call in ipairs(case.started) do
    if call.told == 1 then
      checks.result(case, call)
      checks.deadline(case, call)
      checks.expectation(case, call, (call.faulty or case.row.lasting) and case.expected or OK)
      checks.truth(case, call, known)
    else
      checks.fail(case, "%s: on_done ran %d times", call.reference, call.told)
    end
  end
  checks.keys(case, known)
end

-- How often a payment was made that had been made before.
local function count_doubles(case)
  for _, effects in pairs(checks.ledger_of(case).effects) do runner.doubles = runner.doubles + effects - 1 end
end

local function record(case)
  for _, entry in ipairs(case.server:entries "request") do
    if entry.complete then runner.on_request(entry) end
  end
end

local function run_group(group, is_control)
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
  each(group, is_control and count_doubles or check)
  each(group, record)
  each(group, function(case) case.client, case.started = nil, nil end)
  runner.finished = runner.finished + #group
end

local function memory()
  payments.close_all()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end

-- Runs a group, after which the descriptors and the memory of this process are as before.
local function run_balanced(group, is_control)
  local before, memory_before = processes.descriptors(), memory()
  run_group(group, is_control)
  local memory_after = memory()
  local after = processes.descriptors()
  if after ~= before then checks.fail(group[1], "%d descriptors before the group, %d after it", before, after) end
  if memory_after - memory_before > LEFT_OVER then
    checks.fail(group[1], "%d bytes of memory before the group, %d after it", memory_before, memory_after)
  end
end

-- Runs cases whose servers have been started, in groups of as many calls as the machine can serve at once.
local function run_groups(list, is_control)
  local group, calls = {}, 0
  local function flush()
    if #group > 0 then run_balanced(group, is_control) end
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
---@param start fun(list: table[]): table starts the servers of some cases, and returns something to stop() them
---@param is_control? boolean the servers ignore keys: only count the doubles
function runner.run(list, start, is_control)
  table.sort(list, function(a, b)
    if a.calls ~= b.calls then return a.calls < b.calls end
    return a.id < b.id
  end)
  for first = 1, #list, MOST_CASES do
    local part = {}
    for i = first, math.min(first + MOST_CASES - 1, #list) do part[#part + 1] = list[i] end
    local started = start(part)
    run_groups(part, is_control)
    started:stop()
  end
end

---Called with each complete request that a server has read.
function runner.on_request() end

return runner
