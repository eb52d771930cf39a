--- The same call without the library: what one would write with nginx's cosockets, a form encoder in Lua, and cjson.
--- HTTP/1.1 over verified TLS, with connections kept. Answers must have a Content-Length, as Stripe's do.
-- luacheck: std ngx_lua

local cjson = require "cjson.safe"

local tcp = ngx.socket.tcp

local TIMEOUT = 80000 -- milliseconds
local KEPT = 60000

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local add_pairs

local function add(parts, name, value)
  if type(value) == "table" then return add_pairs(parts, name, value) end
  parts[#parts + 1] = name .. "=" .. escape(value)
end

-- Sorted, so that the same payment always has the same bytes: its idempotency key demands it.
function add_pairs(parts, prefix, values)
  if #values > 0 then
    for _, value in ipairs(values) do add(parts, prefix .. "[]", value) end
    return
  end
  local names = {}
  for name in pairs(values) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    add(parts, prefix and prefix .. "[" .. escape(name) .. "]" or escape(name), values[name])
  end
end

local function encode(params)
  local parts = {}
  add_pairs(parts, nil, params)
  return table.concat(parts, "&")
end

-- A random start for the worker, and a count.
local function new_keys()
  local source = assert(io.open("/dev/urandom", "rb"))
  local start = source:read(16):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  source:close()
  local count = 0
  return function()
    count = count + 1
    return start .. "-" .. count
  end
end

local Poster = {}
Poster.__index = Poster

local function new(options)
  return setmetatable({
    options = options,
    next_key = new_keys(),
    pool = { pool = "payments", pool_size = options.connections },
    head = table.concat({
      "POST /v1/payment_records/report_payment HTTP/1.1",
      "Host: " .. options.host .. ":" .. options.port,
      "Authorization: Bearer " .. options.api_key,
      "Stripe-Version: 2026-09-30.endive",
      "User-Agent: cosockets",
      "Accept: */*",
      "Content-Type: application/x-www-form-urlencoded",
      "Content-Length: ",
    }, "\r\n"),
  }, Poster)
end

function Poster:connect()
  local socket, options = tcp(), self.options
  socket:settimeouts(TIMEOUT, TIMEOUT, TIMEOUT)
  local connected, err = socket:connect(options.address, options.port, self.pool)
  if not connected then return nil, err end
  if socket:getreusedtimes() == 0 then
    local session
    session, err = socket:sslhandshake(nil, options.host, true)
    if not session then return nil, err end
  end
  return socket
end

local function receive_head(socket)
  local line, err = socket:receive()
  if not line then return nil, err end
  local status, headers = tonumber(line:match "^HTTP/1%.1 (%d%d%d)"), {}
  repeat
    line, err = socket:receive()
    if not line then return nil, err end
    local name, value = line:match "^([^:]+):%s*(.-)%s*$"
    if name then headers[name:lower()] = value end
  until line == ""
  return status, headers
end

local function receive(socket)
  local status, headers = receive_head(socket)
  if not status then return nil, headers or "not an answer" end
  local length = tonumber(headers["content-length"])
  if not length then return nil, "an answer without a length" end
  local body, err = socket:receive(length)
  if not body then return nil, err end
  if headers.connection ~= "close" then socket:setkeepalive(KEPT) else socket:close() end
  return status, body
end

function Poster:post(body)
  local socket, err = self:connect()
  if not socket then return nil, err end
  local sent
  sent, err = socket:send { self.head, #body, "\r\nIdempotency-Key: ", self.next_key(), "\r\n\r\n", body }
  if not sent then return nil, err end
  local status, answer = receive(socket)
  if not status then
    socket:close()
    return nil, answer
  end
  return status, answer
end

---@return table|nil record
---@return string|nil err
function Poster:report_payment(params)
  local status, answer = self:post(encode(params))
  if not status then return nil, answer end
  if status ~= 200 then return nil, "status " .. status .. ": " .. answer end
  return cjson.decode(answer)
end

return { new = new }
