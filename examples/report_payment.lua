-- Reports one payment, and says what to do when that does not work.
--
--     STRIPE_API_KEY=sk_test_… lua examples/report_payment.lua
--
-- STRIPE_API_BASE names another server than Stripe's, such as the one of examples/sandbox.
-- SPDX-License-Identifier: MIT

local payment_records = require "payment_records"

local client = payment_records.new { api_base = os.getenv "STRIPE_API_BASE" } -- the key is STRIPE_API_KEY

-- Stored with the order: whoever reports it again must send the same, so it is not the time of the report.
local paid_at = 1730253453
local record, err = client:report_payment({
  amount_requested = { currency = "usd", value = assert(payment_records.minor_units("10.00", "usd")) },
  initiated_at = paid_at,
  payment_method_details = { type = "custom", custom = { display_name = "newpay", type = "cpmt_123" } },
  processor_details = { type = "custom", custom = { payment_reference = "npp2358872734k" } },
  outcome = "guaranteed",
  guaranteed = { guaranteed_at = paid_at },
}, {
  -- Derived from the order, not random: whoever reports it again reports the same payment.
  idempotency_key = "order-4711-payment",
})

if record then
  print(("%s: %d %s guaranteed"):format(record.id, record.amount_guaranteed.value, record.amount_guaranteed.currency))
  os.exit(0)
end

local ADVICE = {
  not_sent = "Stripe has not seen it: mend the cause, then report it again.",
  rejected = "Stripe has refused it and did nothing: correct it, and report it under another idempotency key.",
  unknown = "It may have been reported: report the same under the same idempotency key to find out.",
}

local function advice()
  if err.type == "idempotency_error" then
    return "This key has reported something else before: look for that payment, or this one may be reported twice."
  end
  if err.outcome == "rejected" and err.retryable then
    return "Stripe has refused it for now: report the same later, under the same idempotency key."
  end
  return ADVICE[err.outcome]
end

io.stderr:write(tostring(err), "\n", advice(), "\n")
os.exit(1)
