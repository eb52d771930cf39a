--- The library, doing what connect.c does: calls to a server that closes each connection.
---
---   lua5.4 bench/connect.lua URL CA_FILE COUNT      (CA_FILE may be "": the system's certificates)
---
--- Prints the milliseconds of CPU time of the first call, then those per call of COUNT more.

local clients = require "bench.client"
local process = require "bench.process"

local url, ca_file, count = arg[1], arg[2] ~= "" and arg[2] or nil, tonumber(arg[3])

local function retrieve(client, calls)
  local start = os.clock() -- CPU time of this process, user and system
  for _ = 1, calls do process.check(client:retrieve_payment_record "pr_5RV730PrHyAEi") end
  return (os.clock() - start) * 1e3 / calls
end

local client = clients.new(url, ca_file)
local first = retrieve(client, 1)
print(("%.2f %.2f"):format(first, retrieve(client, count)))
client:close()
