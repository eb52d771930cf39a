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

---That payment, with other parameters or further ones.
---@param params table
---@return table
function payments.with(params)
  local payment = {}
  for name, value in pairs(payments.PAYMENT) do payment[name] = value end
  for name, value in pairs(params) do payment[name] = value end
  return payment
end

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

---Steps a client until `reached()`, for ten seconds at most, unless other `seconds` are given.
---@param client payment_records.Client
---@param reached fun(): any
---@param seconds? integer
---@return any what `reached` returned last
function payments.step_until(client, reached, seconds)
  local last = os.time() + (seconds or 10)
  while not reached() and os.time() <= last do client:step(0.05) end
  return reached()
end

---Steps a client until no call is unfinished, for as long as step_until does.
---@param client payment_records.Client
---@param seconds? integer
---@return boolean whether none is
function payments.finish(client, seconds)
  return payments.step_until(client, function() return client:step() == 0 end, seconds)
end

---Steps a client, whatever the steps raise, until no call is unfinished, for a minute at most.
---@param client payment_records.Client
---@return any[] errors what they raised, in order
function payments.errors_of_steps(client)
  local raised, last = {}, os.time() + 60
  repeat
    local stepped, unfinished = pcall(client.step, client, 0.1)
    if not stepped then raised[#raised + 1] = unfinished end
  until (stepped and unfinished == 0) or os.time() > last
  return raised
end

---What became of a call that must have failed.
---@param call payment_records.Call
---@return table {type, outcome, attempts} of its error
function payments.error_of(call)
  local record, err = call:result()
  assert(not record and err, "the call has not failed")
  return { err.type, err.outcome, err.attempts }
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
