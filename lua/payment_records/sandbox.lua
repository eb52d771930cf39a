--- A stateful stand-in for Stripe's Payment Records API, in memory: it checks parameters, keeps records, replays
-- idempotency keys and answers as Stripe does, so that programs can be tested offline.
--
--     local box = require("payment_records.sandbox").new()
--     local client = require("payment_records").new { api_key = "sk_test_123", transport = box:transport() }
--
-- It does no I/O of its own, needs no module but its own parts, and runs on Lua 5.1 to 5.4 and LuaJIT.
-- SPDX-License-Identifier: MIT

local auth = require "payment_records.sandbox.auth"
local calls = require "payment_records.sandbox.calls"
local ids = require "payment_records.sandbox.ids"
local injection = require "payment_records.sandbox.injection"

---@class payment_records.sandbox.Request
---@field method string
---@field path string|nil with the query, as on the wire: "/v1/payment_records?limit=3"
---@field url string|nil used where there is no `path`
---@field headers table<string, string>|nil names in any case
---@field body string|nil

---@class payment_records.sandbox.Response
---@field status integer
---@field headers table<string, string>
---@field body string JSON, or the `body` of an injected fault

---@class payment_records.Sandbox
local Box = {}
Box.__index = Box

-- A server that runs for days must not remember every request; a test never makes that many.
local REQUESTS_KEPT = 10000

local OPTIONS = { now = "function", keys = "table", move_refunded = "boolean" }

local function accepted_keys(list)
  if not list then return nil end
  local accepted = {}
  for i, key in ipairs(list) do
    if type(key) ~= "string" or not auth.mode(key) then
      error("payment_records.sandbox: option keys: element " .. i .. " is not a secret or restricted API key", 3)
    end
    accepted[key] = true
  end
  return accepted
end

local function check_options(options)
  if type(options) ~= "table" then
    error("payment_records.sandbox: options must be a table, got a " .. type(options), 3)
  end
  for name, value in pairs(options) do
    local expected = OPTIONS[name]
    if not expected then
      error("payment_records.sandbox: unknown option " .. tostring(name) .. " (known: keys, move_refunded, now)", 3)
    elseif type(value) ~= expected then
      error("payment_records.sandbox: option " .. name .. " must be a " .. expected .. ", got a " .. type(value), 3)
    end
  end
end

local function check_box(self, method)
  if getmetatable(self) == Box then return end
  error(("payment_records.sandbox: call it as box:%s(), with a colon"):format(method), 3)
end

--- Forgets everything: records, idempotency keys, requests seen, faults waiting. Ids start again, too.
function Box:reset()
  check_box(self, "reset")
  self.next_id = ids.new()
  self.scopes, self.log, self.injections = {}, {}, {}
end

local function remember(self, seen)
  local log = self.log
  log[#log + 1] = seen
  if #log < 2 * REQUESTS_KEPT then return end
  local kept = {}
  for i = 1, REQUESTS_KEPT do kept[i] = log[#log - REQUESTS_KEPT + i] end
  self.log = kept
end

local function check_request(request)
  assert(type(request) == "table", "payment_records.sandbox: a request is a table")
  assert(type(request.method) == "string", "payment_records.sandbox: request.method must be a string")
  local target = request.path or request.url
  assert(type(target) == "string", "payment_records.sandbox: a request needs a path or a url")
end

--- Executes an admitted call; what was injected takes the place of its answer.
local function complete(call, refused, injected)
  local answer = refused
  if injected.executed then answer = answer or calls.execute(call) end
  if injected.status then answer = injection.answer(injected, call) end
  return calls.respond(call, answer)
end

--- Takes a request in without executing it: authenticates it, checks its parameters and reserves its idempotency key.
-- Until `finish` is called another request with that key is answered 409 `idempotency_key_in_use`. A server that delays
-- its answers calls `finish` after the delay.
---@param request payment_records.sandbox.Request raises without a method and a path or url
---@return fun(): payment_records.sandbox.Response|nil, string|nil finish executes, once, and answers as `handle` does
function Box:receive(request)
  check_box(self, "receive")
  check_request(request)
  local injected = table.remove(self.injections, 1) or { executed = true }
  if injected.lost and not injected.executed then
    return function() return nil, injected.lost end
  end
  local call = calls.new(self, request)
  remember(self, call.seen)
  local refused = injected.executed and calls.admit(self, call) or nil
  local response
  return function()
    response = response or complete(call, refused, injected)
    if injected.lost then return nil, injected.lost end
    return response
  end
end

--- Answers a request.
---@param request payment_records.sandbox.Request raises without a method and a path or url
---@return payment_records.sandbox.Response|nil response nil where `fail_next` asked for a lost connection
---@return string|nil message
function Box:handle(request)
  check_box(self, "handle")
  return self:receive(request)()
end

--- The sandbox as the `transport` of a client: no socket, no server.
---@return fun(request: payment_records.sandbox.Request): payment_records.sandbox.Response|nil, string|nil
function Box:transport()
  check_box(self, "transport")
  return function(request)
    return self:handle(request)
  end
end

--- Makes the next request fail; several faults are used up one by one, in the order given.
---
--- * `"lost_request"`: it never arrives; `handle` returns nil and a message
--- * `"lost_answer"`: it is executed, then the same
--- * a table: this answer instead of the true one. `status`; `type`, `code`, `message`, `param` of the error object,
---   or `body`, any text; `headers`; `executed`, whether the request takes effect all the same (false by default)
---@param fault string|table raises on anything else
function Box:fail_next(fault)
  check_box(self, "fail_next")
  local injected, message = injection.new(fault)
  if not injected then error("payment_records.sandbox: fail_next: " .. message, 2) end
  table.insert(self.injections, injected)
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local copied = {}
  for key, inner in pairs(value) do copied[key] = copy(inner) end
  return copied
end

--- The records that are stored, as the API shows them; a field that is `null` is absent.
---@param mode string|nil "test" (default) or "live"; raises on another
---@param account string|nil a connected account (`Stripe-Account`)
---@return table[] records in the order of their creation; a copy
function Box:records(mode, account)
  check_box(self, "records")
  mode = mode or "test"
  if mode ~= "test" and mode ~= "live" then
    error(("payment_records.sandbox: records: expected test or live, got %s"):format(tostring(mode)), 2)
  end
  return copy(calls.scope(self, mode, account).ledger:all())
end

--- The requests that arrived: `method`, `path` (without the query), `params` (a tree of strings, if it could be read),
--- `idempotency_key`, `request_id`, `status` (of the answer, nil until there is one), `replayed`. Never the API key.
---@return table[] requests oldest first, at least the latest 10,000; a copy
function Box:requests()
  check_box(self, "requests")
  return copy(self.log)
end

local sandbox = {}

--- A new, empty sandbox.
---@param options { now: (fun(): number)|nil, keys: string[]|nil, move_refunded: boolean|nil }|nil raises on a wrong one
---
--- * `now`: the clock, Unix seconds; `os.time` by default
--- * `keys`: the API keys that are accepted; by default every `sk_` or `rk_` key of test or live mode
--- * `move_refunded`: takes a refund off `amount_guaranteed`, as the sample in Stripe's documentation shows it;
---   by default the amount stays, as the description of the field has it
---@return payment_records.Sandbox
function sandbox.new(options)
  if rawequal(options, sandbox) then error("payment_records.sandbox.new: call it with a dot, not with a colon", 2) end
  if options == nil then options = {} end
  check_options(options)
  local clock = options.now or os.time
  local box = setmetatable({
    accepted_keys = accepted_keys(options.keys),
    move_refunded = options.move_refunded or false,
    now = function() return math.floor(clock()) end,
  }, Box)
  box:reset()
  return box
end

return sandbox
