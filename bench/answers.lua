--- Lists of any size, one call after another.
---
---   lua5.4 bench/answers.lua make KILOBYTES                       prints a list of so many records, about 1 kB each
---   lua5.4 bench/answers.lua URL LIST CA_FILE WARM_UP COUNT       asks for it, by its name on the server
---
--- Prints what calls.lua prints.

local clients = require "bench.client"
local process = require "bench.process"

local url, list, ca_file, warm_up, count = arg[1], arg[2], arg[3], tonumber(arg[4]), tonumber(arg[5])

---The record of server/answer.conf.
local function record()
  local file = assert(io.open "bench/server/answer.conf")
  local text = file:read("*a"):match "return 200 '(.*)'"
  file:close()
  return text
end

local function read_lists(client, calls)
  for _ = 1, calls do
    local page = assert(client:list_payment_records { starting_after = list })
    assert(page.data[1].amount_requested.value == 1000)
  end
end

if url == "make" then
  local records = (record() .. ","):rep(tonumber(list)):sub(1, -2)
  io.write('{"object":"list","url":"/v1/payment_records","has_more":false,"data":[', records, "]}")
else
  local client = clients.new(url, ca_file)
  read_lists(client, warm_up)
  local print_cost = process.meter()
  read_lists(client, count)
  print_cost(count)
  client:close()
end
