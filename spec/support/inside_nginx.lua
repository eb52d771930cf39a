--- What the snippets of a spec use inside nginx; see nginx_client.lua. They know it as `inside`.
-- luacheck: std ngx_lua

local payment_records = require "payment_records"
local payments = require "spec.support.payments"

local inside = {}

---A client of the upstream that does not retry. Its key comes from the environment.
---@param options? table
---@return payment_records.Client
function inside.client(options)
  local settings = { api_base = os.getenv "SPEC_API_BASE", timeout = 30, max_retries = 0 }
  for name, value in pairs(options or {}) do settings[name] = value end
  return payment_records.new(settings)
end

---Reports a payment.
---@return string "id of the record, its order, idempotency key", or "type of the error, outcome: error"
function inside.report(client, order, options)
  local payment = payments.with { metadata = { order = order or "1" } }
  local record, err, response = client:report_payment(payment, options)
  if not record then return ("%s %s: %s"):format(err.type, err.outcome, err) end
  return ("%s %s %s"):format(record.id, record.metadata and record.metadata.order, response.idempotency_key)
end

---Starts the report of a payment.
---@return payment_records.Call
function inside.start(client, options)
  return client:start("report_payment", payments.PAYMENT, options)
end

---Writes down what a test looks at later. Notes outlive a worker.
function inside.note(name, text)
  ngx.shared.notes:set(name, tostring(text))
end

---Reports a payment, and notes what becomes of it, even if that is an error raised.
function inside.try(name, client)
  local _, result = pcall(inside.report, client, name)
  inside.note(name, result)
end

---Answers with the note that the request asks for.
function inside.answer_note()
  local note = ngx.shared.notes:get(ngx.var.arg_name)
  ngx.status = note and 200 or 404
  ngx.print(note)
end

return inside
