--- What must hold of every case, whatever the network did: each function adds what does not to case.failures.
-- SPDX-License-Identifier: MIT

local payments = require "spec.support.payments"

local checks = {}

-- Seconds beyond its deadline that a call may take.
local SLACK = os.getenv "WATCHED" and 1 or 0.25

local function fail(case, ...)
  if #case.failures < 5 then case.failures[#case.failures + 1] = case.label .. ": " .. string.format(...) end
end
checks.fail = fail

-- What the server knows of the payments of a case: by reference and by key.
local function ledger_of(case)
  local known = { effects = {}, requests = {}, by_key = {}, partial = 0 }
  for _, entry in ipairs(case.server:entries()) do
    if entry.event == "effect" then
      known.effects[entry.reference] = (known.effects[entry.reference] or 0) + 1
    elseif entry.event == "request" then
      local call = entry.method == "GET" and entry.path or entry.key
      local reference = (entry.body or ""):match "metadata%[reference%]=([^&]*)"
      if call then
        known.by_key[call] = known.by_key[call] or {}
        table.insert(known.by_key[call], entry)
      else
        known.partial = known.partial + 1
      end
      if reference then
        known.requests[reference] = known.requests[reference] or {}
        table.insert(known.requests[reference], entry)
      end
    end
  end
  return known
end
checks.ledger_of = ledger_of

---One result, told once, and the same whenever it is asked for.
function checks.result(case, call)
  if call.told ~= 1 then return fail(case, "%s: on_done ran %d times", call.reference, call.told) end
  local record, err, response = call.handle:result()
  if record ~= call.record or err ~= call.err or response ~= call.response then
    fail(case, "%s: the result is not what on_done was given", call.reference)
  end
  if (record == nil) == (err == nil) then
    fail(case, "%s: record %s, error %s", call.reference, tostring(record), tostring(err))
  end
  if err and err.attempts ~= response.attempts then
    fail(case, "%s: %s attempts in the error, %s in the response", call.reference, err.attempts, response.attempts)
  end
end

---No later than its deadline. A busy machine may keep the host from stepping the client for longer than that, and may
---keep a step from going on; but the client may not say later than that that it has nothing to do, and its last step
---must not wait.
function checks.deadline(case, call)
  local last = call.started + call.deadline + SLACK
  if call.ended <= last then return end
  if call.idle_at > last or call.sleeps > 0 then
    fail(case, "%s: took %.3f s, and waited %d times in its last step; its deadline is %.3f s", call.reference,
      call.ended - call.started, call.sleeps, call.deadline)
  end
end

-- Its time ended an attempt that might have been answered: what it then says may be less than what was expected.
local function was_struck(case, call)
  return call.err and call.err.type == "timeout_error" and
    (case.row.stalls or call.response.elapsed >= call.deadline - 0.02)
end

---The outcome that the row expects.
function checks.expectation(case, call, expected)
  local outcome = call.err and call.err.outcome or "ok"
  local struck = was_struck(case, call) and (outcome == "not_sent" or outcome == (case.method == "GET" and "rejected"
    or "unknown"))
  if not expected[outcome] and not struck then
    fail(case, "%s: %s, though not expected: %s", call.reference, outcome, tostring(call.err))
  end
  if case.row.final and call.faulty and call.response.attempts > 1 then
    fail(case, "%s: made again, %d times", call.reference, call.response.attempts)
  end
  for name, value in pairs(call.err or {}) do
    if type(value) == "string" and value:find(payments.KEY, 1, true) then
      fail(case, "%s: the secret key is in err.%s", call.reference, name)
    end
  end
end

-- The requests of one payment are one request, made again: its key, its head and its body.
local function check_requests(case, call, requests)
  for _, request in ipairs(requests) do
    if request.key ~= call.response.idempotency_key then
      fail(case, "%s: key %s, then %s", call.reference, call.response.idempotency_key, tostring(request.key))
    end
    if request.complete and (request.hash ~= requests[1].hash or request.head ~= requests[1].head) then
      fail(case, "%s: the attempts differ", call.reference)
    end
  end
end

---The attempts that the call counted are the requests that the server saw, when it is able to see them: only one that
---ran out of time may not have come so far.
local function check_attempts(case, call, requests)
  local blind = case.row.blind == true or (case.row.blind and case.calls > 1)
  if blind or not call.faulty then return end
  local unread = case.timed_out[call.path or call.response.idempotency_key] or 0
  if call.response.attempts < #requests or call.response.attempts > #requests + unread then
    fail(case, "%s: %d attempts counted, %d requests seen, %s", call.reference, call.response.attempts, #requests,
      tostring(call.err))
  end
end

---Nothing was lost, nothing was doubled, and the outcome is the truth, going by the server's own records.
function checks.truth(case, call, known)
  local requests = known.by_key[call.path or call.response.idempotency_key] or {}
  check_attempts(case, call, requests)
  local outcome = call.err and call.err.outcome or "ok"
  if outcome == "not_sent" and (#requests > 0 or (case.calls == 1 and known.partial > 0)) then
    fail(case, "%s: not_sent, but the server saw %d requests", call.reference, #requests)
  end
  if call.path then
    if call.record and call.record.id ~= call.path:match "[^/]+$" then fail(case, "another call's record") end
    return
  end
  check_requests(case, call, known.requests[call.reference] or {})
  local effects = known.effects[call.reference] or 0
  local least, most = outcome == "ok" and 1 or 0, (outcome == "ok" or outcome == "unknown") and 1 or 0
  if effects < least or effects > most then
    fail(case, "%s: %s, but the payment was made %d times", call.reference, outcome, effects)
  end
  if call.record and (call.record.metadata or {}).reference ~= call.reference then
    fail(case, "%s: the record of another payment", call.reference)
  end
end

return checks
