-- A program for security_network_spec.lua: makes one call, and prints by how many KiB the process has grown at most,
-- and what became of the call.
--     lua spec/security/flood.lua URL MAX_RESPONSE_BYTES

local payments = require "spec.support.payments"

local function peak()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmHWM:%s+(%d+)"
    if kilobytes then return tonumber(kilobytes) end
  end
end

-- A call before it, so that what a first call needs is not counted.
local function call(id)
  local client = payments.client({ url = arg[1] }, { max_response_bytes = tonumber(arg[2]), timeout = 30 })
  local _, err = client:retrieve_payment_record(id)
  client:close()
  return err
end

assert(not call "warm_up")
local before = peak()
local err = call "flood"
print(("grown=%d type=%s"):format(peak() - before, err and err.type or "none"))
