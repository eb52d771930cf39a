--- Reads what callgrind_annotate says of two runs of each program, and prints what our own code costs per call.
---
---   lua5.4 bench/callgrind.lua DIRECTORY FEW MANY      (for bench/run_instructions, which names the files)
---
--- check+encode   the walk over the parameters, with all that it calls
--- answer         from the bytes of an answer to the tidied record, without lua-cjson's decoding
--- call           all that happens beside libcurl and lua-cjson's decoding; libcurl's callbacks into us are ours

local directory, few, many = arg[1], tonumber(arg[2]), tonumber(arg[3])

-- "  1,234 ( 0.50%)  > file:function (1,200x) [object]": instructions, kind, function, object
local LINE = "^%s*([%d,]+) %(.-%)%s+([*>])%s+[^:]*:(.-) *%[([^%]]*)%]$"

local function parse(line)
  local instructions, kind, name, object = line:match(LINE)
  if not instructions then return nil end
  name = name:gsub(" %([%d,]+x%)$", ""):gsub("'%d+$", ""):gsub("%.%l.*$", "") -- (1,200x), '2, .lto_priv.0
  return { cost = tonumber((instructions:gsub(",", ""))), kind = kind, name = name, object = object:match "[^/]*$" }
end

local function is_curl(line) return line.object:match "^libcurl" ~= nil end
local function is_ours(line) return line.object == "core.so" end

-- Sums of one run: of the whole program, of libcurl's part, and of each of our functions and what they call.
local function read(path)
  local sums = { total = 0, curl = 0, functions = {}, decode = 0 }
  local caller
  for line in io.lines(path) do
    local total = line:match "^%s*([%d,]+) %b()%s+PROGRAM TOTALS"
    if total then sums.total = tonumber((total:gsub(",", ""))) end
    local found = parse(line)
    if found and found.kind == "*" then
      caller = found
      -- A function that calls itself has a line for itself and one for the inner calls, which cost less.
      if is_ours(found) then
        sums.functions[found.name] = math.max(sums.functions[found.name] or 0, found.cost)
      end
    elseif found then
      if is_ours(caller) and is_curl(found) then sums.curl = sums.curl + found.cost end
      if is_curl(caller) and is_ours(found) then sums.curl = sums.curl - found.cost end
      if caller.name == "lua_record_read" and is_ours(caller) and found.name:match "^lua_pcall" then
        sums.decode = sums.decode + found.cost
      end
    end
  end
  return sums
end

-- What a program costs per call, by a function that picks a sum.
local function per_call(program, pick)
  local function cost(count) return pick(read(("%s/%s.%d"):format(directory, program, count))) end
  return (cost(many) - cost(few)) / (many - few)
end

local function walk(sums) return assert(sums.functions.lua_params_write, "lua_params_write was not called") end
local function answer(sums)
  assert(sums.decode > 0, "nothing was decoded")
  return sums.functions.lua_record_read - sums.decode
end
local function own(sums)
  assert(sums.curl > 0, "libcurl was not called")
  return sums.total - sums.curl - sums.decode
end

local function print_figure(name, cost) print(("%-22s %7.0f"):format(name, cost)) end

local answers = 0

for _, payload in ipairs { "example", "full" } do
  print_figure("check+encode-" .. payload, per_call("prepare-" .. payload, walk))
  print_figure("blocking-call-" .. payload, per_call("blocking-" .. payload, own))
  print_figure("async-call-" .. payload, per_call("async-" .. payload, own))
  answers = answers + per_call("blocking-" .. payload, answer) + per_call("async-" .. payload, answer)
end
-- All get the same answer; Lua lays out its tables in another order in each run.
print_figure("answer", answers / 4)
