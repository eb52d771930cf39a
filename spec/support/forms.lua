--- An encoder and a decoder of forms that share nothing with the library's.
-- SPDX-License-Identifier: MIT

local forms = {}

local UNRESERVED = {}
for character in ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"):gmatch "." do
  UNRESERVED[character] = true
end

--- RFC 3986, 2.1: each byte that is not unreserved as % and two hexadecimal digits.
function forms.escape(text)
  local out = {}
  for i = 1, #text do
    local character = text:sub(i, i)
    out[i] = UNRESERVED[character] and character or ("%%%02X"):format(character:byte())
  end
  return table.concat(out)
end

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

--- The pairs as they stand: { { "a[b]", "text" }, … }, keys and values unescaped.
function forms.pairs(body)
  local found = {}
  for pair in body:gmatch "[^&]+" do
    local key, value = pair:match "^([^=]*)=([^=]*)$"
    found[#found + 1] = { unescape(assert(key, "not one = in " .. pair)), unescape(value) }
  end
  return found
end

local function segments_of(key)
  local segments = { unescape(key:match "^[^%[]*") }
  local rest = key:match "^[^%[]*(.*)$"
  while rest ~= "" do
    local segment, after = rest:match "^%[([^%[%]]*)%](.*)$"
    assert(segment, "not a well-formed key: " .. key)
    segments[#segments + 1], rest = unescape(segment), after
  end
  return segments
end

local function slot(node, segment, appends)
  if appends then return #node + 1 end
  return segment:match "^%d+$" and tonumber(segment) + 1 or segment
end

local function store(tree, key, value)
  local segments, node = segments_of(key), tree
  for i = 1, #segments - 1 do
    local place = slot(node, segments[i], false)
    node[place] = node[place] or {}
    node = node[place]
  end
  local last = segments[#segments]
  local place = slot(node, last, last == "" and #segments > 1)
  assert(node[place] == nil, "given twice: " .. key)
  node[place] = value
end

--- A tree of strings. `a[]=x` appends; a segment of digits is an index from 0.
function forms.tree(body)
  local tree = {}
  for pair in body:gmatch "[^&]+" do
    local key, value = pair:match "^([^=]*)=([^=]*)$"
    store(tree, assert(key, "not one = in " .. pair), unescape(value))
  end
  return tree
end

return forms
