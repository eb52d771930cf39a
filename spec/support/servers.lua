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
---@field process? spec.Server what is to be stopped, when several are one process
local Server = {}
Server.__index = Server

-- Starts a command in the background and waits until it has written its ready file. When it ends,
-- there is a file "ended". A watcher ends it should this process ($PPID there) die before; it ends
-- with the command, whose number may be another process's by then.
local function launch(command, directory)
  files.shell(([[
    directory=%s
    exec </dev/null >$directory/output 2>&1
    (
      %s & server=$!
      (while kill -0 $PPID; do sleep 1; done; kill $server) 2>/dev/null & watcher=$!
      wait $server
      echo $? >$directory/ended
      kill $watcher 2>/dev/null
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
  if self.process then return self.process:stop() end
  if not running[self] then return end
  running[self] = nil
  files.shell(([[
    for signal in TERM KILL; do
      [ -s %s/ended ] || kill -$signal %d 2>/dev/null
      for i in $(seq 500); do
        [ ! -s %s/ended ] || exit 0
        sleep 0.01
      done
    done]]):format(self.directory, self.pid, self.directory))
  local output = files.read(self.directory .. "/output") or ""
  files.remove(self.directory)
  assert(not output:find "[rs]k_test_%w", "a server has printed an API key")
end

local function started(server)
  running[server] = true
  server.log_start = 1
  return setmetatable(server, Server)
end

---What the log has of one kind, or of all, since the last play(), oldest first.
---@param event? string
---@return table[]
function Server:entries(event)
  local found = {}
  for line in (files.read(self.directory .. "/log") or ""):sub(self.log_start):gmatch "([^\n]+)\n" do
    local entry = cjson.decode(line)
    if not event or entry.event == event then found[#found + 1] = entry end
  end
  return found
end

---What the server has read so far, oldest first: `method`, `path`, `version`, `head` (the bytes before
---the empty line), `body`, `headers` (a list of {name, value} as sent), `header` (value by lower-case
---name), `connection` (its number), `tls`, and `complete` (false: the client left in the middle, or the
---body was not waited for); `key` and `hash`, of the body.
---@return table[]
function Server:requests()
  local requests = self:entries "request"
  for _, request in ipairs(requests) do
    request.header = {}
    for _, pair in ipairs(request.headers or {}) do request.header[pair[1]:lower()] = pair[2] end
  end
  return requests
end

---Begins anew with other steps; what was logged before is forgotten. Connections stay as they are.
---@param steps table[]
---@param per_call? boolean whether each call takes the steps from the start
function Server:play(steps, per_call)
  self.log_start = #files.read(self.directory .. "/log") + 1
  self:go_on(steps, per_call)
end

---The same, but what was logged before stays.
---@param steps table[]
---@param per_call? boolean
function Server:go_on(steps, per_call)
  files.write(self.directory .. "/script.new", cjson.encode { steps = steps, per_call = per_call })
  assert(os.rename(self.directory .. "/script.new", self.directory .. "/script"))
end

---The connections accepted so far, oldest first, those without a request among them.
---@return table[]
function Server:connections()
  return self:entries "connection"
end

---Whether every connection has come to its end, so that nothing more will be in the log.
---@return boolean
function Server:is_quiet()
  local text = files.read(self.directory .. "/log")
  local _, opened = text:gsub('"event": ?"connection"', "")
  local _, closed = text:gsub('"event": ?"closed"', "")
  return opened == closed
end

local function make_certificates()
  certified = certified or assert(files.shell("spec/support/certificates " .. CERTIFICATES))
end

-- What `tls` may be, other than the name of a certificate
local TLS_FAULTS = { cut = { fault = "close" }, stall = { fault = "stall" }, old = { version = "1.1" } }

-- Options of servers.start that go into the script as they are
local SCRIPT_OPTIONS = {
  "steps", "by_path", "per_call", "host", "listener", "receive_buffer", "drop_on_reuse", "ledger",
  "alpn", "streams",
}

---The field `tls` of a script or a step: a certificate, and on top of it what fault_server.py lists.
---@param name string|true of the certificate; true: the good one
---@param fields? table
---@return table
function servers.tls(name, fields)
  name = name == true and "good" or name
  local tls = {
    certificate = ("%s/%s.pem"):format(CERTIFICATES, name),
    key = ("%s/%s.key"):format(CERTIFICATES, name),
  }
  for field, value in pairs(fields or {}) do tls[field] = value end
  return tls
end

local function script_tls(tls)
  if not tls or tls == "plain" then return nil end
  return servers.tls(TLS_FAULTS[tls] and true or tls, TLS_FAULTS[tls])
end

-- Writes the script of a server with these options into its directory.
local function write_script(directory, options)
  files.shell("mkdir -p " .. directory)
  local script = { unix = options.unix and directory .. "/socket" or nil, tls = script_tls(options.tls) }
  for _, name in ipairs(SCRIPT_OPTIONS) do script[name] = options[name] end
  files.write(directory .. "/script", cjson.encode(script))
end

local function described(directory, options, port)
  local name = options.name or options.tls and "localhost" or "127.0.0.1"
  local origin = (options.tls and "https://" or "http://") .. name
  return {
    url = options.unix and origin or ("%s:%d"):format(origin, port),
    port = not options.unix and math.floor(port) or nil, -- lua-cjson gives floats on 5.4
    unix_socket = options.unix and directory .. "/socket" or nil,
    ca_file = CERTIFICATES .. "/ca.pem",
    directory = directory,
    log_start = 1,
  }
end

---Starts scripted servers in one process, which ends with the first of them that is stopped.
---@param all table[] the options of each, as for servers.start; `http2` of the first is for all
---@return spec.Server[]
function servers.start_together(all)
  make_certificates()
  local directory, paths, group = files.temporary_directory(), {}, {}
  for i, options in ipairs(all) do
    local own = directory .. "/" .. i
    write_script(own, options)
    paths[i] = ("%s/script %s/log"):format(own, own)
  end
  local program = all[1].http2 and "spec/h2faults/h2_server.py" or "spec/support/fault_server.py"
  local ready = cjson.decode(launch(("python3 -SB %s %s/ready %s"):format(
    program, directory, table.concat(paths, " ")), directory))
  local process = started { pid = math.floor(ready.pid), directory = directory }
  for i, options in ipairs(all) do
    group[i] = setmetatable(described(directory .. "/" .. i, options, ready.ports[i]), Server)
    group[i].process, group[i].pid = process, process.pid
  end
  return group
end

---Starts a scripted server. The fields of a step are listed in fault_server.py.
---`options.tls`: true, or what is wrong with TLS there: "self_signed", "expired", "wrong_host" (the
---certificate), "cut", "stall" (the handshake), "old" (TLS 1.1 only), "plain" (it is plain HTTP).
---`options.unix`: listen on a Unix socket. `options.name`: the host in its URL.
---`options.http2`: the program is h2_server.py, which speaks HTTP/2 over TLS.
---The other options are those of the script.
---@param options? {steps: table[]?, tls: any, unix: boolean?, name: string?, by_path: table<string, table[]>?,
---  per_call: boolean?, host: string?, listener: string?, receive_buffer: integer?, drop_on_reuse: boolean?,
---  ledger: boolean|string?, http2: boolean?, alpn: string[]?, streams: integer?}
---@return spec.Server
function servers.start(options)
  return servers.start_together({ options or {} })[1]
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
events { worker_connections 1024; }
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
