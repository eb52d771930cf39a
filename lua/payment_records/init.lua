--- Payment Records for Lua: reports payments made outside Stripe to Stripe's Payment Records API.
--
--     local payment_records = require "payment_records"
--     local client = payment_records.new { api_key = os.getenv "STRIPE_API_KEY" }
--     local record, err = client:report_payment { … }
--
-- SPDX-License-Identifier: MIT

local client = require "payment_records.client"
local core = require "payment_records.core"
local minor_units = require "payment_records.minor_units"

local payment_records = { _VERSION = core._VERSION }

local function check_dot(first, name)
  if not rawequal(first, payment_records) then return end
  error("payment_records." .. name .. ": call it with a dot, not with a colon", 3)
end

--- Makes a client. Keep it: it owns the connections, and its calls share them.
--
-- Raises, naming the option, when one is unknown or wrong, and when there is no API key.
---@param options payment_records.ClientOptions|nil without `api_key`, STRIPE_API_KEY of the environment is taken
---@return payment_records.Client
function payment_records.new(options)
  check_dot(options, "new")
  if options ~= nil and type(options) ~= "table" then
    error("payment_records.new: expected a table of options, got a " .. type(options), 2)
  end
  local made, result = pcall(client.new, options or {})
  if not made then error("payment_records.new: " .. tostring(result), 2) end
  return result
end

--- Encodes any nested table as a form (application/x-www-form-urlencoded, keys such as `a[b][c]`), the way
-- Stripe's API takes it: names in the order of the alphabet, sequences of scalars as `list[]=`, sequences that
-- hold tables as `list[0][name]=`, null as an empty value.
--
-- Raises when the argument is not a table.
---@param parameters table
---@return string|nil body
---@return string|nil message what cannot be encoded, and where, when `body` is nil
function payment_records.encode(parameters)
  check_dot(parameters, "encode")
  return core.encode(parameters)
end

--- Describes the parameters of a call, in the order of the API reference.
--
-- Raises when there is no such call.
---@param name string such as "report_payment"
---@return payment_records.Parameter[]
function payment_records.describe(name)
  check_dot(name, "describe")
  return core.describe(name)
end

--- Turns a decimal amount into the integer that the API takes: `minor_units("12.34", "usd")` is 1234.
---@param amount string decimal digits with an optional fraction; not a number, which cannot hold 0.1
---@param currency string three lower-case letters (ISO 4217)
---@return integer|nil minor_units
---@return string|nil message why the amount is not exact in this currency, when `minor_units` is nil
function payment_records.minor_units(amount, currency)
  check_dot(amount, "minor_units")
  return minor_units(amount, currency)
end

return payment_records
