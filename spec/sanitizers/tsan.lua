-- Threads under ThreadSanitizer:   lua5.4 spec/sanitizers/tsan.lua PROGRAM CPATH SECONDS
-- Runs PROGRAM (threads.c) with eight threads of four Lua states each, again and again for SECONDS, against a plain
-- server, one with TLS whose name has to be resolved, and one with TLS and HTTP/2. CPATH is where it finds the core.
-- Ends with status 1 at the first report, or when a call fails.

local cjson = require "cjson"
local files = require "spec.support.files"
local servers = require "spec.support.servers"

local program, cpath, seconds = arg[1], arg[2], tonumber(arg[3])

local function addresses(list)
  local found = {}
  for i, server in ipairs(list) do
    local ca_file = server.url:find "^https" and server.ca_file or nil
    found[i] = { url = server.url, unix_socket = server.unix_socket, ca_file = ca_file }
  end
  return cjson.encode(found)
end

local given = addresses { servers.start {}, servers.start { tls = true }, servers.nginx(true) }
local command = ("LUA_CPATH='%s;;' %s spec/sanitizers/threads.lua '%s' 8 4 3 2>&1"):format(cpath, program, given)
local last, runs = os.time() + seconds, 0
local output, status
repeat
  output, status = files.capture(command)
  runs = runs + 1
until status ~= 0 or os.time() >= last
servers.stop_all()
print(status == 0 and ("%d runs of 8 threads, 64 Lua states each: no reports"):format(runs) or output)
os.exit(status == 0, true)
