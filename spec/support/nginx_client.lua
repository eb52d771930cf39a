--- Starts nginx with the LuaJIT build of the module, and asks it for things.

local files = require "spec.support.files"
local servers = require "spec.support.servers"

local nginx_client = {}

nginx_client.KEY = "sk_test_inside_nginx"

local CONFIGURATION = [[
%USER%
daemon off;
worker_processes %WORKERS%;
pid %DIRECTORY%/ready;
error_log %DIRECTORY%/error.log %LOG_LEVEL%;
env STRIPE_API_KEY=%KEY%;
env SPEC_API_BASE=%API_BASE%;
load_module %MODULES%/ndk_http_module.so;
load_module %MODULES%/ngx_http_lua_module.so;
events { worker_connections 1000; }
http {
  access_log %DIRECTORY%/access.log;
  client_body_temp_path %DIRECTORY%;
  proxy_temp_path %DIRECTORY%;
  fastcgi_temp_path %DIRECTORY%;
  uwsgi_temp_path %DIRECTORY%;
  scgi_temp_path %DIRECTORY%;
  lua_package_path "%ROOT%/lua/?.lua;%ROOT%/lua/?/init.lua;%ROOT%/?.lua;;";
  lua_package_cpath "%ROOT%/build/luajit/?.so;;";
  lua_shared_dict notes 1m;
  init_by_lua_block {
    inside = require "spec.support.inside_nginx"
    client = inside.client()
    %INIT%
  }
  %HTTP%
  server {
    listen unix:%DIRECTORY%/socket;
    default_type text/plain;
    location = /note { content_by_lua_block { inside.answer_note() } }
    location = /trivial { return 200 trivial; }
    location = /worker { content_by_lua_block { ngx.print(ngx.worker.pid()) } }
    location = /report { content_by_lua_block { ngx.print(inside.report(client, ngx.var.arg_n)) } }
    %SERVER%
  }
}
]]

---Why nginx cannot be started here with the module, or nil.
---@return string|nil
function nginx_client.missing()
  if not files.shell "pkg-config --exists luajit" then return "needs LuaJIT's headers to build the module for nginx" end
end

---Builds the module for LuaJIT.
function nginx_client.build()
  local output, status = files.capture "exec 2>&1; ${MAKE:-make} --no-print-directory -s LUA=luajit all"
  assert(status == 0, output)
end

-- Only root's workers would run as another user, who may not read the specs' files.
local function user_directive()
  local id, name, group = files.capture "id -u; id -un; id -gn":match "(%d+)\n(%S+)\n(%S+)"
  return id == "0" and ("user %s %s;"):format(name, group) or ""
end

local function modules_directory()
  return files.capture("PATH=$PATH:/usr/sbin:/usr/local/sbin nginx -V 2>&1"):match "%-%-modules%-path=(%S+)"
end

---Waits until a condition holds; raises when that takes too long.
---@param condition fun(): any
---@param what string
---@return any what the condition returned
function nginx_client.eventually(condition, what)
  for _ = 1, 400 do
    local result = condition()
    if result then return result end
    files.shell "sleep 0.02"
  end
  error("it did not come to pass: " .. what, 2)
end

-- Levels of lines of the error log that nothing should cause
local FAULTS = { warn = true, error = true, crit = true, alert = true, emerg = true }

local Nginx = {}
Nginx.__index = Nginx

---Starts it. `init`: Lua code; `http`, `server`: directives; `expected`: patterns of warnings and errors that may be
---in its log.
---@param upstream {url: string}
---@param options? {workers: integer?, init: string?, http: string?, server: string?, log_level: string?,
---  expected: string[]?}
function nginx_client.start(upstream, options)
  options = options or {}
  local directory = files.temporary_directory()
  local names = {
    DIRECTORY = directory, ROOT = files.here(), USER = user_directive(),
    MODULES = modules_directory(), KEY = nginx_client.KEY, API_BASE = upstream.url,
    WORKERS = options.workers or 1, LOG_LEVEL = options.log_level or "info",
    INIT = options.init or "", HTTP = options.http or "", SERVER = options.server or "",
  }
  files.write(directory .. "/nginx.conf", (CONFIGURATION:gsub("%%([A-Z_]+)%%", names)))
  return setmetatable({
    process = servers.run_nginx(directory, {}), directory = directory, expected = options.expected or {}, groups = 0,
  }, Nginx)
end

---Makes requests of a location in the background, `count` at a time, the query being n=1, n=2, …
---@param path string
---@param count? integer default 1
---@return table group `answers()`: the bodies that have arrived, by n; `wait()`: all of them, once curl has ended;
---  `leave()`: the client goes away
function Nginx:start(path, count)
  self.groups = self.groups + 1
  local directory = ("%s/answers%d"):format(self.directory, self.groups)
  assert(files.shell(([[
    mkdir %s && cd %s
    exec >/dev/null 2>&1 </dev/null
    (
      curl -s --max-time 40 --parallel --parallel-immediate --parallel-max 300 --unix-socket %s/socket \
        -o '#1' 'http://nginx%s?n=[1-%d]' & echo $! >pid
      wait $!; echo $? >ended
    ) &]]):format(directory, directory, self.directory, path, count or 1)))
  local group = {}
  function group.answers()
    local answers = {}
    for n = 1, count or 1 do answers[n] = files.read(directory .. "/" .. n) end
    return answers
  end
  function group.wait()
    nginx_client.eventually(function() return files.read(directory .. "/ended") end, "answers from " .. path)
    return group.answers()
  end
  function group.leave()
    assert(files.shell(("kill $(cat %s/pid)"):format(directory)))
  end
  return group
end

---Makes one request.
---@param path string with its query
---@return string body
---@return integer status
function Nginx:get(path)
  local output = files.capture(("curl -s --max-time 20 --unix-socket %s/socket -w ' %%{http_code}' 'http://nginx%s'")
    :format(self.directory, path))
  local body, status = output:match "^(.*) (%d+)$"
  return body, tonumber(status)
end

---Waits for a note.
---@param name string
---@return string
function Nginx:note(name)
  return nginx_client.eventually(function()
    local text, status = self:get("/note?name=" .. name)
    return status == 200 and text
  end, "a note about " .. name)
end

---@param name string such as "HUP"
function Nginx:signal(name)
  assert(files.shell(("kill -%s %d"):format(name, self.process.pid)))
end

---Waits until it has ended by itself.
---@return integer status of the master process
function Nginx:wait()
  return tonumber(nginx_client.eventually(function()
    return (files.read(self.directory .. "/ended") or ""):match "%d+" -- the shell makes it, and writes then
  end, "nginx ends"))
end

local function is_expected(line, patterns)
  for _, pattern in ipairs(patterns) do
    if line:find(pattern) then return true end
  end
  return false
end

local function faults(log, expected)
  local found = {}
  for line in log:gmatch "[^\n]+" do
    local level = line:match "^%S+ %S+ %[(%l+)%]"
    if FAULTS[level] and not is_expected(line, expected) then found[#found + 1] = line end
    if #found == 10 then break end -- of a line that comes again and again these are enough
  end
  return found
end

---@return string what is in its error log so far
function Nginx:log()
  return files.read(self.directory .. "/error.log")
end

---Ends it, if it still runs, and removes its files.
---@return string[] faults lines of its error log that were not expected: warnings, errors, crashes; ten at most
---@return string logs all that it ever wrote
function Nginx:finish()
  if not files.read(self.directory .. "/ended") then self:signal "TERM" end
  self:wait()
  local log = self:log()
  local logs = log .. files.read(self.directory .. "/access.log") .. files.read(self.directory .. "/output")
  self.process:stop()
  return faults(log, self.expected), logs
end

return nginx_client
