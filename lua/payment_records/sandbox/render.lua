--- What the API shows of a record and of its attempts: plain tables, an absent field being `null`, and the shapes that
-- give the order of the keys (that of the API reference) when they are written as JSON.
-- SPDX-License-Identifier: MIT

local render = {}

local AMOUNT = { "currency", "value" }
local ADDRESS = { "city", "country", "line1", "line2", "postal_code", "state" }

local PAYMENT_METHOD_DETAILS = {
  { "billing_details", { { "address", ADDRESS }, "email", "name", "phone" } },
  { "custom", { "display_name", "type" } },
  "payment_method",
  "type",
}

--- Records and attempts differ only in the link from one to the other.
render.RECORD = {
  "id",
  "object",
  { "amount", AMOUNT },
  { "amount_authorized", AMOUNT },
  { "amount_canceled", AMOUNT },
  { "amount_failed", AMOUNT },
  { "amount_guaranteed", AMOUNT },
  { "amount_refunded", AMOUNT },
  { "amount_requested", AMOUNT },
  "application",
  "created",
  { "customer_details", { "customer", "email", "name", "phone" } },
  "customer_presence",
  "description",
  { "latest_payment_attempt_record", nil, optional = true },
  "livemode",
  "metadata",
  { "payment_method_details", PAYMENT_METHOD_DETAILS },
  { "payment_record", nil, optional = true },
  { "processor_details", { "type", { "custom", { "payment_reference" }, optional = true } } },
  "reported_by",
  { "shipping_details", { { "address", ADDRESS }, "name", "phone" } },
}

render.LIST = { "object", "url", "has_more", { "data", { list_of = render.RECORD } } }

local function amounts(attempt, move_refunded)
  local amount = attempt.amount_requested
  local function of(value)
    return { currency = amount.currency, value = value }
  end
  local function in_state(state)
    return attempt.state == state and amount.value or 0
  end
  return {
    amount = of(amount.value),
    amount_authorized = of(0),
    amount_canceled = of(in_state "canceled"),
    amount_failed = of(in_state "failed"),
    amount_guaranteed = of(in_state "guaranteed" - (move_refunded and attempt.refunded or 0)),
    amount_refunded = of(attempt.refunded),
    amount_requested = of(amount.value),
  }
end

local function common(attempt, move_refunded)
  local shown = amounts(attempt, move_refunded)
  shown.customer_details = attempt.customer_details
  shown.customer_presence = attempt.customer_presence
  shown.description = attempt.description
  shown.livemode = attempt.livemode
  shown.metadata = attempt.metadata
  shown.payment_method_details = attempt.payment_method_details
  shown.processor_details = attempt.processor_details
  shown.reported_by = "self"
  shown.shipping_details = attempt.shipping_details
  return shown
end

--- A Payment Record: its latest attempt, seen from the record.
---@param record table
---@param move_refunded boolean whether a refund is taken off `amount_guaranteed`
---@return table
function render.record(record, move_refunded)
  local attempt = record.attempts[#record.attempts]
  local shown = common(attempt, move_refunded)
  shown.id, shown.object, shown.created = record.id, "payment_record", record.created
  shown.latest_payment_attempt_record = attempt.id
  return shown
end

--- A Payment Attempt Record.
---@param attempt table
---@param move_refunded boolean as above
---@return table
function render.attempt(attempt, move_refunded)
  local shown = common(attempt, move_refunded)
  shown.id, shown.object, shown.created = attempt.id, "payment_attempt_record", attempt.created
  shown.payment_record = attempt.payment_record
  return shown
end

return render
