--- Decodes forms with keys such as a[b][c] into trees, to compare what different encoders say. It shares nothing with
--- the encoder under test.
---
--- A tree is a table of strings and trees. A list is a tree whose keys are "0", "1", …: `a[]=x&a[]=y` and
--- `a[0]=x&a[1]=y`, the two notations for a list of scalars, give the same tree.

local form_tree = {}

local function unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

---The segments of a key: "a[b][]" is { "a", "b", "" }.
local function split_key(key)
  local segments = { unescape(key:match "^[^%[]*") }
  local rest = key:sub(#key:match "^[^%[]*" + 1)
  for segment in rest:gmatch "%[([^%[%]]*)%]" do segments[#segments + 1] = unescape(segment) end
  local brackets = select(2, rest:gsub("%b[]", ""))
  assert(rest:gsub("%[[^%[%]]*%]", "") == "" and brackets == #segments - 1, "not a well-formed key: " .. key)
  return segments
end

local function count(tree)
  local keys = 0
  for _ in pairs(tree) do keys = keys + 1 end
  return keys
end

local function insert(tree, key, value)
  local segments = split_key(key)
  for place = 1, #segments - 1 do
    local segment = segments[place]
    assert(segment ~= "" or place == 1, "[] is not at the end: " .. key)
    tree[segment] = tree[segment] or {}
    tree = tree[segment]
    assert(type(tree) == "table", "a scalar has parts: " .. key)
  end
  local last = segments[#segments]
  if last == "" and #segments > 1 then last = ("%d"):format(count(tree)) end
  assert(tree[last] == nil, "given twice: " .. key)
  tree[last] = value
end

---@param form string application/x-www-form-urlencoded
---@return table tree
function form_tree.decode(form)
  local tree = {}
  for pair in form:gmatch "[^&]+" do
    local key, value = pair:match "^([^=]*)=(.*)$"
    assert(key, "a pair without = : " .. pair)
    insert(tree, key, unescape(value))
  end
  return tree
end

local function scalar(value, null)
  if value == null then return "" end
  return type(value) == "number" and ("%.0f"):format(value) or tostring(value)
end

---The tree that a table of parameters means: what an encoder should have said. Empty tables say nothing.
---@param params table
---@param null any what stands for null
---@return table tree
function form_tree.of(params, null)
  local tree = {}
  for key, value in pairs(params) do
    local name = type(key) == "number" and ("%d"):format(key - 1) or key
    tree[name] = type(value) == "table" and form_tree.of(value, null) or nil
    if type(value) ~= "table" then tree[name] = scalar(value, null) end
    if type(tree[name]) == "table" and next(tree[name]) == nil then tree[name] = nil end
  end
  return tree
end

---One line per leaf, sorted: equal for equal trees, and a readable difference for others.
---@param tree table
---@return string
function form_tree.describe(tree)
  local lines = {}
  local function walk(node, path)
    for key, value in pairs(node) do
      local here = ("%s[%q]"):format(path, key)
      if type(value) == "table" then walk(value, here) else lines[#lines + 1] = ("%s = %q"):format(here, value) end
    end
  end
  walk(tree, "")
  table.sort(lines)
  return table.concat(lines, "\n")
end

return form_tree
