--- Writes JSON. A *shape* says in which order the keys of an object are written, and that a missing one is `null`:
--
--     { "id", { "amount", AMOUNT }, { "custom", CUSTOM, optional = true } }   an object
--     { list_of = RECORD }                                                    an array
--
-- `optional` leaves a missing key out. Without a shape a non-empty sequence is an array, any other table is an
-- object with its keys sorted.
-- SPDX-License-Identifier: MIT

local utf8 = require "payment_records.sandbox.utf8"

local json = {}

local write

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(character)
  return ESCAPES[character] or string.format("\\u%04x", character:byte())
end

-- %z, since Lua 5.1 ends a pattern at a NUL byte.
local UNSAFE = '[%z\1-\31"\\\127]'

--- A path or a header may be any bytes, and a message may end within a character; JSON is UTF-8 (RFC 8259, 8.1).
local function write_string(bytes, out)
  out[#out + 1] = '"' .. utf8.repaired(bytes):gsub(UNSAFE, escape) .. '"'
end

local function write_number(number, out)
  -- "%d" refuses floats on 5.3 and later, and tostring writes 1e+15; "%.0f" is exact up to 2^53 everywhere.
  out[#out + 1] = string.format(number % 1 == 0 and "%.0f" or "%.14g", number)
end

local function write_array(list, shape, out)
  out[#out + 1] = "["
  for i = 1, #list do
    if i > 1 then out[#out + 1] = "," end
    write(list[i], shape, out)
  end
  out[#out + 1] = "]"
end

local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function write_object(object, fields, out)
  local separator = "{"
  for _, field in ipairs(fields) do
    local name, shape, optional = field, nil, false
    if type(field) == "table" then name, shape, optional = field[1], field[2], field.optional end
    local value = object[name]
    if value ~= nil or not optional then
      out[#out + 1] = separator
      write_string(name, out)
      out[#out + 1] = ":"
      write(value, shape, out)
      separator = ","
    end
  end
  out[#out + 1] = separator == "{" and "{}" or "}"
end

local function write_table(value, shape, out)
  if shape and shape.list_of then return write_array(value, shape.list_of, out) end
  if not shape and #value > 0 then return write_array(value, nil, out) end
  write_object(value, shape or sorted_keys(value), out)
end

local WRITERS = {
  ["nil"] = function(_, _, out) out[#out + 1] = "null" end,
  boolean = function(value, _, out) out[#out + 1] = tostring(value) end,
  number = function(value, _, out) write_number(value, out) end,
  string = function(value, _, out) write_string(value, out) end,
  table = write_table,
}

function write(value, shape, out)
  WRITERS[type(value)](value, shape, out)
end

--- Encodes a value of strings, numbers, booleans and tables of them.
---@param value any
---@param shape table|nil see above
---@return string
function json.encode(value, shape)
  local out = {}
  write(value, shape, out)
  return table.concat(out)
end

return json
