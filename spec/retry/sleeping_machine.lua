--- For clock_spec.lua, with sleeping_machine.c preloaded: makes a call that takes effect but has no answer, lets the
-- machine sleep at some moment, and prints what became of the call, as JSON.
--     lua sleeping_machine.lua SECONDS retry    between two attempts
--     lua sleeping_machine.lua SECONDS resend   before the connection is lost, on which libcurl sends it again
--     lua sleeping_machine.lua SECONDS connect  while the next attempt makes its connection
--     lua sleeping_machine.lua SECONDS fork     before a forked process makes the call, which its parent has made

local cjson = require "cjson"
local files = require "spec.support.files"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local SECONDS, MOMENT = tonumber(arg[1]), arg[2]
local slept = 0

local function sleep()
  slept = SECONDS
  files.write(os.getenv "SLEPT_FILE", slept)
end

local function finish(client, call, count)
  assert(payments.finish(client))
  local record, err, response = call:result()
  print(cjson.encode { outcome = record and "done" or err.outcome, retryable = err and err.retryable,
    attempts = response.attempts, reports = count() })
  io.stdout:flush()
end

local moments = {}

function moments.retry()
  local box = require("payment_records.sandbox").new { now = function() return os.time() + slept end }
  local client = payments.client({ url = "https://api.stripe.com" }, { transport = box:transport(), max_retries = 3 })
  box:fail_next "lost_answer"
  local call = client:start("report_payment", payments.PAYMENT)
  client:step()
  assert(#box:records() == 1 and not call:done())
  sleep()
  finish(client, call, function() return #box:records() end)
end

function moments.resend()
  local lost = os.getenv "SLEPT_FILE" .. ".lost"
  local server = servers.start { steps = { {}, { hold = lost, raw = "", after = "reset" }, {} } }
  local client = payments.client(server, { timeout = 10 })
  assert(client:report_payment(payments.PAYMENT))
  local call = client:start("report_payment", payments.PAYMENT)
  assert(payments.step_until(client, function() return #server:requests() == 2 end))
  sleep()
  files.write(lost, "")
  finish(client, call, function() return #server:requests() - 1 end)
end

function moments.connect()
  local server = servers.start { tls = "plain", steps = { -- until it is told otherwise
    { when = "accept", tls = servers.tls(true) }, { fault = "reset" },
    { when = "accept", tls = servers.tls(true, { delay = 0.7 }) }, {},
  } }
  local client = payments.client(server, { max_retries = 1 })
  local call = client:start("report_payment", payments.PAYMENT)
  repeat client:step(0.01) until #server:connections() == 2
  assert(#server:requests() == 1)
  sleep()
  finish(client, call, function() return #server:requests() end)
end

function moments.fork()
  local server = servers.start {}
  local client = payments.client(server)
  local call = client:start("report_payment", payments.PAYMENT)
  local child = processes.fork()
  if child > 0 then
    assert(payments.finish(client))
    assert(processes.wait(child) == 0)
    return
  end
  repeat processes.pause(0.01) until #server:requests() == 1
  sleep()
  finish(client, call, function() return #server:requests() end)
  processes.exit(0)
end

moments[MOMENT]()
servers.stop_all()
