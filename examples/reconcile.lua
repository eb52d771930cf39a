-- Reports the payments of another processor, from a CSV file, each once: stop it and run it again at will.
--
--     STRIPE_API_KEY=sk_test_… lua examples/reconcile.lua examples/payments.csv [journal]
--
-- The columns: reference, amount (decimal), currency, date (UTC, as 2026-11-01T09:12:44Z), status (paid or failed),
-- method. What is done stands in the journal (the CSV's name with ".journal"), one line an event, so a second run
-- skips it. What was sent without an answer is sent again under the same idempotency key, which Stripe keeps for a
-- day; after that it is looked for among the records first.
-- SPDX-License-Identifier: MIT

local payment_records = require "payment_records"

local KEY_LIFETIME = 23 * 3600 -- seconds; Stripe keeps a key for at least 24 hours

local COLUMNS = { "reference", "amount", "currency", "date", "status", "method" }

-- The quoted field that begins at `place`, in which "" stands for a quote, and the place after it.
local function quoted_field(line, place)
  local field, after = line:match('^"([^"]*)"()', place)
  while field and line:sub(after, after) == '"' do
    local more, next_after = line:match('^"([^"]*)"()', after)
    if not more then break end
    field, after = field .. '"' .. more, next_after
  end
  return field, after
end

-- Splits a line of CSV (RFC 4180, without line breaks in fields); nil when its quotes do not pair.
local function split(line)
  local fields, place = {}, 1
  while place <= #line + 1 do
    local field, after = quoted_field(line, place)
    if not field then field, after = line:match('^([^,"]*)()', place) end
    if after <= #line and line:sub(after, after) ~= "," then return nil end
    fields[#fields + 1], place = field, after + 1
  end
  return fields
end

local function without_cr(line)
  return (line:gsub("\r$", ""))
end

-- Where each column stands, and how many there are: in the first line, which may begin with the mark of UTF-8.
local function read_head(line, path)
  local names, places = split((line:gsub("^\239\187\191", ""))) or {}, {}
  for i, name in ipairs(names) do places[name] = i end
  for _, name in ipairs(COLUMNS) do
    if not places[name] then error(("%s: its first line names no column %s"):format(path, name), 0) end
  end
  return places, #names
end

local function read_row(line, places, count)
  local fields = split(line)
  if not fields then return { wrong = "a quote within a field, or one that is not closed" } end
  if #fields ~= count then return { wrong = ("expected %d fields, got %d"):format(count, #fields) } end
  local row = {}
  for _, name in ipairs(COLUMNS) do row[name] = fields[places[name]] end
  return row
end

local function read_rows(path)
  local rows, number = {}, 1
  local file = assert(io.open(path))
  local places, count = read_head(without_cr(file:read() or ""), path)
  for line in file:lines() do
    number = number + 1
    if line:find "%S" then
      rows[#rows + 1] = read_row(without_cr(line), places, count)
      rows[#rows].line = number
    end
  end
  file:close()
  return rows
end

-- Seconds since the Unix epoch of a date in UTC (os.time would take it for local time).
local function timestamp(date)
  local year, month, day, hour, minute, second = tostring(date):match "^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)Z$"
  if not year then return nil, "expected a date such as 2026-11-01T09:12:44Z, got " .. tostring(date) end
  local y, m = tonumber(year), tonumber(month)
  if m <= 2 then y, m = y - 1, m + 12 end
  local days = 365 * y + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400)
    + math.floor((153 * (m - 3) + 2) / 5) + tonumber(day) - 719469
  local at = ((days * 24 + tonumber(hour)) * 60 + tonumber(minute)) * 60 + tonumber(second)
  if os.date("!%Y-%m-%dT%H:%M:%SZ", at) ~= date then return nil, "there is no date " .. date end
  return at
end

-- The parameters of report_payment for a row, or nil and what is wrong with it.
local function parameters(row)
  if row.wrong then return nil, row.wrong end
  -- The journal has a reference at the end of a line.
  if not row.reference:find "^%C+$" then return nil, "no reference, or one with control characters" end
  local value, wrong = payment_records.minor_units(row.amount, row.currency)
  if not value then return nil, wrong end
  local at, wrong_date = timestamp(row.date)
  if not at then return nil, wrong_date end
  local params = {
    amount_requested = { currency = row.currency, value = value },
    initiated_at = at,
    payment_method_details = { type = "custom", custom = { display_name = row.method } },
    processor_details = { type = "custom", custom = { payment_reference = row.reference } },
  }
  if row.status == "paid" then
    params.outcome, params.guaranteed = "guaranteed", { guaranteed_at = at }
  elseif row.status == "failed" then
    params.outcome, params.failed = "failed", { failed_at = at }
  else
    return nil, "expected the status paid or failed, got " .. tostring(row.status)
  end
  return params
end

-- The same reference always gives the same key: letters, digits and %XX, at most 255 bytes.
local function idempotency_key(reference)
  return "reconcile-" .. reference:gsub("[^%w_-]", function(c) return ("%%%02X"):format(c:byte()) end)
end

-- The journal: "sent TIME REFERENCE" before a row is reported, "done RECORD REFERENCE" after.
local function open_journal(path)
  local journal = { sent = {}, done = {}, file = assert(io.open(path, "a+")) }
  local text = assert(journal.file:read "*a")
  for line in text:gmatch "([^\n]*)\n" do
    local event, detail, reference = line:match "^(%a+) (%S+) (%C+)$"
    if event == "sent" then journal.sent[reference] = journal.sent[reference] or tonumber(detail) end
    if event == "done" then journal.done[reference] = detail end
  end
  -- A line that was cut short, by a full disk or a crash, may name another reference: with a tab it says nothing.
  if text:find "[^\n]$" then assert(journal.file:write "\t\n") end
  return journal
end

local function note(journal, event, detail, reference)
  assert(journal.file:write(event, " ", detail, " ", reference, "\n"))
  assert(journal.file:flush())
end

-- Looks for a payment that was sent so long ago that its idempotency key no longer protects it.
local function find_record(client, reference, sent_at)
  for record, err in client:each_payment_record { created_after = sent_at - 3600, limit = 100 } do
    if not record then return nil, err end
    local details = record.processor_details
    if details and details.custom and details.custom.payment_reference == reference then return record end
  end
end

-- Returns the id of the record, or nil and an error.
local function report(client, journal, row, params)
  local reference, sent_at = row.reference, journal.sent[row.reference]
  if sent_at and os.time() - sent_at > KEY_LIFETIME then
    local found, err = find_record(client, reference, sent_at)
    if err then return nil, err end
    if found then return found.id end
  end
  if not sent_at or os.time() - sent_at > KEY_LIFETIME then
    note(journal, "sent", os.time(), reference)
    journal.sent[reference] = os.time()
  end
  local record, err = client:report_payment(params, { idempotency_key = idempotency_key(reference) })
  return record and record.id, err
end

local function reconcile(client, journal, rows)
  local count = { reported = 0, before = 0 }
  local faults, seen = {}, {}
  for i, row in ipairs(rows) do
    local params, wrong = parameters(row)
    if params and seen[row.reference] then params, wrong = nil, "the reference stands on an earlier line, too" end
    seen[row.reference or ""] = true
    if params and journal.done[row.reference] then
      count.before = count.before + 1
    elseif params then
      local id, err = report(client, journal, row, params)
      if id then
        note(journal, "done", id, row.reference)
        count.reported = count.reported + 1
      else
        wrong = err
      end
    end
    if wrong then faults[#faults + 1] = { row = row, why = wrong } end
    io.stderr:write(("\r%d of %d rows"):format(i, #rows))
  end
  io.stderr:write "\n"
  return count, faults
end

local function print_summary(count, faults)
  print(("%d reported, %d reported before, %d not reported"):format(count.reported, count.before, #faults))
  for _, fault in ipairs(faults) do
    print(("  line %d, %s: %s"):format(fault.row.line, fault.row.reference or "?", tostring(fault.why)))
  end
  if #faults > 0 then print "Mend what can be mended and run it again: what is done is not done twice." end
end

local path = arg[1]
if not path then
  io.stderr:write "usage: lua examples/reconcile.lua FILE.csv [JOURNAL]\n"
  os.exit(2)
end
local client = payment_records.new { api_base = os.getenv "STRIPE_API_BASE", deadline = 120, max_retries = 8 }
local rows = read_rows(path)
local count, faults = reconcile(client, open_journal(arg[2] or path .. ".journal"), rows)
print_summary(count, faults)
os.exit(#faults == 0 and 0 or 1)
