-- Idempotency keys: what is replayed, refused, kept in flight, not stored, forgotten.

local cjson = require "cjson"
local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"

local REPORT = "/v1/payment_records/report_payment"
local BODY = "amount_requested[currency]=usd&amount_requested[value]=1000&initiated_at=1"
  .. "&payment_method_details[type]=custom"

describe("an idempotency key", function()
  local box, client, now

  before_each(function()
    now = 1730253453
    box = sandbox.new { now = function() return now end }
    client = sandbox_client.new(box)
  end)

  local KEY = { ["Idempotency-Key"] = "key-1" }

  local function request(body, key)
    return {
      method = "POST", path = REPORT, body = body,
      headers = {
        Authorization = "Bearer sk_test_sandbox", ["Content-Type"] = "application/x-www-form-urlencoded",
        ["Idempotency-Key"] = key or "key-1",
      },
    }
  end

  it("is echoed", function()
    local _, response = client:pay({}, KEY)
    assert.equal("key-1", response.headers["Idempotency-Key"])
    assert.is_nil(response.headers["Idempotent-Replayed"])
  end)

  it("replays the first answer and has one effect", function()
    local _, first = client:pay({}, KEY)
    local _, second = client:pay({}, KEY)
    assert.equal(first.body, second.body)
    assert.equal(first.status, second.status)
    assert.equal("true", second.headers["Idempotent-Replayed"])
    assert.equal(first.headers["Request-Id"], second.headers["Original-Request"])
    assert.not_equal(first.headers["Request-Id"], second.headers["Request-Id"])
    assert.equal(1, #box:records())
  end)

  it("replays what was answered then, not what is stored now", function()
    local record = client:pay({}, KEY)
    client:report(record.id, "report_payment_attempt_failed", { failed_at = 1 })
    assert.equal(0, client:pay({}, KEY).amount_failed.value)
  end)

  it("does not mind the order and the escaping of the parameters", function()
    local _, first = client:post(REPORT, BODY .. "&description=a%20b", KEY)
    local _, second = client:post(REPORT, "description=a+b&" .. BODY:gsub("%[", "%%5B"), KEY)
    assert.equal(first.body, second.body)
    assert.equal("true", second.headers["Idempotent-Replayed"])
  end)

  it("is refused with other parameters, and the first answer stays", function()
    local _, first = client:pay({}, KEY)
    local answer, response = client:pay({ description = "other" }, KEY)
    assert.equal(400, response.status)
    assert.equal("idempotency_error", answer.error.type)
    assert.matches("same parameters they were first used with", answer.error.message)
    assert.matches("'key%-1'", answer.error.message)
    local _, again = client:pay({}, KEY)
    assert.equal(first.body, again.body)
    assert.equal(1, #box:records())
  end)

  it("is refused with other parameters even where those are wrong", function()
    client:pay({}, KEY)
    assert.equal("idempotency_error", client:pay({ initiated_at = "x" }, KEY).error.type)
  end)

  it("is refused for another path", function()
    local record = client:pay({}, KEY)
    local answer, response = client:report(record.id, "report_payment_attempt_failed", { failed_at = 1 }, KEY)
    assert.equal(400, response.status)
    assert.equal("idempotency_error", answer.error.type)
    assert.matches("same endpoint they were first used for", answer.error.message)
    assert.equal(0, box:records()[1].amount_failed.value)
  end)

  it("is refused for another record", function()
    local first, second = client:pay(), client:pay()
    client:report(first.id, "report_payment_attempt_failed", { failed_at = 1 }, KEY)
    local answer = client:report(second.id, "report_payment_attempt_failed", { failed_at = 1 }, KEY)
    assert.equal("idempotency_error", answer.error.type)
  end)

  it("replays an error of the execution, too", function()
    local record = client:pay_guaranteed()
    local _, first = client:report(record.id, "report_payment_attempt_failed", { failed_at = 1 }, KEY)
    local _, second = client:report(record.id, "report_payment_attempt_failed", { failed_at = 1 }, KEY)
    assert.equal(400, second.status)
    assert.equal(first.body, second.body)
    assert.equal("true", second.headers["Idempotent-Replayed"])
  end)

  it("replays a record that was missing", function()
    client:report("pr_unknown", "report_payment_attempt_failed", { failed_at = 1 }, KEY)
    local _, second = client:report("pr_unknown", "report_payment_attempt_failed", { failed_at = 1 }, KEY)
    assert.equal(404, second.status)
    assert.equal("true", second.headers["Idempotent-Replayed"])
  end)

  local not_executed = {
    ["wrong parameters"] = function() return client:pay({ initiated_at = "x" }, KEY) end,
    ["a form that cannot be read"] = function() return client:post(REPORT, "a=%", KEY) end,
    ["a wrong API key"] = function()
      return client:pay({}, { ["Idempotency-Key"] = "key-1", Authorization = "Bearer pk_test_1" })
    end,
    ["an unknown URL"] = function() return client:post("/v1/charges", {}, KEY) end,
  }
  for what, send in pairs(not_executed) do
    it("is not used up by " .. what, function()
      local _, refused = send()
      assert.is_true(refused.status >= 400)
      local _, response = client:pay({}, KEY)
      assert.equal(200, response.status)
      assert.is_nil(response.headers["Idempotent-Replayed"])
    end)
  end

  it("gets 409 while the first request is in flight, then the replay", function()
    local finish = box:receive(request(BODY))
    local refused = box:handle(request(BODY))
    local fault = cjson.decode(refused.body).error
    assert.equal(409, refused.status)
    assert.equal("idempotency_key_in_use", fault.code)
    assert.equal("invalid_request_error", fault.type)
    assert.equal("true", refused.headers["Stripe-Should-Retry"])
    assert.equal(0, #box:records())
    local first = finish()
    assert.equal(200, first.status)
    local replayed = box:handle(request(BODY))
    assert.equal(first.body, replayed.body)
    assert.equal("true", replayed.headers["Idempotent-Replayed"])
    assert.equal(1, #box:records())
  end)

  it("does not hold up other keys", function()
    box:receive(request(BODY))
    assert.equal(200, box:handle(request(BODY, "key-2")).status)
  end)

  it("is not held by a request whose parameters are wrong", function()
    box:receive(request(BODY .. "&x=1"))
    assert.equal(200, box:handle(request(BODY)).status)
  end)

  it("is forgotten after 24 hours, not before", function()
    local _, first = client:pay({}, KEY)
    now = now + 24 * 60 * 60 - 1
    local _, replayed = client:pay({}, KEY)
    assert.equal(first.body, replayed.body)
    now = now + 1
    local _, fresh = client:pay({}, KEY)
    assert.is_nil(fresh.headers["Idempotent-Replayed"])
    assert.not_equal(first.body, fresh.body)
    assert.equal(2, #box:records())
  end)

  it("may then be used for something else", function()
    client:pay({}, KEY)
    now = now + 24 * 60 * 60
    local _, response = client:pay({ description = "other" }, KEY)
    assert.equal(200, response.status)
  end)

  it("belongs to one mode and one account", function()
    local live = sandbox_client.new(box, "sk_live_" .. "x")
    client:pay({}, KEY)
    local _, in_live = live:pay({}, KEY)
    local _, in_account = client:pay({}, { ["Idempotency-Key"] = "key-1", ["Stripe-Account"] = "acct_1" })
    assert.is_nil(in_live.headers["Idempotent-Replayed"])
    assert.is_nil(in_account.headers["Idempotent-Replayed"])
    local _, replayed = client:pay({}, { ["Idempotency-Key"] = "key-1", ["Stripe-Account"] = "acct_1" })
    assert.equal(in_account.body, replayed.body)
  end)

  it("is shared by the API keys of one account and mode", function()
    client:pay({}, KEY)
    local _, replayed = sandbox_client.new(box, "rk_test_other"):pay({}, KEY)
    assert.equal("true", replayed.headers["Idempotent-Replayed"])
  end)

  it("may have 255 characters, and no more", function()
    local _, accepted = client:pay({}, { ["Idempotency-Key"] = ("k"):rep(255) })
    assert.equal(200, accepted.status)
    local answer, refused = client:pay({}, { ["Idempotency-Key"] = ("k"):rep(256) })
    assert.equal(400, refused.status)
    assert.equal("Idempotency keys can be at most 255 characters; got 256.", answer.error.message)
  end)

  it("may have any name", function()
    for _, key in ipairs { "find", "reserve", "__index", "1" } do
      client:pay({}, { ["Idempotency-Key"] = key })
      local _, replayed = client:pay({}, { ["Idempotency-Key"] = key })
      assert.equal("true", replayed.headers["Idempotent-Replayed"], key)
    end
  end)

  it("means nothing on a GET", function()
    client:pay({}, KEY)
    local list, response = client:get("/v1/payment_records", nil, KEY)
    assert.equal(1, #list.data)
    assert.is_nil(response.headers["Idempotency-Key"])
  end)

  it("is not needed: without one every request takes effect", function()
    client:pay()
    client:pay({}, { ["Idempotency-Key"] = "" })
    assert.equal(2, #box:records())
  end)
end)
