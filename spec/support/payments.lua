--- Clients of the test servers, and the payment that the specs report.

local payment_records = require "payment_records"

local payments = {}
local open = {}

payments.KEY = "sk_test_spec"

---The least a payment needs, with parts of every kind.
payments.PAYMENT = {
  amount_requested = { currency = "usd", value = 1000 },
  initiated_at = 1730253453,
  payment_method_details = { type = "custom", custom = { display_name = "newpay" } },
  metadata = { order = "a & b" },
}

---A client of a server of spec.support.servers that does not retry; `options` come on top.
---@param server {url: string, ca_file: string?, unix_socket: string?}
---@param options? table
---@return payment_records.Client
function payments.client(server, options)
  local settings = {
    api_key = payments.KEY,
    api_base = server.url,
    ca_file = server.url:find "^https" and server.ca_file or nil,
    unix_socket = server.unix_socket,
    timeout = 20,
    max_retries = 0,
  }
  for name, value in pairs(options or {}) do settings[name] = value end
  local client = payment_records.new(settings)
  open[#open + 1] = client
  return client
end

---Closes every client made here; for teardown.
function payments.close_all()
  for _, client in ipairs(open) do client:close() end
  open = {}
end

---Forgets every client made here, so that the collector may have them.
function payments.forget_all()
  open = {}
end

return payments
