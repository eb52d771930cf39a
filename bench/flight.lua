--- The library, doing what bare_multi.c does: so many calls in flight over one client, by start and step.
---
---   lua5.4 bench/flight.lua URL PAYLOAD CA_FILE WARM_UP COUNT IN_FLIGHT      (CA_FILE is not read for http)
---
--- Prints what calls.lua prints.

local clients = require "bench.client"
local payloads = require "bench.payloads"
local process = require "bench.process"

local url, payload, ca_file = arg[1], payloads[arg[2]], arg[3]
local warm_up, count, in_flight = tonumber(arg[4]), tonumber(arg[5]), tonumber(arg[6])

local LONGEST_WAIT = 10 -- seconds; something happens long before

local client = clients.new(url, ca_file, { max_in_flight = in_flight })
local options = { on_done = process.check }
local begun, ended = 0, 0

-- Goes on until so many have ended; others are in flight then, unless these were all.
local function report_until(enough, total)
  while ended < enough do
    for _ = 1, math.min(in_flight - (begun - ended), total - begun) do
      client:start("report_payment", payload, options)
      begun = begun + 1
    end
    ended = begun - client:step(LONGEST_WAIT)
  end
end

report_until(warm_up, warm_up + count)
local warmed_up, print_cost = ended, process.meter()
report_until(warm_up + count, warm_up + count)
print_cost(ended - warmed_up)
client:close()
