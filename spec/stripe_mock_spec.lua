--- Every call against stripe-mock, the vendor's own server: it checks requests against Stripe's OpenAPI description,
--- answers from fixtures and keeps nothing. What it does not know or not check is in GAPS below.

local parameters = require "spec.support.parameters"
local payment_records = require "payment_records"
local stripe_mock = require "spec.support.stripe_mock"

local program = os.getenv "STRIPE_MOCK"
if not program or program == "" then
  pending("runs against the vendor's server: set STRIPE_MOCK to the program "
    .. "(go install github.com/stripe/stripe-mock@v0.203.0)")
  return
end

-- Its description of the API, 2026-08-26.dahlia, is older than the one this library is made for.
local UNKNOWN_OUTCOME = "canceled"

local ID = "pr_123"
local CANNED_AMOUNT = 111972721

---Every parameter of a call, with an outcome that it knows.
local function filled(name)
  for _, params in ipairs(parameters.filled(name)) do
    if params.outcome ~= UNKNOWN_OUTCOME then return params end
  end
end

---Every parameter of a call, with the outcome that it does not know.
local function filled_unknown(name)
  for _, params in ipairs(parameters.filled(name)) do
    if params.outcome == UNKNOWN_OUTCOME then return params end
  end
end

describe("stripe-mock", function()
  local mock

  setup(function() mock = stripe_mock.start(program) end)
  teardown(function() mock.stop() end)

  ---A client, closed at the end of the test.
  local clients = {}
  local function connect(options)
    options.api_key = "sk_test_123"
    options.max_retries = 0
    clients[#clients + 1] = payment_records.new(options)
    return clients[#clients]
  end

  after_each(function()
    for place = #clients, 1, -1 do table.remove(clients, place):close() end
  end)

  local function over_http() return connect { api_base = mock.http } end
  local function over_https() return connect { api_base = mock.https, ca_file = mock.ca_file } end

  local ways = { { "HTTP", over_http }, { "HTTPS", over_https } }

  local function make(client, call, params, options)
    return client[call.name](client, parameters.arguments(call, ID, params, options))
  end

  ---What it printed while `action` ran, and maybe the last of what came before.
  local function log_of(action)
    local before = #mock.log()
    action()
    return mock.log():sub(before + 1)
  end

  ---What it copies from the request into its answer.
  local function assert_echoed(params, record)
    if params.amount_requested then assert.same(params.amount_requested, record.amount_requested) end
    for _, name in ipairs { "description", "customer_presence" } do
      if params[name] then assert.equal(params[name], record[name]) end
    end
  end

  for _, way in ipairs(ways) do
    for _, call in ipairs(parameters.CALLS) do
      it(("accepts %s with every parameter, over %s"):format(call.name, way[1]), function()
        local client = way[2]()
        for _, params in ipairs(parameters.filled(call.name)) do
          if params.outcome ~= UNKNOWN_OUTCOME then
            local record, err, response = make(client, call, params)
            assert.is_nil(err)
            assert.equal(call.object, record.object)
            assert.equal(200, response.status)
            assert.equal(1, response.attempts)
            if call.object == "payment_record" then assert_echoed(params, record) end
          end
        end
      end)

      it(("refuses %s with an unknown parameter, over %s"):format(call.name, way[1]), function()
        local params = filled(call.name)
        params.wrong_parameter = "x"
        local record, err = make(way[2](), call, params, { allow_unknown_params = true })
        assert.is_nil(record)
        assert.equal("invalid_request_error", err.type)
        assert.equal(400, err.status)
        assert.equal("rejected", err.outcome)
        assert.is_false(err.retryable)
        assert.equal(1, err.attempts)
        assert.equal("req_123", err.request_id)
        assert.matches("additional properties are not allowed", err.message)
      end)
    end
  end

  -- What is wrong, what it says of it, and what we say before anything is sent.
  local wrong_values = {
    { "outcome", "lost", "value is not in enumeration" },
    { "customer_presence", "nearby", "value is not in enumeration" },
  }
  for _, wrong in ipairs(wrong_values) do
    local name, value, message = wrong[1], wrong[2], wrong[3]

    it("refuses a wrong " .. name .. " that the client was told to send", function()
      local params = filled "report_payment"
      if name == "outcome" then params[params.outcome] = nil end
      params[name] = value
      local _, err = over_https():report_payment(params, { allow_unknown_params = true })
      assert.equal("invalid_request_error", err.type)
      assert.equal(400, err.status)
      assert.matches(name, err.message)
      assert.matches(message, err.message)
    end)

    it("never sees a wrong " .. name .. " otherwise", function()
      local params, err = filled "report_payment", nil
      params[name] = value
      local log = log_of(function() err = select(2, over_https():report_payment(params)) end)
      assert.equal("validation_error", err.type)
      assert.equal(name, err.param)
      assert.equal("not_sent", err.outcome)
      for _, sign in ipairs { "server connection from", "read frame HEADERS", "Request: " } do
        assert.is_nil(log:find(sign, 1, true), log)
      end
    end)
  end

  it("is spoken to in HTTP/2 over TLS", function()
    local log = log_of(function() assert(over_https():report_payment(filled "report_payment")) end)
    assert.matches("http2: server connection from 127%.0%.0%.1", log)
    assert.matches("http2: server read frame HEADERS", log)
    assert.matches("http2: server read frame DATA flags=END_STREAM", log)
    assert.matches("Request: POST /v1/payment_records/report_payment", log)
  end)

  it("is spoken to in HTTP/1.1 without TLS", function()
    local log = log_of(function() assert(over_http():report_payment(filled "report_payment")) end)
    assert.matches("Request: POST /v1/payment_records/report_payment", log)
    assert.is_nil(log:find("http2: server connection from", 1, true))
  end)

  it("serves many calls over one HTTP/2 connection", function()
    local client = over_https()
    local log = log_of(function()
      for _ = 1, 20 do assert(client:retrieve_payment_record(ID)) end
    end)
    local _, connections = log:gsub("http2: server connection from", "")
    local _, requests = log:gsub("Request: GET", "")
    assert.equal(1, connections)
    assert.equal(20, requests)
  end)

  local untrusted = {
    { "whose certificate nobody vouches for", function() return { api_base = mock.https } end },
    { "by a name that is not in its certificate", function()
      return { api_base = mock.https:gsub("localhost", "127.0.0.1"), ca_file = mock.ca_file }
    end },
  }
  for _, case in ipairs(untrusted) do
    it("is not trusted " .. case[1], function()
      local err
      local log = log_of(function() err = select(2, connect(case[2]()):retrieve_payment_record(ID)) end)
      assert.equal("connection_error", err.type)
      assert.equal("not_sent", err.outcome)
      assert.is_nil(log:find("Request:", 1, true))
    end)
  end

  it("refuses a key that is none", function()
    local client = payment_records.new { api_key = "wrong", api_base = mock.http, max_retries = 0 }
    local _, err = client:retrieve_payment_record(ID)
    client:close()
    assert.equal(401, err.status)
    assert.equal("invalid_request_error", err.type) -- its own word for it; Stripe's is the same
    assert.equal("rejected", err.outcome)
  end)

  describe("has gaps:", function()
    ---report_payment with the parts in `changes`.
    local function pay(client, changes, options)
      local params = filled "report_payment"
      for name, value in pairs(changes) do params[name] = value end
      return client:report_payment(params, options)
    end

    ---Each `is_open` returns true while the gap is there, and asserts nothing else.
    local GAPS = {
      { "it refuses outcome=canceled, which is newer than its description", function(client)
        local _, err = client:report_payment(filled_unknown "report_payment")
        return err and err.status == 400 and err.message:find("value is not in enumeration", 1, true)
      end },
      { "it refuses an attempt with outcome=canceled", function(client)
        local _, err = client:report_payment_attempt(ID, filled_unknown "report_payment_attempt")
        return err and err.status == 400 and err.message:find("value is not in enumeration", 1, true)
      end },
      { "it fails where a list is to expand a field that it does not know", function(client)
        local _, err = client:list_payment_records { expand = { "x" } }
        return err and err.status == 500
      end },
      { "it answers reports on a record with another id", function(client)
        local record = client:report_payment_attempt_failed(ID, filled "report_payment_attempt_failed")
        return record and record.id ~= ID
      end },
      { "it knows every id", function(client)
        local record = client:retrieve_payment_record "pr_unknown"
        return record and record.id == "pr_unknown"
      end },
      { "it has one record in every list, and no second page", function(client)
        local none = client:list_payment_records { created_after = 2000000000, created_before = 1, limit = 100 }
        return none and #none.data == 1 and none.has_more == false
      end },
      { "its amounts are canned", function(client)
        local record = pay(client, {})
        return record and record.amount_guaranteed.value == CANNED_AMOUNT and record.amount.value == CANNED_AMOUNT
      end },
      { "it drops metadata", function(client)
        local record = pay(client, { metadata = { order = "6735" } })
        return record and record.metadata.order == nil
      end },
      { "it drops customer details and payment method", function(client)
        local record = pay(client, {})
        return record and record.customer_details.name == nil and record.payment_method_details.custom == nil
      end },
      { "it lets an idempotency key be used for another payment", function(client)
        local options = { idempotency_key = "key-1" }
        local first = pay(client, { description = "one" }, options)
        local second, err, response = pay(client, { description = "two" }, options)
        return first and second and not err and not response.replayed and first.id ~= second.id
      end },
      { "it accepts nested parameters that it does not know", function(client)
        return pay(client, { processor_details = { type = "custom", wrong = "x" } }, { allow_unknown_params = true })
      end },
      { "it accepts any text as a currency", function(client)
        local options = { allow_unknown_params = true }
        return pay(client, { amount_requested = { currency = "zzz", value = 1 } }, options)
      end },
      { "it accepts a report on a payment that is settled already", function(client)
        return client:report_payment_attempt_failed(ID, { failed_at = 1 })
          and client:report_payment_attempt_guaranteed(ID, { guaranteed_at = 1 })
      end },
      { "its errors name neither parameter nor code", function(client)
        local _, err = pay(client, { wrong = "x" }, { allow_unknown_params = true })
        return err and err.param == nil and err.code == nil and err.doc_url == nil
      end },
      { "it does not say which version of the API it serves", function(client)
        local _, _, response = pay(client, {})
        return response and response.headers["stripe-version"] == nil
      end },
    }
    for _, gap in ipairs(GAPS) do
      local what, is_open = gap[1], gap[2]
      it(what, function()
        assert.is_truthy(is_open(over_http()), "stripe-mock has closed this gap, or changed: strike it off GAPS, and "
          .. "assert what it does now: " .. what)
      end)
    end
  end)

  it("ends with a clear error where the program is none", function()
    local started, message = pcall(stripe_mock.start, "./no-such-program")
    assert.is_false(started)
    assert.matches("stripe%-mock did not start: .*no%-such%-program", message)
  end)
end)
