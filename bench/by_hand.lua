--- What one would write by hand to report a payment: a form encoder in Lua, HTTP/1.1 over sockets as LuaSocket and
--- nginx have them, and cjson. Answers must have a Content-Length, as Stripe's do.

local cjson = require "cjson.safe"

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

---Of the options, api_key, host, port and user_agent are for the head. connect(options) returns a socket that is ready
---to send, or nil and an error; release(socket) gets it back when another request may follow on it.
local function new(options)
  return setmetatable({
    options = options,
    next_key = new_keys(),
    head = table.concat({
      "POST /v1/payment_records/report_payment HTTP/1.1",
      "Host: " .. options.host .. ":" .. options.port,
      "Authorization: Bearer " .. options.api_key,
      "Stripe-Version: 2026-09-30.endive",
      "User-Agent: " .. options.user_agent,
      "Accept: */*",
      "Content-Type: application/x-www-form-urlencoded",
      "Content-Length: ",
    }, "\r\n"),
  }, Poster)
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
  return status, body, headers.connection ~= "close"
end

function Poster:exchange(socket, body)
  local request = { self.head, #body, "\r\nIdempotency-Key: ", self.next_key(), "\r\n\r\n", body }
  local sent, err = socket:send(table.concat(request))
  if not sent then return nil, err end
  return receive(socket)
end

function Poster:post(body)
  local socket, err = self.options.connect(self.options)
  if not socket then return nil, err end
  local status, answer, keep = self:exchange(socket, body)
  if status and keep then self.options.release(socket) else socket:close() end
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

return { new = new, encode = encode, new_keys = new_keys }
