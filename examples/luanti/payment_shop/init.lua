--- Sells things, and reports each sale to Stripe's Payment Records API from the game loop, which never waits for it.
--
-- A sale stays in the mod's storage until it is known to be reported. What is there when the server starts is reported
-- again, under the same idempotency key: Stripe then answers what became of it, and nothing is reported twice.
-- SPDX-License-Identifier: MIT

local insecure = core.request_insecure_environment()
  or error("payment_shop loads a C module: add it to the setting secure.trusted_mods", 0)

-- Settings that begin with "secure." can be changed neither by other mods nor by /set.
local function setting(name)
  return core.settings:get("secure.payment_shop_" .. name)
end

-- Mods have no `require`. The module finds this one among the globals while it is loaded and the client is made.
rawset(_G, "require", insecure.require)
local client = insecure.require("payment_records").new {
  api_key = setting "api_key",
  api_base = setting "api_base", -- for tests; by default Stripe's
  timeout = 20,
}
rawset(_G, "require", nil)

local PRICES = { apple = 99, lamp = 499, castle = 19900 } -- US cents
local SECONDS_TO_NEXT_TRY = 60
local KEY_LIFE = 23 * 3600 -- Stripe keeps idempotency keys for 24 hours
local SECONDS_AT_SHUTDOWN = 2

local storage = core.get_mod_storage()

local function log(level, sale, text)
  core.log(level, ("[payment_shop] %s: %s"):format(sale.key, text)) -- what the sale is to Stripe, too
end

local function parameters(sale)
  return {
    amount_requested = { currency = "usd", value = sale.price },
    initiated_at = sale.sold_at,
    payment_method_details = { type = "custom", custom = { display_name = "newpay", type = "cpmt_123" } },
    processor_details = { type = "custom", custom = { payment_reference = sale.key } },
    description = sale.thing,
    outcome = "guaranteed",
    guaranteed = { guaranteed_at = sale.sold_at },
  }
end

local report

-- An error prints as one line, with its outcome and without any secret.
local function take_result(sale, record, err)
  if record then
    storage:set_string(sale.key, "")
    log("action", sale, "reported as " .. record.id)
    core.chat_send_player(sale.player, ("Sale %d is on the books: %s"):format(sale.number, record.id))
  elseif err.outcome == "unknown" or err.retryable then
    log("warning", sale, "to be reported again: " .. tostring(err))
    core.after(SECONDS_TO_NEXT_TRY, report, sale)
  else
    log("error", sale, "somebody has to look at it: " .. tostring(err))
  end
end

-- Sends nothing yet: the next step of the game does.
function report(sale)
  if os.time() - sale.sold_at > KEY_LIFE then
    return log("error", sale, "too old to be reported again, somebody has to see whether Stripe has it")
  end
  log("action", sale, "being reported")
  client:start("report_payment", parameters(sale), {
    idempotency_key = sale.key,
    on_done = function(record, err) take_result(sale, record, err) end,
  })
end

-- The same for the life of the world, so that no two worlds make the same keys.
local function shop_id()
  if storage:get_string "shop" == "" then
    storage:set_string("shop", ("shop-%s-%d"):format(core.get_mapgen_setting "seed", os.time()))
  end
  return storage:get_string "shop"
end

-- That the player has paid is known from elsewhere. First the sale is written down, then it is reported.
local function sell(player, thing)
  local number = storage:get_int "sales" + 1
  local sale = {
    key = ("%s-sale-%d"):format(shop_id(), number),
    number = number, player = player, thing = thing, price = PRICES[thing], sold_at = os.time(),
  }
  storage:set_int("sales", number)
  storage:set_string(sale.key, core.serialize(sale))
  report(sale)
end

core.register_chatcommand("buy", {
  params = "apple | lamp | castle",
  description = "Buys something",
  func = function(player, thing)
    if not PRICES[thing] then return false, "There are apples, lamps and castles." end
    sell(player, thing)
    return true, ("Here is your %s. Thank you!"):format(thing)
  end,
})

core.register_on_mods_loaded(function()
  for key, value in pairs(storage:to_table().fields) do
    if key:find "%-sale%-%d+$" then report(core.deserialize(value)) end
  end
  local player = setting "sell_at_start" -- for tests: there is nobody who could type it
  if player then core.registered_chatcommands.buy.func(player, "lamp") end
end)

-- Never waits, and costs next to nothing while nothing is in flight.
core.register_globalstep(function()
  client:step()
end)

-- Calls in flight get a moment; what close() then ends says truly whether it may have been reported.
core.register_on_shutdown(function()
  local last = core.get_us_time() + SECONDS_AT_SHUTDOWN * 1e6
  while client:step(0.1) > 0 and core.get_us_time() < last do end
  client:close()
end)
