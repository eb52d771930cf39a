--- A part of the fault tables as specs:   part "tls_spec"
-- The cases of its tables are run, and what held of them is told row by row, and of all together.
-- SPDX-License-Identifier: MIT

local assert = require "luassert"
local busted = require "busted"
local cases = require "spec.faults.cases"
local files = require "spec.support.files"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local runner = require "spec.faults.runner"
local servers = require "spec.support.servers"
local tables = require "spec.faults.tables"

local describe, it = busted.describe, busted.it

-- By AddressSanitizer or valgrind, which keep what was freed for a while, and have memory of their own.
local WATCHED = os.getenv "WATCHED"

-- Bytes that a part may add to what malloc has given out, and to what the process has of the machine, once the process
-- is warm: it has run every third case then.
local GROWTH, RESIDENT_GROWTH = 1024 * 1024, 4 * 1024 * 1024

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

local strangers = 0 -- connections to the server that redirects name

local function start(list)
  local other = cases.start(list)
  return { stop = function()
    strangers = strangers + #other:connections()
    other:stop()
  end }
end

local function memory()
  collectgarbage()
  collectgarbage()
  processes.trim()
  return { heap = processes.heap(), resident = tonumber((files.read "/proc/self/statm":match "^%d+ (%d+)")) * 4096 }
end

-- Runs cases; returns by how much the memory has grown once the process was warm.
local function run(list)
  local first, others = {}, {}
  for i, case in ipairs(list) do table.insert(i % 3 == 0 and first or others, case) end
  runner.run(first, start, check_key)
  local before = memory()
  runner.run(others, start, check_key)
  local after = memory()
  return { heap = after.heap - before.heap, resident = after.resident - before.resident }
end

local function failures_of(entry)
  local failures = {}
  for _, case in ipairs(entry.cases) do
    for _, failure in ipairs(case.failures) do failures[#failures + 1] = failure end
  end
  return table.concat(failures, "\n")
end

---@param name string of the spec file, among tables.FILES
return function(name)
  local entries, planned, growth = {}, 0, nil
  for _, table_name in ipairs(tables.FILES[name]) do
    for _, entry in ipairs(tables.entries(table_name)) do entries[#entries + 1] = entry end
  end

  describe("a call that meets", function()
    busted.setup(function()
      local list = tables.cases_of(entries)
      planned = #list
      growth = run(list)
    end)
    busted.teardown(function()
      payments.close_all()
      servers.stop_all()
    end)

    for _, entry in ipairs(entries) do
      it(entry.title, function() assert.equal("", failures_of(entry)) end)
    end
  end)

  describe("all of these", function()
    it("were run", function()
      assert.is_true(planned > 0)
      assert.equal(planned, runner.finished)
    end)

    it("had one key for each payment", function()
      assert.equal("", table.concat(wrong_keys, "\n"))
      assert.equal("", shared_keys())
      assert.is_true(posts > planned)
    end)

    it("followed no redirect", function()
      assert.equal(0, strangers)
    end)

    local settles = WATCHED and busted.pending or it
    settles("left the memory of the process as it was", function()
      assert.is_true(growth.heap < GROWTH, growth.heap)
      assert.is_true(growth.resident < RESIDENT_GROWTH, growth.resident)
    end)
  end)
end
