-- Who may do what: API keys, modes, accounts, versions; and what is not there at all.

local cjson = require "cjson"
local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"

local RECORDS = "/v1/payment_records"
local LIVE_KEY = "sk_live_" .. "sandbox"

describe("the sandbox", function()
  local box, client

  before_each(function()
    box = sandbox.new()
    client = sandbox_client.new(box)
  end)

  describe("accepts", function()
    local accepted = {
      ["a secret test key"] = "Bearer sk_test_1",
      ["a restricted test key"] = "Bearer rk_test_1",
      ["a live key"] = "Bearer " .. LIVE_KEY,
      ["a scheme in any case"] = "bEaReR sk_test_1",
      ["the key as a user name"] = "Basic c2tfdGVzdF8xMjM0OjpwYXNz", -- sk_test_1234::pass
      ["the key as a user name alone"] = "Basic c2tfdGVzdF8x", -- sk_test_1
      ["the key as a user name, padded"] = "Basic c2tfdGVzdF8xOg==", -- sk_test_1:
    }
    for what, authorization in pairs(accepted) do
      it(what, function()
        local _, response = client:get(RECORDS, nil, { Authorization = authorization })
        assert.equal(200, response.status)
      end)
    end

    it("header names in any case", function()
      local headers = { Authorization = false, aUTHORIZATION = "Bearer sk_test_1" }
      local _, response = client:get(RECORDS, nil, headers)
      assert.equal(200, response.status)
    end)
  end)

  describe("answers 401", function()
    local function assert_unauthorized(answer, response, message)
      assert.equal(401, response.status)
      assert.equal("invalid_request_error", answer.error.type)
      assert.equal(message, answer.error.message:sub(1, #message))
      assert.equal('Bearer realm="Stripe"', response.headers["WWW-Authenticate"])
      assert.matches("^req_%w+$", response.headers["Request-Id"])
    end

    for _, authorization in ipairs { "", "Bearer", "Digest x", "Basic !!!" } do
      it("without a key: '" .. authorization .. "'", function()
        local answer, response = client:get(RECORDS, nil, { Authorization = authorization })
        assert_unauthorized(answer, response, "You did not provide an API key.")
      end)
    end

    it("without the header", function()
      local answer, response = client:get(RECORDS, nil, { Authorization = false })
      assert_unauthorized(answer, response, "You did not provide an API key.")
    end)

    for _, key in ipairs { "sk_test_", "pk_test_1", "secret", "sk_prod_1", "SK_test_1" } do
      it("to the key " .. key, function()
        local answer, response = client:get(RECORDS, nil, { Authorization = "Bearer " .. key })
        assert_unauthorized(answer, response, "Invalid API Key provided: ")
      end)
    end

    it("without showing the key", function()
      local answer = client:get(RECORDS, nil, { Authorization = "Bearer pk_test_abcdefghijklmnop" })
      assert.equal("Invalid API Key provided: ****mnop", answer.error.message)
    end)

    it("to a key that is not among the accepted ones", function()
      box = sandbox.new { keys = { "sk_test_one", "sk_test_two" } }
      client = sandbox_client.new(box, "sk_test_two")
      local _, accepted = client:get(RECORDS)
      assert.equal(200, accepted.status)
      local answer, refused = client:get(RECORDS, nil, { Authorization = "Bearer sk_test_three" })
      assert_unauthorized(answer, refused, "Invalid API Key provided: sk_test_****")
    end)
  end)

  describe("keeps apart", function()
    it("test and live mode", function()
      local live = sandbox_client.new(box, LIVE_KEY)
      local in_test, in_live = client:pay(), live:pay()
      assert.is_false(in_test.livemode)
      assert.is_true(in_live.livemode)
      local _, response = client:get(RECORDS .. "/" .. in_live.id)
      assert.equal(404, response.status)
      local path = "/v1/payment_attempt_records/" .. in_test.latest_payment_attempt_record
      assert.equal("resource_missing", live:get(path).error.code)
      assert.equal(1, #live:get(RECORDS).data)
      assert.equal(in_live.id, box:records("live")[1].id)
      assert.equal(1, #box:records())
    end)

    for _, header in ipairs { "Stripe-Account", "Stripe-Context" } do
      it("the accounts of " .. header, function()
        local record = client:pay({}, { [header] = "acct_1" })
        local _, elsewhere = client:get(RECORDS .. "/" .. record.id)
        assert.equal(404, elsewhere.status)
        local found = client:get(RECORDS .. "/" .. record.id, nil, { [header] = "acct_1" })
        assert.equal(record.id, found.id)
        assert.equal(record.id, box:records("test", "acct_1")[1].id)
        assert.equal(0, #box:records())
      end)
    end

    it("refund references of test and live mode", function()
      local live = sandbox_client.new(box, LIVE_KEY)
      local first, second = client:pay_guaranteed(), live:pay_guaranteed()
      client:refund(first.id)
      assert.equal(1000, live:refund(second.id).amount_refunded.value)
    end)
  end)

  describe("answers", function()
    it("with the version that was asked for", function()
      local _, response = client:get(RECORDS, nil, { ["Stripe-Version"] = "2025-10-29.clover" })
      assert.equal("2025-10-29.clover", response.headers["Stripe-Version"])
    end)

    it("with its own version where none was asked for", function()
      local _, response = client:get(RECORDS)
      assert.equal("2026-09-30.endive", response.headers["Stripe-Version"])
    end)

    it("400 to what is not a version", function()
      local answer, response = client:get(RECORDS, nil, { ["Stripe-Version"] = "latest" })
      assert.equal(400, response.status)
      assert.equal("Invalid Stripe API version: latest", answer.error.message)
    end)

    it("with the account that was named", function()
      local _, response = client:get(RECORDS, nil, { ["Stripe-Account"] = "acct_1" })
      assert.equal("acct_1", response.headers["Stripe-Account"])
    end)

    it("with a request id of its own each time", function()
      local _, first = client:get(RECORDS)
      local _, second = client:get(RECORDS)
      assert.matches("^req_%w+$", first.headers["Request-Id"])
      assert.not_equal(first.headers["Request-Id"], second.headers["Request-Id"])
    end)
  end)

  describe("answers 404", function()
    local unrecognized = {
      { "GET", "/v1/charges" },
      { "GET", "/" },
      { "GET", RECORDS .. "/" },
      { "GET", RECORDS .. "/pr_1/attempts" },
      { "GET", RECORDS .. "/pr_1/report_refund" },
      { "GET", "/v2/payment_records" },
      { "GET", "/v1/payment_attempt_records/a/b" },
      { "POST", RECORDS },
      { "POST", RECORDS .. "/pr_1" },
      { "POST", RECORDS .. "//report_refund" },
      { "POST", "/v1/payment_attempt_records/par_1" },
      { "DELETE", RECORDS .. "/pr_1" },
    }
    for _, case in ipairs(unrecognized) do
      it("to " .. case[1] .. " " .. case[2], function()
        local answer, response = client:request(case[1], case[2])
        local expected = "Unrecognized request URL (" .. case[1] .. ": " .. case[2] .. ")."
        assert.equal(404, response.status)
        assert.equal("invalid_request_error", answer.error.type)
        assert.equal(expected, answer.error.message:sub(1, #expected))
      end)
    end

    local missing = {
      { "GET", RECORDS .. "/pr_1", "No such payment record: 'pr_1'" },
      { "GET", RECORDS .. "/report_payment", "No such payment record: 'report_payment'" },
      { "GET", RECORDS .. "/a%2Fb", "No such payment record: 'a/b'" },
      { "GET", "/v1/payment_attempt_records/par_1", "No such payment attempt record: 'par_1'" },
      { "POST", RECORDS .. "/pr_1/report_payment_attempt_informational", "No such payment record: 'pr_1'" },
    }
    for _, case in ipairs(missing) do
      it("to " .. case[1] .. " " .. case[2] .. ", naming the id", function()
        local answer, response = client:request(case[1], case[2])
        assert.equal(404, response.status)
        assert.equal("resource_missing", answer.error.code)
        assert.equal("id", answer.error.param)
        assert.equal(case[3], answer.error.message)
      end)
    end

    local reports = {
      report_payment_attempt = "initiated_at=1",
      report_payment_attempt_canceled = "canceled_at=1",
      report_payment_attempt_failed = "failed_at=1",
      report_payment_attempt_guaranteed = "guaranteed_at=1",
      report_payment_attempt_informational = "",
      report_refund = "outcome=refunded&processor_details[type]=custom",
    }
    for name, params in pairs(reports) do
      it("to " .. name .. " of a record that does not exist", function()
        local answer, response = client:report("pr_unknown", name, params)
        assert.equal(404, response.status)
        assert.equal("resource_missing", answer.error.code)
      end)
    end
  end)

  it("finds a record whose id is escaped in the path", function()
    local record = client:pay()
    local escaped = record.id:gsub("_", "%%5F")
    assert.equal(record.id, client:get(RECORDS .. "/" .. escaped).id)
  end)

  it("quotes no more of a request than the 40,000 characters of a message", function()
    local answer, response = client:get(RECORDS .. "/" .. ("x"):rep(50000))
    assert.equal(404, response.status)
    assert.equal(40000, #answer.error.message)
  end)

  it("points at the documentation of an error and at the log of the request", function()
    local answer, response = client:pay({ initiated_at = false })
    local request_id = response.headers["Request-Id"]
    assert.equal("https://stripe.com/docs/error-codes/parameter-missing", answer.error.doc_url)
    assert.equal("https://dashboard.stripe.com/test/logs/" .. request_id, answer.error.request_log_url)
    local in_live, live_response = sandbox_client.new(box, LIVE_KEY):pay({ initiated_at = false })
    local live_log = "https://dashboard.stripe.com/logs/" .. live_response.headers["Request-Id"]
    assert.equal(live_log, in_live.error.request_log_url)
    local unauthorized = cjson.decode(box:handle({ method = "GET", path = "/" }).body).error
    assert.is_nil(unauthorized.request_log_url)
    assert.is_nil(unauthorized.doc_url)
  end)
end)
