--- S-22: text of a server's does what it likes neither to a terminal nor to a log.

local cjson = require "cjson"
local payments = require "spec.support.payments"
local samples = require "spec.support.samples"
local servers = require "spec.support.servers"

-- Escape sequences, forged lines, control characters of ASCII and Unicode, and what is too long
local HOSTILE = {
  "\27[2J", "\27[31mred\27[0m", "\27]0;title\7", "\27]8;;http://evil.example\27\\link\27]8;;\27\\", "\27P+q544e\27\\",
  "\27[6n", "\27c", "\27(0", "\27[?1049h", "\27]52;c;ZXZpbA==\7", "\27[201~", "\27_payload\27\\", "\194\1552J",
  "\194\155" .. "31m", "\194\1570;title\194\156", "\194\133new line", "a\194\128b\194\159c",
  "line\nERROR forged", "line\r\nERROR forged", "line\rERROR forged", "\n\n\n", "a\11b\12c", "a\8\8\8b", "a\127b",
  "a\tb", "a\0b", "\0", ("\27[A"):rep(500), ("x"):rep(100000), ("\27"):rep(3000), ("é"):rep(2000), "%s%n%d",
  "${jndi:ldap://x}", '","level":"fatal"}', "' OR 1=1 --",
}

local function is_clean(line)
  return not line:find "%c" and not line:find "\194[\128-\159]"
end

local function longest(value)
  if type(value) == "string" then return #value end
  local most = 0
  for _, inner in pairs(type(value) == "table" and value or {}) do most = math.max(most, longest(inner)) end
  return most
end

describe("an error", function()
  teardown(servers.stop_all)
  after_each(payments.close_all)

  local function error_of(response)
    local client = samples.scripted({ response }, { max_retries = 0 })
    local record, err = client:report_payment(samples.reference(), { idempotency_key = "order-7" })
    assert.is_nil(record)
    return err
  end

  it("prints as one clean line, whatever a server says, and keeps at most 1 KiB of it: "
    .. #HOSTILE .. " texts in 9 places", function()
    assert.is_true(#HOSTILE >= 30)
    local seen = 0
    for _, text in ipairs(HOSTILE) do
      local json = { error = { type = text, code = text, message = text, param = text, doc_url = text,
        decline_code = text, inner = { text, { text } } } }
      for _, response in ipairs {
        { status = 400, headers = {}, body = cjson.encode(json) },
        { status = 400, headers = { ["Request-Id"] = text }, body = '{"error":{"message":"m"}}' },
        { status = 400, headers = {}, body = cjson.encode { error = text, error_description = text } },
        { status = 502, headers = {}, body = text },
        { status = 200, headers = {}, body = text },
        { status = 200, headers = {}, body = cjson.encode { id = text, object = text } },
        { status = 400, headers = { ["X-" .. text] = text }, body = "" },
        { status = 400, headers = {}, body = cjson.encode { error = { [text] = text } } },
        text,
      } do
        local err = error_of(response)
        local line = tostring(err)
        assert.is_true(is_clean(line))
        assert.is_true(#line <= 2100)
        assert.is_true(longest(err) <= 1024)
        assert.is_nil(err.body and err.body:sub(501, 501):match ".")
        seen = seen + 1
      end
    end
    assert.equal(9 * #HOSTILE, seen)
  end)

  it("of text that is cut ends with a whole character", function()
    for lead = 0, 3 do
      local err = error_of { status = 400, headers = {},
        body = cjson.encode { error = { message = ("x"):rep(lead) .. ("€"):rep(1000) } } }
      assert.equal(("x"):rep(lead) .. ("€"):rep(math.floor((1024 - lead) / 3)), err.message)
    end
  end)

  it("prints as one clean line when the bytes come over a socket", function()
    for _, text in ipairs { "\27[31m", "\194\155" .. "31m", "\127", "a\tb", "\8\8" } do
      local server = servers.playing { { status = 400, headers = { ["Request-Id"] = "req" .. text },
        body = cjson.encode { error = { message = text } } } }
      local _, err = payments.client(server):report_payment(payments.PAYMENT)
      assert.is_true(is_clean(tostring(err)))
      assert.equal(text, err.message)
    end
  end)

  it("of what a program passed is clean, too", function()
    local client = samples.scripted()
    for _, text in ipairs(HOSTILE) do
      for _, params in ipairs { { [text] = 1 }, { amount_requested = text }, { amount_requested = { currency = text } },
        { metadata = { [text] = {} } } } do
        local _, err = client:report_payment(params)
        assert.is_true(is_clean(tostring(err)))
      end
      local _, unknown = pcall(client.report_payment, client, samples.reference(), { [text] = 1 })
      assert.is_true(is_clean(unknown))
      _, unknown = pcall(client.start, client, text)
      assert.is_true(is_clean(unknown))
      _, unknown = pcall(client.report_payment, client, samples.reference(), { timeout = text })
      assert.is_true(is_clean(unknown))
    end
  end)
end)
