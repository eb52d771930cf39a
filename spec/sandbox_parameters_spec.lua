-- The parameters the sandbox accepts and refuses, and Stripe's error for each refusal.

local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"

local E_ACUTE = "\195\169" -- one character, two bytes

--- One of each of the calls upon a record, with the least it needs.
local REPORTS = {
  report_payment_attempt = { initiated_at = 1 },
  report_payment_attempt_canceled = { canceled_at = 1 },
  report_payment_attempt_failed = { failed_at = 1 },
  report_payment_attempt_guaranteed = { guaranteed_at = 1 },
  report_payment_attempt_informational = {},
  report_refund = { outcome = "refunded", processor_details = { type = "custom" } },
}

local function with(table_, extra)
  local merged = {}
  for key, value in pairs(table_) do merged[key] = value end
  for key, value in pairs(extra) do merged[key] = value or nil end
  return merged
end

describe("the parameters of", function()
  local box, client, id

  before_each(function()
    box = sandbox.new()
    client = sandbox_client.new(box)
    id = client:pay().id
  end)

  local function assert_refused(answer, response, expected)
    assert.equal(400, response.status)
    assert.equal("invalid_request_error", answer.error.type)
    assert.equal(expected.param, answer.error.param)
    assert.equal(expected.code, answer.error.code)
    if expected.message then assert.equal(expected.message, answer.error.message) end
  end

  local function missing(param)
    return { param = param, code = "parameter_missing", message = "Missing required param: " .. param .. "." }
  end

  local function unknown(param)
    return { param = param, code = "parameter_unknown", message = "Received unknown parameter: " .. param }
  end

  local function not_integer(param, value)
    return { param = param, code = "parameter_invalid_integer", message = value and "Invalid integer: " .. value }
  end

  local function not_empty(param)
    return { param = param, code = "parameter_invalid_empty" }
  end

  local function invalid(param, message)
    return { param = param, message = message }
  end

  describe("report_payment", function()
    local cases = {
      -- required
      { { amount_requested = false }, missing "amount_requested" },
      { { amount_requested = { value = 1 } }, missing "amount_requested[currency]" },
      { { amount_requested = { currency = "usd" } }, missing "amount_requested[value]" },
      { { initiated_at = false }, missing "initiated_at" },
      { { payment_method_details = false }, missing "payment_method_details" },
      { { payment_method_details = { custom = { type = "x" } } }, missing "payment_method_details[type]" },
      { { processor_details = { custom = { payment_reference = "x" } } }, missing "processor_details[type]" },
      { { outcome = "failed" }, missing "failed[failed_at]" },
      { { outcome = "guaranteed" }, missing "guaranteed[guaranteed_at]" },
      { { outcome = "canceled" }, missing "canceled[canceled_at]" },
      -- an outcome and another's hash
      { { failed = { failed_at = 1 } }, invalid("failed", "You may only pass `failed` when `outcome` is `failed`.") },
      { { outcome = "failed", failed = { failed_at = 1 }, guaranteed = { guaranteed_at = 1 } }, invalid "guaranteed" },
      -- unknown
      { { currency = "usd" }, unknown "currency" },
      { { amount_requested = { currency = "usd", value = 1, valu = 1 } }, unknown "amount_requested[valu]" },
      { { payment_method_details = { type = "custom", billing_details = { address = { zip = "1" } } } },
        unknown "payment_method_details[billing_details][address][zip]" },
      { { processor_details = { type = "custom", custom = { refund_reference = "x" } } },
        unknown "processor_details[custom][refund_reference]" },
      -- amounts
      { { amount_requested = { currency = "usd", value = "10.5" } }, not_integer("amount_requested[value]", "10.5") },
      { { amount_requested = { currency = "usd", value = "1e3" } }, not_integer("amount_requested[value]", "1e3") },
      { { amount_requested = { currency = "usd", value = "0x10" } }, not_integer("amount_requested[value]", "0x10") },
      { { amount_requested = { currency = "usd", value = " 1" } }, not_integer("amount_requested[value]", " 1") },
      { { amount_requested = { currency = "usd", value = "9007199254740993" } },
        not_integer("amount_requested[value]", "9007199254740993") },
      { { amount_requested = { currency = "usd", value = "009007199254740993" } },
        not_integer "amount_requested[value]" },
      { { amount_requested = { currency = "usd", value = ("9"):rep(30) } }, not_integer "amount_requested[value]" },
      { { amount_requested = { currency = "usd", value = 0 } },
        { param = "amount_requested[value]", code = "parameter_invalid_integer",
          message = "This value must be greater than or equal to 1." } },
      { { amount_requested = { currency = "usd", value = -5 } }, not_integer "amount_requested[value]" },
      { { amount_requested = { currency = "USD", value = 1 } }, invalid "amount_requested[currency]" },
      { { amount_requested = { currency = "us", value = 1 } }, invalid "amount_requested[currency]" },
      { { amount_requested = { currency = "usdd", value = 1 } }, invalid "amount_requested[currency]" },
      -- timestamps
      { { initiated_at = "yesterday" }, not_integer("initiated_at", "yesterday") },
      { { initiated_at = "1.5" }, not_integer("initiated_at", "1.5") },
      { { outcome = "failed", failed = { failed_at = "x" } }, not_integer("failed[failed_at]", "x") },
      -- enums
      { { customer_presence = "away" },
        invalid("customer_presence", "Invalid customer_presence: must be one of off_session or on_session") },
      { { outcome = "refunded" },
        invalid("outcome", "Invalid outcome: must be one of canceled, failed or guaranteed") },
      { { payment_method_details = { type = "card" } },
        invalid("payment_method_details[type]", "Invalid payment_method_details[type]: must be one of custom") },
      { { processor_details = { type = "x" } }, invalid "processor_details[type]" },
      -- empty strings
      { { description = "" }, not_empty "description" },
      { { initiated_at = "" }, not_empty "initiated_at" },
      { { amount_requested = "" }, not_empty "amount_requested" },
      { { shipping_details = "" }, not_empty "shipping_details" },
      { { outcome = "" }, not_empty "outcome" },
      { { customer_details = { name = "" } }, not_empty "customer_details[name]" },
      -- a hash for a scalar, and the other way round
      { { amount_requested = "1000" }, invalid("amount_requested", "Invalid object") },
      { { amount_requested = { "1000" } }, invalid("amount_requested", "Invalid object") },
      { { description = { a = "b" } }, invalid("description", "Invalid string") },
      { { description = { "b" } }, invalid("description", "Invalid string") },
      { { initiated_at = { a = 1 } }, not_integer "initiated_at" },
      { { outcome = { a = 1 } }, invalid "outcome" },
      { { amount_requested = { currency = { a = 1 }, value = 1 } }, invalid "amount_requested[currency]" },
      { { expand = "x" }, invalid("expand", "Invalid array") },
      { { expand = { a = "x" } }, invalid("expand", "Invalid array") },
      { { expand = { { a = "x" } } }, invalid("expand[0]", "Invalid string") },
      -- lengths
      { { description = ("x"):rep(5001) },
        invalid("description", "Invalid string: xxxx...xxxx; must be at most 5000 characters") },
      { { processor_details = { type = "custom", custom = { payment_reference = ("x"):rep(5001) } } },
        invalid "processor_details[custom][payment_reference]" },
      { { expand = { ("x"):rep(5001) } }, invalid "expand[0]" },
    }
    for i, case in ipairs(cases) do
      it("are refused, case " .. i .. ": " .. case[2].param .. " " .. (case[2].code or ""), function()
        local answer, response = client:pay(case[1])
        assert_refused(answer, response, case[2])
        assert.equal(1, #box:records())
      end)
    end

    local accepted = {
      { description = ("x"):rep(5000) },
      { description = E_ACUTE:rep(5000) },
      { customer_details = { phone = ("1"):rep(6000), email = ("e"):rep(6000) } },
      { payment_method_details = { payment_method = "pm_1" } },
      { amount_requested = { currency = "jpy", value = "9007199254740992" } },
      { amount_requested = { currency = "usd", value = 1 } },
      { processor_details = { type = "custom" } },
    }
    for i, extra in ipairs(accepted) do
      it("are accepted, case " .. i, function()
        local _, response = client:pay(extra)
        assert.equal(200, response.status)
      end)
    end

    it("are checked in the order of the reference, after unknown names", function()
      assert.equal("amount_requested", client:post("/v1/payment_records/report_payment", {}).error.param)
      assert.equal("zzz", client:post("/v1/payment_records/report_payment", { zzz = 1 }).error.param)
    end)
  end)

  for name, params in pairs(REPORTS) do
    describe(name, function()
      it("may be all that is required, with expand and metadata", function()
        if name == "report_refund" then
          client:report(id, "report_payment_attempt_guaranteed", { guaranteed_at = 1 })
        elseif name == "report_payment_attempt" then
          client:report(id, "report_payment_attempt_failed", { failed_at = 1 })
        end
        local _, response = client:report(id, name, with(params, { expand = { "x" }, metadata = { k = "v" } }))
        assert.equal(200, response.status)
      end)

      it("do not include amount_requested", function()
        local answer, response = client:report(id, name, with(params, { amount_requested = { value = 1 } }))
        assert_refused(answer, response, unknown "amount_requested")
      end)

      for required in pairs(params) do
        it("must include " .. required, function()
          local answer, response = client:report(id, name, with(params, { [required] = false }))
          assert_refused(answer, response, missing(required))
        end)
      end
    end)
  end

  describe("report_payment_attempt", function()
    for _, name in ipairs { "customer_details", "customer_presence", "processor_details" } do
      it("do not include " .. name, function()
        local answer, response = client:report(id, "report_payment_attempt", { initiated_at = 1, [name] = "x" })
        assert_refused(answer, response, unknown(name))
      end)
    end

    it("pair an outcome with its hash, too", function()
      local answer, response = client:report(id, "report_payment_attempt", { initiated_at = 1, outcome = "failed" })
      assert_refused(answer, response, missing "failed[failed_at]")
    end)
  end)

  it("report_payment_attempt_informational: customer_details cannot be cleared", function()
    local answer, response = client:report(id, "report_payment_attempt_informational", "customer_details=")
    assert_refused(answer, response, not_empty "customer_details")
  end)

  describe("report_refund", function()
    local cases = {
      { { outcome = "failed" }, invalid("outcome", "Invalid outcome: must be one of refunded") },
      { { processor_details = { type = "custom", custom = "x" } }, invalid "processor_details[custom]" },
      { { processor_details = { type = "custom", custom = { payment_reference = "x" } } },
        unknown "processor_details[custom][payment_reference]" },
      { { amount = 100 }, invalid("amount", "Invalid object") },
      { { amount = { value = 100 } }, missing "amount[currency]" },
      { { refunded = { at = 1 } }, unknown "refunded[at]" },
    }
    for i, case in ipairs(cases) do
      it("are refused, case " .. i .. ": " .. case[2].param, function()
        local answer, response = client:refund(id, case[1])
        assert_refused(answer, response, case[2])
      end)
    end
  end)

  describe("the calls that read", function()
    local cases = {
      { "/v1/payment_records", { limit = 0 }, not_integer "limit" },
      { "/v1/payment_records", { limit = 101 },
        { param = "limit", code = "parameter_invalid_integer",
          message = "This value must be less than or equal to 100." } },
      { "/v1/payment_records", { limit = "ten" }, not_integer("limit", "ten") },
      { "/v1/payment_records", { created_after = "x" }, not_integer("created_after", "x") },
      { "/v1/payment_records", { created = { gte = 1 } }, unknown "created" },
      { "/v1/payment_records", { starting_after = "a", ending_before = "b" },
        { param = "ending_before", code = "parameters_exclusive" } },
      { "/v1/payment_records/pr_1", { limit = 1 }, unknown "limit" },
      { "/v1/payment_attempt_records", {}, missing "payment_record" },
      { "/v1/payment_attempt_records", { payment_record = "x", ending_before = "y" }, unknown "ending_before" },
      { "/v1/payment_attempt_records/par_1", { payment_record = "x" }, unknown "payment_record" },
    }
    for i, case in ipairs(cases) do
      it("are refused, case " .. i .. ": " .. case[1] .. " " .. case[3].param, function()
        local answer, response = client:get(case[1], case[2])
        assert_refused(answer, response, case[3])
      end)
    end

    for _, path in ipairs { "/v1/payment_records", "/v1/payment_records/ID" } do
      it("accept expand: " .. path, function()
        local _, response = client:get((path:gsub("ID", id)), { expand = { "data" } })
        assert.equal(200, response.status)
      end)
    end
  end)

  describe("metadata", function()
    local function metadata_of(count)
      local metadata = {}
      for i = 1, count do metadata["k" .. i] = "v" end
      return metadata
    end

    local cases = {
      { { [("k"):rep(41)] = "v" }, "metadata[" .. ("k"):rep(41) .. "]", "at most 40 characters; got 41" },
      { { k = ("v"):rep(501) }, "metadata[k]", "at most 500 characters" },
      { { k = { a = "v" } }, "metadata[k]", "must be strings" },
      { { "v" }, "metadata", "Invalid object" },
      { "v", "metadata", "Invalid object" },
      { metadata_of(51), "metadata", "at most 50 keys; got 51" },
    }
    for i, case in ipairs(cases) do
      it("is refused, case " .. i .. ": " .. case[3], function()
        local answer, response = client:pay { metadata = case[1] }
        assert_refused(answer, response, { param = case[2] })
        assert.matches(case[3], answer.error.message, 1, true)
      end)
    end

    it("may have 50 keys of 40 characters with values of 500", function()
      local metadata = metadata_of(49)
      metadata[E_ACUTE:rep(40)] = E_ACUTE:rep(500)
      assert.same(metadata, client:pay({ metadata = metadata }).metadata)
    end)

    it("may not have a key with brackets", function()
      local answer, response = client:pay { metadata = { ["a[b]"] = "v" } }
      assert_refused(answer, response, {})
      assert.equal("Invalid parameter name: metadata[a[b]]", answer.error.message)
    end)

    it("may have a key that is a number", function()
      assert.same({ ["0"] = "v" }, client:pay({ metadata = { ["0"] = "v" } }).metadata)
    end)
  end)
end)
