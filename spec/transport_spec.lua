--- A transport of the program's own in place of libcurl: what it gets, and what is made of what it returns.

local files = require "spec.support.files"
local payments = require "spec.support.payments"
local sandbox = require "payment_records.sandbox"

local PAYMENT = payments.PAYMENT
local RECORD = '{"id":"pr_1","object":"payment_record"}'

after_each(payments.close_all)

describe("a transport of the program's", function()
  local function client_of(transport, options)
    local settings = { transport = transport, api_base = "https://api.stripe.com" }
    for name, value in pairs(options or {}) do settings[name] = value end
    return payments.client({ url = "https://api.stripe.com" }, settings)
  end

  it("gets the whole request, key and times included", function()
    local seen
    local client = client_of(function(request)
      seen = request
      return { status = 200, headers = { ["Request-Id"] = "req_1" }, body = RECORD }
    end, { timeout = 7, connect_timeout = 3 })
    local record, _, response = client:report_payment(PAYMENT, { idempotency_key = "order-1" })
    assert.same({ "pr_1", "req_1", 1 }, { record.id, response.request_id, response.attempts })
    assert.same({ "POST", "https://api.stripe.com/v1/payment_records/report_payment",
      "/v1/payment_records/report_payment", 7, 3 },
      { seen.method, seen.url, seen.path, seen.timeout, seen.connect_timeout })
    assert.equal("Bearer " .. payments.KEY, seen.headers.Authorization)
    assert.equal("order-1", seen.headers["Idempotency-Key"])
    assert.equal(client:prepare("report_payment", PAYMENT).body, seen.body)
  end)

  local function raises() error "boom" end
  local bad = {
    { "raises", raises, "connection_error", "boom" },
    { "raises a table", function() error {} end, "connection_error", "transport" },
    { "returns nothing", function() end, "connection_error", "no response" },
    { "returns nil and why", function() return nil, "the wire is cut" end, "connection_error", "the wire is cut" },
    { "returns a string", function() return RECORD end, "connection_error", "a response that is no table" },
    { "returns an empty table", function() return {} end, "response_error", "without a status" },
    { "returns a status that is none", function() return { status = "fine", body = RECORD } end, "response_error",
      "without a status" },
    { "returns a body that is none", function() return { status = 200, body = {} } end, "response_error",
      "a body that is no string" },
    { "returns no body", function() return { status = 200 } end, "response_error" },
    { "returns a record without an id", function() return { status = 200, body = "{}" } end, "response_error" },
    { "returns too much", function() return { status = 200, body = RECORD .. (" "):rep(4194304) } end,
      "response_error", "max_response_bytes" },
  }
  for _, case in ipairs(bad) do
    it("that " .. case[1] .. " leaves the outcome unknown", function()
      local client = client_of(case[2])
      local record, err = client:report_payment(PAYMENT)
      assert.is_nil(record)
      assert.same({ case[3], "unknown", 1 }, { err.type, err.outcome, err.attempts })
      assert.truthy(err.message:find(case[4] or "", 1, true), err.message)
      assert.equal(0, client:step())
    end)
  end

  describe("while one call waits for its next attempt and another is started", function()
    local function report(options)
      local answers = { { status = 503, headers = { ["Retry-After"] = "0.6" }, body = "" },
        { status = 200, headers = {}, body = RECORD } }
      local client = client_of(function() return table.remove(answers, 1) end, options)
      client:start("report_payment", PAYMENT)
      assert.equal(0, client:timeout())
      local record, _, response = client:report_payment(PAYMENT, { max_retries = 1 })
      assert.same({ "pr_1", 2 }, { record.id, response.attempts })
    end

    it("does not spin", function()
      local instructions = 0
      debug.sethook(function() instructions = instructions + 10000 end, "", 10000)
      local reported, reason = pcall(report)
      debug.sethook()
      assert.is_true(reported, reason)
      assert.is_true(instructions < 200000, instructions .. " instructions")
    end)

    it("lets the program sleep", function()
      local longest = 0
      report { sleep = function(seconds) longest = math.max(longest, seconds) end }
      assert.is_true(longest > 0)
    end)
  end)

  it("is called again, as libcurl would be", function()
    local keys = {}
    local client = client_of(function(request)
      keys[#keys + 1] = request.headers["Idempotency-Key"]
      if #keys == 1 then return nil, "reset" end
      return { status = #keys == 2 and 503 or 200, body = #keys == 2 and "" or RECORD }
    end, { max_retries = 2 })
    local record, _, response = client:report_payment(PAYMENT)
    assert.equal("pr_1", record.id)
    assert.same({ 3, keys[1], keys[1], keys[1] }, { response.attempts, keys[1], keys[2], keys[3] })
  end)

  it("serves calls that were started, with the sandbox in memory", function()
    local box = sandbox.new()
    local client, calls = client_of(box:transport()), {}
    for i = 1, 100 do calls[i] = client:start("report_payment", PAYMENT, { idempotency_key = "key-" .. i % 50 }) end
    assert.equal(0, client:step())
    local replayed = 0
    for _, call in ipairs(calls) do
      assert.truthy((call:result()))
      replayed = replayed + (select(3, call:result()).replayed and 1 or 0)
    end
    assert.same({ 50, 50 }, { #box:records(), replayed })
  end)

  it("is not given a call whose deadline has passed", function()
    local carried = 0
    local client = client_of(function()
      carried = carried + 1
      return { status = 200, body = RECORD }
    end)
    local late = client:start("report_payment", PAYMENT, { deadline = 0.02 })
    local other = client:start("report_payment", PAYMENT)
    files.shell "sleep 0.1"
    client:step()
    local _, err = late:result()
    assert.same({ "timeout_error", "not_sent", 0 }, { err.type, err.outcome, err.attempts })
    assert.same({ "pr_1", 1 }, { other:result().id, carried })
  end)

  it("is not called within a callback, whose step raises", function()
    local carried, within = 0, nil
    local client = client_of(function()
      carried = carried + 1
      return { status = 200, body = RECORD }
    end)
    client:start("report_payment", PAYMENT, { on_done = function()
      client:start("report_payment", PAYMENT)
      within = { carried, pcall(client.step, client), carried }
    end })
    client:step()
    assert.same({ 1, false, 2 }, { within[1], within[2], carried })
    assert.equal(1, within[#within])
  end)

  it("is not called any more once on_done has closed the client, and that step does not raise", function()
    local client, outcomes = client_of(function() return { status = 200, body = RECORD } end), {}
    for i = 1, 3 do
      client:start("report_payment", PAYMENT, { on_done = function(record, err)
        outcomes[i] = record and record.id or err.outcome
        client:close()
      end })
    end
    assert.equal(0, client:step())
    assert.same({ "pr_1", "not_sent", "not_sent" }, outcomes)
    assert.error_matches(function() client:step() end, "the client is closed")
  end)

  it("may lose the answer: the same key finds out", function()
    local box = sandbox.new()
    local client = client_of(box:transport())
    box:fail_next "lost_answer"
    local _, err = client:report_payment(PAYMENT)
    assert.equal("unknown", err.outcome)
    local record, _, response = client:report_payment(PAYMENT, { idempotency_key = err.idempotency_key })
    assert.same({ box:records()[1].id, true, 1 }, { record.id, response.replayed, #box:records() })
  end)
end)
