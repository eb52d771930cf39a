--- What is done while memory runs out (sweep.c). Each scenario is a table:
--
-- * `setup()` returns the scenario's state, with memory; by default a client
-- * `run(state)` is done again and again, with less memory missing each time; it may raise, for lack of memory only
-- * `after(state)`, when memory is back, sees to it that all ends well; by default it steps until nothing is unfinished
-- * `arms`: memory begins to run out where `run` calls memory.arm(), not from its beginning
-- * `loads`: it may leave more in the registry than before
--
-- Calls are known by their idempotency keys, or ids, which say how server.c answers: "503_200-a" first with 503, then
-- with 200. They are told to the global `memory` (ledger.c): begin before, finish with the result; what start returns
-- is `started`, and finished afterwards.

-- luacheck: read globals memory

local scenarios = {}

-- LuaJIT's compiler of traces crashes out of memory, with or without this module.
local jit = rawget(_G, "jit")
if jit then jit.off() end

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

local function start(state, key)
  memory.begin(key)
  state.calls[key] = state.client:start("report_payment", PAYMENT, state.options[key])
  memory.started(key)
end

local function start_all(state)
  for i = 1, #state.keys do start(state, state.keys[i]) end
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
  for _, value in pairs(store.anchors) do
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

--- The usual scenario: a client, and a run that uses it.
local function client_scenario(name, keys, run, settings, more)
  local body = {
    setup = function() return state_with(keys, type(settings) == "function" and settings() or settings) end,
    run = run, after = settle,
  }
  for field, value in pairs(more or {}) do body[field] = value end
  scenario(name, body)
end

--- Blocking calls, one after another.
local function blocking(name, keys, settings)
  client_scenario(name, keys, function(state)
    for i = 1, #state.keys do make(state, state.keys[i]) end
  end, settings)
end

-- --- without the network -----------------------------------------------------------------------------------------

local function nothing() return {} end

--- When memory is back, the same works. (Lua 5.1 takes what raised while it was loaded for a loop, until it is told to
-- forget it.)
local function loading(module)
  local function load() require(module) end
  scenario("require " .. module, { loads = true, setup = nothing, run = load, after = function()
    for name in pairs(package.loaded) do
      if name:find "^payment_records" or name == "cjson" then package.loaded[name] = nil end
    end
    load()
  end })
end
loading "payment_records"
loading "payment_records.sandbox"

local function modules()
  return { face = require "payment_records", options = {
    api_key = "sk_test_memory", api_base = memory.url, api_version = "2026-09-30.endive", stripe_account = "acct_1",
    stripe_context = "ctx_1", timeout = 10, connect_timeout = 5, deadline = 60, max_retries = 1, max_in_flight = 8,
    max_response_bytes = 65536, ca_file = memory.ca_file, proxy = "http://127.0.0.1:1", unix_socket = "/nowhere",
    allow_unknown_params = true, null = false, sleep = function() end, on_attempt = function() end,
    app_info = { name = "shop", version = "1.2", url = "https://example.com" },
  } }
end

scenario("new with every option", { setup = modules, run = function(state)
  local client = state.face.new(state.options)
  tostring(client)
  client:close()
end })

scenario("new with a wrong option", { setup = modules, run = function(state)
  local made, message = pcall(state.face.new, { api_key = "sk_test_memory", timout = 1 })
  if made or not is_expected(message) and not message:find("timeout", 1, true) then error(message) end
end })

scenario("describe", { setup = modules, run = function(state) state.face.describe "report_payment" end })

scenario("minor units", { setup = modules, run = function(state)
  state.face.minor_units("12.34", "usd")
  state.face.minor_units("12.345", "usd")
end })

local function encoding(name, make_table)
  scenario("encode: " .. name, {
    setup = function()
      local state = modules()
      state.table = make_table()
      return state
    end,
    run = function(state) state.face.encode(state.table) end,
  })
end

encoding("flat", function() return { a = 1, b = "two words", c = true, d = "" } end)
encoding("nested", function() return { a = { b = { { c = 1 }, { c = { "x", "y" } } } }, ["k[]"] = { 1, 2 } } end)
encoding("many names", function()
  local names = {}
  for i = 1, 300 do names["name" .. i] = { value = i } end
  return names
end)
encoding("long texts", function() return { a = ("%"):rep(100000), b = ("x"):rep(100000) } end)
encoding("refused", function() return { a = { b = { 1.5 } } } end)
encoding("a cycle", function()
  local cycle = {}
  cycle.again = cycle
  return cycle
end)

client_scenario("prepare", {}, function(state) state.client:prepare("report_payment", PAYMENT) end)
client_scenario("curl", {}, function(state) state.client:curl("report_refund", "pr_1", {}) end)
local function is_refusal(err, word)
  return err.type == "validation_error" and err.outcome == "not_sent" and tostring(err):find(word, 1, true)
end
client_scenario("validation error", {}, function(state)
  local record, err = state.client:report_payment { amount_requested = { currency = "usd", value = 1.5 } }
  assert(not record and is_refusal(err, "value"))
end)
client_scenario("misspelt parameter", {}, function(state)
  local record, err = state.client:retrieve_payment_record("pr_1", { expnad = {} })
  assert(not record and is_refusal(err, "expand"))
end)
client_scenario("started and refused", { "200-r" }, function(state)
  state.refused = state.client:start("report_payment", { initiated_at = 1 }, state.options["200-r"])
  step_all(state)
end, nil, { after = function(state)
  come_to_rest(state.client)
  if state.refused then assert(state.refused:done()) end
  assert(anchored(state.client) == 0)
end })

-- --- blocking calls ----------------------------------------------------------------------------------------------

blocking("a record", { "200-a" })
blocking("two calls, one connection", { "200-a", "200-b" })
blocking("four calls after one another", { "200-a", "402-b", "200-c", "500_200-d" })
blocking("a long record", { "long-a" })
blocking("null option", { "200-a" }, { null = false })
blocking("refused: 402", { "402-a" })
blocking("refused: 401 with the key in its message", { "401-a" })
blocking("refused: error of another form", { "other-a" })
blocking("429, then a record", { "429_200-a" })
blocking("503, then a record", { "503_200-a" })
blocking("503 and 503", { "503_503-a" })
blocking("500 and 402", { "500_402-a" })
blocking("cut, then a record", { "cut_200-a" })
blocking("cut and cut", { "cut_cut-a" })
blocking("connection lost, then a record", { "drop_200-a" })
blocking("connection lost and lost", { "drop_drop-a" })
blocking("connection lost on a kept connection", { "200-a", "drop_drop_drop_drop-b" })
blocking("not JSON, then a record", { "html_200-a" })
blocking("not JSON", { "html_html-a" })
blocking("another object", { "object_object-a" })
blocking("too large", { "long-a" }, { max_response_bytes = 1000 })
blocking("no server", { "200-a" }, function() return { api_base = "http://127.0.0.1:1", ca_file = false or nil } end)
blocking("too late for the deadline", { "hold-a" }, { deadline = 0.002 })
blocking("no answer in time", { "hold-a" }, { timeout = 0.002, max_retries = 0 })
blocking("key from a function", { "200-a" }, { api_key = function() return "sk_test_" .. "function" end })
blocking("on_attempt", { "503_200-a", "402-b" }, function()
  local seen = {}
  return { on_attempt = function(event) seen[#seen + 1] = event.name .. (event.status or event.error_type) end }
end)
blocking("on_attempt raises", { "503_200-a" }, { on_attempt = function(event) error("boom" .. event.attempt) end })

client_scenario("headers of an answer", { "200-a" }, function(state)
  memory.begin "200-a"
  local record, err, response = state.client:report_payment(PAYMENT, state.options["200-a"])
  memory.finish("200-a", record, err)
  assert(not record or response.headers["x-twice"] == "a, b")
end)

client_scenario("an error as text", { "402-a" }, function(state)
  memory.begin "402-a"
  local record, err = state.client:report_payment(PAYMENT, state.options["402-a"])
  memory.finish("402-a", record, err)
  assert(tostring(err):find(err.outcome, 1, true))
end)

-- A list: the program knows a scenario by its number, which must be the same in all its processes.
local OTHER_CALLS = {
  { "report_payment_attempt", { initiated_at = 1730253453 } },
  { "report_payment_attempt_canceled", { canceled_at = 1730253453 } },
  { "report_payment_attempt_failed", { failed_at = 1730253453 } },
  { "report_payment_attempt_guaranteed", { guaranteed_at = 1730253453 } },
  { "report_payment_attempt_informational", { description = "x" } },
  { "report_refund", {
    outcome = "refunded", refunded = { refunded_at = 1730253453 },
    processor_details = { type = "custom", custom = { refund_reference = "r" } },
  } },
}
for _, other in ipairs(OTHER_CALLS) do
  local name, params = other[1], other[2]
  client_scenario(name, { "200-a" }, function(state)
    memory.begin "200-a"
    memory.finish("200-a", state.client[name](state.client, "200-a", params, state.options["200-a"]))
  end)
end
client_scenario("retrieve", { "200-a" }, function(state)
  memory.begin "200-a"
  memory.finish("200-a", state.client:retrieve_payment_record("200-a", { expand = { "x" } }))
end)
client_scenario("list", { "list-page" }, function(state)
  memory.begin "list-page"
  memory.finish("list-page", state.client:list_payment_records { limit = 3 })
end)

local function page_through(method, params)
  return function(state)
    local count = 0
    for record, err in state.client[method](state.client, params) do
      if not record then
        assert(err.type)
        return
      end
      count = count + 1
    end
    assert(count == 6, "records of the list, without a word: " .. count)
  end
end
client_scenario("each_payment_record", {}, page_through("each_payment_record", { limit = 3 }))
client_scenario("each_payment_attempt_record", {},
  page_through("each_payment_attempt_record", { payment_record = "pr_1" }))

-- --- started calls -----------------------------------------------------------------------------------------------

local function count_to(prefix, count)
  local keys = {}
  for i = 1, count do keys[i] = prefix .. i end
  return keys
end

local function start_and_step(state)
  start_all(state)
  step_all(state)
end

local function started(name, keys, settings)
  client_scenario(name, keys, start_and_step, settings)
end

started("start, step, result", { "200-a" })
started("8 in flight", { "200-a", "402-b", "503_200-c", "cut_200-d", "drop_200-e", "html_200-f", "long-g", "200-h" })
started("64 in flight", count_to("200-", 64))
started("20 calls, 3 at a time", count_to("200-", 20), { max_in_flight = 3 })
started("wait for a retry", { "503_503-a", "429_200-b" })
started("on_attempt of started calls raises", { "200-a", "503_200-b" }, { on_attempt = function() error "boom" end })

--- Started calls with an on_done each.
local function with_on_done(name, keys, on_done, settings, after)
  client_scenario(name, keys, function(state)
    for i = 1, #keys do
      local key = keys[i]
      state.options[key].on_done = function(...)
        memory.told(key)
        return on_done(state, key, ...)
      end
    end
    start_all(state)
    pcall(step_all, state)
    if not state.closed then step_all(state) end
  end, settings, { after = after })
end

with_on_done("on_done", { "200-a", "402-b", "503_503-c" }, function(_, _, record, err) assert(record or err) end)
with_on_done("on_done raises", { "200-a" }, function() error "boom" end)
with_on_done("on_done starts another", { "200-a" }, function(state)
  state.options["200-z"] = { idempotency_key = "200-z" }
  state.calls["200-z"] = false
  memory.begin "200-z"
  state.calls["200-z"] = state.client:start("report_payment", PAYMENT, state.options["200-z"])
  memory.started "200-z"
end)
with_on_done("on_done closes the client", { "200-a", "hold-b" }, function(state)
  state.closed = true
  state.client:close()
end, { timeout = 0.5 }, close_again)

client_scenario("cancel before it is sent", { "200-a", "200-b" }, function(state)
  start_all(state)
  state.calls["200-a"]:cancel()
  step_all(state)
end)
client_scenario("cancel on the wire", { "hold-a", "200-b" }, function(state)
  start_all(state)
  step_until_read(state, "hold-a")
  state.calls["hold-a"]:cancel "no longer wanted"
  step_all(state)
end, nil, { after = function(state)
  if state.calls["hold-a"] then state.calls["hold-a"]:cancel() end
  settle(state)
end })
client_scenario("cancel while it waits", { "503_200-a" }, function(state)
  start_all(state)
  step_until_read(state, "503_200-a")
  state.client:step()
  state.calls["503_200-a"]:cancel()
end)
client_scenario("result of an unfinished call", { "200-a" }, function(state)
  start_all(state)
  local record, err = state.calls["200-a"]:result()
  assert(not record and err.outcome == "not_sent")
end)

client_scenario("close with calls in flight", { "hold-a", "200-b", "hold-c", "200-d" }, function(state)
  start_all(state)
  state.client:step(0.001)
  close_client(state)
end, { max_in_flight = 3 }, { after = close_again })
--- Starts calls that are not told to the ledger, which would have them end.
local function start_silently(state)
  for i = 1, #state.keys do
    state.client:start("report_payment", PAYMENT, state.options[state.keys[i]])
  end
  state.client:step(0.001)
end

client_scenario("collect with calls in flight", { "hold-a", "200-b" }, function(state)
  memory.begin "hold-a"
  memory.begin "200-b"
  start_silently(state)
  state.client = nil
  collectgarbage()
end, nil, { after = function(state)
  state.client = nil
  collectgarbage()
  collectgarbage()
end })
client_scenario("in an event loop", { "200-a", "503_200-b", "402-c" }, function(state)
  local client = state.client
  start_all(state)
  repeat
    memory.wait(client:pollfd(), client:timeout() or 1)
    assert(client:events() == "r")
  until client:step() == 0
end)

-- --- coroutines --------------------------------------------------------------------------------------------------

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

client_scenario("sleep that yields", { "200-a" }, in_coroutines, { sleep = coroutine.yield },
  { after = resume_and_settle })
client_scenario("sleep that yields, 4 calls", { "200-a", "503_200-b", "402-c", "cut_200-d" }, in_coroutines,
  { sleep = coroutine.yield }, { after = resume_and_settle })
client_scenario("sleep that raises", { "hold-a" }, function(state) make(state, "hold-a") end,
  { sleep = function() error "boom" end })

-- --- transports of the user's ------------------------------------------------------------------------------------

--- A transport that counts what it is asked to send; the result must agree.
local function carried(name, transport, run)
  scenario(name, {
    setup = function()
      local state
      state = state_with({ "200-a" }, { timeout = 0.3, transport = function(request)
        state.sent = state.sent + 1
        return transport(state, request)
      end })
      state.sent = 0
      return state
    end,
    run = run or function(state)
      state.made = true
      local record, err = state.client:report_payment(PAYMENT, state.options["200-a"])
      state.made = false
      state.outcome = err and err.outcome
      assert(record or state.sent == 0 or state.outcome ~= "not_sent")
    end,
    after = function(state)
      local sent = state.sent
      come_to_rest(state.client)
      assert(not state.made or state.sent == sent, "sent after it had raised")
      assert(anchored(state.client) == 0)
      state.client:close()
    end,
  })
end

local RECORD = '{"id":"pr_1","object":"payment_record","amount":{"value":1}}'
carried("transport", function() return { status = 200, headers = { ["Request-Id"] = "req_1" }, body = RECORD } end)
carried("transport, headers in lists", function()
  return { status = 402, headers = { ["Request-Id"] = { "req_1", "req_2" } }, body = "{}" }
end)
carried("transport that fails, then a record", function(state)
  if state.sent < 2 then return nil, "lost" end
  return { status = 200, body = RECORD }
end)
carried("transport that raises", function() error "boom" end)
carried("transport, started", function() return { status = 200, body = RECORD } end, function(state)
  state.client:start("report_payment", PAYMENT, state.options["200-a"])
  step_all(state)
end)

local function in_sandbox(name, fault, settings)
  scenario("sandbox: " .. name, {
    setup = function()
      local box = require("payment_records.sandbox").new { now = function() return 1730253453 end }
      local options = { transport = box:transport() }
      for option, value in pairs(settings or {}) do options[option] = value end
      local state = state_with({ "200-a" }, options)
      state.box = box
      if fault then box:fail_next(fault) end
      return state
    end,
    run = function(state)
      local record, err = state.client:report_payment(PAYMENT, state.options["200-a"])
      state.record, state.outcome = record, err and err.outcome
    end,
    after = function(state)
      local count = #state.box:records()
      come_to_rest(state.client)
      assert(#state.box:records() == count, "executed after it had raised")
      assert(count == 1 or not state.record)
      assert(count == 0 or state.outcome ~= "not_sent")
      state.client:close()
    end,
  })
end
in_sandbox("a record")
in_sandbox("an answer is lost", "lost_answer")
in_sandbox("a request is lost", "lost_request")

-- --- M-05: memory runs out in the wrong place --------------------------------------------------------------------

local function armed(name, keys, run, settings, after)
  client_scenario("only " .. name, keys, run, settings, { arms = true, after = after })
end
local function make_all(state)
  for i = 1, #state.keys do make(state, state.keys[i]) end
end

armed("from the first answer on", { "200-a" }, make_all, { on_attempt = function() memory.arm() end })
armed("once an attempt has failed", { "503_200-a" }, make_all, { on_attempt = function() memory.arm() end })
armed("once a connection is lost", { "drop_200-a" }, make_all, { on_attempt = function() memory.arm() end })
armed("while a refusal becomes an error", { "402-a", "402-b" }, function(state)
  make(state, "402-a")
  start(state, "402-b")
  step_until_read(state, "402-b")
  memory.arm()
  step_all(state)
end)
armed("while a record is read", { "200-a" }, function(state)
  start(state, "200-a")
  step_until_read(state, "200-a")
  memory.arm()
  step_all(state)
end)
armed("while a long record is read, in each of 20 steps", { "long-a" }, function(state)
  start(state, "long-a")
  step_until_read(state, "long-a")
  memory.arm()
  for _ = 1, 20 do pcall(state.client.step, state.client, 0.001) end
end)
armed("in an on_done", { "200-a", "200-b" }, function(state)
  state.options["200-a"].on_done = function()
    memory.told "200-a"
    memory.arm()
    state.kept = { {}, {}, "x" .. #state.keys }
  end
  start_all(state)
  step_all(state)
end)
armed("while an error of on_done is kept", { "200-a", "200-b" }, function(state)
  state.options["200-a"].on_done = function()
    memory.told "200-a"
    memory.arm()
    error "boom"
  end
  start_all(state)
  pcall(step_all, state)
  pcall(step_all, state)
end)
armed("while the api key is made", { "200-a" }, make_all, { api_key = function()
  memory.arm()
  return "sk_test_" .. "function"
end })
armed("in the sleep", { "503_200-a" }, in_coroutines, { sleep = function(seconds)
  memory.arm()
  coroutine.yield(seconds)
end }, resume_and_settle)
armed("while the client closes", { "hold-a", "hold-b", "200-c" }, function(state)
  start_all(state)
  state.client:step(0.001)
  memory.arm()
  close_client(state)
end, nil, close_again)
armed("while an error becomes text", { "402-a" }, function(state)
  memory.begin "402-a"
  local record, err = state.client:report_payment(PAYMENT, state.options["402-a"])
  memory.finish("402-a", record, err)
  memory.arm()
  assert(tostring(err):find "402")
end)
armed("in a finalizer that closes the client", { "hold-a", "200-b" }, function(state)
  start_all(state)
  state.client:step(0.001)
  state.closed = true
  local guard = newproxy and newproxy(true) or setmetatable({}, {})
  getmetatable(guard).__gc = function()
    memory.arm()
    pcall(state.client.close, state.client)
  end
  if not newproxy then setmetatable(guard, getmetatable(guard)) end
  guard = nil -- luacheck: ignore 311
  collectgarbage()
  collectgarbage()
end, nil, close_again)
-- It starts no call: Lua 5.4 runs no finalizer of what is made while a state closes.
armed("in a finalizer as the state closes", { "hold-a", "200-b" }, function(state)
  start_silently(state)
  local guard = newproxy and newproxy(true) or setmetatable({}, {})
  getmetatable(guard).__gc = function()
    memory.arm()
    pcall(state.client.step, state.client)
    pcall(state.client.close, state.client)
  end
  if not newproxy then setmetatable(guard, getmetatable(guard)) end
  state.guard = guard
end, nil, function() end)

return scenarios
