--- Nothing is lost and nothing is doubled, whatever an HTTP/2 server does (RELIABILITY 2, N-60 to N-66).

local cases = require "spec.faults.cases"
local families = require "spec.h2faults.rows"
local payments = require "spec.support.payments"
local runner = require "spec.faults.runner"
local servers = require "spec.support.servers"

local EVERY = require "spec.support.effort".EVERY -- one row of each so many runs

local rows, count = 0, 0

---The rows of a family that run here, each with its cases.
local function chosen(family)
  local entries = {}
  family.over, family.server = { "tls" }, { http2 = true }
  for place, row in ipairs(cases.rows(family)) do
    rows = rows + 1
    if rows % EVERY == 0 then entries[#entries + 1] = { row = row, cases = cases.of(row, place) } end
  end
  return entries
end

teardown(servers.stop_all)

for _, family in ipairs(families) do
  local entries = chosen(family)
  describe(family.title, function()
    setup(function()
      local lone, many = {}, {}
      for _, entry in ipairs(entries) do
        for _, case in ipairs(entry.cases) do table.insert(case.calls == 1 and lone or many, case) end
      end
      count = count + #lone + #many
      runner.run(lone, cases.start)
      -- Each by itself, as its handshakes keep this process busy
      for _, case in ipairs(many) do runner.run({ case }, cases.start) end
    end)
    teardown(payments.close_all)

    for _, entry in ipairs(entries) do
      it(entry.row[1], function()
        local failures = {}
        for _, case in ipairs(entry.cases) do
          for _, failure in ipairs(case.failures) do failures[#failures + 1] = failure end
        end
        assert.equal("", table.concat(failures, "\n"))
      end)
    end
  end)
end

it("are so many", function()
  assert.is_true(rows >= 140, rows .. " rows")
  assert.is_true(EVERY > 1 or count >= 450, count .. " cases")
end)
