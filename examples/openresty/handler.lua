--- Reports the payment of an order, while the customer waits (/payments) or afterwards (/sales).
-- SPDX-License-Identifier: MIT

local cjson = require "cjson.safe"
local payment_records = require "payment_records"

-- The key is STRIPE_API_KEY. No call takes longer than the deadline, with all its attempts.
local client = payment_records.new { api_base = os.getenv "STRIPE_API_BASE", deadline = 20 }

local handler = {}

-- What the customer gets, by the type of the error or by Stripe's status. All else is for the log: a wrong key, say.
local STATUS = { validation_error = 422, idempotency_error = 409, [400] = 422 }
local MESSAGE = {
  [502] = "not reported, by a fault of ours",
  [503] = "not reported; send the same order later",
  [504] = "perhaps reported; send the same order again to find out",
}

local function answer(status, content)
  ngx.status = status
  ngx.say(cjson.encode(content))
end

local function answer_error(err)
  local status = STATUS[err.type] or STATUS[err.status] or err.retryable and 503 or 502
  if err.outcome == "unknown" then status = 504 end
  if MESSAGE[status] then ngx.log(ngx.ERR, tostring(err)) end
  answer(status, { error = MESSAGE[status] or err.message, param = err.param, idempotency_key = err.idempotency_key })
end

--- The arguments of report_payment. All come from the order, the time and the idempotency key, too: who sends the
-- order again reports the same payment, and it is reported once. Without them the request is answered.
local function read_payment()
  ngx.req.read_body()
  local order = cjson.decode(ngx.req.get_body_data() or "")
  if type(order) ~= "table" then return answer(400, { error = "expected an order as a JSON object" }) end
  local value, message = payment_records.minor_units(order.amount, order.currency)
  if not value then return answer(422, { error = message, param = "amount" }) end
  return {
    amount_requested = { currency = order.currency, value = value },
    initiated_at = order.paid_at,
    payment_method_details = { type = "custom", custom = { display_name = "newpay", type = "cpmt_123" } },
    processor_details = { type = "custom", custom = { payment_reference = order.reference } },
    outcome = "guaranteed",
    guaranteed = { guaranteed_at = order.paid_at },
  }, { idempotency_key = "payment-of-" .. tostring(order.reference) }
end

function handler.report()
  local payment, options = read_payment()
  if not payment then return end
  local record, err = client:report_payment(payment, options) -- the worker serves others meanwhile
  if not record then return answer_error(err) end
  answer(200, { record = record.id, amount = record.amount_guaranteed })
end

function handler.accept()
  local payment, options = read_payment()
  if not payment then return end
  local request, err = client:prepare("report_payment", payment, options) -- checks them, and sends nothing
  if not request then return answer_error(err) end
  ngx.ctx.arguments = { payment, options }
  answer(202, { idempotency_key = options.idempotency_key })
end

--- In log_by_lua nothing may yield: the call is started, and a timer of the client's moves it. (A timer for each report
-- would be dropped when nginx has 256 of them, as it soon has while Stripe is slow.) It ends with the worker at the
-- latest: what must not be lost belongs into a database before.
function handler.report_later()
  if not ngx.ctx.arguments then return end
  local payment, options = unpack(ngx.ctx.arguments)
  function options.on_done(record, err)
    ngx.log(record and ngx.NOTICE or ngx.ERR, options.idempotency_key, ": ", record and record.id or tostring(err))
  end
  client:start("report_payment", payment, options)
end

return handler
