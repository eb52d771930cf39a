-- What is refused before anything is sent: amounts, times, metadata, and what contradicts itself.

local cjson = require "cjson"
local refusals = require "spec.support.refusals"
local samples = require "spec.support.samples"

local client, assert_refused, requests = refusals.new()

local function body_of(name, ...)
  local request, err = client:prepare(name, ...)
  assert.is_nil(err)
  return request.body or request.url
end

local function described(params)
  return body_of("report_payment_attempt_informational", samples.ID, params)
end

--- The API reference's example with some parameters in place of its own; false takes one out.
local function payment(changes)
  local params = samples.reference()
  for name, value in pairs(changes) do params[name] = value or nil end
  return params
end

local function amount(value, currency)
  return payment { amount_requested = { currency = currency or "usd", value = value } }
end

describe("amounts are positive integers:", function()
  local refused = {
    { 0, "0" }, { -1, "-1" }, { -0.0, "0" }, { 10.5, "10.5" }, { 0.1, "0.1" }, { "1000", '"1000"' }, { "12 ", '"12 "' },
    { "1e3", '"1e3"' }, { "0x10", '"0x10"' }, { true, "true" }, { -2 ^ 53, "-9007199254740992" },
    { {}, "a table" }, { cjson.null, "null" },
  }
  for _, case in ipairs(refused) do
    it(case[2] .. " is refused", function()
      assert_refused("amount_requested[value]: expected a positive integer in minor units, got " .. case[2],
        "report_payment", amount(case[1]))
    end)
  end

  it("so are NaN, infinities and floats above 2^53", function()
    for _, value in ipairs { 0 / 0, 1 / 0, -1 / 0, 2 ^ 53 + 2, 2 ^ 63, 1e300 } do
      local record, err = client:report_payment(amount(value))
      assert.is_nil(record)
      assert.equal("amount_requested[value]", err.param)
      assert.matches("expected a positive integer in minor units, got ", err.message)
    end
    assert.equal(0, #requests)
  end)

  it("others are sent, digit for digit", function()
    local sent = { { 1, "1" }, { 1000.0, "1000" }, { 99999999, "99999999" }, { 1e15, "1000000000000000" },
      { 2 ^ 53 - 1, "9007199254740991" }, { 2 ^ 53, "9007199254740992" } }
    if math.type then sent[#sent + 1] = { math.maxinteger, "9223372036854775807" } end
    for _, case in ipairs(sent) do
      local body = body_of("report_payment", amount(case[1]))
      assert.equal(case[2], body:match "amount_requested%[value%]=(%d+)&")
    end
  end)
end)

describe("currencies are three lower-case letters:", function()
  local none = { "USD", "Usd", "us", "usdd", "", "u5d", "u~d", "us ", " us", "eu€", "us\0", "\195\169s" }
  for _, currency in ipairs(none) do
    it("not " .. ("%q"):format(currency), function()
      local record, err = client:report_payment(amount(1, currency))
      assert.is_nil(record)
      assert.equal("amount_requested[currency]", err.param)
      assert.truthy(err.message:find("expected a currency as three lower-case letters, got ", 1, true))
      assert.equal(0, #requests)
    end)
  end

  it("also those that nobody has heard of yet", function()
    assert.truthy(body_of("report_payment", amount(1, "xyz")):find("amount_requested[currency]=xyz&", 1, true))
  end)
end)

describe("timestamps are whole seconds:", function()
  local refused = {
    { -1, "expected whole seconds since the Unix epoch, got -1" },
    { 1730253453.5, "expected whole seconds since the Unix epoch, got 1730253453.5" },
    { "1730253453", 'expected whole seconds since the Unix epoch, got "1730253453"' },
    { true, "expected whole seconds since the Unix epoch, got true" },
    { 100000000000, "100000000000 looks like milliseconds; expected seconds" },
    { 1730253453000, "1730253453000 looks like milliseconds; expected seconds" },
    { 2 ^ 53, "9007199254740992 looks like milliseconds; expected seconds" },
  }
  local PLACES = {
    { "initiated_at", function(value) return "report_payment", payment { initiated_at = value } end },
    { "failed[failed_at]", function(value)
      return "report_payment", payment { outcome = "failed", failed = { failed_at = value } }
    end },
    { "canceled_at", function(value)
      return "report_payment_attempt_canceled", samples.ID, { canceled_at = value }
    end },
    { "created_after", function(value) return "list_payment_records", { created_after = value } end },
  }
  for _, place in ipairs(PLACES) do
    for _, case in ipairs(refused) do
      it(place[1] .. ": " .. case[2], function()
        assert_refused(place[1] .. ": " .. case[2], place[2](case[1]))
      end)
    end

    it(place[1] .. ": seconds, from the epoch to the year 5138", function()
      for _, seconds in ipairs { 0, 1, 1730253453.0, 4294967296, 99999999999 } do
        local form = body_of(place[2](seconds))
        assert.truthy(form:find(("%s=%.0f"):format(place[1], seconds), 1, true))
      end
    end)
  end
end)

describe("the limit of a page", function()
  it("is an integer from 1 to 100", function()
    for _, limit in ipairs { 1, 10, 100, 100.0 } do
      assert.truthy(body_of("list_payment_records", { limit = limit }):find(("limit=%.0f"):format(limit), 1, true))
    end
    for _, case in ipairs { { 0, "0" }, { 101, "101" }, { -1, "-1" }, { 1.5, "1.5" }, { "10", '"10"' } } do
      local message = "limit: expected an integer from 1 to 100, got " .. case[2]
      assert_refused(message, "list_payment_records", { limit = case[1] })
      assert_refused(message, "list_payment_attempt_records", { payment_record = "pr_1", limit = case[1] })
    end
  end)
end)

describe("metadata", function()
  local function names(count)
    local metadata = {}
    for i = 1, count do metadata["name" .. i] = "v" end
    return metadata
  end

  local refused = {
    { "51 names", names(51), "metadata: expected at most 50 names, got 51" },
    { "a name of 41 characters", { [("é"):rep(41)] = "v" },
      ("metadata[%s]: expected at most 40 characters, got 41"):format(("é"):rep(41)) },
    { "a value of 501 characters", { k = ("é"):rep(501) }, "metadata[k]: expected at most 500 characters, got 501" },
    { "[ in a name", { ["a[b"] = "v" }, "metadata[a[b]: metadata names may not contain [ or ]" },
    { "] in a name", { ["a]"] = "v" }, "metadata[a]]: metadata names may not contain [ or ]" },
    { "an empty name", { [""] = "v" }, "metadata[]: expected a name that is not empty" },
    { "a table as a value", { k = {} }, "metadata[k]: expected a string, got a table" },
    { "a function as a value", { k = print }, "metadata[k]: expected a string, got a function" },
    { "a sequence", { "a", "b" }, "metadata: expected a table of names and strings, got a sequence" },
    { "a fraction", { k = 0.5 }, "metadata[k]: expected an integer (send other numbers as strings), got 0.5" },
    { "text", "k=v", 'metadata: expected a table of names and strings, got "k=v"' },
  }
  for _, case in ipairs(refused) do
    it("may not be or have " .. case[1] .. ", in any call", function()
      assert_refused(case[3], "report_payment", payment { metadata = case[2] })
      assert_refused(case[3], "report_payment_attempt_failed", samples.ID, { failed_at = 1, metadata = case[2] })
      assert_refused(case[3], "report_payment_attempt_informational", samples.ID, { metadata = case[2] })
    end)
  end

  it("may have 50 names, of 40 characters, with values of 500", function()
    local body = body_of("report_payment", payment { metadata = names(50) })
    assert.equal(50, select(2, body:gsub("metadata%[name%d+%]=v", "")))
    local longest = body_of("report_payment", payment { metadata = { [("é"):rep(40)] = ("€"):rep(500) } })
    assert.truthy(longest:find(("%C3%A9"):rep(40), 1, true))
  end)

  it("takes whole numbers and booleans for what they are as text", function()
    local metadata = { a = 7, b = true, c = 2 ^ 40 }
    local body = described { metadata = metadata }
    assert.equal("metadata[a]=7&metadata[b]=true&metadata[c]=1099511627776", body)
  end)

  it("is cleared, in whole or a name at a time, by an empty string or null", function()
    for _, empty in ipairs { "", cjson.null } do
      assert.equal("metadata=", described { metadata = empty })
      assert.equal("metadata[k]=", described { metadata = { k = empty } })
    end
    assert.equal("", described { metadata = {} })
  end)
end)

describe("clearing", function()
  it("is possible where the API allows it", function()
    for _, name in ipairs { "description", "metadata", "shipping_details" } do
      for _, empty in ipairs { "", cjson.null } do
        assert.equal(name .. "=", described { [name] = empty })
      end
    end
  end)

  it("is refused for other tables", function()
    for _, name in ipairs { "customer_details", "shipping_details", "processor_details" } do
      local expected = name .. ': expected a table of named parameters, got ""'
      assert_refused(expected, "report_payment", payment { [name] = "" })
    end
    assert_refused('customer_details: expected a table of named parameters, got ""',
      "report_payment_attempt_informational", samples.ID, { customer_details = "" })
  end)
end)

describe("payment_method_details", function()
  it("has a payment_method or a type", function()
    local message = "payment_method_details: expected payment_method or type, got neither"
    for _, details in ipairs { {}, { custom = { display_name = "newpay" } }, { billing_details = { name = "x" } } } do
      assert_refused(message, "report_payment", payment { payment_method_details = details })
      assert_refused(message, "report_payment_attempt", samples.ID,
        { initiated_at = 1, payment_method_details = details })
    end
    for _, details in ipairs { { type = "custom" }, { payment_method = "pm_1" },
      { type = "custom", payment_method = "pm_1" } } do
      assert.truthy(body_of("report_payment", payment { payment_method_details = details }))
    end
  end)
end)

describe("an outcome and its table:", function()
  local OUTCOMES = { "canceled", "failed", "guaranteed" }

  local CALLS = {
    report_payment = function(changes) return "report_payment", payment(changes) end,
    report_payment_attempt = function(changes)
      changes.initiated_at = 1
      return "report_payment_attempt", samples.ID, changes
    end,
  }

  --- What is wrong with an outcome (or nil) and these tables, or nil: a model of its own.
  local function fault_of(outcome, given)
    for _, name in ipairs(OUTCOMES) do
      if given[name] and name ~= outcome then
        if not outcome then return ('%s: given without an outcome; did you mean outcome = "%s"'):format(name, name) end
        return ('%s: contradicts outcome = "%s"'):format(name, outcome)
      end
    end
    if outcome and not given[outcome] then
      return ('%s: required, because outcome is "%s"'):format(outcome, outcome)
    end
  end

  for call, arguments in pairs(CALLS) do
    for choice = 0, 3 do
      for tables = 0, 7 do
        local outcome, given = OUTCOMES[choice], {}
        for i, name in ipairs(OUTCOMES) do
          if math.floor(tables / 2 ^ (i - 1)) % 2 == 1 then given[name] = { [name .. "_at"] = 1730253453 } end
        end
        it(("%s, outcome %s, tables %d"):format(call, tostring(outcome), tables), function()
          local fault = fault_of(outcome, given)
          local changes = samples.copy(given)
          changes.outcome = outcome
          if fault then return assert_refused(fault, arguments(changes)) end
          local body = body_of(arguments(changes))
          assert.equal(outcome, body:match "outcome=(%w+)")
        end)
      end
    end
  end

  it("do not hold for a refund, which has its own", function()
    local params = samples.full.report_refund()
    params.refunded = nil
    assert.truthy(body_of("report_refund", samples.ID, params):find("outcome=refunded", 1, true))
    params.outcome = "failed"
    assert_refused('outcome: expected "refunded", got "failed"', "report_refund", samples.ID, params)
  end)
end)

describe("a call raises", function()
  local NAMES = { "report_payment", "list_payment_attempt_records" }
  local WITH_ID = { "report_payment_attempt", "report_payment_attempt_canceled", "report_payment_attempt_failed",
    "report_payment_attempt_guaranteed", "report_refund" }

  it("when its parameters are not a table", function()
    for _, params in ipairs { "a=b", 17, true, print, cjson.null } do
      for _, name in ipairs(NAMES) do
        local expected = name .. ": expected a table of parameters as argument 1, got " .. type(params)
        assert.error_matches(function() client[name](client, params) end, expected)
      end
      for _, name in ipairs(WITH_ID) do
        local expected = name .. ": expected a table of parameters as argument 2, got " .. type(params)
        assert.error_matches(function() client[name](client, samples.ID, params) end, expected)
      end
      assert.error(function() client:retrieve_payment_record(samples.ID, params) end)
      assert.error(function() client:list_payment_records(params) end)
    end
  end)

  it("when there are none, unless none is required", function()
    for _, name in ipairs(NAMES) do
      assert.error(function() client[name](client) end)
    end
    for _, name in ipairs(WITH_ID) do
      assert.error(function() client[name](client, samples.ID) end)
    end
    assert.truthy(client:prepare "list_payment_records")
    for _, name in ipairs { "retrieve_payment_record", "report_payment_attempt_informational" } do
      assert.truthy(client:prepare(name, samples.ID))
    end
  end)

  it("when it or another method is called with a dot, and says where", function()
    for _, name in ipairs { "report_payment", "each_payment_record", "each_payment_attempt_record", "start", "step",
      "pollfd", "events", "timeout", "prepare", "curl", "close" } do
      for _, argument in ipairs { samples.reference(), "report_payment", 1 } do
        local called, message = pcall(function()
          local result = client[name](argument)
          return result
        end)
        assert.is_false(called)
        assert.matches("checks_values_spec.lua:%d+: payment_records: call it as client:" .. name .. "%(", message)
      end
    end
  end)

  it("when it is unknown", function()
    assert.error_matches(function() client:start("report_paymet", {}) end, 'did you mean "report_payment"')
    assert.error_matches(function() client:prepare("delete_everything", {}) end, 'unknown call "delete_everything"')
  end)
end)
