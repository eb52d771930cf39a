--- What the Lua benchmarks share: a client of the bench's server, and what the process has cost.

local payment_records = require "payment_records"

local process = {}

-- What the collector does falls now on this function, now on that: counting instructions by function is done without.
if os.getenv "COLLECTOR" == "stopped" then collectgarbage "stop" end

---A client that does not try again: a failure is to be seen.
---@param url? string
---@param ca_file? string not used for http
---@param options? table
function process.client(url, ca_file, options)
  options = options or {}
  options.api_key = "sk_test_123"
  options.api_base = url
  options.ca_file = url and url:match "^https:" and ca_file or nil
  options.max_retries = 0
  return payment_records.new(options)
end

---A line of the kernel's account of this process, in kB; 0 where there is no /proc.
---@param field "VmHWM"|"RssAnon"
function process.kilobytes(field)
  local status = io.open "/proc/self/status"
  if not status then return 0 end
  local kilobytes = status:read("*a"):match(field .. ":%s*(%d+)")
  status:close()
  return tonumber(kilobytes)
end

---Raises unless the call has ended as it should.
function process.check(record, err)
  assert(record, tostring(err))
  assert(record.amount_requested.value == 1000)
end

return process
