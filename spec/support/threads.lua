-- What threads.c runs in each of its states:   loadfile "spec/support/threads.lua" (URL) -> function
-- The function reports a payment and leaves another one in flight; it returns the key of the first.

local payments = require "spec.support.payments"

local client = payments.client { url = (...) }
local left = {}

return function()
  local record, err, response = client:report_payment(payments.PAYMENT)
  assert(record and record.id == "pr_1", tostring(err))
  for _, call in ipairs(left) do assert(not call:done() or call:result()) end
  left[#left + 1] = client:start("report_payment", payments.PAYMENT)
  return response.idempotency_key
end
