--- Runs stripe-mock, the vendor's own server, on free ports.

local files = require "spec.support.files"

local stripe_mock = {}

---@class spec.StripeMock
---@field http string its address
---@field https string its address, by the one name that its certificate has
---@field ca_file string its certificate, which is its own issuer
---@field log fun(): string what it printed so far
---@field stop fun()

local function is_running(pid)
  return files.shell(("kill -0 %s 2>/dev/null"):format(pid))
end

---Go's HTTP server says with this what it reads as HTTP/2, and nothing of HTTP/1.
local ENVIRONMENT = "GODEBUG=http2debug=1"

local function launch(program, log)
  local command = "%s '%s' -http-addr 127.0.0.1:0 -https-addr 127.0.0.1:0 </dev/null >'%s' 2>&1 & echo $!"
  return files.capture(command:format(ENVIRONMENT, program, log)):match "%d+"
end

---Its certificate is built into it: for localhost, without alternative names, until July 2028.
local function save_certificate(port, path)
  local command = "openssl s_client -connect 127.0.0.1:%s -servername localhost </dev/null 2>/dev/null"
    .. " | openssl x509 -out '%s'"
  assert(files.shell(command:format(port, path)), "no certificate of stripe-mock")
end

---Starts it and waits until it listens. Raises with what it printed when it ends before.
---@param program string
---@return spec.StripeMock
function stripe_mock.start(program)
  local directory = files.temporary_directory()
  local log, ca_file = directory .. "/log", directory .. "/ca.pem"
  local pid = launch(program, log)
  local function printed() return files.read(log) or "" end
  local https
  repeat
    files.shell "sleep 0.02"
    https = printed():match "HTTPS at address: 127%.0%.0%.1:(%d+)\n"
  until https or not is_running(pid)
  if not https then
    local message = printed()
    files.remove(directory)
    error("stripe-mock did not start: " .. message, 0)
  end
  save_certificate(https, ca_file)
  return {
    http = "http://" .. printed():match "HTTP at address: (127%.0%.0%.1:%d+)\n",
    https = "https://localhost:" .. https,
    ca_file = ca_file,
    log = printed,
    stop = function()
      files.shell("kill " .. pid)
      files.remove(directory)
    end,
  }
end

return stripe_mock
