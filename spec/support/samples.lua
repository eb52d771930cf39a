--- What the specs of the client share: the API reference's example, every call with all its parameters, and clients
-- whose requests go to a table, to a script of answers, or to the sandbox in memory.
-- SPDX-License-Identifier: MIT

local payment_records = require "payment_records"
local sandbox = require "payment_records.sandbox"

local samples = {}

samples.KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
samples.ID = "pr_5RV730PrHyAEi"

--- A live key is written nowhere in full.
function samples.live_key(prefix)
  return (prefix or "sk") .. "_live_" .. "x4eC39HqLyjWDarjtT1zdp7dc"
end

--- The example of the API reference.
function samples.reference()
  return {
    amount_requested = { currency = "usd", value = 1000 },
    customer_presence = "on_session",
    description = "computer software",
    initiated_at = 1730253453,
    payment_method_details = {
      custom = { display_name = "newpay", type = "cpmt_125kjj3hn3sdf" },
      payment_method = "pm_5j23kjksibjlks",
      type = "custom",
    },
  }
end

local function address()
  return { city = "Malmö", country = "SE", line1 = "Gata 1", line2 = "c/o A & B", postal_code = "211 22", state = "M" }
end

local function contact(field, value)
  local contact_details = { email = "a+b@example.com", name = "Zoë", phone = "+46 40 123" }
  contact_details[field] = value
  return contact_details
end

local function payment_method()
  return {
    billing_details = contact("address", address()),
    custom = { display_name = "newpay", type = "cpmt_123" },
    payment_method = "pm_123",
    type = "custom",
  }
end

local function shipping()
  return { address = address(), name = "Zoë", phone = "+46 40 123" }
end

local function metadata()
  return { order = "7", ["a key"] = "50% off & more" }
end

--- Every parameter of every call, by the name of the call. Each use gets tables of its own.
samples.full = {
  report_payment = function()
    return {
      amount_requested = { currency = "jpy", value = 9007199254740991 },
      initiated_at = 1730253453,
      payment_method_details = payment_method(),
      customer_details = contact("customer", "cus_1"),
      customer_presence = "off_session",
      description = "computer software",
      guaranteed = { guaranteed_at = 1730253460 },
      metadata = metadata(),
      outcome = "guaranteed",
      processor_details = { type = "custom", custom = { payment_reference = "npp2358872734k" } },
      shipping_details = shipping(),
      expand = { "customer_details", "shipping_details" },
    }
  end,
  report_payment_attempt = function()
    return {
      initiated_at = 1730253453,
      description = "again",
      failed = { failed_at = 1730253460 },
      metadata = metadata(),
      outcome = "failed",
      payment_method_details = payment_method(),
      shipping_details = shipping(),
      expand = { "x" },
    }
  end,
  report_payment_attempt_canceled = function()
    return { canceled_at = 1730253453, metadata = metadata(), expand = { "x" } }
  end,
  report_payment_attempt_failed = function()
    return { failed_at = 1730253453, metadata = metadata(), expand = { "x" } }
  end,
  report_payment_attempt_guaranteed = function()
    return { guaranteed_at = 1730253453, metadata = metadata(), expand = { "x" } }
  end,
  report_payment_attempt_informational = function()
    return {
      customer_details = contact("customer", "cus_1"),
      description = "described",
      metadata = metadata(),
      shipping_details = shipping(),
      expand = { "x" },
    }
  end,
  report_refund = function()
    return {
      outcome = "refunded",
      processor_details = { type = "custom", custom = { refund_reference = "re-1" } },
      amount = { currency = "usd", value = 1 },
      initiated_at = 1730253453,
      metadata = metadata(),
      refunded = { refunded_at = 1730253460 },
      expand = { "x" },
    }
  end,
  retrieve_payment_record = function() return { expand = { "a", "b" } } end,
  list_payment_records = function()
    return {
      created_after = 1, created_before = 99999999999, ending_before = "pr_1", limit = 100, starting_after = "pr_2",
      expand = { "data.customer_details" },
    }
  end,
  retrieve_payment_attempt_record = function() return { expand = { "a" } } end,
  list_payment_attempt_records = function()
    return { payment_record = "pr_1", limit = 1, starting_after = "par_1", expand = { "x" } }
  end,
}

local RECORD = "/v1/payment_records/" .. samples.ID

---@class spec.SampleCall
---@field name string
---@field method string
---@field path string
---@field id string|nil the call's first argument, when it takes one

---@type spec.SampleCall[] in the order of the API
samples.calls = {
  { name = "report_payment", method = "POST", path = "/v1/payment_records/report_payment" },
  { name = "report_payment_attempt", method = "POST", path = RECORD .. "/report_payment_attempt", id = samples.ID },
  { name = "report_payment_attempt_canceled", method = "POST", path = RECORD .. "/report_payment_attempt_canceled",
    id = samples.ID },
  { name = "report_payment_attempt_failed", method = "POST", path = RECORD .. "/report_payment_attempt_failed",
    id = samples.ID },
  { name = "report_payment_attempt_guaranteed", method = "POST", path = RECORD .. "/report_payment_attempt_guaranteed",
    id = samples.ID },
  { name = "report_payment_attempt_informational", method = "POST",
    path = RECORD .. "/report_payment_attempt_informational", id = samples.ID },
  { name = "report_refund", method = "POST", path = RECORD .. "/report_refund", id = samples.ID },
  { name = "retrieve_payment_record", method = "GET", path = RECORD, id = samples.ID },
  { name = "list_payment_records", method = "GET", path = "/v1/payment_records" },
  { name = "retrieve_payment_attempt_record", method = "GET", path = "/v1/payment_attempt_records/" .. samples.ID,
    id = samples.ID },
  { name = "list_payment_attempt_records", method = "GET", path = "/v1/payment_attempt_records" },
}

--- The arguments of a call's method: `id, params, options` or `params, options`.
---@param call spec.SampleCall
function samples.arguments(call, params, options)
  if call.id then return call.id, params, options end
  return params, options
end

local function with_defaults(options)
  local all = { api_key = samples.KEY }
  for name, value in pairs(options or {}) do all[name] = value end
  return all
end

--- A client whose transport plays a script: each response is a table, or an error message. The last one repeats.
---@param responses table[]|nil by default one record
---@param options table|nil of the client
---@return payment_records.Client client
---@return table[] requests what was handed to the transport, in order
function samples.scripted(responses, options)
  local requests, all = {}, with_defaults(options)
  responses = responses or { { status = 200, headers = {}, body = '{"id":"pr_1","object":"payment_record"}' } }
  all.transport = function(request)
    requests[#requests + 1] = request
    local response = responses[#requests] or responses[#responses]
    if type(response) == "string" then return nil, response end
    return response
  end
  return payment_records.new(all), requests
end

--- A client on a new sandbox in memory.
---@return payment_records.Client client
---@return payment_records.Sandbox box
function samples.on_sandbox(options)
  local box, all = sandbox.new(), with_defaults(options)
  all.transport = box:transport()
  return payment_records.new(all), box
end

--- A copy that shares no table with the original.
function samples.copy(value)
  if type(value) ~= "table" then return value end
  local copied = {}
  for key, inner in pairs(value) do copied[key] = samples.copy(inner) end
  return copied
end

--- A table with the same content, its keys inserted in another order.
function samples.reinserted(value)
  if type(value) ~= "table" then return value end
  if #value > 0 then return samples.copy(value) end
  local keys, other = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return a > b end)
  for i = 1, 8 do other["padding" .. i] = true end
  for _, key in ipairs(keys) do other[key] = samples.reinserted(value[key]) end
  for i = 1, 8 do other["padding" .. i] = nil end
  return other
end

return samples
