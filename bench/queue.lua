--- Many calls started at once, of which 64 are on the wire and the others wait in the client.
---
---   lua5.4 bench/queue.lua URL PAYLOAD CA_FILE QUEUED COUNT
---
--- Prints, per queued call: the bytes of resident memory and those of the Lua heap, before any was sent; then the
--- microseconds of CPU time to start it and to complete it, over COUNT calls in batches of QUEUED; then the bytes of
--- its body.

local clients = require "bench.client"
local payloads = require "bench.payloads"
local process = require "bench.process"
local started = require "bench.started"

local url, payload, ca_file, queued, count = arg[1], payloads[arg[2]], arg[3], tonumber(arg[4]), tonumber(arg[5])

local LONGEST_WAIT = 10 -- seconds; something happens long before

local function start(client, calls)
  local waiting = started.new()
  for _ = 1, calls do waiting:add(client:start("report_payment", payload)) end
  return waiting
end

local function complete(client, waiting)
  while client:step(LONGEST_WAIT) > 0 do waiting:check() end
  waiting:check()
  assert(waiting:count() == 0)
end

---In a process that has made one call, so that what is loaded and connected once is not counted.
local function memory()
  collectgarbage()
  collectgarbage()
  return process.kilobytes "RssAnon" * 1024, collectgarbage "count" * 1024
end

local function measure_memory(client)
  complete(client, start(client, 1))
  local resident, heap = memory()
  local waiting = start(client, queued)
  local resident_after, heap_after = memory()
  complete(client, waiting)
  return (resident_after - resident) / queued, (heap_after - heap) / queued
end

local function measure_time(client)
  local starting, completing = 0, 0
  for _ = 1, count, queued do
    local before = os.clock() -- CPU time of this process, user and system
    local waiting = start(client, queued)
    local between = os.clock()
    complete(client, waiting)
    starting, completing = starting + between - before, completing + os.clock() - between
  end
  return starting * 1e6 / count, completing * 1e6 / count
end

local client = clients.new(url, ca_file, { max_in_flight = 64 })
local resident, heap = measure_memory(client)
local starting, completing = measure_time(client)
print(("%.0f %.0f %.2f %.2f %d"):format(resident, heap, starting, completing,
  #client:prepare("report_payment", payload).body))
client:close()
