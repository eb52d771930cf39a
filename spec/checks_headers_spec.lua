-- What is refused before anything is sent: ids, and what becomes a header.

local cjson = require "cjson"
local payment_records = require "payment_records"
local samples = require "spec.support.samples"

local client, requests = samples.scripted()

local function assert_refused(param, record, err)
  assert.is_nil(record)
  assert.equal("validation_error", err.type)
  assert.equal(param, err.param)
  assert.equal("not_sent", err.outcome)
  assert.is_false(err.retryable)
  assert.equal(0, err.attempts)
  assert.equal(0, #requests)
end

describe("an id", function()
  local bad = {
    -- another path, another call
    "", ".", "..", "../", "../charges", "pr_1/..", "pr_1/../../charges", "/", "//", "/pr_1", "pr_1/", "pr_1//x",
    "pr_1/report_refund", "..\\charges", "\\", "pr_1\\..", "./pr_1", "...", "pr.1", "~", "~root",
    -- escaped already
    "..%2fcharges", "..%2Fcharges", "%2e%2e", "%2e%2e%2f", "%2E%2E/", "%252e%252e", "%00", "%0d%0a", "%5c",
    "pr%5F1", "%",
    -- what ends a path
    "pr_1?", "pr_1?expand[]=x", "?", "pr_1#", "#", "pr_1;", ";", "pr_1;x=1", "pr_1&x=1", "a=b", "pr_1:1", "@host",
    "http://evil.example/", "[", "]", "{id}", "*", "$", "+", "pr+1", ",", "|", "^", "`", "'", '"', "<", ">",
    "(", ")", "!",
    -- blanks and control characters
    " ", " pr_1", "pr_1 ", "pr 1", "\t", "pr_1\n", "pr_1\r\nX-Evil: 1", "\0", "pr_1\0", "\0pr_1",
    "pr_1\0/../x", "\127", "\1",
    -- other scripts: dots, slashes and digits that look like ours
    "\226\128\164\226\128\164", "\239\188\142\239\188\142", "\226\136\149", "\239\188\143", "\240\159\152\128",
    "\195\169", "\194\160", "\226\128\139pr_1", "pr_\239\188\145", "\255", "\192\174\192\174", "\237\160\128",
    -- too long
    ("x"):rep(256), ("x"):rep(5000), ("../"):rep(1000),
  }
  local other_types = {
    17, 1.5, true, false, cjson.null, print, io.stdout, {}, { "pr_1" }, { id = "pr_1" },
    setmetatable({}, { __tostring = function() return "pr_1" end, __index = function() error "ran" end }),
  }

  assert(#bad >= 60)

  local function each_call(visit)
    for _, call in ipairs(samples.calls) do
      if call.id then visit(call.name, samples.full[call.name]()) end
    end
  end

  for i, id in ipairs(bad) do
    it(("may not be bad text %d: %q"):format(i, id:sub(1, 20)), function()
      each_call(function(name, params)
        assert_refused("id", client[name](client, id, params))
        assert_refused("id", client:prepare(name, id, params))
      end)
    end)
  end

  it("may not be anything but a string, nor left out", function()
    for _, id in ipairs(other_types) do
      each_call(function(name, params) assert_refused("id", client[name](client, id, params)) end)
    end
    each_call(function(name, params) assert_refused("id", client[name](client, nil, params)) end)
    assert_refused("id", client:retrieve_payment_record())
  end)

  it("may not be the API key: paths are for logs", function()
    for _, id in ipairs { samples.KEY, "x" .. samples.KEY } do
      each_call(function(name, params)
        local record, err = client[name](client, id, params)
        assert_refused("id", record, err)
        assert.is_nil(err.message:find(samples.KEY, 1, true))
      end)
    end
    assert.truthy(client:prepare("retrieve_payment_record", "sk_test_other"))
  end)

  it("and its fault's message have no API key, whatever keys look like", function()
    local key = "vault:0123456789abcdef"
    local other = samples.scripted(nil, { api_key = key })
    for _, params in ipairs { { [key] = 1 }, { metadata = key }, { amount_requested = { [key] = key } } } do
      local _, err = other:report_payment(params)
      assert.equal("validation_error", err.type)
      assert.is_nil((tostring(err) .. err.message .. err.param):find(key, 1, true))
    end
    local _, err = other:retrieve_payment_record(key)
    assert_refused("id", nil, err)
    assert.is_nil(err.message:find(key, 1, true))
  end)

  it("may not be the parameters: the message says where it goes", function()
    local _, err = client:report_payment_attempt_failed { failed_at = 1730253453 }
    assert_refused("id", nil, err)
    assert.equal("id: expected the id of the record as the first argument: "
      .. "1 to 255 letters, digits, _ or -, got a table", err.message)
  end)

  it("is 1 to 255 letters, digits, _ and -, and goes into the path as it is", function()
    local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    local good = { "x", "pr_5RV730PrHyAEi", "par_1", "-", "_", "0", alphabet, ("x"):rep(255), "report_payment" }
    for _, id in ipairs(good) do
      each_call(function(name, params)
        local url = client:prepare(name, id, params).url
        assert.truthy(url:find("_records/" .. id .. (name:match "^report" and "/" .. name or ""), 1, true))
      end)
    end
  end)

  it("within parameters is only text: it goes into the query, escaped", function()
    local request = client:prepare("list_payment_attempt_records", { payment_record = "../charges?x=1&y" })
    assert.equal("/v1/payment_attempt_records?payment_record=..%2Fcharges%3Fx%3D1%26y", request.path)
  end)
end)

describe("the header option", function()
  local HEADERS = {
    idempotency_key = "Idempotency-Key",
    stripe_account = "Stripe-Account",
    stripe_context = "Stripe-Context",
    api_version = "Stripe-Version",
    api_key = "Authorization",
  }
  local EXPECTED = ": expected 1 to 255 printable ASCII characters, without spaces or line breaks"
  -- security_headers_spec.lua has more of them.
  local PLACES = {
    middle = function(character) return "k" .. character .. "y" end,
    only = function(character) return character end,
  }

  --- What the transport sees of the header, or nil and an error.
  local function sent_header(option, value)
    local other, seen = samples.scripted()
    local record, err = other:report_payment(samples.reference(), { [option] = value })
    if not record then return nil, err, #seen end
    return seen[1].headers[HEADERS[option]], nil, #seen
  end

  local function with_prefix(option, value)
    return option == "api_key" and "Bearer " .. value or value
  end

  for option in pairs(HEADERS) do
    for place, at in pairs(PLACES) do
      it(option .. " is printable ASCII without spaces, in its " .. place .. " place", function()
        for byte = 1, 255 do
          local value = at(string.char(byte))
          local header, err, sent = sent_header(option, value)
          if byte >= 0x21 and byte <= 0x7E then
            assert.equal(with_prefix(option, value), header)
          else
            assert.is_nil(header)
            assert.equal(option .. EXPECTED, err.message)
            assert.equal(option, err.param)
            assert.equal("not_sent", err.outcome)
            assert.equal(0, sent)
          end
        end
      end)
    end

    it(option .. " has 1 to 255 bytes", function()
      for _, length in ipairs { 1, 2, 254, 255 } do
        local value = ("k"):rep(length)
        assert.equal(with_prefix(option, value), (sent_header(option, value)))
      end
      for _, length in ipairs { 0, 256, 257, 5000 } do
        local header, err, sent = sent_header(option, ("k"):rep(length))
        assert.is_nil(header)
        assert.equal("validation_error", err.type)
        assert.equal(option, err.param)
        assert.equal(0, sent)
      end
    end)

    it(option .. " with a zero byte never reaches the wire", function()
      for _, at in pairs(PLACES) do
        local other, seen = samples.scripted()
        local returned, record = pcall(other.report_payment, other, samples.reference(), { [option] = at "\0" })
        assert.is_true(not returned or record == nil)
        assert.equal(0, #seen)
      end
    end)
  end

  it("may not have the API key in it, unless it is api_key", function()
    for option in pairs(HEADERS) do
      for _, value in ipairs { samples.KEY, "order-" .. samples.KEY, samples.KEY .. "-1" } do
        local header, err, sent = sent_header(option, value)
        if option ~= "api_key" then
          assert.is_nil(header)
          assert.equal(option .. ": may not have the API key in it, which is a secret", err.message)
          assert.same({ option, "not_sent", 0 }, { err.param, err.outcome, sent })
        end
      end
    end
    assert.equal("sk_test", (sent_header("idempotency_key", "sk_test"))) -- too short for a secret
    assert.equal("sk_test_own", (sent_header("idempotency_key", "sk_test_own"))) -- another one
  end)

  it("api_key is not shown when it is wrong", function()
    for _, key in ipairs { "sk_test_ secret", "sk_test_secret\r\nX: y", "sk_test_secret\n", ("secret"):rep(60) } do
      local _, err = sent_header("api_key", key)
      assert.is_nil((tostring(err) .. err.message):find("secret", 1, true))
      local made, message = pcall(payment_records.new, { api_key = key })
      assert.is_false(made)
      assert.is_nil(message:find("secret", 1, true))
    end
  end)

  it("on the client is checked when the client is made", function()
    for option in pairs(HEADERS) do
      if option ~= "idempotency_key" then
        for _, value in ipairs { "", "a b", "a\r\nX: y", "a\n", "\9", "é", ("k"):rep(256) } do
          local options = { api_key = samples.KEY }
          options[option] = value
          local expected = "option " .. option .. ": expected 1 to 255"
          assert.error_matches(function() payment_records.new(options) end, expected)
        end
      end
    end
  end)
end)

describe("the options of a call", function()
  it("are told from parameters: an unknown one raises, with the nearest name", function()
    local cases = {
      { { idempotencykey = "x" }, 'unknown option "idempotencykey" %(did you mean "idempotency_key"%?%)' },
      { { idempotency_keys = "x" }, 'did you mean "idempotency_key"' },
      { { timout = 1 }, 'did you mean "timeout"' },
      { { expand = { "x" } }, 'unknown option "expand"' },
      { { metadata = {} }, 'unknown option "metadata"' },
      { { max_in_flight = 1 }, "option max_in_flight: belongs to payment_records.new, not to a call" },
      { { api_base = "https://example.com" }, "option api_base: belongs to payment_records.new" },
      { { transport = print }, "option transport: belongs to payment_records.new" },
      { { "x" }, "expected a table of named options, got a key that is a number" },
    }
    for _, case in ipairs(cases) do
      for _, call in ipairs(samples.calls) do
        local params = samples.full[call.name]()
        assert.error_matches(function()
          client[call.name](client, samples.arguments(call, params, case[1]))
        end, case[2])
      end
    end
    assert.equal(0, #requests)
  end)

  it("raise on a wrong type or value", function()
    local wrong = {
      idempotency_key = { 17, true, {} },
      stripe_account = { 17, {} },
      stripe_context = { true },
      api_version = { 2026 },
      timeout = { 0, -1, "5", 0 / 0, 1 / 0, true },
      deadline = { 0, -1, "5", 0 / 0 },
      max_retries = { -1, 1.5, "2", {} },
      allow_unknown_params = { 1, "true" },
    }
    for option, values in pairs(wrong) do
      for _, value in ipairs(values) do
        assert.error_matches(function()
          client:report_payment(samples.reference(), { [option] = value })
        end, "option " .. option .. ": expected ")
      end
    end
    for _, options in ipairs { "idempotency", 17, true } do
      assert.error(function() client:report_payment(samples.reference(), options) end)
    end
    assert.equal(0, #requests)
  end)

  it("are not changed", function()
    local options = { idempotency_key = "k", timeout = 5, max_retries = 0, api_version = "2026-09-30.endive" }
    local before = samples.copy(options)
    local other = samples.scripted(nil, { api_key = function() return samples.KEY end })
    assert(other:report_payment(samples.reference(), options))
    assert.same(before, options)
  end)
end)
