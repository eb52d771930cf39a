--- The library, doing what bare.c does: report_payment again and again, one call after another.
---
---   lua5.4 bench/calls.lua URL PAYLOAD CA_FILE WARM_UP COUNT      (CA_FILE is not read for http)
---   lua5.4 bench/calls.lua body PAYLOAD                           prints the form, for bare.c
---
--- Prints the microseconds of CPU time per call after the warm-up, and the peak resident memory in kB after the
--- warm-up and at the end.

local payloads = require "bench.payloads"
local process = require "bench.process"

local url, payload, ca_file, warm_up, count = arg[1], payloads[arg[2]], arg[3], tonumber(arg[4]), tonumber(arg[5])

local function report(client, calls)
  for _ = 1, calls do process.check(client:report_payment(payload)) end
end

if url == "body" then
  io.write(process.client():prepare("report_payment", payload).body)
else
  local client = process.client(url, ca_file)
  report(client, warm_up)
  local first_peak = process.kilobytes "VmHWM"
  local start = os.clock() -- CPU time of this process, user and system
  report(client, count)
  print(("%.2f %d %d"):format((os.clock() - start) * 1e6 / count, first_peak, process.kilobytes "VmHWM"))
  client:close()
end
