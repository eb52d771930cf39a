-- What goes over the wire: method, URL, headers and form of every call.

local files = require "spec.support.files"
local forms = require "spec.support.forms"
local payment_records = require "payment_records"
local samples = require "spec.support.samples"

local BASE = "https://api.stripe.com"

local client = payment_records.new { api_key = samples.KEY }

--- A call with all its parameters: what `prepare` gives.
local function prepare(call, params, options, from)
  return assert((from or client):prepare(call.name, samples.arguments(call, params, options)))
end

local function form_of(request)
  return request.body or request.url:match "%?(.*)$" or ""
end

--- The names at the top of a form, in their order, each once.
local function top_names(form)
  local names = {}
  for pair in form:gmatch "[^&]+" do
    local name = pair:match "^[^%[=]+"
    if names[#names] ~= name then names[#names + 1] = name end
  end
  return names
end

describe("the example of the API reference", function()
  local request = client:prepare("report_payment", samples.reference())

  it("gives the pairs of its curl command", function()
    assert.same({
      ["amount_requested[currency]"] = "usd",
      ["amount_requested[value]"] = "1000",
      customer_presence = "on_session",
      description = "computer software",
      initiated_at = "1730253453",
      ["payment_method_details[custom][display_name]"] = "newpay",
      ["payment_method_details[custom][type]"] = "cpmt_125kjj3hn3sdf",
      ["payment_method_details[payment_method]"] = "pm_5j23kjksibjlks",
      ["payment_method_details[type]"] = "custom",
    }, (function()
      local found = {}
      for _, pair in ipairs(forms.pairs(request.body)) do
        assert.is_nil(found[pair[1]])
        found[pair[1]] = pair[2]
      end
      return found
    end)())
  end)

  it("gives these bytes: the order of the reference, required parameters first", function()
    assert.equal("amount_requested[currency]=usd&amount_requested[value]=1000&initiated_at=1730253453"
      .. "&payment_method_details[custom][display_name]=newpay"
      .. "&payment_method_details[custom][type]=cpmt_125kjj3hn3sdf"
      .. "&payment_method_details[payment_method]=pm_5j23kjksibjlks&payment_method_details[type]=custom"
      .. "&customer_presence=on_session&description=computer%20software", request.body)
  end)

  it("is posted to the URL of its curl command", function()
    assert.equal("POST", request.method)
    assert.equal(BASE .. "/v1/payment_records/report_payment", request.url)
  end)
end)

describe("every call", function()
  local ORDER = {
    report_payment = { "amount_requested", "initiated_at", "payment_method_details", "customer_details",
      "customer_presence", "description", "guaranteed", "metadata", "outcome", "processor_details",
      "shipping_details", "expand" },
    report_payment_attempt = { "initiated_at", "description", "failed", "metadata", "outcome",
      "payment_method_details", "shipping_details", "expand" },
    report_payment_attempt_canceled = { "canceled_at", "metadata", "expand" },
    report_payment_attempt_failed = { "failed_at", "metadata", "expand" },
    report_payment_attempt_guaranteed = { "guaranteed_at", "metadata", "expand" },
    report_payment_attempt_informational = { "customer_details", "description", "metadata", "shipping_details",
      "expand" },
    report_refund = { "outcome", "processor_details", "amount", "initiated_at", "metadata", "refunded", "expand" },
    retrieve_payment_record = { "expand" },
    list_payment_records = { "created_after", "created_before", "ending_before", "limit", "starting_after", "expand" },
    retrieve_payment_attempt_record = { "expand" },
    list_payment_attempt_records = { "payment_record", "limit", "starting_after", "expand" },
  }

  --- What a decoder finds in the form of these parameters.
  local function as_strings(value)
    if type(value) == "number" then return ("%.0f"):format(value) end
    if type(value) ~= "table" then return tostring(value) end
    local strings = {}
    for key, inner in pairs(value) do strings[key] = as_strings(inner) end
    return strings
  end

  for _, call in ipairs(samples.calls) do
    local params = samples.full[call.name]

    it(call.name .. " has its method, path and place for the parameters", function()
      local request = prepare(call, params())
      assert.equal(call.method, request.method)
      assert.equal(call.method == "POST", request.body ~= nil)
      local query = call.method == "GET" and "?" .. form_of(request) or ""
      assert.equal(BASE .. call.path .. query, request.url)
      assert.equal(call.path .. query, request.path)
    end)

    it(call.name .. " sends every parameter, with its value", function()
      assert.same(as_strings(params()), forms.tree(form_of(prepare(call, params()))))
    end)

    it(call.name .. " sends them in the order of the reference, whatever the order of insertion", function()
      local form = form_of(prepare(call, params()))
      assert.same(ORDER[call.name], top_names(form))
      assert.equal(form, form_of(prepare(call, samples.reinserted(params()))))
    end)

    it(call.name .. " leaves the caller's table as it was", function()
      local given = params()
      prepare(call, given)
      assert.same(params(), given)
    end)

    it(call.name .. " sends unknown parameters after the known ones, sorted, when asked to", function()
      local given = params()
      given.zeta, given.alpha = { 1, { b = 2, a = 3 } }, true
      local expected = form_of(prepare(call, params())) .. "&alpha=true&zeta[0]=1&zeta[1][a]=3&zeta[1][b]=2"
      assert.equal(expected, form_of(prepare(call, given, { allow_unknown_params = true })))
    end)
  end

  it("has at most an id and options besides: a path without parameters has no query", function()
    for _, name in ipairs { "list_payment_records", "retrieve_payment_record", "retrieve_payment_attempt_record" } do
      local request = client:prepare(name, name:match "^list" and {} or samples.ID, nil)
      assert.is_nil(request.url:find("?", 1, true))
      assert.is_nil(request.body)
    end
    assert.equal("", client:prepare("report_payment_attempt_informational", samples.ID).body)
  end)

  it("sends a hundred unknown parameters, sorted, when asked to, and names one of them when not", function()
    local given, expected = samples.reference(), form_of(prepare(samples.calls[1], samples.reference()))
    for i = 1, 100 do
      given[("x_%03d"):format(i)] = i
      expected = expected .. ("&x_%03d=%d"):format(i, i)
    end
    assert.equal(expected, form_of(prepare(samples.calls[1], given, { allow_unknown_params = true })))
    local _, err = client:prepare("report_payment", given)
    assert.truthy(err.message:find "^x_%d%d%d: unknown parameter")
  end)

  it("sends unknown parameters within a known one after its known ones", function()
    local params = samples.reference()
    params.amount_requested.approximate = false
    params.payment_method_details.type = "stablecoin"
    local request = prepare(samples.calls[1], params, { allow_unknown_params = true })
    local amount = "amount_requested[value]=1000&amount_requested[approximate]=false&initiated_at="
    assert.truthy(request.body:find(amount, 1, true))
    assert.truthy(request.body:find("payment_method_details[type]=stablecoin", 1, true))
  end)

  it("sends nothing for an empty table, whatever its parameter takes", function()
    local without = client:prepare("report_payment", samples.reference()).body
    for _, name in ipairs { "customer_details", "expand", "metadata", "shipping_details" } do
      local params = samples.reference()
      params[name] = {}
      assert.equal(without, assert(client:prepare("report_payment", params)).body)
    end
  end)

  it("writes each list of expand as expand[]", function()
    local request = client:prepare("retrieve_payment_record", samples.ID, { expand = { "a.b", "c d" } })
    assert.equal(BASE .. "/v1/payment_records/" .. samples.ID .. "?expand[]=a.b&expand[]=c%20d", request.url)
  end)

  it("goes to the base that was asked for, whether or not it ends with a slash", function()
    for _, base in ipairs { "https://example.com:8443", "https://example.com:8443/" } do
      local other = payment_records.new { api_key = samples.KEY, api_base = base }
      assert.equal("https://example.com:8443/v1/payment_records", other:prepare("list_payment_records").url)
    end
  end)
end)

describe("headers", function()
  local OPTIONS = { "stripe_account", "stripe_context", "api_version" }
  local HEADERS = {
    stripe_account = "Stripe-Account", stripe_context = "Stripe-Context", api_version = "Stripe-Version",
  }

  local function headers_of(call, options, from)
    return prepare(call, samples.full[call.name](), options, from).headers
  end

  for _, call in ipairs(samples.calls) do
    it("of " .. call.name .. " are these, and no others", function()
      local headers = headers_of(call)
      local key, agent = headers["Idempotency-Key"], headers["User-Agent"]
      headers["Idempotency-Key"], headers["User-Agent"] = nil, nil
      assert.same({
        Authorization = "Bearer $STRIPE_API_KEY",
        ["Stripe-Version"] = "2026-09-30.endive",
        ["Content-Type"] = call.method == "POST" and "application/x-www-form-urlencoded" or nil,
      }, headers)
      assert.equal("PaymentRecordsLua/" .. payment_records._VERSION, agent)
      assert.equal(call.method == "POST", key ~= nil)
      assert.is_true(key == nil or #key >= 22 and #key <= 255)
    end)
  end

  it("have a new idempotency key for each call, or the caller's", function()
    local seen = {}
    for _ = 1, 1000 do
      local key = headers_of(samples.calls[3])["Idempotency-Key"]
      assert.is_nil(seen[key])
      seen[key] = true
    end
    assert.equal("order-7", headers_of(samples.calls[3], { idempotency_key = "order-7" })["Idempotency-Key"])
  end)

  it("have no idempotency key on GET, even when one is given", function()
    for _, call in ipairs(samples.calls) do
      local given = headers_of(call, { idempotency_key = "order-7" })["Idempotency-Key"]
      assert.equal(call.method == "POST" and "order-7" or nil, given)
    end
  end)

  it("follow the options of the client, and those of the call before them", function()
    local all = { api_key = samples.KEY }
    for _, option in ipairs(OPTIONS) do all[option] = "client_" .. option end
    local other = payment_records.new(all)
    for _, option in ipairs(OPTIONS) do
      for _, call in ipairs(samples.calls) do
        assert.equal("client_" .. option, headers_of(call, nil, other)[HEADERS[option]])
        assert.equal("call", headers_of(call, { [option] = "call" }, other)[HEADERS[option]])
        assert.equal("call", headers_of(call, { [option] = "call" })[HEADERS[option]])
      end
    end
  end)

  it("name the caller's program in the User-Agent", function()
    local cases = {
      { { name = "Shop" }, " Shop" },
      { { name = "Shop", version = "1.2" }, " Shop/1.2" },
      { { name = "Shop", version = "1.2", url = "https://shop.example" }, " Shop/1.2 (https://shop.example)" },
      { { name = "My Shop", url = "https://shop.example" }, " My Shop (https://shop.example)" },
    }
    for _, case in ipairs(cases) do
      local other = payment_records.new { api_key = samples.KEY, app_info = case[1] }
      local agent = headers_of(samples.calls[1], nil, other)["User-Agent"]
      assert.equal("PaymentRecordsLua/" .. payment_records._VERSION .. case[2], agent)
    end
  end)

  it("reach the transport with the true key, the same otherwise as prepared", function()
    local other, requests = samples.scripted()
    local options = { idempotency_key = "order-7", stripe_account = "acct_1" }
    local prepared = other:prepare("report_payment", samples.reference(), options)
    assert(other:report_payment(samples.reference(), options))
    assert.equal("Bearer " .. samples.KEY, requests[1].headers.Authorization)
    requests[1].headers.Authorization = prepared.headers.Authorization
    assert.same(prepared.headers, requests[1].headers)
    for _, field in ipairs { "method", "url", "path", "body" } do
      assert.equal(prepared[field], requests[1][field])
    end
  end)
end)

describe("the API key", function()
  it("is in nothing that prepare and curl give", function()
    local secret = "sk_test_verysecret"
    for _, key in ipairs { secret, function() return secret end } do
      local other = payment_records.new { api_key = key }
      for _, call in ipairs(samples.calls) do
        local params = samples.full[call.name]()
        local request = prepare(call, params, nil, other)
        for _, text in pairs(request.headers) do assert.is_nil(text:find(secret, 1, true)) end
        assert.is_nil((request.url .. (request.body or "")):find(secret, 1, true))
        local command = other:curl(call.name, samples.arguments(call, params, { api_key = secret }))
        assert.is_nil(command:find(secret, 1, true))
        assert.truthy(command:find("$STRIPE_API_KEY", 1, true))
      end
    end
  end)
end)

describe("the same table", function()
  local SCRIPT = [[
    local samples = require "spec.support.samples"
    local client = samples.scripted()
    for _, call in ipairs(samples.calls) do
      local params = samples.full[call.name]()
      local request = assert(client:prepare(call.name, samples.arguments(call, params)))
      print(request.path, request.body)
    end
    print(require("payment_records").encode(samples.full.report_payment()))
  ]]

  it("gives the same bytes in separate processes", function()
    local script = os.tmpname()
    files.write(script, SCRIPT)
    local expected, status = files.capture(('"$LUA" %s'):format(script))
    assert.equal(0, status)
    assert.truthy(#expected > 2000)
    for _ = 1, 4 do
      assert.equal(expected, (files.capture(('"$LUA" %s'):format(script))))
    end
    os.remove(script)
  end)
end)
