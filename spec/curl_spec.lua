-- client:curl(): the printed command, run by a shell with a curl that writes down what it is given.

local files = require "spec.support.files"
local payment_records = require "payment_records"
local samples = require "spec.support.samples"

-- Each argument on a line of its own, its line breaks and backslashes escaped.
local FAKE_CURL = [[
#!/bin/sh
exec "$LUA" - "$@" <<'END'
for _, argument in ipairs(arg) do print((argument:gsub("\\", "\\\\"):gsub("\n", "\\n"))) end
END
]]

local TAKES_VALUE = { ["-u"] = true, ["-d"] = true, ["-H"] = true, ["--cacert"] = true, ["--proxy"] = true,
  ["--unix-socket"] = true }

describe("client:curl", function()
  local directory

  setup(function()
    directory = files.temporary_directory()
    files.write(directory .. "/curl", FAKE_CURL)
    assert(files.shell("chmod +x " .. directory .. "/curl"))
  end)

  teardown(function() files.remove(directory) end)

  --- The arguments that a shell hands to curl when the command is pasted into it.
  local function arguments_of(command)
    files.write(directory .. "/command", command)
    local run = 'cd %s && PATH=%s:$PATH STRIPE_API_KEY=sk_test_shell sh -c "$(cat command)"'
    local output, status = files.capture(run:format(directory, directory))
    assert.equal(0, status)
    local arguments = {}
    for line in output:gmatch "([^\n]*)\n" do
      arguments[#arguments + 1] = line:gsub("\\(.)", { n = "\n", ["\\"] = "\\" })
    end
    return arguments
  end

  --- The request that curl would make of them: method, url, headers, body as curl's manual has it, and options.
  local function request_of(arguments)
    local request, data, i = { headers = {}, options = {} }, {}, 1
    while i <= #arguments do
      local word = arguments[i]
      local value = TAKES_VALUE[word] and arguments[i + 1]
      if word == "-d" then
        data[#data + 1] = value
        assert.is_nil(value:match "^@") -- curl would read a file
      elseif word == "-H" then
        local name, text = value:match "^([^:]+): (.*)$"
        request.headers[name] = text
      elseif value or word:match "^%-" then
        request.options[word] = value or true
      else
        assert.is_nil(request.url)
        request.url = word
      end
      i = i + (value and 2 or 1)
    end
    request.body = #data > 0 and table.concat(data, "&") or nil
    request.method = request.body and "POST" or "GET"
    return request
  end

  --- Asserts that the command sends what the client would; returns the request and the text.
  local function assert_same_request(client, name, ...)
    local prepared, command = client:prepare(name, ...), client:curl(name, ...)
    local request = request_of(arguments_of(command))
    local expected = {}
    for header, value in pairs(prepared.headers) do
      if header ~= "Authorization" and header ~= "Content-Type" then expected[header] = value end
    end
    expected["Idempotency-Key"] = expected["Idempotency-Key"] and request.headers["Idempotency-Key"]
    assert.same(expected, request.headers)
    for _, field in ipairs { "method", "url", "body" } do assert.equal(prepared[field], request[field]) end
    assert.equal("sk_test_shell:", request.options["-u"])
    return request, command
  end

  local client = payment_records.new { api_key = samples.KEY }

  for _, call in ipairs(samples.calls) do
    it("sends what " .. call.name .. " would", function()
      assert_same_request(client, call.name, samples.arguments(call, samples.full[call.name]()))
    end)
  end

  it("prints the reference's example as one argument per line", function()
    local options = { idempotency_key = "order-7" }
    local _, command = assert_same_request(client, "report_payment", samples.reference(), options)
    assert.equal(([[
curl 'https://api.stripe.com/v1/payment_records/report_payment' \
  -u "$STRIPE_API_KEY:" \
  -H 'Idempotency-Key: order-7' \
  -H 'Stripe-Version: 2026-09-30.endive' \
  -H 'User-Agent: PaymentRecordsLua/VERSION' \
  -d 'amount_requested[currency]=usd' \
  -d 'amount_requested[value]=1000' \
  -d 'initiated_at=1730253453' \
  -d 'payment_method_details[custom][display_name]=newpay' \
  -d 'payment_method_details[custom][type]=cpmt_125kjj3hn3sdf' \
  -d 'payment_method_details[payment_method]=pm_5j23kjksibjlks' \
  -d 'payment_method_details[type]=custom' \
  -d 'customer_presence=on_session' \
  -d 'description=computer%20software']]):gsub("VERSION", payment_records._VERSION), command)
  end)

  it("keeps the shell from reading what it is not meant to", function()
    local hostile = { "'", "''", "';touch pwned;'", "$(touch pwned)", "`touch pwned`", "$STRIPE_API_KEY", "\\",
      "\\'", "\"", "a\nb", "!!", "*", "~", "&& touch pwned", "| touch pwned", "@/etc/passwd", "#", "%s", "-d",
      "\r\n", " ", "é" }
    for _, text in ipairs(hostile) do
      local params = samples.reference()
      params.description, params.metadata = text, { ["k" .. text] = text }
      assert_same_request(client, "report_payment", params)
      local list = { payment_record = text, starting_after = text, expand = { text } }
      assert_same_request(client, "list_payment_attempt_records", list)
      if text:match "^[!-~]+$" then
        local options = { idempotency_key = text, stripe_account = text, stripe_context = text }
        assert_same_request(client, "report_payment", params, options)
      end
    end
    assert.is_nil(files.read(directory .. "/pwned"))
  end)

  it("keeps curl from reading brackets of a URL as patterns", function()
    local request = assert_same_request(client, "retrieve_payment_record", samples.ID, { expand = { "a" } })
    assert.is_true(request.options["--globoff"])
    assert.is_nil(assert_same_request(client, "retrieve_payment_record", samples.ID).options["--globoff"])
    local loopback = payment_records.new { api_key = samples.KEY, api_base = "http://[::1]:8080" }
    assert.is_true(assert_same_request(loopback, "list_payment_records").options["--globoff"])
  end)

  it("posts also when there is nothing to send", function()
    local request = assert_same_request(client, "report_payment_attempt_informational", samples.ID)
    assert.equal("POST", request.method)
    assert.equal("", request.body)
  end)

  it("connects as the client does", function()
    local options = { ca_file = "/tmp/it's a $HOME/ca.pem", proxy = "http://proxy.example:3128",
      unix_socket = "/tmp/a 'b'.sock" }
    local words = { ca_file = "--cacert", proxy = "--proxy", unix_socket = "--unix-socket" }
    for option, word in pairs(words) do
      local other = payment_records.new { api_key = samples.KEY, [option] = options[option],
        transport = function() end }
      local request = assert_same_request(other, "list_payment_records")
      assert.equal(options[option], request.options[word])
    end
  end)

  it("gives the error of data that are refused", function()
    local command, err = client:curl("report_payment", {})
    assert.is_nil(command)
    assert.equal("validation_error", err.type)
    assert.equal("amount_requested", err.param)
  end)
end)
