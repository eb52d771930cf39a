--- The client: eleven calls, and the ways to wait for them.
--
-- The engine is the C core's; it moves calls, and never waits where a coroutine should yield. What is here decides
-- who waits: the thread (a plain client), the caller's scheduler (`sleep`), or a transport of the user's.
-- SPDX-License-Identifier: MIT

local core = require "payment_records.core"
local curl = require "payment_records.curl"
local nginx = require "payment_records.nginx"
local pages = require "payment_records.pages"

local unpack = table.unpack or unpack

-- Seconds between two looks at the engine while the caller's scheduler runs other things.
local LONGEST_SLEEP = 0.001

-- Long enough; the engine returns as soon as something happens.
local LONGEST_WAIT = 3600

-- Plain Lua 5.1 alone cannot yield out of a protected call.
local YIELDS_FROM_PCALL = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

-- The options of these calls are their second argument, those of the others the third, after an id.
local WITHOUT_ID = { report_payment = true, list_payment_records = true, list_payment_attempt_records = true }

---@class payment_records.Client
local Client = {}
Client.__index = Client

-- Options are what is in the table itself: no metamethod has a say, as in the C core.
local function raw_copy(options)
  local copy = {}
  for name, value in next, options do copy[name] = value end
  return copy
end

--- See payment_records.new. Raises without a position.
---@param options payment_records.ClientOptions
---@return payment_records.Client
local function new(options)
  local settings = raw_copy(options)
  local given = settings.api_key
  if given == nil then
    local key = os.getenv "STRIPE_API_KEY"
    settings.api_key = key ~= "" and key or nil
  end
  local made, result = pcall(core.new, settings) -- so that the message has no position of this file
  if not made then error(tostring(result):gsub("^no API key.*", "%0, or set STRIPE_API_KEY in the environment"), 0) end
  return setmetatable({
    core = result,
    steps = 0, -- of the engine, by coroutines that wait
    host_steps = false, -- the program has called step
    key_function = type(given) == "function" and given or nil,
    sleep = settings.sleep,
    transport = settings.transport,
    connection = { ca_file = settings.ca_file, proxy = settings.proxy, unix_socket = settings.unix_socket },
  }, Client)
end

-- Plain Lua 5.1 counts a method that ends in a call of another function as a level of its own.
local CALLER_OF_PERFORM = YIELDS_FROM_PCALL and 3 or 4

-- Raises at `level`, by default at the caller of the method.
local function check_self(self, name, level)
  if getmetatable(self) ~= Client then
    error("payment_records: call it as client:" .. name .. "(...), with a colon", level or 3)
  end
end

-- Whether it is nginx that the calls of this client wait for.
local function waits_in_nginx(self)
  return nginx.is_here() and (self.sleep == nil or self.sleep == ngx.sleep)
end

--- How to wait: a function that yields, or nil to block; and whether it is nginx's. Raises where nginx lets nothing
-- wait.
local function sleeper(self)
  if not waits_in_nginx(self) then return self.sleep or nil end
  nginx.check_phase()
  return ngx.sleep, true
end

--- The arguments of a call, with the key of the moment when keys come from a function.
local function with_key(self, name, ...)
  if not self.key_function then return ... end
  local arguments, place = { ... }, WITHOUT_ID[name] and 2 or 3
  local given = arguments[place]
  if given ~= nil and type(given) ~= "table" then return ... end
  local options = raw_copy(given or {})
  if options.api_key == nil then options.api_key = self.key_function() end
  arguments[place] = options
  return unpack(arguments, 1, place)
end

-- Plain Lua 5.1 cannot yield out of a protected call: there, within a coroutine, what a transport or a sleep raises
-- goes to the caller, and the call ends when its time is over.
local function protected(f, ...)
  if YIELDS_FROM_PCALL or not coroutine.running() then return pcall(f, ...) end
  return true, f(...)
end

-- What was raised, as text: its __tostring may raise, too.
local function text_of(raised)
  local shown, text = pcall(tostring, raised)
  return shown and text or "a " .. type(raised) .. " that cannot be shown"
end

local MOST_FAILURES = 100 -- as many as the C core allows for a blocking call

-- Calls a function of the core that raises when memory is short for a moment, or when a finalizer does, which before
-- Lua 5.4 comes out wherever something is allocated. Nothing is lost as long as it is called again.
local function persist(f, ...)
  local succeeded, result
  for _ = 1, MOST_FAILURES do
    succeeded, result = pcall(f, ...)
    if succeeded then return result end
  end
  error(result, 0)
end

local function outcome_of(succeeded, response, message)
  if succeeded then return response, message end
  return nil, "the transport raised: " .. text_of(response)
end

--- Asks the user's transport to carry a call, or whatever is ready, and returns whether there was any. The transport
-- may yield. `beyond`: even if max_in_flight is reached, for a caller that has no way to wait for the others.
local function carry(self, only, beyond)
  if not self.transport then return false end
  local call, request, attempt = self.core:take(only, beyond)
  local carried = call ~= nil
  while call do
    local response, message = outcome_of(protected(self.transport, request))
    persist(self.core.deliver, self.core, call, response, message, attempt)
    call, request, attempt = self.core:take(only, beyond)
  end
  return carried
end

-- nginx has no shorter sleep, and warns of none at all.
local function pause(self, in_nginx)
  local seconds = not in_nginx and self.core:timeout(true) or LONGEST_SLEEP
  return seconds < LONGEST_SLEEP and seconds or LONGEST_SLEEP
end

-- Where several coroutines wait, one of them steps in each round, since the others see that somebody has. Within a
-- callback, which may have closed the client, nothing moves: who cannot sleep until it has returned must not wait.
local function await(self, call, sleep, in_nginx)
  local seen
  while not call:done() do
    carry(self, call, not sleep)
    if call:done() then break end
    if not seen or seen == self.steps then
      self.steps = self.steps + 1
      local moved = persist(self.core.advance, self.core, sleep and 0 or LONGEST_WAIT)
      if not moved and not sleep then call:cancel "a callback waited for the call, which cannot go on meanwhile" end
    end
    seen = self.steps
    if sleep and not call:done() then
      local slept, reason = protected(sleep, pause(self, in_nginx))
      if not slept then call:cancel("the sleep of the client raised: " .. text_of(reason)) end
    end
  end
end

local function wait(self, call, sleep, in_nginx)
  if call:done() then -- it was refused, which on_done is to be told of
    persist(self.core.advance, self.core)
  elseif not (in_nginx and not self.transport and nginx.wait(self, call)) then
    await(self, call, sleep, in_nginx)
  end
end

--- Waits for a call, and returns its result.
local function finish(self, call, sleep, in_nginx)
  local waited, reason = protected(wait, self, call, sleep, in_nginx)
  if not waited then call:give_up(reason) end -- unless it is done
  return call:result()
end

--- Makes a call and waits for it in the way of this client.
local function perform(self, name, ...)
  check_self(self, name, CALLER_OF_PERFORM)
  local sleep, in_nginx = sleeper(self) -- may raise: before anything is started
  if not self.transport and not sleep then
    return self.core[name](self.core, with_key(self, name, ...))
  end
  return finish(self, self.core:begin(name, with_key(self, name, ...)), sleep, in_nginx)
end

--- Reports a payment: creates a Payment Record with its first attempt, open or already at its end.
-- Stripe: POST /v1/payment_records/report_payment.
--
-- Raises when `params` is not a table, and on a closed client; everything else comes back as an error.
---@param params payment_records.ReportPaymentParams
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentRecord|nil record
---@return payment_records.Error|nil err when `record` is nil
---@return payment_records.Response response
function Client:report_payment(params, options)
  return perform(self, "report_payment", params, options)
end

--- Reports a new attempt on a record whose other attempts have all failed or been canceled.
-- Stripe: POST /v1/payment_records/{id}/report_payment_attempt.
---@param id string of the payment record
---@param params payment_records.ReportPaymentAttemptParams
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentRecord|nil record
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:report_payment_attempt(id, params, options)
  return perform(self, "report_payment_attempt", id, params, options)
end

--- Reports that the latest attempt was canceled.
-- Stripe: POST /v1/payment_records/{id}/report_payment_attempt_canceled.
---@param id string of the payment record
---@param params payment_records.ReportPaymentAttemptCanceledParams
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentRecord|nil record
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:report_payment_attempt_canceled(id, params, options)
  return perform(self, "report_payment_attempt_canceled", id, params, options)
end

--- Reports that the latest attempt failed.
-- Stripe: POST /v1/payment_records/{id}/report_payment_attempt_failed.
---@param id string of the payment record
---@param params payment_records.ReportPaymentAttemptFailedParams
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentRecord|nil record
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:report_payment_attempt_failed(id, params, options)
  return perform(self, "report_payment_attempt_failed", id, params, options)
end

--- Reports that the latest attempt is guaranteed: the money will come.
-- Stripe: POST /v1/payment_records/{id}/report_payment_attempt_guaranteed.
---@param id string of the payment record
---@param params payment_records.ReportPaymentAttemptGuaranteedParams
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentRecord|nil record
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:report_payment_attempt_guaranteed(id, params, options)
  return perform(self, "report_payment_attempt_guaranteed", id, params, options)
end

--- Edits what describes a payment: customer, description, shipping, metadata.
-- Stripe: POST /v1/payment_records/{id}/report_payment_attempt_informational.
---@param id string of the payment record
---@param params payment_records.ReportPaymentAttemptInformationalParams|nil
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentRecord|nil record
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:report_payment_attempt_informational(id, params, options)
  return perform(self, "report_payment_attempt_informational", id, params, options)
end

--- Reports a refund, in whole or in part, of the latest attempt.
-- Stripe: POST /v1/payment_records/{id}/report_refund.
---@param id string of the payment record
---@param params payment_records.ReportRefundParams
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentRecord|nil record
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:report_refund(id, params, options)
  return perform(self, "report_refund", id, params, options)
end

--- Fetches a payment record. Stripe: GET /v1/payment_records/{id}.
---@param id string
---@param params payment_records.RetrieveParams|nil
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentRecord|nil record
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:retrieve_payment_record(id, params, options)
  return perform(self, "retrieve_payment_record", id, params, options)
end

--- Lists payment records, newest first, a page at a time. Stripe: GET /v1/payment_records.
---@param params payment_records.ListPaymentRecordsParams|nil
---@param options payment_records.CallOptions|nil
---@return payment_records.List|nil list
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:list_payment_records(params, options)
  return perform(self, "list_payment_records", params, options)
end

--- Fetches one attempt. Stripe: GET /v1/payment_attempt_records/{id}.
---@param id string
---@param params payment_records.RetrieveParams|nil
---@param options payment_records.CallOptions|nil
---@return payment_records.PaymentAttemptRecord|nil record
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:retrieve_payment_attempt_record(id, params, options)
  return perform(self, "retrieve_payment_attempt_record", id, params, options)
end

--- Lists the attempts of a record, newest first, a page at a time. Stripe: GET /v1/payment_attempt_records.
---@param params payment_records.ListPaymentAttemptRecordsParams
---@param options payment_records.CallOptions|nil
---@return payment_records.List|nil list
---@return payment_records.Error|nil err
---@return payment_records.Response response
function Client:list_payment_attempt_records(params, options)
  return perform(self, "list_payment_attempt_records", params, options)
end

--- Iterates over all payment records: `for record, err in client:each_payment_record() do`. When a page cannot be
-- had, `record` is false, `err` says why, and the loop ends: a list that stops short never passes for a whole one.
---@param params payment_records.ListPaymentRecordsParams|nil
---@param options payment_records.CallOptions|nil of each page's call
---@return fun(): payment_records.PaymentRecord|false|nil, payment_records.Error|nil
function Client:each_payment_record(params, options)
  check_self(self, "each_payment_record")
  return pages(function(...) return self:list_payment_records(...) end, params, options)
end

--- Iterates over all attempts of a record, as each_payment_record does over records.
---@param params payment_records.ListPaymentAttemptRecordsParams
---@param options payment_records.CallOptions|nil of each page's call
---@return fun(): payment_records.PaymentAttemptRecord|false|nil, payment_records.Error|nil
function Client:each_payment_attempt_record(params, options)
  check_self(self, "each_payment_attempt_record")
  return pages(function(...) return self:list_payment_attempt_records(...) end, params, options)
end

-- The driver comes first, whose timer runs later: when memory is short it may raise, and a call that start has made
-- must not be lost to that. (The function that gives the key, which may yield, has been asked before.)
local function start(self, name, ...)
  if not self.transport and waits_in_nginx(self) then nginx.drive(self) end
  return self.core:start(name, ...)
end

--- Starts a call without waiting for it. Data that are refused make a call that is done at once. `options.on_done`
-- is called with its result: by step, cancel or close, never by start. Under nginx a timer steps (unless the client has
-- a transport or a sleep of your own), and logs what on_done raises if the program does not step as well.
--
-- Raises on an unknown name, without a table of parameters where some are required, and on a closed client.
---@param name string such as "report_payment"
---@param ... any the arguments of the method of that name
---@return payment_records.Call
function Client:start(name, ...)
  check_self(self, "start")
  return start(self, name, with_key(self, name, ...))
end

--- Moves what can move, after waiting at most `seconds` for something to happen. On the wire it begins nothing more
-- when `budget` has passed, the wait included: what is left then is for the next step. However short that is, it does
-- one thing, and calls the callbacks that are due; a transport of your own carries whatever is ready.
--
-- Raises on a closed client, and from within a callback; and, once each, what on_done or on_attempt has raised for
-- calls made by start. All calls go on all the same.
---@param seconds number|nil nothing is waited for without it
---@param budget number|nil seconds; by default 0.0001, or `seconds` if that is longer
---@return integer unfinished how many calls are not done, or have an on_done that is due
function Client:step(seconds, budget)
  check_self(self, "step")
  self.host_steps = true
  return self.core:step(seconds, budget, carry(self))
end

--- The descriptor to wait on in an event loop: it is readable when there is work for step. With `events` and `timeout`
-- it makes the client an object that cqueues can poll. Ask anew after a fork. Before the client is closed, take the
-- descriptor out of the loop (`cqueues.cancel(client:pollfd())`).
--
-- Raises on a closed client, and when the system has no descriptor left.
---@return integer|nil descriptor nil with a transport of your own: there are only the timeouts then
function Client:pollfd()
  check_self(self, "pollfd")
  return self.core:pollfd()
end

--- What to wait for on that descriptor. Raises on a closed client.
---@return "r"
function Client:events()
  check_self(self, "events")
  return self.core:events()
end

--- How long to wait on that descriptor at most before the next step. Ask anew after every step; a call that is
-- started or canceled meanwhile makes the descriptor readable. Raises on a closed client.
---@return number|nil seconds 0: there is work; nil: as long as it takes
function Client:timeout()
  check_self(self, "timeout")
  return self.core:timeout()
end

--- The request that a call would send; nothing is sent. `$STRIPE_API_KEY` stands where the key would.
---@param name string such as "report_payment"
---@param ... any the arguments of the method of that name
---@return payment_records.Request|nil request
---@return payment_records.Error|nil err
function Client:prepare(name, ...)
  check_self(self, "prepare")
  return self.core:prepare(name, with_key(self, name, ...))
end

--- The same request as a curl command line, to paste into a shell. `$STRIPE_API_KEY` stands for the key.
---@param name string such as "report_payment"
---@param ... any the arguments of the method of that name
---@return string|nil command
---@return payment_records.Error|nil err
function Client:curl(name, ...)
  check_self(self, "curl")
  local request, err = self:prepare(name, ...)
  if not request then return nil, err end
  return curl(request, self.connection)
end

--- Ends the client: calls that are not done end as `canceled_error`, each with a true outcome, connections are
-- closed, and the key is wiped. May be called twice.
function Client:close()
  check_self(self, "close")
  self.core:close()
end

Client.__close = Client.close

function Client:__tostring()
  return tostring(self.core)
end

return { new = new }
