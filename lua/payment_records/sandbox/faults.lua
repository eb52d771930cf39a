--- Stripe's error objects. A fault is a table of what differs from call to call: `status`, `type`, `code`, `message`,
-- `param`, `headers`.
-- SPDX-License-Identifier: MIT

local json = require "payment_records.sandbox.json"

local faults = {}

local function optional(name)
  return { name, nil, optional = true }
end

local MAX_MESSAGE_LENGTH = 40000

local SHAPE = {
  { "error", {
    optional "code", optional "doc_url", "message", optional "param", optional "request_log_url", "type",
  } },
}

--- Something is wrong with the request.
---@param message string may quote the request, and is cut where it is longer than Stripe's
---@param param string|nil
---@param code string|nil
---@param status integer|nil HTTP status, 400 by default
---@return table fault
function faults.invalid(message, param, code, status)
  return {
    status = status or 400,
    type = "invalid_request_error",
    message = message:sub(1, MAX_MESSAGE_LENGTH),
    param = param,
    code = code,
  }
end

---@param param string
---@return table fault
function faults.missing(param)
  return faults.invalid("Missing required param: " .. param .. ".", param, "parameter_missing")
end

--- An object that does not exist, or not in this account and mode.
---@param what string for example "payment record"
---@param id string
---@param param string the parameter that named it
---@param status integer|nil 404 by default; a paging cursor gets 400
---@return table fault
function faults.no_such(what, id, param, status)
  local message = "No such " .. what .. ": '" .. id .. "'"
  return faults.invalid(message, param, "resource_missing", status or 404)
end

--- An idempotency key that was used for something else (Stripe: idempotent requests).
---@param message string
---@return table fault
function faults.key_reused(message)
  return { status = 400, type = "idempotency_error", message = message }
end

--- The body of an error answer.
---@param fault table
---@param request_id string
---@param mode string|nil "test" or "live"; nil before authentication, then there is no log to point at
---@return string
function faults.encode(fault, request_id, mode)
  local prefix = mode == "test" and "test/" or ""
  return json.encode({
    error = {
      code = fault.code,
      doc_url = fault.code and "https://stripe.com/docs/error-codes/" .. fault.code:gsub("_", "-") or nil,
      message = fault.message,
      param = fault.param,
      request_log_url = mode and "https://dashboard.stripe.com/" .. prefix .. "logs/" .. request_id or nil,
      type = fault.type,
    },
  }, SHAPE)
end

return faults
