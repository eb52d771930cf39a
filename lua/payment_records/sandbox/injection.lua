--- Faults on demand: what `Box:fail_next` accepts, and what it makes of the next request.
-- SPDX-License-Identifier: MIT

local faults = require "payment_records.sandbox.faults"

local injection = {}

local LOST = {
  lost_request = { executed = false, lost = "connection lost before the request arrived" },
  lost_answer = { executed = true, lost = "connection lost before the answer arrived" },
}

local FIELDS = {
  status = "number", type = "string", code = "string", message = "string", param = "string",
  headers = "table", body = "string", executed = "boolean",
}

local function names(of)
  local list = {}
  for name in pairs(of) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, ", ")
end

--- Checks a fault.
---@param fault string|table see `Box:fail_next`
---@return table|nil injection
---@return string|nil message what is wrong with it
function injection.new(fault)
  if LOST[fault] then return LOST[fault] end
  if type(fault) ~= "table" then
    return nil, "a fault is one of " .. names(LOST) .. ", or a table; got " .. tostring(fault)
  end
  for name, value in pairs(fault) do
    local expected = FIELDS[name]
    if not expected then return nil, "unknown field " .. tostring(name) .. " (known: " .. names(FIELDS) .. ")" end
    if type(value) ~= expected then return nil, name .. " must be a " .. expected .. ", got a " .. type(value) end
  end
  local status = fault.status
  if not status or status % 1 ~= 0 or status < 200 or status > 599 then
    return nil, "status must be an integer from 200 to 599"
  end
  return fault
end

local function type_of(status)
  if status == 429 then return "rate_limit_error" end
  return status >= 500 and "api_error" or "invalid_request_error"
end

--- The answer an injected fault gives instead of the true one.
---@param fault table
---@param call table
---@return table answer
function injection.answer(fault, call)
  local headers = {}
  if fault.body then headers["Content-Type"] = "text/html" end
  for name, value in pairs(fault.headers or {}) do headers[name] = value end
  local body = fault.body or faults.encode({
    type = fault.type or type_of(fault.status),
    code = fault.code,
    message = fault.message or "An injected fault.",
    param = fault.param,
  }, call.request_id, call.mode)
  return { status = fault.status, headers = headers, body = body }
end

return injection
