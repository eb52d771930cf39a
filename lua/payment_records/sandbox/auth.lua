--- Authentication: from the headers of a request to the account and mode it works in.
-- SPDX-License-Identifier: MIT

local faults = require "payment_records.sandbox.faults"

local auth = {}

local NO_KEY = "You did not provide an API key. You need to provide your API key in the Authorization header, using "
  .. "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for "
  .. "details, or we can help at https://support.stripe.com/."

local MODES = { sk_test_ = "test", rk_test_ = "test", sk_live_ = "live", rk_live_ = "live" }

--- The mode an API key works in.
---@param key string
---@return string|nil mode "test" or "live"; nil for what is not a secret or restricted key
function auth.mode(key)
  return #key > 8 and MODES[key:sub(1, 8)] or nil
end

local BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function decode_base64(text)
  local bytes, bits, width = {}, 0, 0
  for character in text:gmatch "[%w+/]" do
    bits, width = bits * 64 + BASE64:find(character, 1, true) - 1, width + 6
    if width >= 8 then
      width = width - 8
      local high = math.floor(bits / 2 ^ width)
      bytes[#bytes + 1], bits = string.char(high), bits - high * 2 ^ width
    end
  end
  return table.concat(bytes)
end

local function key_of(authorization)
  local scheme, credentials = authorization:match "^%s*(%a+)%s+(%S+)%s*$"
  scheme = scheme and scheme:lower()
  if scheme == "bearer" then return credentials end
  if scheme == "basic" then return decode_base64(credentials):match "^([^:]+)" end
end

local function unauthorized(message)
  local fault = faults.invalid(message, nil, nil, 401)
  fault.headers = { ["WWW-Authenticate"] = 'Bearer realm="Stripe"' }
  return fault
end

--- A key as it may be shown: what kind it is, and the last characters of a long one.
local function masked(key)
  return (MODES[key:sub(1, 8)] and key:sub(1, 8) or "") .. "****" .. (#key > 16 and key:sub(-4) or "")
end

--- Finds the mode a request works in.
---@param authorization string|nil the header: `Bearer KEY`, or `Basic` with the key as the user name
---@param accepted table<string, boolean>|nil the keys that are accepted; by default every well-formed one
---@return string|nil mode "test" or "live"
---@return table|nil fault 401
function auth.authenticate(authorization, accepted)
  local key = authorization and key_of(authorization)
  if not key then return nil, unauthorized(NO_KEY) end
  local mode = auth.mode(key)
  if not mode or (accepted and not accepted[key]) then
    return nil, unauthorized("Invalid API Key provided: " .. masked(key))
  end
  return mode
end

return auth
