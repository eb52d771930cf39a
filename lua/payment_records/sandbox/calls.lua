--- One request from its bytes to its answer: authenticate, find the call, read the parameters, look at the idempotency
-- key, check, execute. An answer is `{ status, headers, body }`; every stage may end the call with one.
-- SPDX-License-Identifier: MIT

local auth = require "payment_records.sandbox.auth"
local check = require "payment_records.sandbox.check"
local faults = require "payment_records.sandbox.faults"
local form = require "payment_records.sandbox.form"
local idempotency = require "payment_records.sandbox.idempotency"
local json = require "payment_records.sandbox.json"
local ledger = require "payment_records.sandbox.ledger"
local routes = require "payment_records.sandbox.routes"

local calls = {}

local API_VERSION = "2026-09-30.endive"
local FORM_TYPE = "application/x-www-form-urlencoded"
local WRONG_TYPE = "Invalid request (check that your POST content type is " .. FORM_TYPE .. ")."

local function refusal(call, fault)
  return {
    status = fault.status,
    headers = fault.headers or {},
    body = faults.encode(fault, call.request_id, call.mode),
  }
end

--- What is kept for one account and mode.
---@param box table
---@param mode string "test" or "live"
---@param account string|nil a connected account
---@return { ledger: table, keys: table }
function calls.scope(box, mode, account)
  local name = mode .. "/" .. (account or "")
  if not box.scopes[name] then
    local setup = {
      next_id = box.next_id, now = box.now, livemode = mode == "live", move_refunded = box.move_refunded,
    }
    box.scopes[name] = { ledger = ledger.new(setup), keys = idempotency.new() }
  end
  return box.scopes[name]
end

local function authenticate(box, call)
  local mode, fault = auth.authenticate(call.headers.authorization, box.accepted_keys)
  if not mode then return refusal(call, fault) end
  call.mode = mode
  call.scope = calls.scope(box, mode, call.account)
end

local function check_version(_, call)
  if not call.version:find "^%d%d%d%d%-%d%d%-%d%d[.%l]*$" then
    return refusal(call, faults.invalid("Invalid Stripe API version: " .. call.version))
  end
end

local function find_route(_, call)
  local route, id_or_fault = routes.find(call.method, call.path)
  if not route then return refusal(call, id_or_fault) end
  call.route, call.id = route, id_or_fault
end

local function form_text(call)
  if call.method ~= "POST" or call.body == "" then return call.query end
  local content_type = (call.headers["content-type"] or ""):match "^%s*([^;%s]*)"
  if content_type:lower() ~= FORM_TYPE then return nil, WRONG_TYPE end
  return call.query .. "&" .. call.body
end

local function read_params(_, call)
  local text, message = form_text(call)
  local tree = text
  if text then tree, message = form.decode(text) end
  if not tree then return refusal(call, faults.invalid(message)) end
  call.seen.params = tree
end

--- Answers from the store, before the parameters are checked: a request that is not the stored one is refused as such.
local function replay(box, call)
  if not call.key then return nil end
  call.fingerprint = form.canonical(call.seen.params)
  local stored, fault = call.scope.keys:find(call.key, call.path, call.fingerprint, box.now())
  if fault then return refusal(call, fault) end
  if not stored then return nil end
  call.seen.replayed = true
  local headers = { ["Idempotent-Replayed"] = "true", ["Original-Request"] = stored.request_id }
  return { status = stored.status, headers = headers, body = stored.body }
end

local function check_params(_, call)
  local values, fault = check.params(call.seen.params, call.route.params)
  if not values then return refusal(call, fault) end
  call.values = values
end

local STAGES = { authenticate, check_version, find_route, read_params, replay, check_params }

--- Goes as far as a call goes without an effect; a call that may be executed then holds its idempotency key.
---@param box table
---@param call table
---@return table|nil answer of a call that is not to be executed
function calls.admit(box, call)
  for _, stage in ipairs(STAGES) do
    local answer = stage(box, call)
    if answer then return answer end
  end
  if call.key then call.scope.keys:reserve(call.key, call.path, call.fingerprint, box.now()) end
end

--- Executes a call that was admitted, and stores its answer under its key.
---@param call table
---@return table answer
function calls.execute(call)
  local book = call.scope.ledger
  local object, fault = book[call.route.name](book, call.id, call.values)
  local answer = fault and refusal(call, fault)
    or { status = 200, headers = {}, body = json.encode(object, call.route.shape) }
  if call.key then
    local stored = { status = answer.status, body = answer.body, request_id = call.request_id }
    call.scope.keys:store(call.key, stored)
  end
  return answer
end

local function lower_names(headers)
  local lowered = {}
  for name, value in pairs(headers or {}) do
    lowered[name:lower()] = type(value) == "table" and value[1] or value
  end
  return lowered
end

local function filled(value)
  return value ~= "" and value or nil
end

--- Takes a request apart.
---@param box table
---@param request table see `Box:handle`
---@return table call `seen` is what `Box:requests` shows of it
function calls.new(box, request)
  local target = request.path or request.url:match "^%a+://[^/?#]*([^#]*)"
  local path, query = target:match "^([^?]*)%??(.*)$"
  local headers = lower_names(request.headers)
  local method = request.method:upper()
  local key = method == "POST" and filled(headers["idempotency-key"]) or nil
  local request_id = box.next_id("req_", 14)
  return {
    request_id = request_id,
    method = method,
    path = path,
    query = query,
    headers = headers,
    body = request.body or "",
    key = key,
    account = filled(headers["stripe-account"]) or filled(headers["stripe-context"]),
    version = filled(headers["stripe-version"]) or API_VERSION,
    seen = { method = method, path = path, idempotency_key = key, request_id = request_id },
  }
end

--- Completes an answer with the headers every answer has.
---@param call table
---@param answer table its own headers win
---@return table response
function calls.respond(call, answer)
  local headers = {
    ["Content-Type"] = "application/json",
    ["Request-Id"] = call.request_id,
    ["Stripe-Version"] = call.version,
    ["Idempotency-Key"] = call.key,
    ["Stripe-Account"] = filled(call.headers["stripe-account"]),
  }
  for name, value in pairs(answer.headers) do headers[name] = value end
  call.seen.status = answer.status
  return { status = answer.status, headers = headers, body = answer.body }
end

return calls
