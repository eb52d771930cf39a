--- The test servers really do what the other specs rely on, seen with the curl command.

local cjson = require "cjson"
local files = require "spec.support.files"
local servers = require "spec.support.servers"

-- What curl's exit codes mean here
local OK, HTTP09, CONNECT, PARTIAL, TIMEOUT, TLS, EMPTY, RECEIVE, CERTIFICATE = 0, 1, 7, 18, 28, 35, 52, 56, 60
local TOO_LARGE_HEADER, SEND = 27, 55

---Posts a form with curl: exit code, status of the answer (0: none), its body.
local function post(server, arguments, path)
  local command = ("curl -q -s --noproxy '*' --max-time 10 --cacert %s %s -d amount=1 -w '\n%%{http_code}' %s%s")
    :format(server.ca_file, arguments or "", server.url, path or "/v1/things")
  local output, code = files.capture(command)
  local body, status = output:match "^(.*)\n(%d+)$"
  return code, tonumber(status), body
end

local QUICK = "--max-time 1"

local EARLY = { [CONNECT] = CONNECT, [SEND] = SEND, [RECEIVE] = RECEIVE } -- how far curl has come by then

-- name, options of the server, curl's exit code (or those that it may be), the status it saw, arguments of curl
local faults = {
  { "closes a connection as it comes", { steps = { { when = "accept", fault = "close" } } }, EMPTY, 0 },
  { "resets a connection as it comes", { steps = { { when = "accept", fault = "reset" } } }, EARLY, 0 },
  { "accepts and never answers", { steps = { { when = "accept", fault = "stall" } } }, TIMEOUT, 0, QUICK },
  { "closes after the request", { steps = { { fault = "close" } } }, EMPTY, 0 },
  { "resets after the request", { steps = { { fault = "reset" } } }, RECEIVE, 0 },
  { "resets before the body is read", { steps = { { when = "headers", fault = "reset" } } }, RECEIVE, 0 },
  { "stalls after the request", { steps = { { fault = "stall" } } }, TIMEOUT, 0, QUICK },
  { "delays the answer", { steps = { { delay = 5 } } }, TIMEOUT, 0, QUICK },
  { "delays the middle of the body", { steps = { { delay_body = 5 } } }, TIMEOUT, 200, QUICK },
  { "stalls in the headers", { steps = { { cut = "headers", after = "stall" } } }, TIMEOUT, 200, QUICK },
  { "cuts the status line", { steps = { { cut = "status" } } }, EMPTY, 0 },
  { "cuts the headers, which libcurl calls success", { steps = { { cut = "headers" } } }, OK, 200 },
  { "cuts the body", { steps = { { cut = "body" } } }, PARTIAL, 200 },
  { "cuts a chunked body", { steps = { { cut = "body", chunked = true } } }, PARTIAL, 200 },
  { "resets in the body", { steps = { { cut = "body", after = "reset" } } }, RECEIVE, 200 },
  { "promises too long a body", { steps = { { content_length = 10000, after = "close" } } }, PARTIAL, 200 },
  { "promises too short a body", { steps = { { content_length = 10 } } }, OK, 200 },
  { "sends a broken chunk", { steps = { {
    raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", after = "close",
  } } }, RECEIVE, 200 },
  { "sends garbage", { steps = { { raw = "garbage\r\n\r\n", after = "close" } } }, HTTP09, 0 },
  { "sends a huge header", { steps = { { header_bytes = 110000 } } }, TOO_LARGE_HEADER, 200 },
  { "sends too many headers", { steps = { { header_count = 20000 } } }, RECEIVE, 200 },
  { "cuts the body over TLS", { tls = true, steps = { { cut = "body" } } }, PARTIAL, 200 },
  { "resets after the request over TLS", { tls = true, steps = { { fault = "reset" } } }, RECEIVE, 0 },
  { "has a certificate nobody signed", { tls = "self_signed" }, CERTIFICATE, 0 },
  { "has an expired certificate", { tls = "expired" }, CERTIFICATE, 0 },
  { "has the certificate of another host", { tls = "wrong_host" }, CERTIFICATE, 0 },
  { "cuts the TLS handshake", { tls = "cut" }, TLS, 0 },
  { "stalls in the TLS handshake", { tls = "stall" }, TIMEOUT, 0, QUICK },
  { "speaks TLS 1.1 only", { tls = "old" }, TLS, 0 },
  { "speaks plain HTTP where TLS is expected", { tls = "plain" }, TLS, 0 },
  { "refuses connections", { listener = "refuse" }, CONNECT, 0 },
  { "lets connecting hang", { listener = "black_hole" }, TIMEOUT, 0, QUICK },
}

describe("the fault server", function()
  after_each(servers.stop_all)

  for _, fault in ipairs(faults) do
    local name, options, expected_code, expected_status, arguments = fault[1], fault[2], fault[3], fault[4], fault[5]
    it(name, function()
      local code, status = post(servers.start(options), arguments)
      local allowed = type(expected_code) == "table" and expected_code[code] or expected_code
      assert.same({ allowed, expected_status }, { code, status })
    end)
  end

  it("answers every request with a payment record when it has no script", function()
    local code, status, body = post(servers.start())
    assert.same({ OK, 200 }, { code, status })
    assert.equal("payment_record", cjson.decode(body).object)
  end)

  it("answers over TLS with a certificate of the test CA, for the name and the address", function()
    local server = servers.start { tls = true }
    assert.equal(OK, (post(server)))
    server.url = server.url:gsub("localhost", "127.0.0.1")
    assert.equal(OK, (post(server)))
    assert.is_true(server:requests()[2].tls)
  end)

  it("listens on a Unix socket", function()
    local server = servers.start { unix = true }
    assert.equal(OK, (post(server, "--unix-socket " .. server.unix_socket)))
    assert.equal(1, #server:requests())
  end)

  it("logs what was sent before it answers", function()
    local server = servers.start { steps = { { fault = "reset" } } }
    post(server, "-H 'X-Trace: a' -H 'X-Trace: b'", "/v1/things?x=%5B1%5D")
    local request = server:requests()[1]
    assert.equal("POST", request.method)
    assert.equal("/v1/things?x=%5B1%5D", request.path)
    assert.equal("amount=1", request.body)
    assert.equal("application/x-www-form-urlencoded", request.header["content-type"])
    assert.is_true(request.complete)
    assert.is_false(request.tls)
    local traces = {}
    for _, pair in ipairs(request.headers) do
      if pair[1] == "X-Trace" then traces[#traces + 1] = pair[2] end
    end
    assert.same({ "a", "b" }, traces)
  end)

  it("logs a request that its client left in the middle", function()
    local server = servers.start()
    post(server, QUICK .. " -H 'Content-Length: 100'")
    files.shell "sleep 0.2"
    local request = server:requests()[1]
    assert.is_false(request.complete)
    assert.equal("amount=1", request.body)
  end)

  it("logs bytes as they are", function()
    local server = servers.start { steps = { { body = "\255\195\164" } } }
    local _, _, body = post(server, "--data-binary $'x' -d '\255\195\164'")
    assert.equal("\255\195\164", body)
    assert.truthy(server:requests()[1].body:find("\255\195\164", 1, true))
  end)

  it("takes the steps in order and repeats the last one", function()
    local server = servers.start { steps = { { status = 500 }, { status = 409 }, { status = 402 } } }
    local seen = {}
    for i = 1, 4 do seen[i] = select(2, post(server)) end
    assert.same({ 500, 409, 402, 402 }, seen)
  end)

  it("sends headers, repeated ones too, and interim answers", function()
    local headers = { { "Request-Id", "req_1" }, { "Retry-After", "1" }, { "Retry-After", "2" } }
    local server = servers.start { steps = { { headers = headers, interim = { 100, 103 } } } }
    local code, _, output = post(server, "-i")
    assert.equal(OK, code)
    for _, line in ipairs { "HTTP/1.1 100", "HTTP/1.1 103", "Request-Id: req_1", "Retry-After: 1", "Retry-After: 2" } do
      assert.truthy(output:find("\n" .. line, 1, true) or output:find(line, 1, true) == 1, line)
    end
  end)

  it("sends two lengths", function()
    local server = servers.start { steps = { { content_length = { 1000, 10 }, after = "close" } } }
    local _, _, output = post(server, "-i")
    assert.truthy(output:find("Content-Length: 1000\r\nContent-Length: 10\r\n", 1, true))
  end)

  for _, tls in ipairs { false, true } do
    it("ends a body without a length by closing" .. (tls and " over TLS" or ""), function()
      local server = servers.start { tls = tls, steps = { { body = "no length", content_length = false } } }
      local code, _, body = post(server)
      assert.same({ OK, "no length" }, { code, body })
    end)
  end

  it("sends chunks, slices and big bodies whole", function()
    local server = servers.start { steps = {
      { body = "in two chunks", chunked = true }, { body = "byte by byte", slice = 1 }, { big_body = 5000000 },
    } }
    assert.equal("in two chunks", (select(3, post(server))))
    assert.equal("byte by byte", (select(3, post(server))))
    assert.equal(5000000, #select(3, post(server)))
  end)

  it("answers before the body has been sent", function()
    local server = servers.start { steps = { { when = "headers", status = 413, after = "close" } } }
    local code, status = post(server)
    assert.same({ OK, 413 }, { code, status })
    assert.is_false(server:requests()[1].complete)
  end)

  it("keeps connections", function()
    local server = servers.start()
    post(server, server.url)
    assert.same({ 2, 1 }, { #server:requests(), #server:connections() })
  end)

  it("drops the second request of a connection, which curl sends again unasked", function()
    local server = servers.start { drop_on_reuse = true }
    local code = post(server, server.url)
    assert.equal(OK, code)
    local connections = {}
    for i, request in ipairs(server:requests()) do connections[i] = request.connection end
    assert.same({ 1, 1, 2 }, connections)
  end)

  it("refuses connections from a step on", function()
    local server = servers.start { steps = { {}, { close_listener = true, fault = "close" } } }
    assert.equal(CONNECT, (post(server, server.url)))
    assert.equal(2, #server:requests())
  end)

  it("holds a closed port", function()
    local server = { url = "http://127.0.0.1:" .. servers.closed_port(), ca_file = "/dev/null" }
    assert.equal(CONNECT, (post(server)))
  end)

  it("is gone after stop, with its files", function()
    local server = servers.start()
    server:stop()
    assert.equal(CONNECT, (post(server)))
    assert.same({}, server:requests())
    assert.is_false(files.shell(("test -e '%s'"):format(server.directory)))
  end)
end)
