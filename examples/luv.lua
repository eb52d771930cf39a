-- Reports several payments at once in a libuv loop, which goes on with its other work meanwhile.
--
--     STRIPE_API_KEY=sk_test_… lua examples/luv.lua
--
-- STRIPE_API_BASE names another server than Stripe's, such as the one of examples/sandbox. Run it from the directory
-- above, as Lua may take a file of this name in the working directory for the library.
-- SPDX-License-Identifier: MIT

local payment_records = require "payment_records"
local found, uv = pcall(require, "luv")
if not found then
  io.stderr:write("luv is missing (Debian: lua-luv; LuaRocks: luv): ", tostring(uv), "\n")
  os.exit(2)
end

local ORDERS = {
  { name = "order-2001", amount = "12.34", at = 1761987660 },
  { name = "order-2002", amount = "0.00", at = 1761987720 }, -- refused: no payment
  { name = "order-2003", amount = "99.90", at = 1761987780 },
  { name = "order-2004", amount = "5.00", at = 1761987840 },
}

local client = payment_records.new { api_base = os.getenv "STRIPE_API_BASE" } -- the key is STRIPE_API_KEY
local readable, timer, ticker = uv.new_poll(client:pollfd()), uv.new_timer(), uv.new_timer()
local open, reported, ticks = #ORDERS, 0, 0

local function payment(order)
  return {
    amount_requested = { currency = "usd", value = payment_records.minor_units(order.amount, "usd") },
    initiated_at = order.at,
    payment_method_details = { type = "custom", custom = { display_name = "newpay", type = "cpmt_123" } },
    processor_details = { type = "custom", custom = { payment_reference = order.name } },
  }
end

-- Without handles uv.run returns. The descriptor is closed after the handle that watches it.
local function finish()
  for _, handle in ipairs { readable, timer, ticker } do handle:close() end
  client:close()
end

-- Moves all calls; then waits for the descriptor, but no longer than the client says.
local function step()
  client:step()
  if open == 0 then return finish() end
  timer:stop()
  local seconds = client:timeout()
  if seconds then timer:start(math.ceil(seconds * 1000), 0, step) end
end

-- A call that is started or canceled makes the descriptor readable, whatever the timer was set to.
readable:start("r", step)

ticker:start(10, 10, function() ticks = ticks + 1 end)

for _, order in ipairs(ORDERS) do
  client:start("report_payment", payment(order), {
    idempotency_key = order.name .. "-payment",
    on_done = function(record, err)
      print(("%s: %s"):format(order.name, record and record.id or tostring(err))) -- which says the outcome, too
      open, reported = open - 1, reported + (record and 1 or 0)
    end,
  })
end

uv.run()
print(("%d of %d reported; the loop ticked %d times meanwhile"):format(reported, #ORDERS, ticks))
