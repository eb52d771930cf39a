--- The same call without the library, under nginx: cosockets, with verified TLS and connections kept.
-- luacheck: std ngx_lua

local by_hand = require "bench.by_hand"

local tcp = ngx.socket.tcp

local TIMEOUT = 80000 -- milliseconds
local KEPT = 60000

local function connect(options)
  local socket = tcp()
  socket:settimeouts(TIMEOUT, TIMEOUT, TIMEOUT)
  local connected, err = socket:connect(options.address, options.port, options.pool)
  if not connected then return nil, err end
  if socket:getreusedtimes() == 0 then
    local session
    session, err = socket:sslhandshake(nil, options.host, true)
    if not session then return nil, err end
  end
  return socket
end

local function release(socket)
  socket:setkeepalive(KEPT)
end

local function new(options)
  options.user_agent = "cosockets"
  options.pool = { pool = "payments", pool_size = options.connections }
  options.connect, options.release = connect, release
  return by_hand.new(options)
end

return { new = new }
