--- S-01: whatever goes wrong, the API key is in nothing that a program can see, print or log.

local canary = require "spec.security.canary"
local cjson = require "cjson"
local files = require "spec.support.files"
local servers = require "spec.support.servers"

local KEY = canary.KEY

local function error_body(fields)
  return cjson.encode { error = fields }
end

-- What a server may do with the key that it was sent
local ANSWERS = {
  { status = 401, body = error_body { type = "invalid_request_error", message = "Invalid API Key: " .. KEY } },
  { status = 401, body = error_body { message = KEY .. KEY .. " " .. KEY, code = KEY, param = KEY, doc_url = KEY } },
  { status = 400, body = error_body { [KEY] = "x", message = "m", inner = { [KEY] = { KEY }, list = { KEY, KEY } } } },
  { status = 400, body = cjson.encode { error = KEY, error_description = KEY } },
  { status = 400, headers = { ["Request-Id"] = KEY, ["X-" .. KEY] = KEY }, body = error_body { message = "m" } },
  { status = 402, headers = { { "X-A", KEY }, { "X-A", KEY }, { "Request-Id", "x" .. KEY } }, body = "{}" },
  { status = 402, headers = { ["X-" .. KEY:upper()] = "x", [KEY:lower()] = KEY:upper() }, body = KEY:upper() },
  { status = 429, body = KEY }, { status = 500, body = KEY }, { status = 503, body = '"' .. KEY .. '"' },
  { status = 502, body = "<pre>Authorization: Bearer " .. KEY .. "</pre>" },
  { status = 502, body = ("x"):rep(490) .. KEY }, { status = 502, body = ("x"):rep(499 - #KEY) .. KEY .. KEY },
  { status = 404, body = error_body { message = ("x"):rep(1015) .. KEY } },
  { status = 400, body = error_body { message = ("x"):rep(1024 - 20) .. KEY } },
  { status = 409, body = ("["):rep(2000) .. KEY }, { status = 400, body = error_body { message = { KEY }, type = 1 } },
  { status = 200, body = KEY }, { status = 200, body = '{"id":"' .. KEY }, { status = 204, body = "" },
  { status = 200, body = cjson.encode { object = "charge", id = KEY } }, { status = 200, body = "[]" },
  { status = 301, headers = { Location = "http://127.0.0.1/" .. KEY }, body = KEY },
  { status = 307, headers = { Location = "https://" .. KEY .. "@127.0.0.1/" }, body = "" },
  { status = 401, headers = { ["WWW-Authenticate"] = 'Basic realm="' .. KEY .. '"' }, body = "" },
  { status = 407, headers = { ["Proxy-Authenticate"] = 'Basic realm="' .. KEY .. '"' }, body = "" },
  { fault = "close" }, { fault = "reset" }, { cut = "headers", headers = { ["X-Key"] = KEY } },
  { cut = "body", body = '{"error":"' .. KEY .. KEY }, { cut = "status" },
  { raw = KEY .. "\r\n\r\n" }, { raw = "HTTP/1.1 " .. KEY .. "\r\n\r\n" },
  { raw = "HTTP/9.9 200 " .. KEY .. "\r\n\r\n" },
  { raw = "HTTP/1.1 200 OK\r\nContent-Length: " .. KEY .. "\r\n\r\n" },
  { raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: " .. KEY .. "\r\n\r\n" .. KEY },
  { raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. KEY .. "\r\n" },
  { raw = "HTTP/1.1 200 OK\r\nContent-Encoding: " .. KEY .. "\r\nContent-Length: 2\r\n\r\n{}" },
  { status = 400, headers = { ["Stripe-Should-Retry"] = KEY, ["Retry-After"] = KEY }, body = "{}" },
  { header_bytes = 300000 }, { big_body = 5000000 },
}

describe("the API key", function()
  teardown(servers.stop_all)

  it("is in no error, event, traceback, tostring or output", function()
    local by_path = {}
    for n, answer in ipairs(ANSWERS) do by_path["/case" .. n .. "x"] = { answer } end
    local server = servers.start { by_path = by_path, steps = { ANSWERS[1] } }
    local output, status = files.capture(('"$LUA" spec/security/leaks.lua %s http://127.0.0.1:%d %d 2>&1')
      :format(server.url, servers.closed_port(), #ANSWERS))
    local cases = tonumber(output:match "done: (%d+) cases\n$")
    assert(status == 0 and cases, canary.mask(output:sub(-2000)))
    assert(cases >= 200, cases)
    local leaks, case = {}, "none"
    for line in output:gmatch "[^\n]+" do
      case = line:match "^case .*" or case
      if canary.count(line) > 0 then leaks[#leaks + 1] = case .. ": " .. canary.mask(line):sub(1, 500) end
    end
    assert.same({}, leaks)
    assert.equal(0, canary.count(output))
    for _, request in ipairs(server:requests()) do
      assert.equal("Bearer " .. KEY, request.header.authorization)
      assert.equal(0, canary.count(request.path))
    end
    assert.truthy(#server:requests() >= 3 * #ANSWERS)
  end)
end)
