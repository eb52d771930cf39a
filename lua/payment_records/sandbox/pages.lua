--- Paging by cursor (Stripe: pagination). Lists are kept oldest first and shown newest first.
-- SPDX-License-Identifier: MIT

local pages = {}

local DEFAULT_LIMIT = 10

local function collect(list, position, step, count, accepts)
  local found = {}
  while list[position] and #found < count do
    if accepts(list[position]) then found[#found + 1] = list[position] end
    position = position + step
  end
  return found
end

local function reverse(list)
  local last = #list
  for i = 1, math.floor(last / 2) do
    list[i], list[last + 1 - i] = list[last + 1 - i], list[i]
  end
end

--- One page of a list.
---@param list table[] oldest first; each element knows its `position`
---@param query { limit: integer|nil, after: table|nil, before: table|nil } the last two: the element beside the page
---@param accepts fun(element: table): boolean
---@return table[] page newest first
---@return boolean has_more whether there are more in the direction of the walk
function pages.page(list, query, accepts)
  local limit = query.limit or DEFAULT_LIMIT
  local found
  if query.before then
    found = collect(list, query.before.position + 1, 1, limit + 1, accepts)
  else
    found = collect(list, query.after and query.after.position - 1 or #list, -1, limit + 1, accepts)
  end
  local has_more = #found > limit
  if has_more then found[#found] = nil end
  if query.before then reverse(found) end
  return found, has_more
end

return pages
