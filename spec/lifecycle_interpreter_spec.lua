--- What a host does to its interpreter (RELIABILITY L-08): the results are the same.

local payment_records = require "payment_records"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT

teardown(servers.stop_all)
after_each(payments.close_all)

local STEPS = {
  { delay = 0.02 }, { status = 503, body = "" }, { delay = 0.02 }, { cut = "body" }, {},
  { status = 402, body = '{"error":{"type":"card_error","code":"declined","message":"no","param":"a"}}' },
  { status = 200, body = "{}" }, { status = 500, body = "<html>" }, {},
}

local function describe_result(record, err, response)
  return {
    record and record.id or false, err and err.type or false, err and err.outcome or false,
    err and err.message or false, response and response.status or false, response and response.attempts or false,
  }
end

-- Makes calls of every kind, one after another, and returns what came of them. `between` runs between two steps.
local function make_calls(server, between)
  server:play(STEPS)
  local results, events = {}, {}
  local client = payments.client(server, { on_attempt = function(event)
    between()
    events[#events + 1] = ("%d %s %s"):format(event.attempt, tostring(event.status), tostring(event.error_type))
  end })
  local function finish(call)
    local last = processes.now() + 10
    while not call:done() and processes.now() <= last do
      between()
      client:step(0.01)
    end
    between()
    results[#results + 1] = describe_result(call:result())
  end
  for i = 1, 7 do finish(client:start("report_payment", PAYMENT, { max_retries = i == 2 and 1 or 0 })) end
  finish(client:start("report_payment", { amount_requested = { currency = "usd", value = 1.5 } }))
  results[#results + 1] = describe_result(client:report_payment(PAYMENT))
  local canceled = client:start("retrieve_payment_record", "pr_1")
  between()
  canceled:cancel()
  finish(canceled)
  results[#results + 1] = client:prepare("report_payment", PAYMENT).body
  results[#results + 1] = payment_records.encode { a = { b = { 1, 2, { c = "x" } } } }
  client:close()
  return { results, events }
end

local function nothing() end

local function with_mode(mode, restore)
  return function(body)
    collectgarbage(mode)
    local ended, result = pcall(body, nothing)
    collectgarbage(restore)
    return assert(ended and result, result)
  end
end

local hosts = {
  ["a count hook"] = function(body)
    local count = 0
    debug.sethook(function() count = count + 1 end, "", 1)
    local ended, result = pcall(body, nothing)
    debug.sethook()
    assert.is_true(count > 1000)
    return assert(ended and result, result)
  end,
  ["a hook for calls, lines and returns that uses the collector"] = function(body)
    local count = 0
    debug.sethook(function()
      count = count + 1
      if count % 100 == 0 then collectgarbage "step" end
    end, "crl")
    local ended, result = pcall(body, nothing)
    debug.sethook()
    return assert(ended and result, result)
  end,
  ["a full collection between every two steps"] = function(body)
    return body(function()
      collectgarbage()
      collectgarbage()
    end)
  end,
  ["a collector that is stopped"] = with_mode("stop", "restart"),
  ["a generational collector"] = _VERSION == "Lua 5.4" and with_mode("generational", "incremental") or nil,
  ["a strict table of globals"] = function(body)
    local before = getmetatable(_G)
    local function refuse(_, name) error("global " .. tostring(name)) end
    setmetatable(_G, { __index = refuse, __newindex = refuse })
    local ended, result = pcall(body, nothing)
    setmetatable(_G, before)
    return assert(ended and result, result)
  end,
  ["a metatable of strings that raises"] = function(body)
    local strings = getmetatable("")
    local index = strings.__index
    strings.__add = function() error "added" end
    strings.__index = function(text, name) return index[name] or error(name .. " of " .. text) end
    local ended, result = pcall(body, nothing)
    strings.__index, strings.__add = index, nil
    return assert(ended and result, result)
  end,
}

describe("calls give the same results with", function()
  local server, expected

  setup(function()
    server = servers.start()
    expected = make_calls(server, nothing)
  end)

  it("nothing special: results of every kind", function()
    local kinds = {}
    for _, result in ipairs(expected[1]) do kinds[type(result) == "table" and result[2] or "record"] = true end
    assert.same({ record = true, card_error = true, connection_error = true, response_error = true, api_error = true,
      validation_error = true, canceled_error = true }, kinds)
  end)

  for name, host in pairs(hosts) do
    it(name, function()
      assert.same(expected, host(function(between) return make_calls(server, between) end))
    end)
  end
end)

describe("a hook that raises, as hosts stop programs that run too long,", function()
  it("leaves the other calls a true outcome, and the client goes on", function()
    local server = servers.start { steps = { { delay = 0.01 } } }
    local client = payments.client(server)
    for events in ("c r l"):gmatch "%S" do
      for after = 1, 60, 3 do
        local count, calls = 0, {}
        for i = 1, 3 do calls[i] = client:start("report_payment", PAYMENT) end
        pcall(function()
          debug.sethook(function()
            count = count + 1
            if count < after then return end
            debug.sethook()
            error "too long"
          end, events)
          client:report_payment(PAYMENT)
          debug.sethook()
        end)
        payments.finish(client)
        for _, call in ipairs(calls) do
          local record, err = call:result()
          -- What is raised within the decoder is taken for an answer that cannot be read.
          assert.equal(record and "pr_1" or "unknown", (record or {}).id or err.outcome)
        end
      end
    end
    assert.equal("pr_1", client:report_payment(PAYMENT).id)
  end)
end)
