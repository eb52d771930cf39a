--- Reports payments for a long time to a server that fails one request in a hundred, and watches what this process
--- holds.
---
---   lua5.4 spec/soak/soak.lua URL CA_FILE CALLS
---
--- Prints a line for each tenth of the calls. Ends with status 1 when a payment was lost or doubled, when an answer
--- went to another call, or when memory or descriptors grew.

local process = require "bench.process"

local url, ca_file, calls = arg[1], arg[2], tonumber(arg[3])

local IN_FLIGHT = 64
local LONGEST_WAIT = 10 -- seconds; something happens long before

-- What the highest resident memory of the second half may be above that of the first, in kB: for each 10,000 calls,
-- and in all, since the number of open connections varies.
local GROWTH, VARIATION = 1, 2048

local client = process.client(url, ca_file, { max_in_flight = IN_FLIGHT, timeout = 1 })
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

local function ledger()
  local totals = {}
  local pipe = io.popen(("curl -s --cacert %s %s/ledger"):format(ca_file, url))
  for name, value in pipe:read "a":gmatch "(%w+)=(%d+)" do totals[name] = tonumber(value) end
  pipe:close()
  return totals
end

local samples = {}

local function sample(reported)
  collectgarbage()
  collectgarbage()
  local now = { resident = process.kilobytes "RssAnon", heap = collectgarbage "count", descriptors = descriptors() }
  samples[#samples + 1] = now
  print(("| %d | %d | %d | %d | %d | %d | %.0f | %d |"):format(reported, ended.done, ended.unknown, ended.rejected,
    ended.not_sent, now.resident, now.heap, now.descriptors))
end

print "| calls | done | unknown | rejected | not sent | resident, kB | of it Lua heap | descriptors |"
print "|---|---|---|---|---|---|---|---|"
local tenth = math.floor(calls / 10)
for i = 1, 10 do
  report((i - 1) * tenth + 1, i * tenth)
  sample(i * tenth)
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

local function highest(field, first, last)
  local found = 0
  for i = first, last do found = math.max(found, samples[i][field]) end
  return found
end

local growth = highest("resident", 6, 10) - highest("resident", 1, 5)
local allowed = GROWTH * calls / 2 / 10000 + VARIATION
check(totals.faults > 0, "no request failed")
check(totals.doubles == 0, "%d payments were applied more than once", totals.doubles)
check(ended.another == 0, "%d answers went to another call", ended.another)
check(ended.done + ended.unknown + ended.rejected + ended.not_sent == tenth * 10, "some calls have no result")
check(totals.effects >= ended.done and totals.effects <= tenth * 10 - ended.not_sent,
  "%d payments were applied, %d were said to be", totals.effects, ended.done)
check(growth <= allowed, "memory grew by %d kB, more than %.0f", growth, allowed)
check(highest("descriptors", 1, 10) <= 2 * IN_FLIGHT, "too many descriptors are open")
os.exit(wrong == 0 and 0 or 1, true)
