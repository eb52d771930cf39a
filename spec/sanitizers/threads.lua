-- What threads.c runs in each of its states for `make tsan`:   loadfile "…" (SERVERS) -> function
-- SERVERS is JSON: a list of servers as spec.support.payments takes them. Each call of the function uses all of them in
-- every way: blocking, and started and stepped, by a client that stays and by one that is new; the one is
-- closed, the other left to the collector or to the end of the state.

local cjson = require "cjson"
local payment_records = require "payment_records"
local payments = require "spec.support.payments"

local all = cjson.decode((...))
local PAYMENT = payments.PAYMENT

local function settings(server)
  return {
    api_key = payments.KEY, api_base = server.url, ca_file = server.ca_file, unix_socket = server.unix_socket,
    timeout = 60, -- and retries: libcurl 7.88 loses a stream of HTTP/2 now and then when others are canceled
  }
end

local function check(record, err)
  assert(record and record.id == "pr_1", tostring(err))
end

local function use(client)
  local calls, told = {}, 0
  for i = 1, 3 do
    calls[i] = client:start("report_payment", PAYMENT, { on_done = function() told = told + 1 end })
  end
  client:step(0)
  calls[3]:cancel()
  check(client:report_payment(PAYMENT))
  while client:step(0.1) > 0 do end
  check(calls[1]:result())
  check(calls[2]:result())
  assert(told == 3)
  local _, err = client:report_payment { amount_requested = { currency = "usd", value = -1 } }
  assert(err.type == "validation_error")
end

local kept, rounds = {}, 0
for i, server in ipairs(all) do kept[i] = payment_records.new(settings(server)) end

return function()
  rounds = rounds + 1
  for i, server in ipairs(all) do
    use(kept[i])
    local client = payment_records.new(settings(server))
    client:pollfd()
    use(client)
    client:start("retrieve_payment_record", "pr_1") -- in flight when its client ends
    client:step(0)
    if rounds % 2 == 0 then client:close() end
  end
  if rounds % 3 == 0 then collectgarbage() end
  return rounds
end
