--- A request as a curl command line, to read or to paste into a shell.
-- SPDX-License-Identifier: MIT

-- curl writes these by itself from -u and -d.
local IMPLIED = { Authorization = true, ["Content-Type"] = true }

local function quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

local function sorted_names(headers)
  local names = {}
  for name in pairs(headers) do
    if not IMPLIED[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function add_body(words, body)
  if body == "" then words[#words + 1] = "-d ''" end
  for pair in body:gmatch "[^&]+" do
    words[#words + 1] = "-d " .. quote(pair)
  end
end

--- The command has $STRIPE_API_KEY where the key goes, and sends the same bytes as the client would.
---@param request payment_records.Request from client:prepare()
---@param connection { ca_file: string|nil, proxy: string|nil, unix_socket: string|nil }
---@return string
return function(request, connection)
  -- Brackets in a URL would be patterns to curl.
  local first = request.url:find("[", 1, true) and "curl --globoff " or "curl "
  local words = { first .. quote(request.url), '-u "$STRIPE_API_KEY:"' }
  if connection.ca_file then words[#words + 1] = "--cacert " .. quote(connection.ca_file) end
  if connection.proxy then words[#words + 1] = "--proxy " .. quote(connection.proxy) end
  if connection.unix_socket then words[#words + 1] = "--unix-socket " .. quote(connection.unix_socket) end
  for _, name in ipairs(sorted_names(request.headers)) do
    words[#words + 1] = "-H " .. quote(name .. ": " .. request.headers[name])
  end
  if request.body then add_body(words, request.body) end
  return table.concat(words, " \\\n  ")
end
