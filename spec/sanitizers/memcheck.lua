-- What valgrind found:   lua5.4 spec/sanitizers/memcheck.lua LOG ...
-- The logs are named after the process ids. Prints every error, and every leak or open descriptor of a process that
-- came to its end. A child of a fork ends in the middle of things by _exit, and has given up its parent's handles (as
-- it must: spec/lifecycle_fork_spec.lua), so only its errors count. Ends with status 1 when there was anything.

local LEAKS = { "definitely lost in", "Open .*descriptor", "Open .*socket" }
local NOTES = { -- blocks of a log that are no findings
  "^Memcheck, ", "^Command: ", "^FILE DESCRIPTORS: ", "^HEAP SUMMARY", "^LEAK SUMMARY", "^ERROR SUMMARY",
  "^For lists of detected", "^All heap blocks were freed", "^Reachable blocks",
  "possibly lost in", -- Lua's strings at the end of a child
  "inherited from parent",
  "^Warning: invalid file descriptor", -- where specs let them run out
}

-- A log in blocks: paragraphs without the process id before each line.
local function read_blocks(path)
  local blocks, lines = {}, {}
  for line in io.lines(path) do
    local text = line:match "^==%d+==%s?(.*)$"
    if text and text:match "%S" then
      lines[#lines + 1] = text
    elseif text and #lines > 0 then
      blocks[#blocks + 1] = table.concat(lines, "\n")
      lines = {}
    end
  end
  blocks[#blocks + 1] = #lines > 0 and table.concat(lines, "\n") or nil
  return blocks
end

local function matches(block, patterns)
  for _, pattern in ipairs(patterns) do
    if block:find(pattern) then return true end
  end
  return false
end

local function contains(blocks, pattern)
  return matches(table.concat(blocks, "\n"), { pattern })
end

local logs, found = {}, 0
for _, path in ipairs(arg) do logs[path:match "%d+$"] = read_blocks(path) end
for id, blocks in pairs(logs) do
  local parent = logs[table.concat(blocks, "\n"):match "Parent PID: (%d+)"]
  local forked = parent and contains(parent, "ERROR SUMMARY")
  for _, block in ipairs(blocks) do
    if not matches(block, NOTES) and not (forked and matches(block, LEAKS)) then
      found = found + 1
      print(("process %s%s: %s\n"):format(id, forked and ", forked" or "", block))
    end
  end
end
print(("%d processes, %d findings"):format(#arg, found))
os.exit(found == 0)
