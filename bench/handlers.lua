--- The handlers that are compared: each reports a payment, and answers with the record's id.
-- luacheck: std ngx_lua

local cosockets = require "bench.cosockets"
local payload = require "bench.payloads".example
local payment_records = require "payment_records"

-- So many requests come in at once, and as many go out. By default a client has 64 in flight.
local CONNECTIONS = tonumber(os.getenv "CONNECTIONS")
local TLS, HTTP2, CA_FILE = os.getenv "TLS", os.getenv "HTTP2", os.getenv "CA_FILE"

local function client(url)
  return payment_records.new {
    api_key = "sk_test_123", api_base = url, ca_file = CA_FILE, max_in_flight = CONNECTIONS, max_retries = 0,
  }
end

local function answer(record, err)
  if not record then
    ngx.log(ngx.ERR, tostring(err))
    return ngx.exit(502)
  end
  ngx.say(record.id)
end

local over_tls, over_http2 = client(TLS), client(HTTP2)
local upstream = {
  api_key = "sk_test_123", host = "localhost", address = "127.0.0.1", port = tonumber(TLS:match "%d+$"),
  connections = CONNECTIONS,
}
local poster = cosockets.new(upstream)

local handlers = {}

function handlers.payment_records()
  answer(over_tls:report_payment(payload))
end

function handlers.payment_records_http2()
  answer(over_http2:report_payment(payload))
end

function handlers.cosockets()
  answer(poster:report_payment(payload))
end

if os.getenv "RESTY_HTTP" then
  local resty_http = require("bench.resty_http").new(upstream)
  function handlers.resty_http()
    answer(resty_http:report_payment(payload))
  end
end

local begun = 0
for name, handler in pairs(handlers) do
  handlers[name] = function()
    begun = begun + 1
    handler()
  end
end

---How many requests have reached one of them.
function handlers.begun() return begun end

return handlers
