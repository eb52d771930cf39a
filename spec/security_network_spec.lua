--- S-11, S-12, S-15 to S-17: where the key goes, and what a hostile server can make of a client.

local canary = require "spec.security.canary"
local effort = require "spec.support.effort"
local files = require "spec.support.files"
local payment_records = require "payment_records"
local payments = require "spec.support.payments"
local samples = require "spec.support.samples"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT

-- It keeps what has been freed.
local VALGRIND = os.getenv "WATCHED" == "valgrind"
local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

describe("a live key", function()
  -- None of these is written in full anywhere.
  local KEYS = { samples.live_key "sk", samples.live_key "rk", samples.live_key "sk_org" }

  it("does not leave in clear, not even to loopback or a Unix socket", function()
    local server, unix = playing {}, servers.start { unix = true }
    local refused = 0
    for _, key in ipairs(KEYS) do
      for _, host in ipairs { "127.0.0.1", "localhost", "[::1]" } do
        local base = ("http://%s:%d"):format(host, server.port)
        for _, place in ipairs {
          { client = { api_key = key } }, { client = { api_key = key, unix_socket = unix.unix_socket } },
          { client = { api_key = function() return key end } }, { client = {}, call = { api_key = key } },
          { client = { api_key = function() return key end, proxy = server.url } },
          { client = { unix_socket = unix.unix_socket }, call = { api_key = key } },
        } do
          local made, client = pcall(payments.client, { url = base }, place.client)
          if made then
            local record, err = client:report_payment(PAYMENT, place.call)
            assert.is_nil(record)
            assert.same({ "validation_error", "not_sent" }, { err.type, err.outcome })
            assert.is_nil((client:start("report_payment", PAYMENT, place.call):result()))
            client:step()
          end
          refused = refused + 1
        end
      end
    end
    assert.equal(54, refused)
    assert.same({ {}, {} }, { server:connections(), unix:connections() })
  end)

  it("goes over TLS, to loopback, too", function()
    local server = servers.start { tls = true }
    for i, key in ipairs(KEYS) do
      assert(payments.client(server, { api_key = key }):report_payment(PAYMENT))
      assert.equal("Bearer " .. key, server:requests()[i].header.authorization)
    end
  end)
end)

describe("the password of a proxy", function()
  it("is in no error, also where libcurl repeats the proxy that it cannot read", function()
    local server, refusing = servers.start { tls = true }, servers.proxy(407)
    local at = "user:hunter2@"
    for _, proxy in ipairs {
      "http://" .. at .. "[bad", "bad://" .. at .. "host", "http://" .. at .. "host:99999", at .. "@@",
      "http://" .. at .. "ho st:1", "http://:hunter2@:1", "http://" .. at .. "nonexistent.invalid:1",
      "http://" .. at .. "127.0.0.1:1", "socks5://" .. at .. "127.0.0.1:1", "https://" .. at .. "127.0.0.1:1",
      "http://" .. at .. refusing.url:match "//(.*)",
    } do
      local record, err = payments.client(server, { proxy = proxy }):report_payment(PAYMENT)
      assert.is_nil(record)
      assert.equal("not_sent", err.outcome)
      assert.is_nil(canary.everything(err):find("hunter2", 1, true), err.message)
    end
    assert.equal(1, #refusing:requests())
    assert.equal(0, #server:connections())
  end)
end)

describe("a redirect", function()
  it("is not followed: 30 combinations, and nobody else hears of it", function()
    local other, server = servers.start(), servers.start()
    local secure = servers.start { tls = true }
    local TARGETS = {
      other.url .. "/v1/payment_records/pr_1", other.url:gsub("127.0.0.1", "localhost") .. "/",
      "//" .. other.url:match "//(.*)" .. "/v1/payment_records",
    }
    local combinations = 0
    for _, origin in ipairs { server, secure } do
      for _, status in ipairs { 301, 302, 303, 307, 308 } do
        for _, target in ipairs(TARGETS) do
          combinations = combinations + 1
          local headers = { Location = target, Refresh = "0; url=" .. target, ["Content-Location"] = target }
          origin:play { { status = status, headers = headers, body = "" } }
          local client = payments.client(origin, { max_retries = 2 })
          local _, err = client:report_payment(PAYMENT)
          assert.same({ "response_error", "unknown", status, 1 }, { err.type, err.outcome, err.status, err.attempts })
          local _, read = client:retrieve_payment_record "pr_1"
          assert.same({ "response_error", status, 1 }, { read.type, read.status, read.attempts })
          assert.equal(2, #origin:requests())
        end
      end
    end
    assert.equal(30, combinations)
    assert.equal(0, #other:connections())
  end)
end)

describe("the request that follows", function()
  -- All that may make a client do something else the next time
  local SEEDS = {
    ["Set-Cookie"] = "session=evil; Path=/; HttpOnly", ["Set-Cookie2"] = "a=b", ["Alt-Svc"] = 'h2="evil.example:443"',
    ["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains", ["Public-Key-Pins"] = "max-age=1",
    ["WWW-Authenticate"] = 'Basic realm="x", Digest realm="x", nonce="y", qop="auth", NTLM, Negotiate',
    ["Proxy-Authenticate"] = "NTLM, Negotiate", ["Authentication-Info"] = 'nextnonce="z"', ["ETag"] = '"x"',
    ["Last-Modified"] = "Mon, 01 Jan 2024 00:00:00 GMT", ["Cache-Control"] = "max-age=1000", ["Refresh"] = "1",
    ["Link"] = "</x>; rel=preload", ["Accept-CH"] = "DPR", ["Upgrade"] = "h2c", ["Content-Language"] = "xx",
    ["Clear-Site-Data"] = '"*"', ["Retry-After"] = "0", ["Server"] = "evil", ["X-Stripe-Account"] = "acct_evil",
  }

  for _, tls in ipairs { false, true } do
    it("is the same to the byte, whatever the last answer has said: " .. (tls and "https" or "http"), function()
      local server = tls and servers.start { tls = true } or playing()
      for _, status in ipairs { 200, 401, 403, 407, 426, 429, 503 } do
        server:play { { status = status, headers = SEEDS }, { status = status, headers = SEEDS }, {} }
        local client = payments.client(server)
        for _ = 1, 3 do client:report_payment(PAYMENT, { idempotency_key = "order-1" }) end
        client:retrieve_payment_record "pr_1"
        local requests = server:requests()
        assert.equal(4, #requests)
        for i = 2, 3 do assert.same({ requests[1].head, requests[1].body }, { requests[i].head, requests[i].body }) end
        for _, name in ipairs { "cookie", "cookie2", "if-none-match", "if-modified-since", "upgrade", "alt-used" } do
          assert.is_nil(requests[4].header[name])
        end
        client:close()
      end
    end)
  end
end)

describe("a flood", function()
  local MIB = 2 ^ 20
  local FLOODS = {
    ["a body of 64 MiB"] = { big_body = 64 * MIB },
    ["a body of 64 MiB in chunks"] = { big_body = 64 * MIB, chunked = true },
    ["a body of 64 MiB without a length"] = { big_body = 64 * MIB, content_length = false },
    ["a million headers"] = { header_count = 1000000 },
    ["a header of 16 MiB"] = { header_bytes = 16 * MIB },
    ["a length of 10^18"] = { content_length = "1000000000000000000", body = "{}", after = "close" },
    ["a status line of 8 MiB"] = { raw = "HTTP/1.1 200 " .. ("x"):rep(8 * MIB) },
    ["lines without an end"] = { raw = ("x"):rep(8 * MIB) },
    ["a chunk's extension of 8 MiB"] = {
      raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" .. ("x"):rep(8 * MIB) },
    ["headers after the last chunk"] = {
      raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" .. ("X-A: b\r\n"):rep(MIB) },
    ["answers of 103 without an end"] = {
      raw = ("HTTP/1.1 103 Early\r\nLink: " .. ("x"):rep(1000) .. "\r\n\r\n"):rep(16000) },
  }

  for name, step in pairs(FLOODS) do
    it(("is cut at max_response_bytes, and the process grows by little more: %s"):format(name), function()
      if step.raw then step.after = "close" end
      local server = servers.start { by_path = { flood = { step } } }
      for _, cap in ipairs { 65536, 4194304 } do
        -- AddressSanitizer would keep what has been freed, for a while.
        local output, status = files.capture(([[
          ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=0:thread_local_quarantine_size_kb=0 "$LUA" \
          spec/security/flood.lua %s %d 2>&1]]):format(server.url, cap))
        assert(status == 0, output)
        local grown, kind = output:match "grown=(%d+) type=([%w_]+)"
        assert(kind == "response_error" or kind == "connection_error", output)
        assert(VALGRIND or tonumber(grown) * 1024 <= cap + MIB, output)
      end
      server:stop()
    end)
  end
end)

describe("a key", function()
  -- Says whose key each request should have, in its metadata; the keys are of different lengths.
  local function key_of(number) return "sk_test_" .. number .. ("k"):rep(number % 17) end

  local function payment_of(number)
    local payment = samples.copy(PAYMENT)
    payment.metadata = { owner = tostring(number) }
    return payment
  end

  local function check(requests, count)
    assert.equal(count, #requests)
    for _, request in ipairs(requests) do
      local owner = request.body:match "metadata%[owner%]=(%d+)" or request.path:match "owner(%d+)"
      assert.equal("Bearer " .. key_of(tonumber(owner)), request.header.authorization)
      assert.equal(request.body ~= "" and "acct_" .. owner or nil, request.header["stripe-account"])
    end
  end

  local ROUNDS = math.floor(2500 / effort.EVERY)
  it("is on no other's request: two clients and keys per call, " .. 4 * ROUNDS .. " calls together", function()
    local server = servers.start()
    local number = 0
    local rotating = payments.client(server, { api_key = function() return key_of(number) end, max_retries = 2 })
    local fixed = payments.client(server, { api_key = key_of(0), max_retries = 2 })
    local calls = {}
    for i = 1, ROUNDS do
      number = i
      calls[#calls + 1] = rotating:start("report_payment", payment_of(i), { stripe_account = "acct_" .. i })
      calls[#calls + 1] = rotating:start("retrieve_payment_record", "owner" .. i)
      calls[#calls + 1] = fixed:start("report_payment", payment_of(i + 5000),
        { api_key = key_of(i + 5000), stripe_account = "acct_" .. i + 5000 })
      calls[#calls + 1] = fixed:start("retrieve_payment_record", "owner0")
      if i % 100 == 0 then
        rotating:step()
        fixed:step()
      end
    end
    while rotating:step(0.01) + fixed:step(0.01) > 0 do end -- luacheck: ignore 542
    for _, call in ipairs(calls) do assert(call:result()) end
    check(server:requests(), 4 * ROUNDS)
  end)

  it("is on no other's request over HTTP/2, where they may share connections: 2,000 calls", function()
    local client = payments.client(servers.nginx(true), { max_in_flight = 200, max_retries = 5 })
    local calls = {}
    for i = 1, 2000 do
      local options = { api_key = key_of(i), stripe_account = "acct_" .. i }
      calls[i] = i % 2 == 0 and client:start("retrieve_payment_record", "echo", nil, options)
        or client:start("report_refund", "echo", samples.full.report_refund(), options)
    end
    while client:step(0.1) > 0 do end -- luacheck: ignore 542
    for i, call in ipairs(calls) do
      local record = assert(call:result())
      assert.same({ "HTTP/2.0", "Bearer " .. key_of(i), "acct_" .. i },
        { record.protocol, record.authorization, record.account })
    end
  end)

  it("of a function goes out once, with the call that it was asked for", function()
    local asked = 0
    local server = playing { { status = 503, headers = { ["Retry-After"] = "0" }, body = "" }, {} }
    local client = payment_records.new { api_base = server.url, max_retries = 2, api_key = function()
      asked = asked + 1
      return key_of(asked)
    end }
    for i = 1, 3 do assert(client:report_payment(payment_of(i), { stripe_account = "acct_" .. i })) end
    client:close()
    check(server:requests(), 4)
    assert.equal(3, asked)
  end)
end)
