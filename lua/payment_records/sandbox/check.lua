--- Checks a tree of strings against the parameter tables and converts it: integers become numbers, a cleared field
-- becomes `false`. The first fault ends the check: unknown names first, then in the order of the table.
-- SPDX-License-Identifier: MIT

local faults = require "payment_records.sandbox.faults"

local check = {}

local MAX_METADATA_KEYS, MAX_METADATA_KEY_LENGTH, MAX_METADATA_VALUE_LENGTH = 50, 40, 500
local MAX_INTEGER = "9007199254740992" -- 2^53: what every Lua holds exactly

--- Characters, not bytes: UTF-8 continuation bytes do not count.
local function length(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

local function too_long(text, max, param)
  if #text <= max or length(text) <= max then return nil end
  local message = "Invalid string: %s...%s; must be at most %d characters"
  return faults.invalid(message:format(text:sub(1, 4), text:sub(-4), max), param)
end

local function empty(param)
  local message = "You passed an empty string for '%s'. We assume empty values are an attempt to unset a parameter; "
    .. "however '%s' cannot be unset. You should remove '%s' from your request or supply a non-empty value."
  return faults.invalid(message:format(param, param, param), param, "parameter_invalid_empty")
end

local function quoted(names)
  local last = #names
  if last == 1 then return names[1] end
  return table.concat(names, ", ", 1, last - 1) .. " or " .. names[last]
end

local function child(path, name)
  if path == "" then return name end
  return path .. "[" .. name .. "]"
end

local kinds = {}

local function check_value(value, kind, param)
  if value == "" then return nil, empty(param) end
  return kinds[kind.kind](value, kind, param)
end

function kinds.string(value, kind, param)
  if type(value) ~= "string" then return nil, faults.invalid("Invalid string", param) end
  local fault = kind.max and too_long(value, kind.max, param)
  if fault then return nil, fault end
  return value
end

function kinds.enum(value, kind, param)
  for _, name in ipairs(kind.values) do
    if value == name then return value end
  end
  return nil, faults.invalid("Invalid " .. param .. ": must be one of " .. quoted(kind.values), param)
end

function kinds.currency(value, _, param)
  if type(value) == "string" and value:find "^%l%l%l$" then return value end
  local shown = type(value) == "string" and ": " .. value:sub(1, 20) or ""
  return nil, faults.invalid("Invalid currency" .. shown .. ". Use a three-letter ISO code in lowercase.", param)
end

local function outside(number, kind)
  if kind.min and number < kind.min then
    return "This value must be greater than or equal to " .. kind.min .. "."
  elseif kind.max and number > kind.max then
    return "This value must be less than or equal to " .. kind.max .. "."
  end
end

--- Compares digits, since a number that is too large may be rounded to one that is not.
local function exact_integer(text)
  local digits = text:match "^%-?0*(%d+)$"
  if not digits or #digits > #MAX_INTEGER or (#digits == #MAX_INTEGER and digits > MAX_INTEGER) then return nil end
  return tonumber(text)
end

function kinds.integer(value, kind, param)
  local number = type(value) == "string" and exact_integer(value)
  local message
  if not number then
    message = "Invalid integer" .. (type(value) == "string" and ": " .. value:sub(1, 40) or "")
  else
    message = outside(number, kind)
  end
  if message then return nil, faults.invalid(message, param, "parameter_invalid_integer") end
  return number
end

--- The elements of `a[]=x` or of `a[0]=x&a[1]=y`, in order; nil for anything else.
local function elements(value)
  if type(value) ~= "table" then return nil end
  if #value > 0 then return value end
  local list, count = {}, 0
  for _ in pairs(value) do count = count + 1 end
  for i = 1, count do
    list[i] = value[tostring(i - 1)]
    if list[i] == nil then return nil end
  end
  return list
end

function kinds.array(value, kind, param)
  local list = elements(value)
  if not list then return nil, faults.invalid("Invalid array", param) end
  for i, element in ipairs(list) do
    local _, fault = check_value(element, kind.of, child(param, tostring(i - 1)))
    if fault then return nil, fault end
  end
  return list
end

--- The fault of a metadata hash that would hold more keys than Stripe keeps.
---@param metadata table<string, string> a key with the empty string is about to go and does not count
---@return table|nil fault
function check.metadata_size(metadata)
  local count = 0
  for _, value in pairs(metadata) do
    if value ~= "" then count = count + 1 end
  end
  if count > MAX_METADATA_KEYS then
    return faults.invalid("Metadata can have at most " .. MAX_METADATA_KEYS .. " keys; got " .. count, "metadata")
  end
end

local function metadata_fault(key, value)
  local param = child("metadata", tostring(key))
  if type(key) ~= "string" then return faults.invalid("Invalid object", "metadata") end
  if type(value) ~= "string" then return faults.invalid("Metadata values must be strings", param) end
  if length(key) > MAX_METADATA_KEY_LENGTH then
    local message = "Metadata keys must be at most %d characters; got %d"
    return faults.invalid(message:format(MAX_METADATA_KEY_LENGTH, length(key)), param)
  end
  return too_long(value, MAX_METADATA_VALUE_LENGTH, param)
end

function kinds.metadata(value, _, param)
  if type(value) ~= "table" then return nil, faults.invalid("Invalid object", param) end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local fault = metadata_fault(key, value[key])
    if fault then return nil, fault end
  end
  local fault = check.metadata_size(value)
  if fault then return nil, fault end
  return value
end

local function unknown_parameter(tree, fields, path)
  local known = {}
  for _, field in ipairs(fields) do known[field[1]] = true end
  local first
  for name in pairs(tree) do
    if type(name) == "number" then return faults.invalid("Invalid object", path) end
    if not known[name] and (not first or name < first) then first = name end
  end
  if not first then return nil end
  local param = child(path, first)
  return faults.invalid("Received unknown parameter: " .. param, param, "parameter_unknown")
end

local function check_field(value, field, param)
  if value == nil then
    return nil, field.required and faults.missing(param) or nil
  end
  if value == "" and field.empty then return false end
  return check_value(value, field[2], param)
end

function kinds.hash(value, fields, path)
  if type(value) ~= "table" then return nil, faults.invalid("Invalid object", path) end
  local fault = unknown_parameter(value, fields, path)
  if fault then return nil, fault end
  local values = {}
  for _, field in ipairs(fields) do
    local name = field[1]
    values[name], fault = check_field(value[name], field, child(path, name))
    if fault then return nil, fault end
  end
  fault = fields.rule and fields.rule(values, path)
  if fault then return nil, fault end
  return values
end

--- Checks the parameters of a call.
---@param tree table as `form.decode` returns it
---@param fields table one of the tables of `params`
---@return table|nil values
---@return table|nil fault
function check.params(tree, fields)
  return kinds.hash(tree, fields, "")
end

return check
