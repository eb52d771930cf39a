--- What the game does with payments. The program in embed.c owns the loop; each tick it calls step, collect and fill.
-- SPDX-License-Identifier: MIT

local payment_records = require "payment_records"

local client = payment_records.new { -- the key is STRIPE_API_KEY of the environment
  api_base = os.getenv "STRIPE_API_BASE",
  ca_file = os.getenv "STRIPE_CA_FILE",
}

-- A shop keeps this with its sales. Keys derived from a sale are the same whenever the sale is reported again.
local shop_id = ("embed-%d"):format(os.time())
local sales = 0
local in_flight = {} -- the call of every sale that is being reported
local ids = {} -- of the records there are
local count = { reported = 0, distinct = 0, refused = 0 }

local shop = {}

local function new_sale()
  sales = sales + 1
  local now = os.time()
  return {
    number = sales,
    idempotency_key = ("%s-sale-%d"):format(shop_id, sales),
    params = {
      amount_requested = { currency = "usd", value = 499 },
      initiated_at = now,
      payment_method_details = { type = "custom", custom = { display_name = "newpay", type = "cpmt_123" } },
      processor_details = { type = "custom", custom = { payment_reference = ("%s-%d"):format(shop_id, sales) } },
      outcome = "guaranteed",
      guaranteed = { guaranteed_at = now },
    },
  }
end

-- Sends nothing yet: the next step does.
local function start(sale)
  in_flight[client:start("report_payment", sale.params, { idempotency_key = sale.idempotency_key })] = sale
end

-- A result that is not known, or may come later, is asked for again: the same sale under the same key. What is
-- refused is for a person to look at; an error prints as one line that is safe to log.
local function take_result(sale, record, err)
  if record then
    count.reported = count.reported + 1
    if not ids[record.id] then count.distinct = count.distinct + 1 end
    ids[record.id] = true
  elseif err.outcome == "unknown" or err.retryable then
    start(sale)
  else
    count.refused = count.refused + 1
    io.stderr:write(sale.idempotency_key, ": ", tostring(err), "\n")
  end
end

--- Moves the calls. Never waits.
function shop.step()
  return client:step()
end

--- Takes the results of the calls that have ended; returns how many there were.
function shop.collect()
  local ended = {}
  for call, sale in pairs(in_flight) do
    if call:done() then ended[call] = sale end
  end
  local number = 0
  for call, sale in pairs(ended) do
    in_flight[call] = nil
    take_result(sale, call:result())
    number = number + 1
  end
  return number
end

--- How many of the first so many sales have not ended.
function shop.unfinished_of_first(number)
  local unfinished = 0
  for _, sale in pairs(in_flight) do
    if sale.number <= number then unfinished = unfinished + 1 end
  end
  return unfinished
end

--- Sells something, until `wanted` reports are in flight; returns how many were started.
function shop.fill(wanted)
  local missing = wanted
  for _ in pairs(in_flight) do missing = missing - 1 end
  for _ = 1, missing do start(new_sale()) end
  return missing
end

--- Ends the client, and says how it went: payments reported, distinct records, refusals.
function shop.close()
  client:close()
  return count.reported, count.distinct, count.refused
end

return shop
