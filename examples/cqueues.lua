-- Reports several payments at once in a cqueues loop, which goes on with its other work meanwhile.
--
--     STRIPE_API_KEY=sk_test_… lua examples/cqueues.lua
--
-- STRIPE_API_BASE names another server than Stripe's, such as the one of examples/sandbox. Run it from the directory
-- above, as Lua may take a file of this name in the working directory for the library.
--
-- The shorter way, where a look at the client every millisecond does not matter: give it sleep = cqueues.sleep. Then
-- client:report_payment(params) itself lets the other coroutines run while it waits, and there is nothing to step.
-- SPDX-License-Identifier: MIT

local payment_records = require "payment_records"
local found, cqueues = pcall(require, "cqueues")
if not found then
  io.stderr:write("cqueues is missing (Debian: lua-cqueues; LuaRocks: cqueues): ", tostring(cqueues), "\n")
  os.exit(2)
end
local condition = require "cqueues.condition"

local ORDERS = {
  { name = "order-1001", amount = "12.34", at = 1761987660 },
  { name = "order-1002", amount = "0.00", at = 1761987720 }, -- refused: no payment
  { name = "order-1003", amount = "99.90", at = 1761987780 },
  { name = "order-1004", amount = "5.00", at = 1761987840 },
}

local client = payment_records.new { api_base = os.getenv "STRIPE_API_BASE" } -- the key is STRIPE_API_KEY
local loop = cqueues.new()
local open, reported, ticks = #ORDERS, 0, 0
local changed = condition.new() -- signaled when `open` has become less

local function payment(order)
  return {
    amount_requested = { currency = "usd", value = payment_records.minor_units(order.amount, "usd") },
    initiated_at = order.at,
    payment_method_details = { type = "custom", custom = { display_name = "newpay", type = "cpmt_123" } },
    processor_details = { type = "custom", custom = { payment_reference = order.name } },
  }
end

-- As client:report_payment, but only the calling coroutine waits.
local function report_payment(params, options)
  local done = condition.new()
  options.on_done = function() done:signal() end
  local call = client:start("report_payment", params, options)
  while not call:done() do done:wait() end
  return call:result()
end

local function report(order)
  local record, err = report_payment(payment(order), { idempotency_key = order.name .. "-payment" })
  print(("%s: %s"):format(order.name, record and record.id or tostring(err))) -- which says the outcome, too
  open, reported = open - 1, reported + (record and 1 or 0)
  changed:signal()
end

for _, order in ipairs(ORDERS) do loop:wrap(function() report(order) end) end

loop:wrap(function()
  while open > 0 do
    cqueues.sleep(0.01)
    ticks = ticks + 1
  end
end)

-- Moves all calls. The client is an object that cqueues can poll: it wakes this coroutine when there is work for
-- step, and when a call is started or canceled.
loop:wrap(function()
  while open > 0 do
    cqueues.poll(client, changed)
    client:step()
  end
  cqueues.cancel(client:pollfd()) -- the loop forgets the descriptor before it is closed
  client:close()
end)

assert(loop:loop())
print(("%d of %d reported; the loop ticked %d times meanwhile"):format(reported, #ORDERS, ticks))
