--- Decodes `application/x-www-form-urlencoded` text with bracketed keys into a tree.
--
-- A leaf is a string. A node is a table: `a[k]=v` gives it the string key "k" (also "0", "1", ... of an indexed
-- list, because only the parameter tables know which of the two is meant), `a[]=v` appends at 1, 2, ...
-- SPDX-License-Identifier: MIT

local utf8 = require "payment_records.sandbox.utf8"

local form = {}

-- Rack, which Stripe runs on, has such a limit too; it keeps the recursive readers of a tree safe.
local MAX_DEPTH = 32

local function from_hex(digits)
  return string.char(tonumber(digits, 16))
end

--- Undoes percent-encoding.
---@param text string
---@return string|nil text nil where a `%` is not followed by two hexadecimal digits
function form.unescape(text)
  if not text:find("%", 1, true) then return text end
  if text:gsub("%%%x%x", ""):find("%", 1, true) then return nil end
  return (text:gsub("%%(%x%x)", from_hex))
end

local function unescape_form(text)
  return form.unescape((text:gsub("+", " ")))
end

--- "a[b][]" -> { "a", "b", "" }
local function split_key(key)
  local name, brackets = key:match "^([^%[%]]+)(.*)$"
  if not name then return nil end
  local segments, rest = { name }, 1
  while rest <= #brackets do
    local segment, after = brackets:match("^%[([^%[%]]*)%]()", rest)
    if not segment then return nil end
    segments[#segments + 1], rest = segment, after
  end
  return segments
end

--- A node is a list or a hash; `a[]=1&a[b]=2` would make it both.
local function slot_of(node, segment)
  local is_list = #node > 0
  if segment == "" then
    if not is_list and next(node) ~= nil then return nil end
    return #node + 1
  end
  if is_list then return nil end
  return segment
end

local function insert(tree, segments, value)
  local node = tree
  for i = 1, #segments - 1 do
    local slot = slot_of(node, segments[i])
    if not slot then return false end
    local child = node[slot]
    if child == nil then
      child = {}
      node[slot] = child
    end
    if type(child) ~= "table" then return false end
    node = child
  end
  local slot = slot_of(node, segments[#segments])
  if not slot or type(node[slot]) == "table" then return false end
  node[slot] = value
  return true
end

local function add_pair(tree, pair)
  local raw_key, raw_value = pair:match "^([^=]*)=?(.*)$"
  local key, value = unescape_form(raw_key), unescape_form(raw_value)
  if not key or not value then return "Invalid %-encoding in " .. pair:sub(1, 100) end
  if not utf8.is_valid(key) or not utf8.is_valid(value) then return "Invalid UTF-8 in " .. pair:sub(1, 100) end
  local segments = split_key(key)
  if not segments then return "Invalid parameter name: " .. key:sub(1, 100) end
  if #segments > MAX_DEPTH then return "Parameters are nested too deeply: " .. key:sub(1, 100) end
  if not insert(tree, segments, value) then return "Conflicting values for parameter: " .. key:sub(1, 100) end
end

--- Decodes a query string or a form body. Of two values for one name the last counts.
---@param text string
---@return table|nil tree
---@return string|nil message what is wrong with the text
function form.decode(text)
  local tree = {}
  for pair in text:gmatch "[^&]+" do
    local message = add_pair(tree, pair)
    if message then return nil, message end
  end
  return tree
end

local function write_canonical(node, out)
  if type(node) == "string" then
    out[#out + 1] = #node .. ":" .. node
    return
  end
  local keys = {}
  for key in pairs(node) do keys[#keys + 1] = key end
  table.sort(keys) -- all of one type: a node is a list or a hash
  out[#out + 1] = "{"
  for _, key in ipairs(keys) do
    out[#out + 1] = type(key) == "number" and "+" or #key .. ":" .. key
    write_canonical(node[key], out)
  end
  out[#out + 1] = "}"
end

--- One text for every spelling of the same parameters: the order of the pairs and their escaping do not matter.
---@param tree table as `form.decode` returns it
---@return string
function form.canonical(tree)
  local out = {}
  write_canonical(tree, out)
  return table.concat(out)
end

return form
