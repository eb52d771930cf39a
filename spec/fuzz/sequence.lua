--- Operations on a client, in the order that the input says; also within callbacks, transports, coroutines and
-- finalizers. Every call must end with one result, which the server's ledger bears out.
-- SPDX-License-Identifier: MIT

local fuzz = fuzz -- luacheck: globals fuzz

local oracle = dofile "spec/fuzz/oracle.lua"
local payment_records = require "payment_records"

local unpack = table.unpack

local MOST_OPERATIONS = 100
local MOST_STEPS = 20000
local DEEPEST = 3 -- operations within operations

local world -- of this run: client, calls, tokens, coroutines

local function check(right, message, ...)
  if not right then error(message:format(...), 2) end
end

--- Errors that callbacks raise are tokens: each must come out once.
local function surfaced(err)
  local token = world.tokens[err]
  if token == nil then return false end
  check(token == "raised", "an error of a callback came out twice")
  world.tokens[err] = "surfaced"
  return true
end

local EXPECTED = { "the client is closed", "the client is at work", "attempt to yield", "no transport today" }

--- Calls a function of the client, which may raise what it has to.
local function try(f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return unpack(results, 2, results.n) end
  local err = results[2]
  if surfaced(err) then return end
  for _, text in ipairs(EXPECTED) do
    if type(err) == "string" and err:find(text, 1, true) then return end
  end
  error(err, 0)
end

--- What must hold of a call that is done.
local function check_result(call)
  local record, err, response = unpack(call.result, 1, 3)
  oracle.result("payment_record", record, err, response)
  local seen, applied = fuzz.known(call.number)
  if call.refused then check(err and err.type == "validation_error", "bad data were taken") end
  if call.get then
    check(not err or err.outcome ~= "unknown", "a GET with an effect")
  elseif not err then
    check(applied, "call %d is a success that did not take effect", call.number)
  elseif err.outcome == "rejected" then
    check(not applied, "call %d is rejected, but took effect: %s", call.number, tostring(err))
  end
  if err and err.outcome == "not_sent" then
    check(not seen, "call %d is not_sent, but was seen: %s", call.number, tostring(err))
  end
  if response.callback_error ~= nil then check(surfaced(response.callback_error), "a strange callback_error") end
end

local operate -- does the next operation of the input

local function operate_within()
  if world.depth >= DEEPEST then return end
  world.depth = world.depth + 1
  local done, err = pcall(operate)
  world.depth = world.depth - 1
  if not done then error(err, 0) end
end

--- A callback that may do what a program would, and may raise.
local function on_done(call, behaviour)
  return function(...)
    call.told = call.told + 1
    call.told_result = table.pack(...)
    if behaviour % 4 == 1 then
      operate_within()
    elseif behaviour % 4 == 2 then
      local name = "of call " .. call.number
      local token = setmetatable({}, { __tostring = function() return name end })
      world.tokens[token] = "raised"
      error(token)
    end
  end
end

local function new_call(get)
  if #world.calls + 1 >= fuzz.most_calls then return end
  local call = { number = #world.calls + 1, told = 0, get = get }
  world.calls[call.number] = call
  return call
end

local function options_of(call)
  local behaviour = fuzz.byte()
  call.has_on_done = behaviour >= 64
  local options = { max_retries = behaviour % 3 }
  if call.has_on_done then options.on_done = on_done(call, behaviour) end
  if behaviour & 16 ~= 0 then options.deadline = 0.5 end
  return options
end

--- The name and the arguments of a call.
local function arguments(call)
  local options = options_of(call)
  if call.get then return "retrieve_payment_record", "ref-" .. call.number, nil, options end
  local params = {
    amount_requested = { currency = "usd", value = call.refused and -1 or 1000 },
    initiated_at = 1730253453,
    payment_method_details = { type = "custom", custom = { type = "cpmt_1" } },
    processor_details = { type = "custom", custom = { payment_reference = "ref-" .. call.number } },
  }
  return "report_payment", params, options
end

local function start(get, refused)
  local call = new_call(get)
  if not call then return end
  call.refused = refused
  call.object = try(world.client.start, world.client, arguments(call))
  call.started = call.object ~= nil
end

local function take_result(call, ...)
  call.result = table.pack(...)
  check(select("#", ...) == 0 or call.result.n == 3, "%d results", call.result.n)
  if call.result.n == 0 then call.result = nil end
end

--- Waits for a call in the way of the client; within a coroutine its sleep yields.
local function wait_for(get, refused)
  local call = new_call(get)
  if not call then return end
  call.refused, call.waits = refused, true
  local results = table.pack(arguments(call))
  local name = table.remove(results, 1)
  take_result(call, try(world.client[name], world.client, unpack(results, 1, results.n - 1)))
  if call.result then
    call.checked = true
    check_result(call)
  end
end

local function some_call()
  return world.calls[1 + fuzz.byte() % math.max(1, #world.calls)]
end

local function cancel()
  local call = some_call()
  if call and call.object then try(call.object.cancel, call.object) end
end

local function look()
  local call = some_call()
  local object = call and call.object -- a finalizer may forget it meanwhile
  if not object then return end
  local record, err = object:result()
  if object:done() then
    check((record == nil) ~= (err == nil), "not one result")
  else
    check(record == nil and err.type == "canceled_error", "a result before the end")
    oracle.error(err)
  end
end

local function forget()
  local call = some_call()
  if call and call.object and call.object:done() then
    take_result(call, call.object:result())
    call.object = nil
  elseif call then
    call.object = nil
  end
end

local function step()
  local unfinished = try(world.client.step, world.client, fuzz.byte() % 4 * 0.2)
  check(unfinished == nil or unfinished >= 0, "%s unfinished", unfinished)
end

local function close()
  try(world.client.close, world.client)
  world.closed = true
end

--- Something that the collector finds at a moment of its own.
local function leave_garbage()
  local here = world
  setmetatable({}, { __gc = function()
    if world ~= here then return end
    local done, err = pcall(operate_within)
    if not done then world.fault = world.fault or err end
  end })
end

local function collect()
  local modes = {
    function() collectgarbage() end,
    function() collectgarbage "step" end,
    function() collectgarbage("incremental", 100, 1000, 6) end,
    function() collectgarbage "generational" end,
  }
  modes[1 + fuzz.byte() % #modes]()
end

local function resume(routine)
  local resumed, err = coroutine.resume(routine)
  if not resumed and not surfaced(err) then error(debug.traceback(routine, tostring(err)), 0) end
end

local function start_routine()
  local get = fuzz.byte() % 2 == 1
  local routine = coroutine.create(function() wait_for(get) end)
  world.routines[#world.routines + 1] = routine
  resume(routine)
end

local function resume_routine()
  local place = 1 + fuzz.byte() % math.max(1, #world.routines)
  local routine = world.routines[place]
  if routine and coroutine.status(routine) == "suspended" then resume(routine) end
  fuzz.pass(0.3)
end

local function drop_routine()
  table.remove(world.routines, 1)
end

local function pass()
  fuzz.pass(fuzz.byte() / 50)
end

local function ask()
  local seconds = try(world.client.timeout, world.client)
  check(seconds == nil or seconds >= 0, "a timeout of %s", seconds)
  try(world.client.pollfd, world.client)
  try(world.client.prepare, world.client, "retrieve_payment_record", "ref-0")
end

local operations = {
  step, step, step,
  function() start(false) end,
  function() start(false) end,
  function() start(true) end,
  function() start(false, true) end,
  function() wait_for(false) end,
  function() wait_for(true) end,
  function() wait_for(false, true) end,
  cancel, look, forget, close, leave_garbage, collect, start_routine, resume_routine, drop_routine, pass, ask,
}

function operate()
  world.operations = world.operations + 1
  local choice = fuzz.byte()
  if choice == 0 or world.operations > MOST_OPERATIONS then return false end
  operations[choice % #operations + 1]()
  return true
end

--- Brings what the server of the ledger answers; it may do other things meanwhile.
local function transport(request)
  local behaviour = fuzz.byte()
  if behaviour >= 224 then operate_within() end
  local path = request.path
  local status, headers, body = fuzz.carry(request.method, path, request.body, request.headers["Idempotency-Key"])
  if behaviour >= 192 and behaviour < 208 and coroutine.isyieldable() then coroutine.yield() end
  if behaviour >= 208 and behaviour < 224 then error "no transport today" end
  if not status then return nil, "nothing came" end
  return { status = status, headers = headers, body = body }
end

local function sleep(seconds)
  if coroutine.isyieldable() then coroutine.yield() else fuzz.pass(math.max(seconds, 0.001) * 300) end
end

local function on_attempt(event)
  check(event.attempt >= 1 and type(event.name) == "string", "a strange event")
  oracle.no_key(event)
  if world.nosy then operate_within() end
end

local function new_client()
  local kind = fuzz.byte()
  world.nosy = kind & 8 ~= 0
  return payment_records.new {
    api_key = oracle.KEY, api_base = "http://localhost", unix_socket = fuzz.path, timeout = 2, connect_timeout = 1,
    transport = kind & 1 ~= 0 and transport or nil, sleep = kind & 2 ~= 0 and sleep or nil,
    max_in_flight = kind & 4 ~= 0 and 2 or 64, on_attempt = kind & 16 ~= 0 and on_attempt or nil,
  }
end

--- Lets everything come to its end, or closes the client in the midst of it.
local function finish()
  if fuzz.byte() % 2 == 0 and not world.closed then
    local steps = 0
    while (try(world.client.step, world.client, 1) or 1) > 0 and not world.closed do
      steps = steps + 1
      check(steps < MOST_STEPS, "the calls do not end")
    end
  end
  close()
  for _, routine in ipairs(world.routines) do
    local turns = 0
    while coroutine.status(routine) == "suspended" do
      resume(routine)
      fuzz.pass(0.3)
      turns = turns + 1
      check(turns < MOST_STEPS, "a coroutine does not end")
    end
  end
  for _ = 1, MOST_STEPS do
    local stepped, err = pcall(world.client.step, world.client)
    if stepped or not surfaced(err) then break end
  end
end

local function check_call(call)
  if call.object then
    check(call.object:done(), "call %d is not done", call.number)
    take_result(call, call.object:result())
  end
  if call.has_on_done and call.started then check(call.told == 1, "on_done was called %d times", call.told) end
  if call.told > 0 then
    check(call.told == 1, "on_done was called %d times", call.told)
    if call.result then
      for i = 1, 3 do check(rawequal(call.told_result[i], call.result[i]), "two results") end
    else
      call.result = call.told_result
    end
  end
  if call.result and not call.checked then check_result(call) end -- also of who stopped waiting
end

return function()
  world = { calls = {}, tokens = {}, routines = {}, depth = 0, operations = 0 }
  collectgarbage() -- so that the collector is the same for every input
  collectgarbage "incremental"
  world.client = new_client()
  while operate() do end
  finish()
  collectgarbage()
  for _, call in ipairs(world.calls) do check_call(call) end
  for token, state in pairs(world.tokens) do
    check(state == "surfaced", "the error of a callback is lost: %s", tostring(token))
  end
  fuzz.check_released(world.client.core)
  if world.fault then error(world.fault, 0) end
end
