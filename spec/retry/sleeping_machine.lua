--- For clock_spec.lua, with sleeping_machine.c preloaded: makes a call whose answer is lost, lets the machine sleep
-- until its next attempt, and prints what became of it, as JSON.
--     lua sleeping_machine.lua SECONDS

local cjson = require "cjson"
local files = require "spec.support.files"
local payments = require "spec.support.payments"

local slept = 0
local box = require("payment_records.sandbox").new { now = function() return os.time() + slept end }
local client = payments.client({ url = "https://api.stripe.com" }, { transport = box:transport(), max_retries = 3 })

box:fail_next "lost_answer"
local call = client:start("report_payment", payments.PAYMENT)
client:step()
assert(#box:records() == 1 and not call:done())
slept = tonumber(arg[1])
files.write(os.getenv "SLEPT_FILE", slept)
assert(payments.finish(client))
local record, err, response = call:result()
print(cjson.encode { outcome = record and "done" or err.outcome, retryable = err and err.retryable,
  attempts = response.attempts, records = #box:records() })
