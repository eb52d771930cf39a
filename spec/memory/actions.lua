--- What scenarios are made of: a client of the server, its calls, and how these come to their end.
--
-- Calls are known by their idempotency keys, or ids, which say how server.c answers: "503_200-a" first with 503, then
-- with 200. They are told to the global `memory` (ledger.c): begin before, finish with the result; what start returns
-- is `started`, and finished afterwards.

-- luacheck: read globals memory

local scenarios = {}

local PAYMENT = {
  amount_requested = { currency = "usd", value = 1000 },
  initiated_at = 1730253453,
  payment_method_details = { type = "custom", custom = { display_name = "newpay", type = "cpmt_1" } },
  customer_presence = "on_session",
  metadata = { order = "7", ["a key"] = "50% off & more" },
  outcome = "guaranteed",
  guaranteed = { guaranteed_at = 1730253460 },
  expand = { "customer_details" },
}

local function scenario(name, body)
  body.name = name
  scenarios[#scenarios + 1] = body
end

--- A client of the server, and options with a key of its own for each call.
local function state_with(keys, settings)
  local payment_records = require "payment_records"
  local options = { api_key = "sk_test_memory", api_base = memory.url, timeout = 20 }
  if memory.url:find "^https" then options.ca_file = memory.ca_file end
  for name, value in pairs(settings or {}) do options[name] = value end
  if options.ca_file == false then options.ca_file = nil end -- the system's certificates
  local state = { client = payment_records.new(options), keys = keys, options = {}, calls = {}, threads = {} }
  for _, key in ipairs(keys) do
    state.options[key] = { idempotency_key = key, max_retries = 1 }
    state.calls[key] = false -- so that to keep a call needs no memory
  end
  return state
end

local function make(state, key)
  memory.begin(key)
  memory.finish(key, state.client:report_payment(PAYMENT, state.options[key]))
end

local function make_all(state)
  for i = 1, #state.keys do make(state, state.keys[i]) end
end

local function start(state, key)
  memory.begin(key)
  state.calls[key] = state.client:start("report_payment", PAYMENT, state.options[key])
  memory.started(key)
end

local function start_all(state)
  for i = 1, #state.keys do start(state, state.keys[i]) end
end

--- Starts calls that are not told to the ledger, which would have them end.
local function start_silently(state)
  for i = 1, #state.keys do
    state.client:start("report_payment", PAYMENT, state.options[state.keys[i]])
  end
  state.client:step(0.001)
end

local function step_all(state)
  while state.client:step(0.01) > 0 do end
end

local function step_until_read(state, key)
  while not memory.is_read(key) and not state.calls[key]:done() do state.client:step(0.001) end
end

--- How many calls the client keeps from the collector.
local function anchored(client)
  local store = debug.getuservalue and debug.getuservalue(client.core, 1) or debug.getfenv(client.core)
  local count = 0
  for _, value in pairs(store[8]) do -- KEPT_ANCHORS of src/lua_client.h
    if type(value) == "userdata" then count = count + 1 end
  end
  return count
end

local function is_expected(reason)
  return tostring(reason):find("not enough memory", 1, true) or tostring(reason):find("boom", 1, true)
end

--- Steps until nothing is unfinished. Errors of callbacks come out of step.
local function come_to_rest(client)
  for _ = 1, 3000 do
    local stepped, unfinished = pcall(client.step, client, 0.01)
    if stepped and unfinished == 0 then return end
    assert(stepped or is_expected(unfinished), unfinished)
  end
  error "the client does not come to rest"
end

local function settle(state)
  local client = state.client
  for key, call in pairs(state.calls) do
    if call then memory.started(key) end
    if call and key:find "^hold" then call:cancel() end
  end
  if not state.closed then come_to_rest(client) end
  for key, call in pairs(state.calls) do
    if call then
      assert(call:done(), key)
      memory.finish(key, call:result())
    end
  end
  assert(anchored(client) == 0, "calls are still kept from the collector")
  client:close()
end

local function close_client(state)
  state.closed = true -- if it raises it is closed all the same, and the rest follows
  state.client:close()
end

local function close_again(state)
  state.client:close()
  state.closed = true
  settle(state)
end

--- Resumes the coroutines in turn until all have ended. When this raises, they go on afterwards.
local function resume_all(state)
  local reason
  while next(state.threads) do
    for key, thread in pairs(state.threads) do
      local resumed, result = coroutine.resume(thread)
      if not resumed then
        memory.raised(key)
        reason = reason or result
      end
      if not resumed or result == "ended" then state.threads[key] = nil end
    end
  end
  if reason then error(reason, 0) end
end

local function in_coroutines(state)
  state.threads = {}
  for _, key in ipairs(state.keys) do
    state.threads[key] = coroutine.create(function()
      make(state, key)
      return "ended"
    end)
    memory.started(key)
  end
  resume_all(state)
end

local function resume_and_settle(state)
  local resumed, reason = pcall(resume_all, state)
  assert(resumed or is_expected(reason) or reason:find "dead coroutine", reason)
  settle(state)
end

--- The usual scenario: a client, and a run that uses it.
local function client_scenario(name, keys, run, settings, more)
  local body = {
    setup = function() return state_with(keys, type(settings) == "function" and settings() or settings) end,
    run = run, after = settle,
  }
  for field, value in pairs(more or {}) do body[field] = value end
  scenario(name, body)
end

return {
  scenarios = scenarios, scenario = scenario, client_scenario = client_scenario, PAYMENT = PAYMENT,
  state_with = state_with, anchored = anchored, is_expected = is_expected, come_to_rest = come_to_rest,
  make = make, make_all = make_all, start = start, start_all = start_all, start_silently = start_silently,
  step_all = step_all, step_until_read = step_until_read, in_coroutines = in_coroutines,
  settle = settle, resume_and_settle = resume_and_settle, close_client = close_client, close_again = close_again,
}
