-- The sandbox as a server: examples/sandbox/run, nginx, HTTP/1.1, HTTPS with HTTP/2, driven by curl.

local cjson = require "cjson"

--- Runs a command; returns what it printed and its exit code.
local function shell(command)
  local pipe = io.popen(command .. "; echo ' '$?")
  local output = pipe:read "*a"
  pipe:close()
  local text, code = output:match "^(.*) (%d+)\n$"
  return text, tonumber(code)
end

local function read_file(path)
  local file = io.open(path)
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

local MISSING = { "nginx is missing", "openssl is missing", 'unknown directive "lua_package_path"' }

local function is_missing(log)
  for _, text in ipairs(MISSING) do
    if log:find(text, 1, true) then return true end
  end
end

local function is_running(pid)
  return select(2, shell("kill -0 " .. pid .. " 2>/dev/null")) == 0
end

--- Starts a server and waits for its addresses; returns them, or nil and what it printed.
local function start(options)
  local directory = shell("mktemp -d"):gsub("%s+$", "")
  local ready, log = directory .. "/ready", directory .. "/log"
  local command = "examples/sandbox/run --ready %s --unix %s/socket %s >%s 2>&1 & echo $!"
  local pid = shell(command:format(ready, directory, options or "", log)):match "%d+"
  while not read_file(ready) and is_running(pid) and (read_file(log) or "") == "" do os.execute "sleep 0.02" end
  local server = { directory = directory, ready = ready, log = log }
  for name, value in (read_file(ready) or ""):gmatch "([%w_]+)=([^\n]+)" do server[name] = value end
  if server.pid then return server end
  local printed = read_file(log)
  os.execute("rm -rf " .. directory)
  return nil, printed
end

--- The file with the addresses is the last thing a server removes.
local function stop(server)
  os.execute("kill " .. server.pid)
  while read_file(server.ready) do os.execute "sleep 0.02" end
end

local function curl(arguments)
  return shell("curl --no-progress-meter --max-time 60 -u sk_test_sandbox: " .. arguments .. " 2>&1")
end

local PAY = "/v1/payment_records/report_payment"
local FORM = " -d 'amount_requested[currency]=usd' -d 'amount_requested[value]=1000' -d initiated_at=1"
  .. " -d 'payment_method_details[type]=custom'"

describe("the sandbox server", function()
  local server, missing

  setup(function()
    local printed
    server, printed = start()
    if not server then
      assert(is_missing(printed), "the server did not start: " .. printed)
      missing = "the sandbox server needs nginx with its Lua module, and openssl: " .. printed
    end
  end)

  teardown(function()
    if server then
      stop(server)
      os.execute("rm -rf " .. server.directory)
    end
  end)

  before_each(function()
    if server then curl("-X POST " .. server.http .. "/_sandbox/reset") end
  end)

  --- A test that is pending where there is no nginx.
  local function served(name, test)
    it(name, function()
      if missing then pending(missing) end
      test()
    end)
  end

  local function control(call, arguments)
    local text = curl(server.http .. "/_sandbox/" .. call .. " -w '%{http_code}' " .. (arguments or ""))
    local body, status = text:match "^(.*)(%d%d%d)$"
    return tonumber(status), body ~= "" and cjson.decode(body) or nil
  end

  local function https(path, arguments)
    return curl("--cacert " .. server.ca_file .. " " .. server.https .. path .. " " .. (arguments or ""))
  end

  local ways = {
    { "HTTP/1.1 without TLS", function(...) return curl(server.http .. table.concat { ... }) end, "1.1" },
    { "HTTP/2 over TLS", https, "2" },
    { "HTTP/1.1 over TLS", function(path, rest) return https(path, "--http1.1" .. rest) end, "1.1" },
    { "a Unix socket", function(path, rest)
      return curl("--unix-socket " .. server.unix .. " http://localhost" .. path .. rest)
    end, "1.1" },
  }
  for _, way in ipairs(ways) do
    served("reports a payment over " .. way[1], function()
      local text = way[2](PAY, FORM .. " -w ' %{http_version} %{http_code}'")
      local body, version, status = text:match "^(.*) (%S+) (%d+)$"
      assert.equal(way[3], version)
      assert.equal("200", status)
      assert.equal(1000, cjson.decode(body).amount_requested.value)
    end)
  end

  served("is verified as 127.0.0.1, too", function()
    local address = server.https:gsub("localhost", "127.0.0.1")
    local text, code = curl("--cacert " .. server.ca_file .. " " .. address .. "/v1/payment_records")
    assert.equal(0, code)
    assert.equal("list", cjson.decode(text).object)
  end)

  served("keeps one set of records for all its addresses", function()
    local key = " -H 'Idempotency-Key: key-1'"
    local first = curl(server.http .. PAY .. FORM .. key)
    local second = https(PAY, FORM .. key .. " -D " .. server.directory .. "/headers")
    assert.equal(first, second)
    assert.matches("idempotent%-replayed: true", read_file(server.directory .. "/headers"))
    assert.equal(1, #cjson.decode((https "/v1/payment_records")).data)
  end)

  served("reads a body that is large", function()
    local body = FORM .. " -d 'description=" .. ("x"):rep(5000) .. "' -d 'zzz=" .. ("y"):rep(100000) .. "'"
    assert.equal("zzz", cjson.decode((curl(server.http .. PAY .. body))).error.param)
    assert.equal("zzz", cjson.decode((https(PAY, body))).error.param)
  end)

  served("answers errors as they are", function()
    local text = curl(server.http .. "/v1/payment_records/pr_1?expand[]=a --globoff -w '%{http_code}'")
    local body, status = text:match "^(.*)(%d%d%d)$"
    assert.equal("404", status)
    assert.equal("resource_missing", cjson.decode(body).error.code)
  end)

  served("keeps a connection for many requests", function()
    local connections = curl(("%s/v1/payment_records -o /dev/null -w '%%{num_connects}' "):format(server.http):rep(30))
    assert.equal("1" .. ("0"):rep(29), connections)
  end)

  served("closes the connection when an answer is to be lost", function()
    assert.equal(204, (control("fail_next", "-d fault=lost_answer")))
    local _, code = curl(server.http .. PAY .. FORM)
    assert.equal(52, code) -- empty reply from server
    assert.equal(1, #cjson.decode((curl(server.http .. "/v1/payment_records"))).data)
  end)

  served("closes the stream when a request is to be lost over HTTP/2", function()
    control("fail_next", "-d fault=lost_request")
    local _, code = https(PAY, FORM)
    assert.not_equal(0, code)
    assert.equal(0, #cjson.decode((https "/v1/payment_records")).data)
  end)

  served("takes a fault as a form", function()
    local fault = "-d status=503 -d message=busy -d executed=true -d 'headers[Retry-After]=3'"
    assert.equal(204, (control("fail_next", fault)))
    local text = curl(server.http .. PAY .. FORM .. " -i")
    assert.matches("^HTTP/1.1 503", text)
    assert.matches("Retry%-After: 3", text)
    assert.matches('"message":"busy"', text, 1, true)
    assert.equal(1, #cjson.decode((curl(server.http .. "/v1/payment_records"))).data)
  end)

  served("takes a fault as JSON", function()
    local json = " -H 'Content-Type: application/json' -d "
    local status, refusal = control("fail_next", json .. [['{"status":502,"body":"<html>"}']])
    if refusal and refusal.error.message:find("lua-cjson", 1, true) then pending(refusal.error.message) end
    assert.equal(204, status)
    assert.equal("<html>", (curl(server.http .. "/v1/payment_records")))
    assert.equal(204, (control("fail_next", json .. [['{"fault":"lost_answer"}']])))
    assert.equal(52, select(2, curl(server.http .. "/v1/payment_records")))
    assert.equal(400, (control("fail_next", json .. "'{'")))
  end)

  served("refuses a wrong fault and an unknown control call", function()
    local status, answer = control("fail_next", "-d status=50")
    assert.equal(400, status)
    assert.matches("status must be an integer", answer.error.message)
    status, answer = control("fail_next", "-d status=500 -d executed=yes")
    assert.equal(400, status)
    assert.matches("executed must be a boolean", answer.error.message)
    assert.equal(204, (control("fail_next", "-d status=500 -d executed=false")))
    assert.equal(404, (control "unknown"))
    assert.equal(404, (control "reset"))
  end)

  served("shows the requests it has seen, and forgets them", function()
    local _, none = control "requests"
    assert.same({}, none)
    https(PAY, FORM .. " -H 'Idempotency-Key: key-1'")
    local _, requests = control "requests"
    assert.equal(1, #requests)
    assert.equal(PAY, requests[1].path)
    assert.equal("key-1", requests[1].idempotency_key)
    assert.equal("1000", requests[1].params.amount_requested.value)
    assert.equal(204, (control("reset", "-X POST")))
    assert.same({}, select(2, control "requests"))
  end)

  served("cleans up when it is killed", function()
    local other = start()
    stop(other)
    assert.is_nil(read_file(other.ca_file))
    assert.is_nil(read_file(other.ready))
    assert.equal("", read_file(other.log))
    assert.equal(7, select(2, curl(other.http .. "/v1/payment_records"))) -- connection refused
    assert.equal(0, select(2, shell("rmdir " .. other.directory .. " 2>/dev/null || rm -r " .. other.directory)))
  end)

  served("says that a port is taken", function()
    local ports = ("--http-port %s --https-port %s"):format(server.http:match "%d+$", server.https:match "%d+$")
    local other, printed = start(ports)
    assert.is_nil(other)
    assert.matches("nginx does not start", printed)
  end)

  served("is not kept from its socket by an attempt that found a port taken", function()
    local other, printed = start("--http-port " .. server.http:match "%d+$")
    assert.is_nil(other)
    assert.matches("127.0.0.1:" .. server.http:match "%d+$", printed, 1, true)
    assert.is_nil(printed:find("unix:", 1, true), printed)
  end)

  served("has calls in flight where it has a delay", function()
    local slow = start "--delay 1"
    local url = slow.http .. PAY .. FORM .. " -H 'Idempotency-Key: key-1' -o /dev/null -w '%{http_code} '"
    local codes = curl("--parallel --parallel-immediate " .. url .. " --next -u sk_test_sandbox: " .. url)
    stop(slow)
    os.execute("rm -rf " .. slow.directory)
    assert.is_true(codes == "409 200 " or codes == "200 409 ", codes)
  end)
end)
