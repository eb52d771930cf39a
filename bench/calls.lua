--- The library, doing what bare.c does: report_payment again and again, one call after another.
---
---   lua5.4 bench/calls.lua URL PAYLOAD CA_FILE WARM_UP COUNT      (CA_FILE is not read for http)
---   lua5.4 bench/calls.lua body PAYLOAD                           prints the form, for bare.c
---
--- Prints the microseconds of CPU time per call after the warm-up, and the peak resident memory in kB after the
--- warm-up and at the end.

local payloads = require "bench.payloads"
local payment_records = require "payment_records"

local url, payload, ca_file, warm_up, count = arg[1], payloads[arg[2]], arg[3], tonumber(arg[4]), tonumber(arg[5])

local function connect(options)
  options.api_key = "sk_test_123"
  options.max_retries = 0
  return payment_records.new(options)
end

---As the kernel counts it (VmHWM); 0 where there is no /proc.
local function peak_kilobytes()
  local status = io.open "/proc/self/status"
  if not status then return 0 end
  local peak = status:read("*a"):match "VmHWM:%s*(%d+)"
  status:close()
  return tonumber(peak)
end

local function report(client, calls)
  for _ = 1, calls do
    local record, err = client:report_payment(payload)
    assert(record, tostring(err))
    assert(record.amount_requested.value == 1000)
  end
end

if url == "body" then
  io.write(connect({}):prepare("report_payment", payload).body)
else
  local client = connect { api_base = url, ca_file = url:match "^https:" and ca_file or nil }
  report(client, warm_up)
  local first_peak = peak_kilobytes()
  local start = os.clock() -- CPU time of this process, user and system
  report(client, count)
  print(("%.2f %d %d"):format((os.clock() - start) * 1e6 / count, first_peak, peak_kilobytes()))
  client:close()
end
