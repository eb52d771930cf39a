--- Reports payments for a long time to a server that fails one request in a hundred, and watches what this process
--- holds.
---
---   lua5.4 spec/soak/soak.lua URL CA_FILE CALLS
---
--- Prints a line for each tenth of the calls. Ends with status 1 when a payment was lost or doubled, when an answer
--- went to another call, or when memory or descriptors grew. Memory is what the allocator has given out and not got
--- back. What is resident goes up and down with the fragments that it keeps between: that is shown, and proves nothing.

local clients = require "bench.client"
local heap = require "soak.heap"
local process = require "bench.process"

local url, ca_file, calls = arg[1], arg[2], tonumber(arg[3])

local IN_FLIGHT = 64
local LONGEST_WAIT = 10 -- seconds; something happens long before

-- What memory may grow by, in kB for each 10,000 calls, once it is warm: after the first tenth. Samples scatter, and
-- the line through them is as sure as its standard error: so many of them it may lie above.
local GROWTH, DOUBT = 1, 3
local SAMPLES = 100

local client = clients.new(url, ca_file, { max_in_flight = IN_FLIGHT, timeout = 1 })
local ended = { done = 0, unknown = 0, rejected = 0, not_sent = 0, another = 0 }

local function descriptors()
  local count = 0
  for _ in io.popen("ls /proc/" .. io.open("/proc/self/stat"):read "n" .. "/fd"):lines() do count = count + 1 end
  return count
end

local function payment(reference)
  return {
    amount_requested = { currency = "usd", value = reference },
    initiated_at = 1730253453,
    payment_method_details = { type = "custom", custom = { display_name = "newpay" } },
    metadata = { reference = tostring(reference) },
  }
end

-- Counts how a call ended, by its outcome; "another": the answer was somebody else's.
local function watch(reference)
  return function(record, err)
    local outcome = err and err.outcome or "done"
    if record and record.metadata.reference ~= tostring(reference) then outcome = "another" end
    ended[outcome] = ended[outcome] + 1
  end
end

local function report(first, last)
  local unfinished, next_one = 0, first
  repeat
    while unfinished < IN_FLIGHT and next_one <= last do
      client:start("report_payment", payment(next_one), { on_done = watch(next_one), max_retries = 5 })
      next_one, unfinished = next_one + 1, unfinished + 1
    end
    unfinished = client:step(LONGEST_WAIT)
  until unfinished == 0 and next_one > last
end

-- All connections are open, and idle, when memory is looked at: each takes some 40 kB.
local function open_connections()
  for i = 1, IN_FLIGHT do client:start("retrieve_payment_record", "pr_" .. i, nil, { max_retries = 5 }) end
  repeat until client:step(LONGEST_WAIT) == 0
end

local function ledger()
  local totals = {}
  local pipe = io.popen(("curl -s --cacert %s %s/ledger"):format(ca_file, url))
  for name, value in pipe:read "a":gmatch "(%w+)=(%d+)" do totals[name] = tonumber(value) end
  pipe:close()
  return totals
end

-- They have their room from the beginning: they must not be what grows.
local samples = { in_use = {}, lua = {} }
for i = 1, SAMPLES do samples.in_use[i], samples.lua[i] = 0, 0 end
local most_descriptors = 0

local function sample(i)
  open_connections()
  collectgarbage()
  collectgarbage()
  samples.in_use[i], samples.lua[i] = heap.in_use(), collectgarbage "count"
  most_descriptors = math.max(most_descriptors, descriptors())
end

local part = math.floor(calls / SAMPLES)

local function print_sample(i)
  print(("| %d | %d | %d | %d | %d | %.0f | %.0f | %d | %d |"):format(i * part, ended.done, ended.unknown,
    ended.rejected, ended.not_sent, samples.in_use[i], samples.lua[i], process.kilobytes "RssAnon", descriptors()))
end

-- By what these samples grow for each 10,000 calls, and the standard error of that: the line of least squares.
local function slope(values)
  local count, mean_x, mean_y, xx, xy, yy = 0, 0, 0, 0, 0, 0
  for i = SAMPLES / 10 + 1, SAMPLES do
    local x, y = i * part / 10000, values[i]
    count = count + 1
    local dx, dy = x - mean_x, y - mean_y
    mean_x, mean_y = mean_x + dx / count, mean_y + dy / count
    xx, xy, yy = xx + dx * (x - mean_x), xy + dx * (y - mean_y), yy + dy * (y - mean_y)
  end
  local growth = xy / xx
  return growth, math.sqrt(math.max(0, yy - growth * xy) / (count - 2) / xx)
end

print "| calls | done | unknown | rejected | not sent | in use, kB | Lua's heap, kB | resident, kB | descriptors |"
print "|---|---|---|---|---|---|---|---|---|"
for i = 1, SAMPLES do
  report((i - 1) * part + 1, i * part)
  sample(i)
  if i % (SAMPLES / 10) == 0 then print_sample(i) end
end
client:close()

local totals = ledger()
print(("\nThe server: %d requests, %d of which were made to fail; %d payments applied, %d of them more than once.")
  :format(totals.requests, totals.faults, totals.effects, totals.doubles))

local wrong = 0
local function check(holds, ...)
  if holds then return end
  wrong = wrong + 1
  print("WRONG: " .. string.format(...))
end

local function check_growth(what, values)
  local growth, doubt = slope(values)
  print(("%s grew by %.2f kB for each 10,000 calls, give or take %.2f."):format(what, growth, doubt))
  check(growth - DOUBT * doubt <= GROWTH, "that is more than %g", GROWTH)
end

check_growth("Memory in use", samples.in_use)
check_growth("Lua's heap", samples.lua)
check(totals.faults > 0, "no request failed")
check(totals.doubles == 0, "%d payments were applied more than once", totals.doubles)
check(ended.another == 0, "%d answers went to another call", ended.another)
check(ended.done + ended.unknown + ended.rejected + ended.not_sent == part * SAMPLES, "some calls have no result")
check(totals.effects >= ended.done and totals.effects <= part * SAMPLES - ended.not_sent,
  "%d payments were applied, %d were said to be", totals.effects, ended.done)
check(most_descriptors <= 2 * IN_FLIGHT, "too many descriptors are open")
os.exit(wrong == 0 and 0 or 1, true)
