--- Checks and encodes a payment again and again, and sends nothing:   lua5.4 bench/prepare.lua PAYLOAD COUNT

local payload, count = require "bench.payloads"[arg[1]], tonumber(arg[2])
local client = require "bench.client".new()

for _ = 1, count do assert(client:prepare("report_payment", payload)) end
