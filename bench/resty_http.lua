--- The same call by lua-resty-http, the usual client under nginx, with the form encoder of by_hand.lua. It keeps a pool
--- of connections, whose TLS it verifies. The library is not on every machine: RESTY_HTTP names its lib directory.
-- luacheck: std ngx_lua

local by_hand = require "bench.by_hand"
local cjson = require "cjson.safe"
local http = require "resty.http"

local TIMEOUT = 80000 -- milliseconds
local KEPT = 60000

local Poster = {}
Poster.__index = Poster

---The options are those of bench/cosockets.lua.
local function new(options)
  return setmetatable({
    next_key = by_hand.new_keys(),
    connection = {
      scheme = "https", host = options.address, port = options.port, ssl_server_name = options.host, ssl_verify = true,
      pool = "resty_http", pool_size = options.connections,
    },
    headers = {
      ["Host"] = options.host .. ":" .. options.port,
      ["Authorization"] = "Bearer " .. options.api_key,
      ["Stripe-Version"] = "2026-09-30.endive",
      ["Content-Type"] = "application/x-www-form-urlencoded",
    },
  }, Poster)
end

function Poster:exchange(client, body)
  local headers = { ["Idempotency-Key"] = self.next_key() }
  for name, value in pairs(self.headers) do headers[name] = value end
  local response, err = client:request {
    method = "POST", path = "/v1/payment_records/report_payment", headers = headers, body = body,
  }
  if not response then return nil, err end
  return response.status, response:read_body()
end

---@return table|nil record
---@return string|nil err
function Poster:report_payment(params)
  local client = http.new()
  client:set_timeouts(TIMEOUT, TIMEOUT, TIMEOUT)
  local connected, err = client:connect(self.connection)
  if not connected then return nil, err end
  local status, answer = self:exchange(client, by_hand.encode(params))
  client:set_keepalive(KEPT, self.connection.pool_size)
  if status ~= 200 then return nil, "status " .. tostring(status) .. ": " .. tostring(answer) end
  return cjson.decode(answer)
end

return { new = new }
