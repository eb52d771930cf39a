--- UTF-8, in which requests must be and answers are.
-- SPDX-License-Identifier: MIT

local utf8 = {}

-- ASCII, and each kind of longer sequence (RFC 3629, 4). %z, since Lua 5.1 ends a pattern at a NUL byte.
local WELL_FORMED = {
  "^[%z\1-\127]+",
  "^[\194-\223][\128-\191]",
  "^\224[\160-\191][\128-\191]",
  "^[\225-\236\238\239][\128-\191][\128-\191]",
  "^\237[\128-\159][\128-\191]",
  "^\240[\144-\191][\128-\191][\128-\191]",
  "^[\241-\243][\128-\191][\128-\191][\128-\191]",
  "^\244[\128-\143][\128-\191][\128-\191]",
}

local REPLACEMENT = "\239\191\189" -- U+FFFD

local function end_of_sequence(bytes, start)
  for _, sequence in ipairs(WELL_FORMED) do
    local _, last = bytes:find(sequence, start)
    if last then return last end
  end
end

--- The bytes with U+FFFD in place of each one that does not belong to UTF-8.
---@param bytes string
---@return string
function utf8.repaired(bytes)
  if not bytes:find "[\128-\255]" then return bytes end
  local parts, start = {}, 1
  while start <= #bytes do
    local last = end_of_sequence(bytes, start)
    parts[#parts + 1] = last and bytes:sub(start, last) or REPLACEMENT
    start = (last or start) + 1
  end
  return table.concat(parts)
end

--- Whether the bytes are UTF-8.
---@param bytes string
---@return boolean
function utf8.is_valid(bytes)
  return utf8.repaired(bytes) == bytes
end

return utf8
