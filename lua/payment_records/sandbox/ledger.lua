--- The Payment Records of one account and mode, and the rules by which they change.
--
-- A record shows what its latest attempt is: everything but the identity is kept on attempts, and a new attempt starts
-- from the one before it. Every method is `method(self, id, values) -> object | nil, fault`; a fault changes nothing.
-- SPDX-License-Identifier: MIT

local check = require "payment_records.sandbox.check"
local faults = require "payment_records.sandbox.faults"
local pages = require "payment_records.sandbox.pages"
local render = require "payment_records.sandbox.render"

local Ledger = {}
Ledger.__index = Ledger

local INHERITED = {
  "amount_requested", "customer_details", "customer_presence", "description", "payment_method_details",
  "processor_details", "shipping_details",
}

local function payment_method_of(details)
  local billing = details.billing_details
  if billing then billing.address = billing.address or {} end
  details.custom = details.custom or {}
  details.type = details.type or "custom"
  return details
end

local function shipping_of(details)
  if details then details.address = details.address or {} end
  return details
end

local function merge_metadata(current, changes)
  local merged = {}
  if changes == false then return merged end
  for key, value in pairs(current) do merged[key] = value end
  for key, value in pairs(changes or {}) do merged[key] = value ~= "" and value or nil end
  return merged, check.metadata_size(merged)
end

--- Finds the record and its latest attempt, and merges the metadata of the request.
local function prepare(self, id, values)
  local record = self.records_by_id[id]
  if not record then return nil, faults.no_such("payment record", id, "id") end
  local attempt = record.attempts[#record.attempts]
  local metadata, fault = merge_metadata(attempt.metadata, values.metadata)
  if fault then return nil, fault end
  return record, attempt, metadata
end

local function add_attempt(self, record, attempt)
  attempt.id, attempt.created = self.next_id("par_", 24), self.now()
  attempt.payment_record, attempt.position = record.id, #record.attempts + 1
  attempt.livemode, attempt.refunded = self.livemode, 0
  record.attempts[attempt.position] = attempt
  self.attempts_by_id[attempt.id] = attempt
end

local function show(self, record)
  return render.record(record, self.move_refunded)
end

function Ledger:report_payment(_, values)
  local record = { id = self.next_id("pr_", 24), created = self.now(), attempts = {}, position = #self.records + 1 }
  add_attempt(self, record, {
    state = values.outcome or "open",
    amount_requested = values.amount_requested,
    customer_details = values.customer_details,
    customer_presence = values.customer_presence,
    description = values.description,
    metadata = merge_metadata({}, values.metadata),
    payment_method_details = payment_method_of(values.payment_method_details),
    processor_details = values.processor_details or { type = "custom" },
    shipping_details = shipping_of(values.shipping_details),
  })
  self.records_by_id[record.id] = record
  self.records[record.position] = record -- last: memory may run out before, and a record has an attempt
  return show(self, record)
end

function Ledger:report_payment_attempt(id, values)
  local record, previous, metadata = prepare(self, id, values)
  if not record then return nil, previous end
  -- The attempts before the latest are over: none could have been added otherwise.
  if previous.state ~= "failed" and previous.state ~= "canceled" then
    local message = "A new attempt can only be reported when every other attempt is canceled or failed; %s is %s."
    return nil, faults.invalid(message:format(previous.id, previous.state))
  end
  local attempt = { state = values.outcome or "open", metadata = metadata }
  for _, name in ipairs(INHERITED) do attempt[name] = previous[name] end
  attempt.description = values.description or previous.description
  attempt.shipping_details = shipping_of(values.shipping_details) or previous.shipping_details
  if values.payment_method_details then
    attempt.payment_method_details = payment_method_of(values.payment_method_details)
  end
  add_attempt(self, record, attempt)
  return show(self, record)
end

--- A call that ends the latest attempt.
local function settle(outcome)
  return function(self, id, values)
    local record, attempt, metadata = prepare(self, id, values)
    if not record then return nil, attempt end
    if attempt.state ~= "open" then
      local message = "The latest attempt %s is already %s and cannot be reported as %s."
      return nil, faults.invalid(message:format(attempt.id, attempt.state, outcome))
    end
    attempt.state, attempt.metadata = outcome, metadata
    return show(self, record)
  end
end

Ledger.report_payment_attempt_canceled = settle "canceled"
Ledger.report_payment_attempt_failed = settle "failed"
Ledger.report_payment_attempt_guaranteed = settle "guaranteed"

function Ledger:report_payment_attempt_informational(id, values)
  local record, attempt, metadata = prepare(self, id, values)
  if not record then return nil, attempt end
  attempt.metadata = metadata
  attempt.customer_details = values.customer_details or attempt.customer_details
  if values.description ~= nil then attempt.description = values.description or nil end
  if values.shipping_details ~= nil then attempt.shipping_details = shipping_of(values.shipping_details) or nil end
  return show(self, record)
end

--- How much a refund takes: what is asked for, else all that is left.
local function refund_amount(attempt, asked)
  local requested = attempt.amount_requested
  local left = requested.value - attempt.refunded
  if asked and asked.currency ~= requested.currency then
    local message = "The currency of the refund (%s) is not that of the payment (%s)."
    return nil, faults.invalid(message:format(asked.currency, requested.currency), "amount[currency]")
  elseif left == 0 then
    return nil, faults.invalid("The payment has already been refunded in full.", asked and "amount[value]" or nil)
  elseif asked and asked.value > left then
    local message = "The refund (%.0f) is greater than the unrefunded amount of the payment (%.0f)."
    return nil, faults.invalid(message:format(asked.value, left), "amount[value]")
  end
  return asked and asked.value or left
end

function Ledger:report_refund(id, values)
  local record, attempt, metadata = prepare(self, id, values)
  if not record then return nil, attempt end
  if attempt.state ~= "guaranteed" then
    local message = "Only a guaranteed attempt can be refunded; %s is %s."
    return nil, faults.invalid(message:format(attempt.id, attempt.state))
  end
  local reference = (values.processor_details.custom or {}).refund_reference
  if reference and self.refund_references[reference] then
    local message = "A refund with the reference '" .. reference .. "' has already been reported."
    return nil, faults.invalid(message, "processor_details[custom][refund_reference]")
  end
  local amount, fault = refund_amount(attempt, values.amount)
  if not amount then return nil, fault end
  if reference then self.refund_references[reference] = true end
  attempt.refunded, attempt.metadata = attempt.refunded + amount, metadata
  return show(self, record)
end

function Ledger:retrieve_payment_record(id)
  local record = self.records_by_id[id]
  if not record then return nil, faults.no_such("payment record", id, "id") end
  return show(self, record)
end

function Ledger:retrieve_payment_attempt_record(id)
  local attempt = self.attempts_by_id[id]
  if not attempt then return nil, faults.no_such("payment attempt record", id, "id") end
  return render.attempt(attempt, self.move_refunded)
end

local function list_object(self, url, page, has_more, show_one)
  local data = {}
  for i, element in ipairs(page) do data[i] = show_one(element, self.move_refunded) end
  return { object = "list", url = url, has_more = has_more, data = data }
end

function Ledger:list_payment_records(_, values)
  for _, name in ipairs { "starting_after", "ending_before" } do
    if values[name] and not self.records_by_id[values[name]] then
      return nil, faults.no_such("payment record", values[name], name, 400)
    end
  end
  local query = {
    limit = values.limit,
    after = self.records_by_id[values.starting_after],
    before = self.records_by_id[values.ending_before],
  }
  local page, has_more = pages.page(self.records, query, function(record)
    return (not values.created_after or record.created > values.created_after)
      and (not values.created_before or record.created < values.created_before)
  end)
  return list_object(self, "/v1/payment_records", page, has_more, render.record)
end

local function accept_all()
  return true
end

function Ledger:list_payment_attempt_records(_, values)
  local record = self.records_by_id[values.payment_record]
  if not record then return nil, faults.no_such("payment record", values.payment_record, "payment_record") end
  local cursor = values.starting_after and self.attempts_by_id[values.starting_after]
  if values.starting_after and (not cursor or cursor.payment_record ~= record.id) then
    return nil, faults.no_such("payment attempt record", values.starting_after, "starting_after", 400)
  end
  local query = { limit = values.limit, after = cursor }
  local page, has_more = pages.page(record.attempts, query, accept_all)
  return list_object(self, "/v1/payment_attempt_records", page, has_more, render.attempt)
end

--- The stored records as the API shows them.
---@return table[] records oldest first
function Ledger:all()
  local shown = {}
  for i, record in ipairs(self.records) do shown[i] = show(self, record) end
  return shown
end

return {
  --- An empty ledger. `setup`: `next_id` and `now`, functions; `livemode` and `move_refunded`, booleans.
  ---@param setup table
  ---@return table ledger
  new = function(setup)
    return setmetatable({
      next_id = setup.next_id,
      now = setup.now,
      livemode = setup.livemode,
      move_refunded = setup.move_refunded,
      records = {},
      records_by_id = {},
      attempts_by_id = {},
      refund_references = {},
    }, Ledger)
  end,
}
