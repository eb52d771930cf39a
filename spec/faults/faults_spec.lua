--- Nothing is lost and nothing is doubled, whatever the network does: RELIABILITY 2 over HTTP/1.1, plain and with TLS,
-- on TCP and Unix sockets and through proxies. Every row is met in several modes (cases.lua), and after every case all
-- that must hold is checked (checks.lua): one result for each call, in time, with a true outcome; one key and one body
-- over all attempts; at most one payment by the server's ledger, and exactly one if the client says so; attempts as the
-- server counts them; the next call works; descriptors and memory are as before.
--
-- Not here:
--   N-04  a name server that does not answer: the resolver cannot be had so in this process; lifecycle_descriptors_spec
--         preloads a slow one.
--   N-08  EPERM by a firewall: needs one. N-09: more than two addresses of a name: needs a name server.
--   N-10  ENOBUFS, EMFILE: cases that run side by side cannot share a process that lacks them;
--         lifecycle_descriptors_spec.
--   N-14  RC4: OpenSSL has none left. N-16: renegotiation, which TLS 1.3 has not and Python cannot start; must-staple.
--   N-17  a certificate that changes while a connection is kept: takes ten minutes.
--   N-35  the id of another record: an answer is not compared with what was asked for.
--   N-60 to N-67  HTTP/2: a spec of its own.
--   N-70  the environment, N-71: network_connection_spec. SOCKS: a proxy is an HTTP proxy.
--   N-72  clocks that jump: needs another kernel or libfaketime. N-73: loss and reordering: needs netem.
--   N-74  load: a matter of time, not of truth.

local cases = require "spec.faults.cases"
local checks = require "spec.faults.checks"
local files = require "spec.support.files"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local runner = require "spec.faults.runner"
local servers = require "spec.support.servers"

local TABLES = { "connecting", "requests", "answers", "bodies", "statuses", "tls", "proxies" }

-- The whole runs on Lua 5.4; elsewhere, and with AddressSanitizer, which keeps what was freed for a while, one row of
-- each so many: it is the same C code.
local ASAN = os.getenv "ASAN_OPTIONS"
local EVERY = _VERSION == "Lua 5.4" and not ASAN and 1 or 8

-- Bytes that a run may add to what malloc has given out, and to what the process has of the machine, once it is warm:
-- after the table that has the largest answers.
local GROWTH, RESIDENT_GROWTH, WARM = 4 * 1024 * 1024, 16 * 1024 * 1024, "answers"

local faults, planned, doubles = 0, 0, 0

local function chosen(families)
  local rows, number = {}, 0
  for _, family in ipairs(families) do
    for place, row in ipairs(cases.rows(family)) do
      number = number + 1
      local title = family.title .. " " .. row[1]
      if number % EVERY == 0 then rows[#rows + 1] = { row = row, title = title, place = place } end
    end
  end
  return rows
end

local function cases_of(rows)
  local list = {}
  for _, entry in ipairs(rows) do
    entry.cases = cases.of(entry.row, entry.place)
    for _, case in ipairs(entry.cases) do list[#list + 1] = case end
  end
  return list
end

local function failures_of(entry)
  local failures = {}
  for _, case in ipairs(entry.cases) do
    for _, failure in ipairs(case.failures) do failures[#failures + 1] = failure end
  end
  return table.concat(failures, "\n")
end

-- Key discipline (R-05) over all that the servers have read: each POST has one key, in printable characters, which
-- serves one payment; a GET has none.
local wrong_keys, posts = {}, 0
local seen = files.temporary_directory() .. "/keys" -- a file, so that it is no memory of this process
local seen_file = assert(io.open(seen, "w"))

local function check_key(request)
  local keys = 0
  for _, pair in ipairs(request.headers) do
    if pair[1]:lower() == "idempotency-key" then keys = keys + 1 end
  end
  if request.method == "GET" then
    if keys > 0 then wrong_keys[#wrong_keys + 1] = request.path .. " has a key" end
    return
  end
  posts = posts + 1
  local key, reference = request.key or "", request.body:match "metadata%[reference%]=([^&]*)"
  if keys ~= 1 or not key:find "^[!-~]+$" or #key > 255 then wrong_keys[#wrong_keys + 1] = reference .. ": " .. key end
  seen_file:write(key, " ", reference, "\n")
end

-- Keys that serve two payments.
local function shared_keys()
  seen_file:close()
  local keys = files.capture("sort -u " .. seen .. " | cut -d ' ' -f 1 | uniq -d")
  files.remove(seen:match "^(.*)/")
  return keys
end

local function resident()
  return tonumber((files.read "/proc/self/statm":match "^%d+ (%d+)")) * 4096
end

teardown(servers.stop_all)

local warm_heap, warm_resident

local strangers = 0 -- connections to the server that redirects name

local function start(list, keys)
  local other = cases.start(list, keys)
  return { stop = function()
    strangers = strangers + #other:connections()
    other:stop()
  end }
end

for _, name in ipairs(TABLES) do
  local rows = chosen(require("spec.faults.rows." .. name))

  describe("a call that meets", function()
    setup(function()
      local list = cases_of(rows)
      faults, planned = faults + #rows, planned + #list
      runner.run(list, start, check_key)
      collectgarbage()
      if name == WARM then warm_heap, warm_resident = processes.heap(), resident() end
    end)
    teardown(function()
      payments.close_all()
      for _, entry in ipairs(rows) do entry.cases = nil end
    end)

    for _, entry in ipairs(rows) do
      it(entry.title, function()
        assert.equal("", failures_of(entry))
      end)
    end
  end)
end

describe("one key", function()
  after_each(payments.close_all)

  local function payment(reference)
    local params = {}
    for name, value in pairs(payments.PAYMENT) do params[name] = value end
    params.metadata = { reference = reference }
    return params
  end

  local function finish(client)
    local last = processes.now() + 20
    while client:step(0.05) > 0 and processes.now() < last do end
  end

  it("that two calls share at the same time makes one payment, and both have it", function()
    local server = servers.start { ledger = true, steps = { { work = 0.3 } } }
    local client = payments.client(server, { max_retries = 5 })
    local calls = {}
    for i = 1, 2 do
      calls[i] = client:start("report_payment", payment "shared", { idempotency_key = "shared" })
    end
    finish(client)
    for _, call in ipairs(calls) do
      local record, err = call:result()
      assert.is_nil(err)
      assert.equal("shared", record.metadata.reference)
    end
    assert.equal(1, #server:entries "effect")
  end)

  it("that was used for another payment is refused, and the first payment stays as it is", function()
    local server = servers.start { ledger = true }
    local client = payments.client(server, { max_retries = 5 })
    assert(client:report_payment(payment "first", { idempotency_key = "used" }))
    local record, err = client:report_payment(payment "second", { idempotency_key = "used" })
    assert.is_nil(record)
    assert.same({ "idempotency_error", "rejected", 1 }, { err.type, err.outcome, err.attempts })
    assert.equal(1, #server:entries "effect")
  end)

  for _, applied in ipairs { true, false } do
    it("tells after a 500 what became of it: the same 500, for ever" .. (applied and ", though it was made" or ""),
      function()
        local step = { ledger = applied and "fail_after" or "fail_before" }
        local server = servers.start { ledger = true, steps = { step, {} } }
        local client = payments.client(server, { max_retries = 3 })
        local _, err = client:report_payment(payment "odd", { idempotency_key = "odd" })
        assert.same({ "unknown", 500, 2, false }, { err.outcome, err.status, err.attempts, err.retryable })
        _, err = client:report_payment(payment "odd", { idempotency_key = "odd" })
        assert.same({ "unknown", 500, 1 }, { err.outcome, err.status, err.attempts })
        assert.equal(applied and 1 or 0, #server:entries "effect")
      end)
  end
end)

describe("all of these", function()
  it("were run: at least 130 faults, in at least 600 cases", function()
    assert.equal(planned, runner.finished)
    assert.is_true(faults >= 130 / EVERY, faults)
    assert.is_true(planned >= 600 / EVERY, planned)
  end)

  it("had one key for each payment", function()
    assert.equal("", table.concat(wrong_keys, "\n"))
    assert.equal("", shared_keys())
    assert.is_true(posts > planned)
  end)

  it("followed no redirect", function()
    assert.equal(0, strangers)
  end)

  local settles = ASAN and pending or it
  settles("left the memory of the process as it was", function()
    collectgarbage()
    collectgarbage()
    local heap, size = processes.heap() - warm_heap, resident() - warm_resident
    assert.is_true(heap < GROWTH, heap)
    assert.is_true(size < RESIDENT_GROWTH, size)
  end)

  it("make doubles where the server ignores keys, or else these specs would be blind", function()
    local list = {}
    for _, name in ipairs { "requests", "answers", "bodies", "statuses" } do
      for _, case in ipairs(cases_of(chosen(require("spec.faults.rows." .. name)))) do
        if case.effect == "after" and case.often == "once" and case.calls == 1 then list[#list + 1] = case end
      end
    end
    runner.run(list, function(part) return start(part, "without_keys") end, nil, function(case)
      for _, effects in pairs(checks.ledger_of(case).effects) do doubles = doubles + effects - 1 end
    end)
    assert.is_true(doubles >= 100 / EVERY, doubles)
  end)
end)
