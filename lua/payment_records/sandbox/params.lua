--- The parameters of the eleven calls as data, in the order of the API reference (API version 2026-09-30.endive).
--
-- A field is `{ name, type, required = true, empty = true }`; `empty` means that the empty string is accepted and
-- clears what is stored. A hash may carry a `rule` over its fields, run when each of them is right by itself.
-- SPDX-License-Identifier: MIT

local faults = require "payment_records.sandbox.faults"

local TEXT = { kind = "string", max = 5000 }
local UNBOUNDED_TEXT = { kind = "string" }
local TIMESTAMP = { kind = "integer" }
local POSITIVE = { kind = "integer", min = 1 }
local CURRENCY = { kind = "currency" }
local PAGE_SIZE = { kind = "integer", min = 1, max = 100 }
local METADATA = { kind = "metadata" }

local EXPAND_FIELD = { "expand", { kind = "array", of = TEXT } }
local METADATA_FIELD = { "metadata", METADATA, empty = true }

local function enum(...)
  return { kind = "enum", values = { ... } }
end

local function hash(fields)
  fields.kind = "hash"
  return fields
end

--- A call's parameters: what every POST takes comes last.
local function report(fields)
  fields[#fields + 1] = METADATA_FIELD
  fields[#fields + 1] = EXPAND_FIELD
  return hash(fields)
end

local AMOUNT = hash {
  { "currency", CURRENCY, required = true },
  { "value", POSITIVE, required = true },
}

local ADDRESS = hash {
  { "city", TEXT },
  { "country", TEXT },
  { "line1", TEXT },
  { "line2", TEXT },
  { "postal_code", TEXT },
  { "state", TEXT },
}

local BILLING_DETAILS = hash {
  { "address", ADDRESS },
  { "email", UNBOUNDED_TEXT },
  { "name", TEXT },
  { "phone", UNBOUNDED_TEXT },
}

local SHIPPING_DETAILS = hash {
  { "address", ADDRESS },
  { "name", TEXT },
  { "phone", UNBOUNDED_TEXT },
}

local CUSTOMER_DETAILS = hash {
  { "customer", TEXT },
  { "email", UNBOUNDED_TEXT },
  { "name", TEXT },
  { "phone", UNBOUNDED_TEXT },
}

local PAYMENT_METHOD_DETAILS = hash {
  { "billing_details", BILLING_DETAILS },
  { "custom", hash { { "display_name", TEXT }, { "type", TEXT } } },
  { "payment_method", TEXT },
  { "type", enum "custom" },
  rule = function(values, path)
    if not values.payment_method and not values.type then return faults.missing(path .. "[type]") end
  end,
}

--- The processor's own reference of a payment or a refund.
local function processor_details(reference)
  return hash {
    { "type", enum "custom", required = true },
    { "custom", hash { { reference, TEXT, required = true } } },
  }
end

local function at(name)
  return hash { { name, TIMESTAMP, required = true } }
end

local OUTCOMES = { "canceled", "failed", "guaranteed" }

--- An outcome comes with the hash of its name, and a hash with its outcome.
local function outcome_rule(values)
  for _, name in ipairs(OUTCOMES) do
    if values.outcome == name and not values[name] then
      return faults.missing(name .. "[" .. name .. "_at]")
    elseif values.outcome ~= name and values[name] then
      return faults.invalid("You may only pass `" .. name .. "` when `outcome` is `" .. name .. "`.", name)
    end
  end
end

local params = {}

params.report_payment = report {
  { "amount_requested", AMOUNT, required = true },
  { "initiated_at", TIMESTAMP, required = true },
  { "payment_method_details", PAYMENT_METHOD_DETAILS, required = true },
  { "canceled", at "canceled_at" },
  { "customer_details", CUSTOMER_DETAILS },
  { "customer_presence", enum("off_session", "on_session") },
  { "description", TEXT },
  { "failed", at "failed_at" },
  { "guaranteed", at "guaranteed_at" },
  { "outcome", enum(OUTCOMES[1], OUTCOMES[2], OUTCOMES[3]) },
  { "processor_details", processor_details "payment_reference" },
  { "shipping_details", SHIPPING_DETAILS },
  rule = outcome_rule,
}

params.report_payment_attempt = report {
  { "initiated_at", TIMESTAMP, required = true },
  { "canceled", at "canceled_at" },
  { "description", TEXT },
  { "failed", at "failed_at" },
  { "guaranteed", at "guaranteed_at" },
  { "outcome", enum(OUTCOMES[1], OUTCOMES[2], OUTCOMES[3]) },
  { "payment_method_details", PAYMENT_METHOD_DETAILS },
  { "shipping_details", SHIPPING_DETAILS },
  rule = outcome_rule,
}

params.report_payment_attempt_canceled = report { { "canceled_at", TIMESTAMP, required = true } }
params.report_payment_attempt_failed = report { { "failed_at", TIMESTAMP, required = true } }
params.report_payment_attempt_guaranteed = report { { "guaranteed_at", TIMESTAMP, required = true } }

params.report_payment_attempt_informational = report {
  { "customer_details", CUSTOMER_DETAILS },
  { "description", TEXT, empty = true },
  { "shipping_details", SHIPPING_DETAILS, empty = true },
}

params.report_refund = report {
  { "outcome", enum "refunded", required = true },
  { "processor_details", processor_details "refund_reference", required = true },
  { "amount", AMOUNT },
  { "initiated_at", TIMESTAMP },
  { "refunded", at "refunded_at" },
}

params.retrieve = hash { EXPAND_FIELD }

params.list_payment_records = hash {
  { "created_after", TIMESTAMP },
  { "created_before", TIMESTAMP },
  { "ending_before", TEXT },
  { "limit", PAGE_SIZE },
  { "starting_after", TEXT },
  EXPAND_FIELD,
  rule = function(values)
    if values.ending_before and values.starting_after then
      local message = "You may only specify one of these parameters: ending_before, starting_after."
      return faults.invalid(message, "ending_before", "parameters_exclusive")
    end
  end,
}

params.list_payment_attempt_records = hash {
  { "payment_record", TEXT, required = true },
  { "limit", PAGE_SIZE },
  { "starting_after", TEXT },
  EXPAND_FIELD,
}

return params
