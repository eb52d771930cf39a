--- S-03: no byte of an option can make another header, or another request.

local payment_records = require "payment_records"
local payments = require "spec.support.payments"
local samples = require "spec.support.samples"
local servers = require "spec.support.servers"

local HEADERS = {
  api_key = "Authorization", idempotency_key = "Idempotency-Key", stripe_account = "Stripe-Account",
  stripe_context = "Stripe-Context", api_version = "Stripe-Version",
}
local AGENT_PARTS = { "name", "version", "url" }
local PLACES = {
  first = function(character) return character .. "key" end,
  middle = function(character) return "k" .. character .. "y" end,
  last = function(character) return "key" .. character end,
}

-- Visits all 256 bytes in each place: 768 values.
local function each_value(visit)
  for byte = 0, 255 do
    for _, at in pairs(PLACES) do visit(at(string.char(byte)), byte) end
  end
end

local function is_visible(byte) return byte > 0x20 and byte < 0x7F end
local function is_printable(byte) return byte >= 0x20 and byte < 0x7F end

describe("an option that becomes a header", function()
  local cases, refused, accepted = 0, 0, 0

  -- The headers of a request that a transport is given, or nil when the options are refused.
  local function headers_of(client_options, options)
    local seen
    local all = { api_key = "sk_test_x", max_retries = 0, transport = function(request)
      seen = request.headers
      return { status = 200, headers = {}, body = '{"id":"pr_1"}' }
    end }
    for name, value in pairs(client_options) do all[name] = value end
    local made, client = pcall(payment_records.new, all)
    if made then pcall(client.report_payment, client, samples.reference(), options) end
    return seen
  end

  local function check(headers, allowed, header, expected)
    cases = cases + 1
    if not allowed then
      refused = refused + 1
      assert.is_nil(headers)
      return
    end
    accepted = accepted + 1
    assert.equal(expected, headers[header])
    for name, value in pairs(headers) do assert.is_nil((name .. value):find "%c") end
  end

  for option, header in pairs(HEADERS) do
    it(option .. " is visible ASCII, on a client and on a call, or the request is not made", function()
      each_value(function(value, byte)
        local expected = (option == "api_key" and "Bearer " or "") .. value
        check(headers_of({}, { [option] = value }), is_visible(byte), header, expected)
        if option ~= "idempotency_key" then
          check(headers_of({ [option] = value }), is_visible(byte), header, expected)
        end
      end)
    end)
  end

  it("app_info is printable ASCII, or the client is not made", function()
    local format = { name = " %s", version = "/%s", url = " (%s)" }
    for _, part in ipairs(AGENT_PARTS) do
      each_value(function(value, byte)
        check(headers_of { app_info = { [part] = value } }, is_printable(byte), "User-Agent",
          "PaymentRecordsLua/" .. payment_records._VERSION .. format[part]:format(value))
      end)
      assert.is_nil(headers_of { app_info = { [part] = ("x"):rep(256) } })
      assert.truthy(headers_of { app_info = { [part] = ("x"):rep(255) } })
    end
  end)

  it("has been tried with each byte in each place", function()
    assert.equal((5 + 4 + 3) * 256 * 3, cases)
    assert.is_true(cases >= 4608)
    assert.same({ (5 + 4) * 94 * 3 + 3 * 95 * 3, cases }, { accepted, accepted + refused })
  end)
end)

describe("on the wire", function()
  teardown(servers.stop_all)
  after_each(payments.close_all)

  -- The lines of the last request, but for those that do not change.
  local function lines_of(server)
    local requests, lines = server:requests(), {}
    assert.equal(1, #requests)
    for line in (requests[1].head .. "\r\n"):gmatch "(.-)\r\n" do lines[#lines + 1] = line end
    assert.is_nil(requests[1].head:gsub("\r\n", ""):find "%c")
    assert.equal("POST /v1/payment_records/report_payment HTTP/1.1", lines[1])
    return lines, requests[1].header
  end

  it("each value that is accepted is one line", function()
    local server = servers.playing {}
    for byte = 0x20, 0x7E do
      for _, at in pairs(PLACES) do
        local value = at(string.char(byte))
        server:play {}
        local client = payments.client(server, { app_info = { name = value, version = value, url = value } })
        local options = {}
        for option in pairs(HEADERS) do options[option] = is_visible(byte) and value or "key" end
        assert(client:report_payment(payments.PAYMENT, options))
        local lines, header = lines_of(server)
        assert.equal(11, #lines)
        for option, name in pairs(HEADERS) do
          assert.equal((option == "api_key" and "Bearer " or "") .. options[option], header[name:lower()])
        end
        assert.equal(("PaymentRecordsLua/%s %s/%s (%s)"):format(payment_records._VERSION, value, value, value),
          header["user-agent"])
        client:close()
      end
    end
    assert.equal(1, #server:connections())
  end)
end)
