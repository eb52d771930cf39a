--- The tables of faults (rows/), and which spec file runs which of them.
-- SPDX-License-Identifier: MIT

local cases = require "spec.faults.cases"
local effort = require "spec.support.effort"

local tables = {}

---The tables of each spec file. The files run side by side, so they are to take about the same time.
tables.FILES = {
  connecting_spec = { "connecting", "proxies" },
  requests_spec = { "requests", "bodies" },
  answers_spec = { "answers" },
  statuses_spec = { "statuses" },
  edge_spec = { "edge" },
  tls_spec = { "tls" },
}

---One row of each so many runs.
tables.EVERY = effort.EVERY

---@class spec.FaultEntry
---@field title string
---@field row table
---@field place integer of the row in its family
---@field cases table[]? once cases_of was called

---The rows of a table that run here.
---@param name string
---@return spec.FaultEntry[]
function tables.entries(name)
  local entries, number = {}, 0
  for _, family in ipairs(require("spec.faults.rows." .. name)) do
    for place, row in ipairs(cases.rows(family)) do
      number = number + 1
      if number % tables.EVERY == 0 then
        entries[#entries + 1] = { row = row, title = family.title .. " " .. row[1], place = place }
      end
    end
  end
  return entries
end

---New cases of some rows.
---@param entries spec.FaultEntry[]
---@return table[]
function tables.cases_of(entries)
  local list = {}
  for _, entry in ipairs(entries) do
    entry.cases = cases.of(entry.row, entry.place)
    for _, case in ipairs(entry.cases) do list[#list + 1] = case end
  end
  return list
end

return tables
