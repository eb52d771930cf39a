--- LuaSocket and LuaSec by hand, doing what bench/calls.lua does, on one connection that is kept.
---
---   lua5.4 bench/peers/luasocket/calls.lua URL PAYLOAD CA_FILE WARM_UP COUNT      (CA_FILE is not read for http)
---
--- Prints what calls.lua prints. LuaSec verifies the chain, but compares no names.

local by_hand = require "bench.by_hand"
local payloads = require "bench.payloads"
local process = require "bench.process"
local socket = require "socket"
local ssl = require "ssl"

local url, payload, ca_file, warm_up, count = arg[1], payloads[arg[2]], arg[3], tonumber(arg[4]), tonumber(arg[5])
local scheme, host, port = url:match "^(%w+)://([^:]+):(%d+)$"

local TIMEOUT = 80 -- seconds

local function handshake(plain)
  local secure = assert(ssl.wrap(plain, {
    mode = "client", protocol = "any", options = { "no_sslv3", "no_tlsv1", "no_tlsv1_1" },
    verify = "peer", cafile = ca_file,
  }))
  secure:sni(host)
  assert(secure:dohandshake())
  return secure
end

local kept

local function connect()
  if kept then return kept end
  local plain = assert(socket.connect("127.0.0.1", port))
  plain:settimeout(TIMEOUT)
  plain:setoption("tcp-nodelay", true)
  return scheme == "https" and handshake(plain) or plain
end

local function release(connection)
  kept = connection
end

local poster = by_hand.new {
  api_key = "sk_test_123", host = host, port = port, user_agent = "luasocket", connect = connect, release = release,
}

local function report(calls)
  for _ = 1, calls do process.check(poster:report_payment(payload)) end
end

report(warm_up)
local print_cost = process.meter()
report(count)
print_cost(count)
