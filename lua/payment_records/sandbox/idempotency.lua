--- Idempotency keys of one account and mode (Stripe: idempotent requests). A key is *in flight* from `reserve` until
-- `store`; what is stored answers every later request with the same key for 24 hours.
-- SPDX-License-Identifier: MIT

local faults = require "payment_records.sandbox.faults"

local Keys = {}
Keys.__index = Keys

local LIFETIME = 24 * 60 * 60
local MAX_LENGTH = 255

local IN_USE = "There is currently another in-progress request using this Idempotent Key (that probably means you "
  .. "submitted twice, and the other request is still going through): %s. Please try again later."
local OTHER_PARAMETERS = "Keys for idempotent requests can only be used with the same parameters they were first used "
  .. "with. Try using a key other than '%s' if you meant to execute a different request."
local OTHER_ENDPOINT = "Keys for idempotent requests can only be used for the same endpoint they were first used for "
  .. "('%s' vs '%s'). Try using a key other than '%s' if you meant to execute a different request."

local function in_use(key)
  local fault = faults.invalid(IN_USE:format(key), nil, "idempotency_key_in_use", 409)
  fault.headers = { ["Stripe-Should-Retry"] = "true" }
  return fault
end

--- The answer that is stored for a request.
---@param key string
---@param path string
---@param parameters string their canonical form
---@param now integer Unix seconds
---@return table|nil answer nil if the key is free
---@return table|nil fault the key is in flight, or belongs to another request
function Keys:find(key, path, parameters, now)
  if #key > MAX_LENGTH then
    return nil, faults.invalid("Idempotency keys can be at most " .. MAX_LENGTH .. " characters; got " .. #key .. ".")
  end
  local entry = self.entries[key]
  if not entry then return nil end
  if not entry.answer then return nil, in_use(key) end
  if now - entry.created >= LIFETIME then return nil end
  if entry.path ~= path then return nil, faults.key_reused(OTHER_ENDPOINT:format(path, entry.path, key)) end
  if entry.parameters ~= parameters then return nil, faults.key_reused(OTHER_PARAMETERS:format(key)) end
  return entry.answer
end

--- Takes a free key for a request that is about to run.
---@param key string
---@param path string
---@param parameters string their canonical form
---@param now integer Unix seconds
function Keys:reserve(key, path, parameters, now)
  self.entries[key] = { path = path, parameters = parameters, created = now }
end

--- Keeps the answer of the request that reserved the key, an error as well as a success.
---@param key string
---@param answer table
function Keys:store(key, answer)
  self.entries[key].answer = answer
end

return {
  new = function() return setmetatable({ entries = {} }, Keys) end,
}
