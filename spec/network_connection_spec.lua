--- How a call travels: the bytes of the request, the ways to the server, what is kept, what is never done.

local cjson = require "cjson"
local files = require "spec.support.files"
local payment_records = require "payment_records"
local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT
local BODY = table.concat({
  "amount_requested[currency]=usd&amount_requested[value]=1000", "initiated_at=1730253453",
  "payment_method_details[type]=custom&payment_method_details[custom][display_name]=newpay",
  "metadata[order]=a%20%26%20b",
}, "&")

local function sorted_lines(head)
  local lines = {}
  for line in head:gmatch "[^\r\n]+" do lines[#lines + 1] = line end
  table.sort(lines)
  return lines
end

local function sorted_pairs(body)
  local found = {}
  for pair in body:gmatch "[^&]+" do found[#found + 1] = pair end
  table.sort(found)
  return found
end

local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

describe("the request on the wire", function()
  local function common_lines(server, first)
    return {
      first,
      "Accept: */*",
      "Authorization: Bearer " .. payments.KEY,
      "Host: " .. server.url:match "//(.*)",
      "Stripe-Version: 2026-09-30.endive",
      "User-Agent: PaymentRecordsLua/" .. payment_records._VERSION,
    }
  end

  it("is, for a POST, exactly this", function()
    local server = playing {}
    assert(payments.client(server):report_payment(PAYMENT, { idempotency_key = "order-1" }))
    local request = server:requests()[1]
    local lines = common_lines(server, "POST /v1/payment_records/report_payment HTTP/1.1")
    lines[#lines + 1] = "Content-Length: " .. #request.body
    lines[#lines + 1] = "Content-Type: application/x-www-form-urlencoded"
    lines[#lines + 1] = "Idempotency-Key: order-1"
    table.sort(lines)
    assert.same(lines, sorted_lines(request.head))
    assert.same(sorted_pairs(BODY), sorted_pairs(request.body))
    assert.equal(#BODY, #request.body)
  end)

  it("is, for a GET, exactly this", function()
    local server = playing {}
    assert(payments.client(server):retrieve_payment_record("pr_1", { expand = { "customer" } }))
    local request = server:requests()[1]
    local lines = common_lines(server, "GET /v1/payment_records/pr_1?expand[]=customer HTTP/1.1")
    table.sort(lines)
    assert.same(lines, sorted_lines(request.head))
    assert.equal("", request.body)
  end)

  it("is what prepare shows, but for the key", function()
    local server = playing {}
    local client = payments.client(server, { stripe_account = "acct_1", app_info = { name = "shop", version = "2" } })
    local options = { idempotency_key = "order-2", stripe_context = "ctx_1" }
    local prepared = client:prepare("report_payment", PAYMENT, options)
    assert(client:report_payment(PAYMENT, options))
    local request = server:requests()[1]
    assert.same({ prepared.method, prepared.path, prepared.body }, { request.method, request.path, request.body })
    prepared.headers.Authorization = "Bearer " .. payments.KEY
    for name, value in pairs(prepared.headers) do assert.equal(value, request.header[name:lower()]) end
    assert.equal("acct_1", request.header["stripe-account"])
    assert.equal("ctx_1", request.header["stripe-context"])
    assert.equal(("PaymentRecordsLua/%s shop/2"):format(payment_records._VERSION), request.header["user-agent"])
  end)

  it("asks for no go-ahead before a large body, and arrives whole", function()
    local server = playing {}
    local metadata = {}
    for i = 1, 50 do metadata["key" .. i] = ("\195\164"):rep(500) end
    local payment = payments.with { metadata = metadata }
    local client = payments.client(server)
    assert(client:report_payment(payment))
    local request = server:requests()[1]
    assert.is_nil(request.header.expect)
    assert.is_true(#request.body > 150000)
    assert.equal(client:prepare("report_payment", payment).body, request.body)
  end)
end)

describe("a call goes", function()
  local function check_call(client, server)
    local record, err, response = client:report_payment(PAYMENT)
    assert.is_nil(err)
    assert.equal("pr_1", record.id)
    assert.same({ 200, 1 }, { response.status, response.attempts })
    return server:requests()[1]
  end

  it("over plain HTTP to loopback", function()
    local server = servers.start()
    assert.is_false(check_call(payments.client(server), server).tls)
  end)

  it("over TLS, with the issuer of the certificate as ca_file", function()
    local server = servers.start { tls = true }
    local request = check_call(payments.client(server), server)
    assert.is_true(request.tls)
    assert.equal("HTTP/1.1", request.version)
  end)

  it("over a Unix socket", function()
    local server = servers.start { unix = true }
    assert.equal("127.0.0.1", check_call(payments.client(server), server).header.host)
  end)

  it("over TLS on a Unix socket", function()
    local server = servers.start { unix = true, tls = true }
    assert.is_true(check_call(payments.client(server), server).tls)
  end)

  for _, http2 in ipairs { true, false } do
    local where = http2 and "HTTP/2 where the server offers it" or "HTTP/1.1 where the server has only that"
    it("over " .. where, function()
      local record, err = payments.client(servers.nginx(http2)):report_payment(PAYMENT)
      assert.is_nil(err)
      assert.equal(http2 and "HTTP/2.0" or "HTTP/1.1", record.protocol)
      assert.truthy(record.tls:find "^TLSv1%.[23]$")
    end)
  end

  for _, tls in ipairs { false, true } do
    it("through a proxy" .. (tls and " in a tunnel, where the proxy sees no key" or ""), function()
      local server, proxy = servers.start { tls = tls }, servers.proxy()
      local client = payments.client(server, { proxy = proxy.url })
      assert.equal(tls, check_call(client, server).tls)
      local line = proxy:requests()[1]
      assert.equal(tls and "CONNECT" or "POST", line.method)
      if tls then
        assert.equal("localhost:" .. server.port, line.path)
        assert.is_nil(line.header.authorization)
        assert.is_nil(line.header["idempotency-key"])
      end
    end)
  end
end)

describe("a proxy that", function()
  local cases = {
    { "refuses the tunnel without a login", 407, true, { outcome = "not_sent", retryable = false, attempts = 0 } },
    { "cannot build the tunnel", 502, true, { outcome = "not_sent", retryable = true, attempts = 0 } },
    { "refuses the request without a login, or so it seems", 407, false, { outcome = "unknown", retryable = false } },
    { "cannot reach the server", 502, false, { outcome = "unknown", retryable = true, attempts = 1 } },
  }

  for _, case in ipairs(cases) do
    local name, status, tls, expected = case[1], case[2], case[3], case[4]
    it(name .. (tls and " (https)" or " (http)"), function()
      local server, proxy = servers.start { tls = tls }, servers.proxy(status)
      local record, err = payments.client(server, { proxy = proxy.url }):report_payment(PAYMENT)
      assert.is_nil(record)
      local actual = {}
      for field in pairs(expected) do actual[field] = err[field] end
      assert.same(expected, actual)
      assert.same({}, server:connections())
      assert.equal(1, #proxy:requests())
      assert.equal(tls, err.message:find("; check the option proxy", 1, true) ~= nil, err.message)
    end)
  end

  it("is down", function()
    local server = servers.start { tls = true }
    local client = payments.client(server, { proxy = "http://127.0.0.1:" .. servers.closed_port() })
    local _, err = client:report_payment(PAYMENT)
    assert.same({ "connection_error", "not_sent", true, 0 }, { err.type, err.outcome, err.retryable, err.attempts })
    assert.same({}, server:connections())
  end)

  it("does not resolve", function()
    local client = payments.client(servers.start { tls = true }, { proxy = "http://nonexistent.invalid:3128" })
    local _, err = client:report_payment(PAYMENT)
    assert.same({ "connection_error", "not_sent", 5 }, { err.type, err.outcome, err.curl_code })
    assert.truthy(err.message:find("option proxy", 1, true))
  end)
end)

describe("the environment", function()
  local PROGRAM = [[
    local payment_records = require "payment_records"
    local client = payment_records.new {
      api_key = "sk_test_spec", api_base = os.getenv "BASE", ca_file = os.getenv "CA", proxy = os.getenv "PROXY",
      max_retries = 0,
    }
    local record, err = client:retrieve_payment_record "pr_1"
    io.write(record and record.id or tostring(err))
  ]]

  -- What the program prints, run by the Lua under test with these variables on top.
  local function run(variables)
    local directory = files.temporary_directory()
    files.write(directory .. "/program.lua", PROGRAM)
    files.write(directory .. "/.netrc", "machine localhost login evil password evil\n"
      .. "machine 127.0.0.1 login evil password evil\ndefault login evil password evil\n")
    files.write(directory .. "/.curlrc", "user-agent = evil\n")
    local words = { "HOME=" .. directory }
    for name, value in pairs(variables) do words[#words + 1] = ("%s='%s'"):format(name, value) end
    local output, status = files.capture(("env %s %s %s/program.lua 2>&1"):format(
      table.concat(words, " "), os.getenv "LUA" or arg[-1] or "lua", directory))
    files.remove(directory)
    assert.equal(0, status)
    return output
  end

  for _, tls in ipairs { false, true } do
    it("has no say in proxies and logins over " .. (tls and "https" or "http"), function()
      local server, hostile = servers.start { tls = tls }, servers.start()
      assert.equal("pr_1", run {
        BASE = server.url, CA = tls and server.ca_file or "", http_proxy = hostile.url, https_proxy = hostile.url,
        HTTPS_PROXY = hostile.url, ALL_PROXY = hostile.url, all_proxy = hostile.url, no_proxy = "",
      })
      assert.equal("Bearer sk_test_spec", server:requests()[1].header.authorization)
      assert.same({}, hostile:connections())
    end)
  end

  for _, variable in ipairs { "no_proxy", "NO_PROXY" } do
    it("cannot lead around the proxy that the program chose: " .. variable, function()
      local server, proxy = servers.start { tls = true }, servers.proxy()
      assert.equal("pr_1", run { BASE = server.url, CA = server.ca_file, PROXY = proxy.url, [variable] = "*" })
      assert.equal(1, #proxy:requests())
    end)
  end
end)

describe("a client", function()
  for _, tls in ipairs { false, true } do
    it("makes 20 calls over one connection" .. (tls and " with TLS" or ""), function()
      local server = servers.start { tls = tls }
      local client = payments.client(server)
      for i = 1, 20 do
        assert(i % 2 == 0 and client:report_payment(PAYMENT) or client:retrieve_payment_record "pr_1")
      end
      assert.same({ 20, 1 }, { #server:requests(), #server:connections() })
    end)
  end

  it("keeps its connection after an answer that says no", function()
    local server = playing { { status = 402, body = '{"error":{"type":"card_error"}}' }, {} }
    local client = payments.client(server)
    assert.is_nil((client:report_payment(PAYMENT)))
    assert(client:report_payment(PAYMENT))
    assert.equal(1, #server:connections())
  end)

  it("has connections of its own, and leaves none behind", function()
    local server = playing {}
    for _ = 1, 2 do
      local client = payments.client(server)
      assert(client:retrieve_payment_record "pr_1")
      client:close()
    end
    assert.equal(2, #server:connections())
    assert.is_false(files.shell(("grep -q ':%04X .* 01 ' /proc/net/tcp"):format(server.port)))
  end)

  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    it("does not follow a redirect: " .. status, function()
      local other = servers.start()
      local server = playing { {
        status = status, headers = { Location = other.url .. "/v1/payment_records/pr_1" }, body = "",
      } }
      local client = payments.client(server, { max_retries = 2 })
      local _, err, response = client:report_payment(PAYMENT)
      assert.same({ "response_error", "unknown", false, status, 1 },
        { err.type, err.outcome, err.retryable, err.status, err.attempts })
      assert.truthy(err.message:find "redirect")
      assert.equal(status, response.status)
      assert.same({ 1, 0 }, { #server:requests(), #other:connections() })
    end)
  end
end)

describe("an answer", function()
  local function record_of(step, options)
    return payments.client(playing { step }, options):report_payment(PAYMENT)
  end

  local whole = {
    { "in chunks", { chunked = true } },
    { "byte by byte", { slice = 1 } },
    { "byte by byte, in chunks", { slice = 1, chunked = true } },
    { "after interim ones", { interim = { 100, 102, 103, 103 } } },
    { "without a length, ended by closing", { content_length = false } },
    { "late, and late again in the middle", { delay = 0.2, delay_body = 0.2 } },
    { "of another content type", { headers = { ["Content-Type"] = "text/html" } } },
    { "with other statuses of success", { status = 201 } },
    { "with a thousand headers", { header_count = 1000 } },
  }
  for _, case in ipairs(whole) do
    it("is read whole " .. case[1], function()
      local record, err, response = record_of(case[2])
      assert.is_nil(err)
      assert.equal("pr_1", record.id)
      assert.equal(1000, record.amount_requested.value)
      assert.same({ 1, case[2].status or 200 }, { response.attempts, response.status })
      assert.equal(1, #playing():requests())
    end)
  end

  it("gives the headers of the last answer only", function()
    local _, _, response = record_of {
      interim = { 103 }, headers = { { "Request-Id", "req_9" }, { "X-Two", "a" }, { "x-two", "b" } },
    }
    assert.same({ "req_9", "req_9", "a, b" },
      { response.request_id, response.headers["request-id"], response.headers["x-two"] })
  end)

  it("is taken up to max_response_bytes, to the byte", function()
    local body = '{"id":"pr_1","object":"payment_record"}'
    assert.equal("pr_1", record_of({ body = body }, { max_response_bytes = #body }).id)
    local _, err = record_of({ body = body }, { max_response_bytes = #body - 1, max_retries = 2 })
    assert.same({ "response_error", "unknown", false, 1 }, { err.type, err.outcome, err.retryable, err.attempts })
    assert.truthy(err.message:find "max_response_bytes")
  end)

  it("above 4 MiB is refused, whatever its length says", function()
    for _, step in ipairs { { big_body = 4194305 }, { big_body = 4194305, chunked = true },
      { big_body = 4194305, content_length = false } } do
      local _, err = record_of(step, { max_retries = 2 })
      assert.same({ "response_error", "unknown", false, 1 }, { err.type, err.outcome, err.retryable, err.attempts })
    end
  end)

  it("of 4 MiB is read", function()
    local body = cjson.encode { id = "pr_1", object = "payment_record", padding = ("x"):rep(4194304 - 100) }
    local record = record_of { body = body }
    assert.equal(4194304 - 100, #record.padding)
  end)
end)
