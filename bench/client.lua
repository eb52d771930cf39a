--- A client of the bench's server, which does not try again: a failure is to be seen.

local payment_records = require "payment_records"

-- What the collector does falls now on this function, now on that: counting instructions by function is done without.
if os.getenv "COLLECTOR" == "stopped" then collectgarbage "stop" end

---@param url? string
---@param ca_file? string not used for http
---@param options? table
local function new(url, ca_file, options)
  options = options or {}
  options.api_key = "sk_test_123"
  options.api_base = url
  options.ca_file = url and url:match "^https:" and ca_file or nil
  options.max_retries = 0
  return payment_records.new(options)
end

return { new = new }
