-- What is refused before anything is sent: parameters.

local cjson = require "cjson"
local payment_records = require "payment_records"
local refusals = require "spec.support.refusals"
local samples = require "spec.support.samples"

local client, assert_refused, requests = refusals.new()

--- The example of the API reference, or another call's parameters, with one value changed: "a.b" is a path.
local function with(path, value, params)
  params = params or samples.reference()
  local node = params
  for name in path:gmatch "([^.]+)%." do
    if type(node[name]) ~= "table" then node[name] = {} end
    node = node[name]
  end
  node[path:match "[^.]+$"] = value
  return params
end

local function bracketed(path)
  local first, rest = path:match "^([^.]+)(.*)$"
  return first .. rest:gsub("%.([^.]+)", "[%1]")
end

local function assert_sent(name, ...)
  local request, err = client:prepare(name, ...)
  assert.is_nil(err)
  assert.truthy(request)
  return request.body or request.url
end

local function repeated(character, times)
  return character:rep(times)
end

describe("messages are exactly:", function()
  it("for an amount that is not whole", function()
    assert_refused("amount_requested[value]: expected a positive integer in minor units, got 10.5",
      "report_payment", with("amount_requested.value", 10.5))
  end)

  it("for a misspelt name", function()
    local params = with("amount_requested.curency", "usd")
    params.amount_requested.currency = nil
    assert_refused('amount_requested[curency]: unknown parameter (did you mean "currency"?)', "report_payment", params)
  end)

  it("for milliseconds", function()
    assert_refused("initiated_at: 1730253453000 looks like milliseconds; expected seconds",
      "report_payment", with("initiated_at", 1730253453000))
  end)
end)

describe("required:", function()
  local REQUIRED = {
    report_payment = { "amount_requested", "amount_requested.currency", "amount_requested.value", "initiated_at",
      "payment_method_details", "guaranteed.guaranteed_at", "processor_details.type",
      "processor_details.custom.payment_reference" },
    report_payment_attempt = { "initiated_at", "failed.failed_at" },
    report_payment_attempt_canceled = { "canceled_at" },
    report_payment_attempt_failed = { "failed_at" },
    report_payment_attempt_guaranteed = { "guaranteed_at" },
    report_refund = { "outcome", "processor_details", "processor_details.type",
      "processor_details.custom.refund_reference", "amount.currency", "amount.value", "refunded.refunded_at" },
    list_payment_attempt_records = { "payment_record" },
  }
  for _, call in ipairs(samples.calls) do
    for _, path in ipairs(REQUIRED[call.name] or {}) do
      it(call.name .. " needs " .. bracketed(path), function()
        local params = with(path, nil, samples.full[call.name]())
        assert_refused(bracketed(path) .. ": required, but missing", call.name, samples.arguments(call, params))
      end)
    end
  end

  it("the first one that is missing, in the order of the reference", function()
    assert_refused("amount_requested: required, but missing", "report_payment", {})
    assert_refused("initiated_at: required, but missing", "report_payment", with("payment_method_details", nil,
      with("initiated_at", nil)))
    assert_refused("canceled_at: required, but missing", "report_payment_attempt_canceled", samples.ID, {})
  end)

  it("only what the reference requires everywhere", function()
    assert_sent("report_payment", {
      amount_requested = { currency = "usd", value = 1 },
      initiated_at = 0,
      payment_method_details = { type = "custom" },
    })
    assert_sent("report_payment_attempt", samples.ID, { initiated_at = 1 })
    assert_sent("report_payment_attempt_informational", samples.ID, {})
    assert_sent("report_refund", samples.ID, { outcome = "refunded",
      processor_details = { type = "custom", custom = { refund_reference = "r" } } })
  end)

  it("a string that is there, and not empty", function()
    local path = "processor_details.custom.payment_reference"
    for _, empty in ipairs { "", cjson.null } do
      assert_refused(bracketed(path) .. ": required; expected a string that is not empty",
        "report_payment", with(path, empty, samples.full.report_payment()))
      assert_refused("payment_record: required; expected a string that is not empty",
        "list_payment_attempt_records", { payment_record = empty })
    end
  end)
end)

describe("types:", function()
  local SHOWN = {
    { true, "true" }, { 17, "17" }, { 1.5, "1.5" }, { "text", '"text"' }, { { 1 }, "a table" }, { print, "a function" },
    { io.stdout, "a userdata" }, { cjson.null, "null" },
  }
  local EXPECTED = {
    ["a string"] = { "description", "customer_details.email", "payment_method_details.payment_method",
      "payment_method_details.billing_details.address.line1", "shipping_details.name" },
    ["a positive integer in minor units"] = { "amount_requested.value" },
    ["a currency as three lower-case letters"] = { "amount_requested.currency" },
    ["whole seconds since the Unix epoch"] = { "initiated_at", "guaranteed.guaranteed_at" },
    ["a table of named parameters"] = { "amount_requested", "payment_method_details", "customer_details", "guaranteed",
      "processor_details", "processor_details.custom", "shipping_details", "shipping_details.address" },
    ["a table of names and strings"] = { "metadata" },
    ["a sequence of strings"] = { "expand" },
    ['"off_session" or "on_session"'] = { "customer_presence" },
    ['"canceled", "failed" or "guaranteed"'] = { "outcome" },
    ['"custom"'] = { "payment_method_details.type", "processor_details.type" },
  }
  local ACCEPTED = {
    ["a string"] = { string = true, userdata = true },
    ["a positive integer in minor units"] = { number = true },
    ["whole seconds since the Unix epoch"] = { number = true },
    ["a table of named parameters"] = { table = true },
    ["a table of names and strings"] = { table = true, userdata = true },
    ["a sequence of strings"] = { table = true },
  }
  for expected, paths in pairs(EXPECTED) do
    for _, path in ipairs(paths) do
      it(bracketed(path) .. " is " .. expected, function()
        for _, case in ipairs(SHOWN) do
          if not (ACCEPTED[expected] or {})[type(case[1])] then
            assert_refused(("%s: expected %s, got %s"):format(bracketed(path), expected, case[2]),
              "report_payment", with(path, case[1], samples.full.report_payment()))
          end
        end
      end)
    end
  end

  local wrong = {
    { "metadata", { "a" }, "expected a table of names and strings, got a sequence" },
    { "metadata", { "a", b = "c" }, "expected a table of names and strings, got a key that is no string" },
    { "metadata", { [4711] = "a" }, "expected a table of names and strings, got a key that is no string" },
    { "amount_requested", { 1, 2 }, "required, but missing", "amount_requested.currency" },
    { "customer_details", { "a" }, "expected a table of named parameters, got a sequence" },
    { "expand", { a = "b" }, "expected a sequence of strings, got a table with names" },
    { "expand", { "a", nil, "c" }, "expected a sequence, got a table with holes" },
    { "customer_details", { [true] = "b" }, "expected a table of named parameters, got a key that is no string" },
    { "customer_details", { [7] = "b" }, "expected a table of named parameters, got a key that is no string" },
  }
  for i, case in ipairs(wrong) do
    it("wrong shape " .. i .. " of " .. case[1], function()
      local params = with(case[1], case[2], samples.full.report_payment())
      local record, err = client:report_payment(params)
      assert.is_nil(record)
      assert.equal("validation_error", err.type)
      if not case[4] then assert.equal(case[1] .. ": " .. case[3], err.message) end
      assert.equal(case[1], err.param:match "^[%w_]+")
      assert.equal(0, #requests)
    end)
  end

  it("each element of expand is a string, within its length", function()
    assert_refused("expand[]: expected a string, got 17", "report_payment", with("expand", { "a", 17 }))
    assert_refused("expand[]: expected a string, got a table", "report_payment", with("expand", { {} }))
    assert_refused("expand[]: expected a string, got 1", "report_payment", with("expand", { "a", 1, "b", 2 }))
    assert_refused("expand[]: expected at most 5000 characters, got 5001",
      "report_payment", with("expand", { repeated("x", 5001) }))
  end)

  it("a float is shown with all the digits that it takes to tell it", function()
    for value, text in pairs { [10.5] = "10.5", [19.99 * 100] = "1998.9999999999998", [1e300] = "1e+300" } do
      assert_refused("amount_requested[value]: expected a positive integer in minor units, got " .. text,
        "report_payment", with("amount_requested.value", value, samples.full.report_payment()))
    end
  end)

  it("a long value is shown up to a whole character", function()
    local shown = ("a"):rep(39)
    for _, value in ipairs { shown .. "é", shown .. "€uro", shown .. "𝄞" } do
      local _, err = client:report_payment(with("customer_presence", value))
      assert.equal('"' .. shown .. '"…', err.message:match 'got (".*)$')
      local _, message = payment_records.minor_units(value, "usd")
      assert.equal('"' .. shown .. '"', message:match 'got (".*)$')
    end
    local _, err = client:report_payment(with("customer_presence", shown .. "a"))
    assert.equal('"' .. shown .. 'a"', err.message:match 'got (".*)$')
  end)

  it("text is UTF-8 without NUL", function()
    assert_refused("description: expected UTF-8 text, got other bytes", "report_payment", with("description", "\255"))
    assert_refused("description: expected text, got a string with a zero byte",
      "report_payment", with("description", "a\0b"))
    assert_refused("metadata[k]: expected UTF-8 text, got other bytes",
      "report_payment", with("metadata.k", "\237\160\128"))
  end)
end)

describe("enums:", function()
  local cases = {
    { "customer_presence", "on_sesion", '"off_session" or "on_session"', ' (did you mean "on_session"?)' },
    { "customer_presence", "ON_SESSION", '"off_session" or "on_session"', "" },
    { "customer_presence", "", '"off_session" or "on_session"', "" },
    { "customer_presence", "elsewhere", '"off_session" or "on_session"', "" },
    { "payment_method_details.type", "card", '"custom"', "" },
    { "processor_details.type", "customs", '"custom"', ' (did you mean "custom"?)' },
    { "outcome", "cancelled", '"canceled", "failed" or "guaranteed"', ' (did you mean "canceled"?)' },
  }
  for _, case in ipairs(cases) do
    local path, value, expected, suggestion = case[1], case[2], case[3], case[4]
    it(bracketed(path) .. " is not " .. value, function()
      assert_refused(('%s: expected %s, got "%s"%s'):format(bracketed(path), expected, value, suggestion),
        "report_payment", with(path, value, samples.full.report_payment()))
    end)
  end

  it("values this version does not know are sent when asked to, and only strings", function()
    local options = { allow_unknown_params = true }
    local body = assert_sent("report_payment", with("outcome", "settled"), options)
    assert.truthy(body:find("outcome=settled", 1, true))
    assert_refused('outcome: expected "canceled", "failed" or "guaranteed", got 17',
      "report_payment", with("outcome", 17), options)
    assert_refused("customer_presence: expected text, got a string with a zero byte",
      "report_payment", with("customer_presence", "on_session\0"), options)
  end)
end)

describe("parameters that are sent when asked to", function()
  local options = { allow_unknown_params = true }

  it("take the place of none that is required", function()
    assert_refused("initiated_at: required, but missing",
      "report_payment_attempt", samples.ID, { initiatedAt = 1 }, options)
  end)

  it("are 1 MiB long at most, with all the others", function()
    local body = assert_sent("report_payment", with("padding", ""), options)
    local room = 1048576 - #body
    assert.equal(1048576, #assert_sent("report_payment", with("padding", repeated("x", room)), options))
    assert_refused("the parameters are longer than 1 MiB",
      "report_payment", with("padding", repeated("x", room + 1)), options)
  end)
end)

describe("unknown parameters:", function()
  local cases = {
    { "amont_requested", "amount_requested" }, { "descripton", "description" }, { "meta_data", "metadata" },
    { "outcom", "outcome" }, { "intiated_at", "initiated_at" }, { "something_else_altogether" }, { "x" },
    { "amount_requested.vlaue", "value" }, { "payment_method_details.tpye", "type" },
    { "payment_method_details.custom.displayname", "display_name" }, { "shipping_details.address.zip" },
    { "customer_details.mail", "email" }, { "processor_details.custom.payment_referense", "payment_reference" },
  }
  for _, case in ipairs(cases) do
    it(bracketed(case[1]), function()
      local suggestion = case[2] and (' (did you mean "%s"?)'):format(case[2]) or ""
      assert_refused(bracketed(case[1]) .. ": unknown parameter" .. suggestion,
        "report_payment", with(case[1], "x", samples.full.report_payment()))
    end)
  end

  it("of other calls", function()
    for _, name in ipairs { "amount_requested", "customer_details", "customer_presence", "processor_details" } do
      assert_refused(name .. ": unknown parameter", "report_payment_attempt", samples.ID,
        { initiated_at = 1, [name] = samples.full.report_payment()[name] })
    end
    assert_refused("ending_before: unknown parameter", "list_payment_attempt_records",
      { payment_record = "pr_1", ending_before = "par_1" })
  end)

  it("that are options say where options go", function()
    local text = ": unknown parameter; it is an option: give it in a table after the parameters"
    for _, name in ipairs { "idempotency_key", "stripe_account", "timeout", "max_retries", "deadline", "api_key" } do
      assert_refused(name .. text, "report_payment", with(name, "x"))
      assert_refused(name .. text, "retrieve_payment_record", samples.ID, { [name] = "x" })
    end
  end)
end)

describe("lengths, in characters:", function()
  local LIMITED = { "description", "customer_details.customer", "customer_details.name", "shipping_details.name",
    "payment_method_details.payment_method", "payment_method_details.custom.display_name",
    "payment_method_details.custom.type", "payment_method_details.billing_details.name",
    "processor_details.custom.payment_reference", "shipping_details.address.city", "shipping_details.address.country",
    "shipping_details.address.line1", "shipping_details.address.line2", "shipping_details.address.postal_code",
    "shipping_details.address.state" }
  for _, path in ipairs(LIMITED) do
    it(bracketed(path) .. " has at most 5000", function()
      for _, character in ipairs { "x", "é", "€", "😀" } do
        assert_sent("report_payment", with(path, repeated(character, 5000), samples.full.report_payment()))
        assert_refused(bracketed(path) .. ": expected at most 5000 characters, got 5001",
          "report_payment", with(path, repeated(character, 5001), samples.full.report_payment()))
      end
    end)
  end

  it("e-mail addresses and telephone numbers have no limit that is known", function()
    for _, path in ipairs { "customer_details.email", "customer_details.phone", "shipping_details.phone",
      "payment_method_details.billing_details.email", "payment_method_details.billing_details.phone" } do
      assert_sent("report_payment", with(path, repeated("x", 6000), samples.full.report_payment()))
    end
  end)
end)
