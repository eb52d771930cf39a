--- Checks and encodes a payment again and again, and sends nothing:   lua5.4 bench/prepare.lua PAYLOAD COUNT
--- Prints what the other programs print: first the microseconds of CPU time for each.

local payload, count = require "bench.payloads"[arg[1]], tonumber(arg[2])
local client = require "bench.client".new()

local print_cost = require("bench.process").meter()
for _ = 1, count do assert(client:prepare("report_payment", payload)) end
print_cost(count)
