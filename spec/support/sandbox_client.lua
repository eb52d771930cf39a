--- Speaks to a sandbox in memory, for its specs: encodes a table as a form, decodes the JSON of the answer.
-- SPDX-License-Identifier: MIT

local cjson = require "cjson"
local forms = require "spec.support.forms"

local Client = {}
Client.__index = Client

local FORM = "application/x-www-form-urlencoded"

local function add_pairs(value, name, pairs_found)
  if type(value) ~= "table" then
    pairs_found[#pairs_found + 1] = name .. "=" .. forms.escape(tostring(value))
    return
  end
  for key, inner in pairs(value) do
    local segment = type(key) == "number" and "" or forms.escape(key)
    add_pairs(inner, name == "" and segment or name .. "[" .. segment .. "]", pairs_found)
  end
end

local function encode(params)
  local pairs_found = {}
  add_pairs(params, "", pairs_found)
  table.sort(pairs_found)
  return table.concat(pairs_found, "&")
end

--- Sends a request; `params` is a table, or text that goes out as it is.
function Client:request(method, path, params, headers)
  local form = type(params) == "table" and encode(params) or params
  local sent = { Authorization = "Bearer " .. self.key }
  if method == "POST" then sent["Content-Type"] = FORM end
  for name, value in pairs(headers or {}) do sent[name] = value or nil end
  if method == "GET" and form then path, form = path .. "?" .. form, nil end
  local response = self.box:handle { method = method, path = path, headers = sent, body = form }
  return cjson.decode(response.body), response
end

function Client:get(path, params, headers)
  return self:request("GET", path, params, headers)
end

function Client:post(path, params, headers)
  return self:request("POST", path, params or {}, headers)
end

--- Reports a payment: the least a payment needs, and `extra`.
function Client:pay(extra, headers)
  local params = {
    amount_requested = { currency = "usd", value = 1000 },
    initiated_at = 1730253453,
    payment_method_details = { type = "custom" },
  }
  for name, value in pairs(extra or {}) do params[name] = value or nil end
  return self:post("/v1/payment_records/report_payment", params, headers)
end

--- A call upon a record: `report(id, "report_refund", params)`.
function Client:report(id, name, params, headers)
  return self:post("/v1/payment_records/" .. id .. "/" .. name, params, headers)
end

--- Reports a payment that is guaranteed from the start.
function Client:pay_guaranteed(extra)
  local params = { outcome = "guaranteed", guaranteed = { guaranteed_at = 1730253460 } }
  for name, value in pairs(extra or {}) do params[name] = value end
  return self:pay(params)
end

--- Reports a refund with a reference of its own; `extra` may override each part.
function Client:refund(id, extra)
  self.refunds = self.refunds + 1
  local params = {
    outcome = "refunded",
    processor_details = { type = "custom", custom = { refund_reference = "refund-" .. self.refunds } },
  }
  for name, value in pairs(extra or {}) do params[name] = value or nil end
  return self:report(id, "report_refund", params)
end

return {
  --- `key` is a test key by default.
  new = function(box, key)
    return setmetatable({ box = box, key = key or "sk_test_sandbox", refunds = 0 }, Client)
  end,
}
