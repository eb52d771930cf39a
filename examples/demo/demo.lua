-- The life of a payment, step by step, with what goes over the wire. Started by examples/demo/run.
-- SPDX-License-Identifier: MIT

local payment_records = require "payment_records"

local client = payment_records.new {
  api_key = "sk_test_demo",
  api_base = os.getenv "STRIPE_API_BASE",
  ca_file = os.getenv "STRIPE_CA_FILE",
}

local AMOUNTS = { "requested", "failed", "guaranteed", "refunded" }

local function show(record)
  print(("   record %s, latest attempt %s"):format(record.id, record.latest_payment_attempt_record))
  for _, name in ipairs(AMOUNTS) do
    local amount = record["amount_" .. name]
    print(("     amount_%-10s %5d %s"):format(name, amount.value, amount.currency))
  end
  print()
end

-- The curl form and the call get the same key, so that what is printed is what is sent.
local function step(number, title, name, ...)
  local arguments, count = { ... }, select("#", ...)
  arguments[count + 1] = { idempotency_key = ("demo-%d-%d"):format(os.time(), number) }
  print(("%d. %s: client:%s"):format(number, title, name))
  print((client:curl(name, (table.unpack or unpack)(arguments))))
  local record, err = client[name](client, (table.unpack or unpack)(arguments))
  if not record then error(tostring(err), 0) end
  show(record)
  return record
end

local now = os.time()

local record = step(1, "A payment of 10.00 USD is reported", "report_payment", {
  amount_requested = { currency = "usd", value = payment_records.minor_units("10.00", "usd") },
  initiated_at = now,
  payment_method_details = { type = "custom", custom = { display_name = "newpay", type = "cpmt_demo" } },
  processor_details = { type = "custom", custom = { payment_reference = "order-4711" } },
  customer_presence = "on_session",
  description = "computer software",
})

step(2, "It fails", "report_payment_attempt_failed", record.id, { failed_at = now + 1 })

step(3, "The customer tries again", "report_payment_attempt", record.id, { initiated_at = now + 60 })

step(4, "This time the money is certain", "report_payment_attempt_guaranteed", record.id, { guaranteed_at = now + 61 })

step(5, "Half of it goes back", "report_refund", record.id, {
  outcome = "refunded",
  refunded = { refunded_at = now + 120 },
  amount = { currency = "usd", value = 500 },
  processor_details = { type = "custom", custom = { refund_reference = "refund-4711" } },
})

print "6. What is wrong is refused before anything is sent:"
local _, err = client:report_payment { amount_requested = { curency = "usd", value = 10.5 } }
print("   " .. tostring(err))
