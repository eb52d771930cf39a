--- The library, doing what bare.c does: report_payment again and again, one call after another.
---
---   lua5.4 bench/calls.lua URL PAYLOAD CA_FILE WARM_UP COUNT      (CA_FILE is not read for http)
---   lua5.4 bench/calls.lua body PAYLOAD                           prints the form, for bare.c
---   lua5.4 bench/calls.lua json PAYLOAD                           prints it as JSON, for bench/peers
---
--- Prints the microseconds of CPU time per call after the warm-up, the peak resident memory in kB after the warm-up and
--- at the end, and the calls per second after the warm-up.

local clients = require "bench.client"
local payloads = require "bench.payloads"
local process = require "bench.process"

local url, payload, ca_file, warm_up, count = arg[1], payloads[arg[2]], arg[3], tonumber(arg[4]), tonumber(arg[5])

local function report(client, calls)
  for _ = 1, calls do process.check(client:report_payment(payload)) end
end

if url == "body" then
  io.write(clients.new():prepare("report_payment", payload).body)
elseif url == "json" then
  io.write(require("cjson").encode(payload))
else
  local client = clients.new(url, ca_file)
  report(client, warm_up)
  local print_cost = process.meter()
  report(client, count)
  print_cost(count)
  client:close()
end
