--- The eleven calls: method, path and name. The name is that of the parameter table and of the ledger's method.
-- SPDX-License-Identifier: MIT

local faults = require "payment_records.sandbox.faults"
local form = require "payment_records.sandbox.form"
local params = require "payment_records.sandbox.params"
local render = require "payment_records.sandbox.render"

local RECORDS, RECORD, ATTEMPTS = "/v1/payment_records", "/v1/payment_records/{id}", "/v1/payment_attempt_records"

local CALLS = {
  { "GET", RECORDS, "list_payment_records", shape = render.LIST },
  { "GET", RECORD, "retrieve_payment_record", params = params.retrieve },
  { "POST", RECORDS .. "/report_payment", "report_payment" },
  { "POST", RECORD .. "/report_payment_attempt", "report_payment_attempt" },
  { "POST", RECORD .. "/report_payment_attempt_canceled", "report_payment_attempt_canceled" },
  { "POST", RECORD .. "/report_payment_attempt_failed", "report_payment_attempt_failed" },
  { "POST", RECORD .. "/report_payment_attempt_guaranteed", "report_payment_attempt_guaranteed" },
  { "POST", RECORD .. "/report_payment_attempt_informational", "report_payment_attempt_informational" },
  { "POST", RECORD .. "/report_refund", "report_refund" },
  { "GET", ATTEMPTS, "list_payment_attempt_records", shape = render.LIST },
  { "GET", ATTEMPTS .. "/{id}", "retrieve_payment_attempt_record", params = params.retrieve },
}

local ROUTES = {}
for i, call in ipairs(CALLS) do
  ROUTES[i] = {
    method = call[1],
    pattern = "^" .. call[2]:gsub("{id}", "([^/]+)") .. "$",
    name = call[3],
    params = call.params or params[call[3]],
    shape = call.shape or render.RECORD,
  }
end

local UNRECOGNIZED = "Unrecognized request URL (%s: %s). If you are trying to list objects, remove the trailing slash. "
  .. "If you are trying to retrieve an object, make sure you passed a valid (non-empty) identifier in your code."

local routes = {}

--- Finds the call a request is for.
---@param method string
---@param path string without the query, still percent-encoded
---@return table|nil route `name`, `params`, `shape`
---@return string|table id_or_fault the id in the path, decoded (of no meaning in a list call); 404 without a route
function routes.find(method, path)
  for _, route in ipairs(ROUTES) do
    local match = method == route.method and path:match(route.pattern)
    local id = match and form.unescape(match)
    if id then return route, id end
  end
  return nil, faults.invalid(UNRECOGNIZED:format(method, path), nil, nil, 404)
end

return routes
