--- Scenarios of calls: blocking, started, in event loops, in coroutines.

-- luacheck: read globals memory

local actions = require "spec.memory.actions"

local PAYMENT, client_scenario = actions.PAYMENT, actions.client_scenario

--- Blocking calls, one after another.
local function blocking(name, keys, settings)
  client_scenario(name, keys, actions.make_all, settings)
end

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
blocking("no server", { "200-a" }, { api_base = "http://127.0.0.1:1" })
blocking("a server that the system does not trust", { "200-a" }, { ca_file = false })
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
  actions.start_all(state)
  actions.step_all(state)
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
    actions.start_all(state)
    pcall(actions.step_all, state)
    if not state.closed then actions.step_all(state) end
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
end, { timeout = 0.5 }, actions.close_again)

client_scenario("start", { "200-a" }, actions.start_all)
client_scenario("cancel before it is sent", { "200-a", "200-b" }, function(state)
  actions.start_all(state)
  state.calls["200-a"]:cancel()
  actions.step_all(state)
end)
client_scenario("cancel on the wire", { "hold-a", "200-b" }, function(state)
  actions.start_all(state)
  actions.step_until_read(state, "hold-a")
  state.calls["hold-a"]:cancel "no longer wanted"
  actions.step_all(state)
end, nil, { after = function(state)
  if state.calls["hold-a"] then state.calls["hold-a"]:cancel() end
  actions.settle(state)
end })
client_scenario("cancel while it waits", { "503_200-a" }, function(state)
  actions.start_all(state)
  actions.step_until_read(state, "503_200-a")
  state.client:step()
  state.calls["503_200-a"]:cancel()
end)
client_scenario("result of an unfinished call", { "200-a" }, function(state)
  actions.start_all(state)
  local record, err = state.calls["200-a"]:result()
  assert(not record and err.outcome == "not_sent")
end)

client_scenario("close with calls in flight", { "hold-a", "200-b", "hold-c", "200-d" }, function(state)
  actions.start_all(state)
  state.client:step(0.001)
  actions.close_client(state)
end, { max_in_flight = 3 }, { after = actions.close_again })
client_scenario("collect with calls in flight", { "hold-a", "200-b" }, function(state)
  memory.begin "hold-a"
  memory.begin "200-b"
  actions.start_silently(state)
  state.client = nil
  collectgarbage()
end, nil, { after = function(state)
  state.client = nil
  collectgarbage()
  collectgarbage()
end })
client_scenario("in an event loop", { "200-a", "503_200-b", "402-c" }, function(state)
  local client = state.client
  actions.start_all(state)
  repeat
    memory.wait(client:pollfd(), client:timeout() or 1)
    assert(client:events() == "r")
  until client:step() == 0
end)

-- --- coroutines --------------------------------------------------------------------------------------------------

client_scenario("sleep that yields", { "200-a" }, actions.in_coroutines, { sleep = coroutine.yield },
  { after = actions.resume_and_settle })
client_scenario("sleep that yields, 4 calls", { "200-a", "503_200-b", "402-c", "cut_200-d" }, actions.in_coroutines,
  { sleep = coroutine.yield }, { after = actions.resume_and_settle })
client_scenario("sleep that raises", { "hold-a" }, function(state) actions.make(state, "hold-a") end,
  { sleep = function() error "boom" end })
