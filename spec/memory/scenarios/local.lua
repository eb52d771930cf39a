--- Scenarios without the network.

-- luacheck: read globals memory

local actions = require "spec.memory.actions"

local PAYMENT, client_scenario, scenario = actions.PAYMENT, actions.client_scenario, actions.scenario

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
  if made or not actions.is_expected(message) and not message:find("timeout", 1, true) then error(message) end
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
  actions.step_all(state)
end, nil, { after = function(state)
  actions.come_to_rest(state.client)
  if state.refused then assert(state.refused:done()) end
  assert(actions.anchored(state.client) == 0)
end })
