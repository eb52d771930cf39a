--- Iterates over all pages of a list.
-- Source: Stripe: pagination (starting_after, ending_before, has_more).
-- SPDX-License-Identifier: MIT

local function copy(params)
  local copied = {}
  for name, value in next, params or {} do copied[name] = value end
  return copied
end

local function reverse(items)
  local reversed = {}
  for i = #items, 1, -1 do reversed[#reversed + 1] = items[i] end
  return reversed
end

--- Returns an iterator over the items of a list, page after page, newest first; with `ending_before`, oldest
-- first. When a page cannot be had it gives `false, err` once, and ends.
---@param list fun(params: table, options: table|nil): table|nil, table|nil asks for one page
---@param params table|nil never changed
---@param options table|nil
---@return fun(): table|false|nil, payment_records.Error|nil
return function(list, params, options)
  if params ~= nil and type(params) ~= "table" then
    error("expected a table of parameters, got a " .. type(params), 2)
  end
  params = copy(params)
  local backwards = params.ending_before ~= nil
  local items, place, more = {}, 0, true

  local function next_page()
    local page, err = list(params, options)
    if not page then return err end
    items, place = backwards and reverse(page.data) or page.data, 0
    local last = items[#items]
    more = page.has_more == true and last ~= nil
    if last then params[backwards and "ending_before" or "starting_after"] = last.id end
  end

  return function()
    if place == #items and more then
      local err = next_page()
      if err then
        more = false
        return false, err
      end
    end
    place = place + 1
    return items[place]
  end
end
