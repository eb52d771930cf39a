--- What the encoder costs, by the shape of the table.
---
---   lua5.4 bench/encode.lua SHAPE COUNT
---
--- SHAPE is `keys` (one table with so many keys), `sequence` (one of so many numbers), `tree` (tables of ten tables
--- each, with so many leaves), or `depth` (a thousand leaves, so many tables deep). Prints the microseconds of CPU time
--- that it takes to encode such a table.

local payment_records = require "payment_records"

local LEAST = 0.2 -- seconds that are measured
local WIDTH, LEAVES = 10, 1000

local shapes = {}

function shapes.keys(count)
  local values = {}
  for place = 1, count do values["key_" .. place] = place end
  return values
end

function shapes.sequence(count)
  local values = {}
  for place = 1, count do values[place] = place end
  return { values = values }
end

function shapes.tree(count)
  if count <= WIDTH then return shapes.keys(count) end
  local branches = {}
  for place = 1, WIDTH do
    branches["branch_" .. place] = shapes.tree(math.floor((count + place - 1) / WIDTH))
  end
  return branches
end

function shapes.depth(depth)
  local values = shapes.keys(LEAVES)
  for _ = 2, depth do values = { inner = values } end
  return values
end

local value = shapes[arg[1]](tonumber(arg[2]))
assert(payment_records.encode(value))

local times, start = 0, os.clock()
repeat
  payment_records.encode(value)
  times = times + 1
until os.clock() - start >= LEAST
print(("%.2f"):format((os.clock() - start) * 1e6 / times))
