--- Servers for the specs: a scripted one that misbehaves, a port that refuses, the sandbox.
-- Each runs as a process of its own, ends with this one at the latest, and is stopped by its pid.

local cjson = require "cjson"
local files = require "spec.support.files"

local servers = {}
local running = {}
local certified = false

local CERTIFICATES = "build/certificates"

---@class spec.Server
---@field url string e.g. "http://127.0.0.1:40123", "https://localhost:40124"; no slash at the end
---@field port? integer
---@field unix_socket? string path, when it listens on a Unix socket
---@field ca_file string the CA that signed the good certificate
---@field pid integer
local Server = {}
Server.__index = Server

-- Starts a command in the background and waits until it has written its ready file. When it ends,
-- there is a file "ended". A watcher ends it should this process ($PPID there) die before.
local function launch(command, directory)
  files.shell(([[
    directory=%s
    exec </dev/null >$directory/output 2>&1
    (
      %s & server=$!
      (while kill -0 $PPID && kill -0 $server; do sleep 1; done; kill $server) 2>/dev/null &
      wait $server
      echo $? >$directory/ended
    ) &
    for i in $(seq 500); do
      [ ! -s $directory/ready ] && [ ! -s $directory/ended ] || break
      sleep 0.02
    done]]):format(directory, command))
  local text = files.read(directory .. "/ready")
  if not text then
    local output = files.read(directory .. "/output")
    files.remove(directory)
    error("the server did not start: " .. command .. "\n" .. tostring(output), 3)
  end
  return text
end

---Ends the process and removes its files. May be called twice.
function Server:stop()
  if not running[self] then return end
  running[self] = nil
  files.shell(([[
    kill %d 2>/dev/null
    for i in $(seq 500); do
      [ ! -s %s/ended ] || exit 0
      sleep 0.01
    done
    kill -KILL %d]]):format(self.pid, self.directory, self.pid))
  local output = files.read(self.directory .. "/output") or ""
  files.remove(self.directory)
  assert(not output:find "[rs]k_test_%w", "a server has printed an API key")
end

local function started(server)
  running[server] = true
  server.log_start = 1
  return setmetatable(server, Server)
end

-- The lines of the log of one kind, oldest first.
local function logged(server, event)
  local found = {}
  for line in (files.read(server.directory .. "/log") or ""):sub(server.log_start):gmatch "([^\n]+)\n" do
    local entry = cjson.decode(line)
    if entry.event == event then found[#found + 1] = entry end
  end
  return found
end

---What the server has read so far, oldest first: `method`, `path`, `version`, `head` (the bytes before
---the empty line), `body`, `headers` (a list of {name, value} as sent), `header` (value by lower-case
---name), `connection` (its number), `tls`, and `complete` (false: the client left in the middle, or the
---body was not waited for).
---@return table[]
function Server:requests()
  local requests = logged(self, "request")
  for _, request in ipairs(requests) do
    request.header = {}
    for _, pair in ipairs(request.headers or {}) do request.header[pair[1]:lower()] = pair[2] end
  end
  return requests
end

---Begins anew with other steps; what was logged before is forgotten. Connections stay as they are.
---@param steps table[]
function Server:play(steps)
  self.log_start = #files.read(self.directory .. "/log") + 1
  files.write(self.directory .. "/script.new", cjson.encode { steps = steps })
  assert(os.rename(self.directory .. "/script.new", self.directory .. "/script"))
end

---The connections accepted so far, oldest first, those without a request among them.
---@return table[]
function Server:connections()
  return logged(self, "connection")
end

local function make_certificates()
  certified = certified or assert(files.shell("spec/support/certificates " .. CERTIFICATES))
end

-- What `tls` may be, other than the name of a certificate
local TLS_FAULTS = { cut = "cut", stall = "stall", old = "old" }

local function add_tls(script, tls)
  if not tls or tls == "plain" then return end
  script.tls_fault = TLS_FAULTS[tls]
  local name = (tls == true or script.tls_fault) and "good" or tls
  script.tls = {
    certificate = ("%s/%s.pem"):format(CERTIFICATES, name),
    key = ("%s/%s.key"):format(CERTIFICATES, name),
  }
end

---Starts a scripted server. The fields of a step are listed in fault_server.py.
---`options.tls`: true, or what is wrong with TLS there: "self_signed", "expired", "wrong_host" (the
---certificate), "cut", "stall" (the handshake), "old" (TLS 1.1 only), "plain" (it is plain HTTP).
---`options.unix`: listen on a Unix socket. `options.listener`: "refuse" or "black_hole".
---`options.drop_on_reuse`: read and drop the second request of every connection.
---`options.by_path`: steps of their own for requests whose path contains a text.
---@param options? {steps: table[]?, by_path: table<string, table[]>?, tls: any, unix: boolean?, listener: string?,
---  drop_on_reuse: boolean?}
---@return spec.Server
function servers.start(options)
  options = options or {}
  make_certificates()
  local directory = files.temporary_directory()
  local script = {
    steps = options.steps,
    by_path = options.by_path,
    listener = options.listener,
    drop_on_reuse = options.drop_on_reuse,
    unix = options.unix and directory .. "/socket" or nil,
  }
  add_tls(script, options.tls)
  files.write(directory .. "/script", cjson.encode(script))

  local ready = cjson.decode(launch(
    ("python3 -S spec/support/fault_server.py %s/script %s/ready %s/log"):format(
      directory, directory, directory), directory))
  local origin = options.tls and "https://localhost" or "http://127.0.0.1"
  return started {
    url = options.unix and origin or ("%s:%d"):format(origin, ready.port),
    port = not options.unix and math.floor(ready.port) or nil, -- lua-cjson gives floats on 5.4
    unix_socket = script.unix,
    ca_file = CERTIFICATES .. "/ca.pem",
    pid = math.floor(ready.pid),
    directory = directory,
  }
end

---A port of 127.0.0.1 that refuses connections, held until servers.stop_all().
---@return integer
function servers.closed_port()
  return servers.start({ listener = "refuse" }).port
end

---Starts the sandbox under nginx. `delay`: seconds before each answer; `unix`: also on a Unix socket.
---@param options? {delay: number?, unix: boolean?}
---@return {http: string, https: string, ca_file: string, unix_socket: string?, pid: integer, stop: fun(self)}
function servers.sandbox(options)
  options = options or {}
  local directory = files.temporary_directory()
  local unix_socket = options.unix and directory .. "/socket" or nil
  local text = launch(("examples/sandbox/run --ready %s/ready%s%s"):format(
    directory,
    options.delay and (" --delay " .. options.delay) or "",
    unix_socket and (" --unix " .. unix_socket) or ""), directory)
  local sandbox = { directory = directory, unix_socket = unix_socket }
  for name, value in text:gmatch "([%w_]+)=([^\n]*)" do sandbox[name] = value end
  sandbox.pid = tonumber(sandbox.pid)
  return started(sandbox)
end

---Starts an HTTP proxy that carries requests and tunnels, or refuses each with `status`.
---@param status? integer
---@return spec.Server
function servers.proxy(status)
  local directory = files.temporary_directory()
  local ready = cjson.decode(launch(("python3 -S spec/support/proxy.py %d %s/ready %s/log"):format(
    status or 200, directory, directory), directory))
  local port = math.floor(ready.port)
  return started { url = "http://127.0.0.1:" .. port, port = port, pid = math.floor(ready.pid), directory = directory }
end

local NGINX = [[
daemon off;
master_process off;
pid %DIRECTORY%/ready;
error_log stderr;
events { worker_connections 100; }
http {
  access_log off;
  client_body_temp_path %DIRECTORY%;
  proxy_temp_path %DIRECTORY%;
  fastcgi_temp_path %DIRECTORY%;
  uwsgi_temp_path %DIRECTORY%;
  scgi_temp_path %DIRECTORY%;
  server {
    listen unix:%DIRECTORY%/socket ssl %HTTP2%;
    ssl_certificate %CERTIFICATES%/good.pem;
    ssl_certificate_key %CERTIFICATES%/good.key;
    default_type application/json;
    location / {
      return 200 '{"id":"pr_1","object":"payment_record","protocol":"$server_protocol","tls":"$ssl_protocol"}';
    }
    location ~ /echo(/|$) {
      return 200 '{"id":"echo","object":"payment_record","protocol":"$server_protocol",
        "authorization":"$http_authorization","account":"$http_stripe_account"}';
    }
  }
}
]]

---Starts nginx with `directory`/nginx.conf, which has to name `directory`/ready as its process id file.
---@param directory string removed when the server is stopped
---@param server table what is known of it
---@return spec.Server
function servers.run_nginx(directory, server)
  local pid = launch(("PATH=$PATH:/usr/sbin:/usr/local/sbin nginx -p %s -e stderr -c nginx.conf"):format(directory),
    directory)
  server.pid, server.directory = tonumber(pid), directory
  return started(server)
end

---Starts nginx with TLS on a Unix socket. Every answer is a record whose `protocol` is that of the request; the record
---"echo" has its `authorization` and `account`, too.
---@param http2 boolean whether it offers HTTP/2
---@return spec.Server
function servers.nginx(http2)
  make_certificates()
  local directory = files.temporary_directory()
  local names = {
    DIRECTORY = directory, CERTIFICATES = files.here() .. "/" .. CERTIFICATES, HTTP2 = http2 and "http2" or "",
  }
  files.write(directory .. "/nginx.conf", (NGINX:gsub("%%(%w+)%%", names)))
  return servers.run_nginx(directory, {
    url = "https://localhost", unix_socket = directory .. "/socket", ca_file = CERTIFICATES .. "/ca.pem",
  })
end

local shared

---A plain server that the cases of a spec share; started when it is first asked for.
---@param steps table[]|nil what it does from now on; nil: go on as before
---@return spec.Server
function servers.playing(steps)
  shared = shared or servers.start()
  if steps then shared:play(steps) end
  return shared
end

---Stops every server that is still running; for teardown.
function servers.stop_all()
  for server in pairs(running) do server:stop() end
  shared = nil
end

return servers
