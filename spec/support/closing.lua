-- A program for lifecycle_collect_spec.lua: its state is closed with calls in flight, whose userdata, client and
-- module were made in an order of chance, while finalizers of the program's own still use them.
--     lua spec/support/closing.lua URL SEED ROUNDS
-- All rounds but the last are for the collector; the last one is for the end of the state.

local url, seed, rounds = arg[1], tonumber(arg[2]), tonumber(arg[3])
local finalized = require "spec.support.finalized"
local payments = require "spec.support.payments"

math.randomseed(seed)

-- What finalizers do with clients and calls that may be finalized already. A call that is started at the end of the
-- state, and left, has no finalizer any more: its client has to care for it.
local function use(client, call, close)
  pcall(client.step, client, 0)
  pcall(client.start, client, "report_payment", payments.PAYMENT)
  if close then pcall(client.close, client) end
  tostring(client)
  call:done()
  call:result()
  call:cancel()
  tostring(select(2, call:result()))
end

local function make(held, close)
  local payment_records = require "payment_records"
  local client = payment_records.new { api_key = payments.KEY, api_base = url, max_retries = 0 }
  local makers, calls = {}, {}
  for i = 1, 50 do
    makers[i] = function()
      calls[#calls + 1] = client:start("report_payment", payments.PAYMENT)
      if i % 3 == 0 then held[#held + 1] = calls[#calls] end
    end
  end
  makers[#makers + 1] = function() held[#held + 1] = client end
  makers[#makers + 1] = function() client:step(0) end
  for _ = 1, 5 do
    makers[#makers + 1] = function()
      local call = calls[#calls] or client:start("report_payment", payments.PAYMENT)
      held[#held + 1] = finalized(function() use(client, call, close) end)
    end
  end
  makers[#makers + 1] = function()
    package.loaded["payment_records"], package.loaded["payment_records.core"] = nil, nil
  end
  while #makers > 0 do table.remove(makers, math.random(#makers))() end
  client:step(0.01)
end

for _ = 2, rounds do
  make({}, true)
  collectgarbage()
  collectgarbage()
end
HELD = {} -- luacheck: ignore
make(HELD, seed % 2 == 0) -- luacheck: ignore
if _VERSION ~= "Lua 5.1" then os.exit(0, true) end
