-- The JSON the sandbox writes, byte for byte.

local json = require "payment_records.sandbox.json"
local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"
local utf8 = require "payment_records.sandbox.utf8"

local REPLACEMENT = "\239\191\189"

describe("JSON", function()
  local cases = {
    { nil, "null" },
    { true, "true" },
    { false, "false" },
    { 0, "0" },
    { -17, "-17" },
    { 1e15, "1000000000000000" },
    { 9007199254740992, "9007199254740992" },
    { 2 ^ 53, "9007199254740992" },
    { 1.5, "1.5" },
    { "", '""' },
    { 'a"b\\c/', '"a\\"b\\\\c/"' },
    { "\n\r\t\0\1\31\127", '"\\n\\r\\t\\u0000\\u0001\\u001f\\u007f"' },
    { "caf\195\169 100%", '"caf\195\169 100%"' },
    { {}, "{}" },
    { { 1, "a", { b = true } }, '[1,"a",{"b":true}]' },
    { { b = 1, a = 2, ["1"] = 3 }, '{"1":3,"a":2,"b":1}' },
  }
  for i, case in ipairs(cases) do
    it("is written, case " .. i .. ": " .. case[2]:sub(1, 20), function()
      assert.equal(case[2], json.encode(case[1]))
    end)
  end

  it("has U+FFFD for bytes that are not UTF-8", function()
    assert.equal('"a' .. REPLACEMENT .. 'b"', json.encode "a\255b")
  end)

  it("has the keys of an object in the order of its shape; a missing one is null or left out", function()
    local shape = { "b", { "a", { "y", "x" } }, { "gone", nil, optional = true }, "c" }
    assert.equal('{"b":1,"a":{"y":2,"x":3},"c":null}', json.encode({ a = { x = 3, y = 2 }, b = 1 }, shape))
  end)

  it("has an empty array where the shape says so", function()
    assert.equal('{"data":[]}', json.encode({ data = {} }, { { "data", { list_of = { "id" } } } }))
    assert.equal('[{"id":1}]', json.encode({ { id = 1 } }, { list_of = { "id" } }))
  end)
end)

describe("UTF-8", function()
  local valid = {
    "", "\0a\127", "\0\1\127\194\128\223\191", "\224\160\128\225\128\128\236\191\191", "\237\159\191\238\128\128",
    "\239\191\191", "\240\144\128\128\241\128\128\128\243\191\191\191", "\244\143\191\191",
  }
  for i, bytes in ipairs(valid) do
    it("stays as it is, case " .. i, function()
      assert.equal(bytes, utf8.repaired(bytes))
      assert.is_true(utf8.is_valid(bytes))
    end)
  end

  local invalid = {
    "\128", "\191", "\192\128", "\193\191", "\194", "\194a", "\224\159\191", "\226\130", "\237\160\128",
    "\240\143\191\191", "\240\144\128", "\244\144\128\128", "\245\128\128\128", "\255",
  }
  for i, bytes in ipairs(invalid) do
    it("is made of other bytes, case " .. i, function()
      local expected = bytes:gsub("[\128-\255]", REPLACEMENT)
      assert.equal("\226\130\172" .. expected .. "a", utf8.repaired("\226\130\172" .. bytes .. "a"))
      assert.is_false(utf8.is_valid(bytes))
    end)
  end

  local TOO_LONG = ("\226\130\172"):rep(5001)
  for what, ask in pairs {
    ["a text that is quoted in part"] = function(client) return client:pay { description = TOO_LONG } end,
    ["a path"] = function(client) return client:get "/v1/payment_records/%FF" end,
    ["a header"] = function(client) return client:get("/v1/charges", nil, { ["Stripe-Version"] = "\255" }) end,
  } do
    it("is all that an answer has, whatever " .. what .. " is", function()
      local _, response = ask(sandbox_client.new(sandbox.new()))
      assert.is_true(response.status >= 400)
      assert.is_true(utf8.is_valid(response.body))
      assert.matches(REPLACEMENT, response.body, 1, true)
    end)
  end
end)

describe("a record as JSON", function()
  local client = sandbox_client.new(sandbox.new { now = function() return 1730211363.75 end })

  local EXPECTED = [[
{"id":"ID","object":"payment_record",
"amount":{"currency":"usd","value":1000},
"amount_authorized":{"currency":"usd","value":0},
"amount_canceled":{"currency":"usd","value":0},
"amount_failed":{"currency":"usd","value":0},
"amount_guaranteed":{"currency":"usd","value":0},
"amount_refunded":{"currency":"usd","value":0},
"amount_requested":{"currency":"usd","value":1000},
"application":null,"created":1730211363,"customer_details":null,"customer_presence":"on_session",
"description":"computer software","latest_payment_attempt_record":"PAR","livemode":false,"metadata":{},
"payment_method_details":{"billing_details":null,"custom":{"display_name":"newpay","type":"cpmt_125kjj3hn3sdf"},
"payment_method":"pm_5j23kjksibjlks","type":"custom"},
"processor_details":{"type":"custom","custom":{"payment_reference":"npp2358872734k"}},
"reported_by":"self","shipping_details":null}]]

  it("is that of the API reference", function()
    local record, response = client:pay {
      customer_presence = "on_session",
      description = "computer software",
      payment_method_details = {
        custom = { display_name = "newpay", type = "cpmt_125kjj3hn3sdf" },
        payment_method = "pm_5j23kjksibjlks",
        type = "custom",
      },
      processor_details = { type = "custom", custom = { payment_reference = "npp2358872734k" } },
    }
    local expected = EXPECTED:gsub("\n", ""):gsub("PAR", record.latest_payment_attempt_record):gsub("ID", record.id)
    assert.equal(expected, response.body)
    assert.equal("application/json", response.headers["Content-Type"])
  end)

  it("has every part of a hash that was given in part", function()
    local _, response = client:pay {
      customer_details = { name = "Ada" },
      payment_method_details = { type = "custom", billing_details = { name = "Bob" } },
      shipping_details = { phone = "+41" },
    }
    local no_address = '{"city":null,"country":null,"line1":null,"line2":null,"postal_code":null,"state":null}'
    for _, part in ipairs {
      '"customer_details":{"customer":null,"email":null,"name":"Ada","phone":null}',
      '"billing_details":{"address":' .. no_address .. ',"email":null,"name":"Bob","phone":null}',
      '"custom":{"display_name":null,"type":null},"payment_method":null',
      '"shipping_details":{"address":' .. no_address .. ',"name":null,"phone":"+41"}',
    } do
      assert.matches(part, response.body, 1, true)
    end
  end)

  it("differs for an attempt in its links only", function()
    local record, of_record = client:pay()
    local _, of_attempt = client:get("/v1/payment_attempt_records/" .. record.latest_payment_attempt_record)
    local expected = of_record.body
      :gsub('"latest_payment_attempt_record":"[^"]+",', "")
      :gsub(record.id, record.latest_payment_attempt_record)
      :gsub('"object":"payment_record"', '"object":"payment_attempt_record"')
      :gsub('"processor_details"', '"payment_record":"' .. record.id .. '",%0')
    assert.equal(expected, of_attempt.body)
  end)

  it("has the keys of an error in order", function()
    local _, response = client:pay { initiated_at = false }
    assert.equal('{"error":{"code":"parameter_missing",'
      .. '"doc_url":"https://stripe.com/docs/error-codes/parameter-missing",'
      .. '"message":"Missing required param: initiated_at.","param":"initiated_at",'
      .. '"request_log_url":"https://dashboard.stripe.com/test/logs/' .. response.headers["Request-Id"] .. '",'
      .. '"type":"invalid_request_error"}}', response.body)
  end)
end)

describe("an id", function()
  it("is 24 letters and digits after its prefix, unlike any other, and the same in every run", function()
    local function create(count)
      local client, seen, list = sandbox_client.new(sandbox.new()), {}, {}
      for i = 1, count do
        local record = client:pay()
        list[i] = record.id
        seen[record.id], seen[record.latest_payment_attempt_record] = true, true
      end
      return list, seen
    end
    local first, seen = create(200)
    local distinct = 0
    for id in pairs(seen) do
      distinct = distinct + 1
      assert.equal(24, #id:match "^pa?r_(%w+)$")
    end
    assert.equal(400, distinct)
    assert.same(first, (create(200)))
  end)

  it("of the first record does not depend on the requests before it", function()
    local one, two = sandbox_client.new(sandbox.new()), sandbox_client.new(sandbox.new())
    one:get "/v1/payment_records"
    assert.equal(one:pay().id, two:pay().id)
  end)
end)
