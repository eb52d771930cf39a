-- What the specs reach of src/:   lua5.4 spec/sanitizers/coverage.lua TRACE
-- TRACE is what `llvm-cov export -format=lcov` prints. Prints a table of the lines and branches of every file, and
-- those not reached that uncovered.md does not account for. Ends with status 1 below the least that has to be reached.

local LEAST = { lines = 95, branches = 90 } -- per cent
local ACCOUNTED = "spec/sanitizers/uncovered.md"

-- The items of uncovered.md, "- `file`: `line of source`", as a set of "file: line of source".
local function read_accounted()
  local accounted = {}
  for line in io.lines(ACCOUNTED) do
    local file, source = line:match "^%- `([^`]+)`: `(.+)`$"
    if file then accounted[file .. ": " .. source] = true end
  end
  return accounted
end

local function read_source(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line:match "^%s*(.-)%s*$" end
  return lines
end

-- Adds a line, or a way that a condition of it can turn out: one of a kind.
local function count(file, kind, number, reached)
  local counts = file[kind]
  counts.all = counts.all + 1
  if reached then
    counts.reached = counts.reached + 1
  else
    file.missed[number] = true
  end
end

local function read_trace(path)
  local files, file = {}, nil
  for line in io.lines(path) do
    local source = line:match "^SF:.*/(src/.*)$"
    local number, hits = line:match "^DA:(%d+),(%d+)"
    local place, taken = line:match "^BRDA:(%d+),%d+,%d+,(%S+)"
    if source then
      file = { name = source:match "[^/]+$", path = source, missed = {} }
      file.lines, file.branches = { all = 0, reached = 0 }, { all = 0, reached = 0 }
      files[#files + 1] = file
    elseif number then
      count(file, "lines", tonumber(number), hits ~= "0")
    elseif place then
      count(file, "branches", tonumber(place), taken ~= "0" and taken ~= "-")
    end
  end
  return files
end

local function per_cent(counts)
  return counts.all == 0 and 100 or 100 * counts.reached / counts.all
end

local function print_row(file)
  local lines, branches = file.lines, file.branches
  print(("%-20s %5d of %5d  %6.2f %%   %5d of %5d  %6.2f %%"):format(file.name, lines.reached, lines.all,
    per_cent(lines), branches.reached, branches.all, per_cent(branches)))
end

local function add_up(files)
  local total = { name = "all", lines = { all = 0, reached = 0 }, branches = { all = 0, reached = 0 } }
  for _, file in ipairs(files) do
    for kind in pairs(LEAST) do
      total[kind].all = total[kind].all + file[kind].all
      total[kind].reached = total[kind].reached + file[kind].reached
    end
  end
  return total
end

-- Prints what is not reached and not accounted for, and takes what is off the account. Of lines that follow each other
-- the first stands for all.
local function print_missed(file, accounted)
  local source = read_source(file.path)
  for number = 1, #source do
    local item = file.name .. ": " .. source[number]
    if file.missed[number] and not file.missed[number - 1] then
      if accounted[item] == nil then print(("%s:%d: not reached: %s"):format(file.path, number, source[number])) end
      accounted[item] = false
    end
  end
end

local files, accounted = read_trace(arg[1]), read_accounted()
for _, file in ipairs(files) do print_missed(file, accounted) end
for item, unused in pairs(accounted) do
  if unused then print(("%s lists what is reached: %s"):format(ACCOUNTED, item)) end
end
print(("\n%-20s %-24s   %s"):format("file", "lines", "branches"))
for _, file in ipairs(files) do print_row(file) end
local total = add_up(files)
print_row(total)
local enough = true
for kind, least in pairs(LEAST) do
  if per_cent(total[kind]) < least then
    enough = false
    print(("fewer than %d %% of the %s are reached"):format(least, kind))
  end
end
os.exit(enough)
