--- The retry rules a second time, in other words than src/retry.c has: what decision_spec.lua holds the C code to.
-- Change it when the rules change, and not to make it agree with the code. An attempt is a table of what was seen:
--   code           libcurl's error code; 0: an answer came to its end
--   cause          "large": the answer is larger than we take; "canceled": by the caller; false
--   sent           some byte of the request left us
--   status         of the answer, as far as it came
--   should_retry   the values of its Stripe-Should-Retry lines
--   problem        "lock_timeout", "idempotency_error" or false
--   replayed, usable, stripe   a stored answer; the object that was asked for; Stripe's own answer
--   post           or else a GET
--   doubt, refused   what earlier attempts of the call left behind: an unknown outcome, a refusal

local model = {}

local function set(...)
  local members = {}
  for _, member in ipairs { ... } do
    members[member] = true
  end
  return members
end

-- Before a byte was sent: what is wrong here stays wrong. Certificates and ciphers (59, 60, 77, 83, 91, 98),
-- addresses and protocols (1, 3, 4), libcurl itself (2), no memory (27).
local lasting = set(1, 2, 3, 4, 27, 59, 60, 77, 83, 91, 98)

-- What Stripe says of the payment itself, and would repeat under the same key: it holds for earlier attempts, too.
-- Others (401, 403, 429, …) come before Stripe looks at the key.
local behind_the_key = set(400, 402, 404, 410, 422)

---What Stripe advises: true, false, or nil where it says nothing, or contradicts itself.
---@param values string[]
---@return boolean|nil
function model.advice(values)
  local said = {}
  for _, value in ipairs(values) do
    said[#said + 1] = value:lower()
    if said[1] ~= said[#said] then return nil end
  end
  if said[1] == "true" or said[1] == "false" then return said[1] == "true" end
end

local function nothing_came(attempt)
  if attempt.cause then
    return { outcome = attempt.sent and "unknown" or "not_sent", retry = false, later = attempt.cause == "canceled" }
  elseif not attempt.sent then
    return { outcome = "not_sent", retry = not lasting[attempt.code], base = 0.25 }
  end
  -- A header line that libcurl has no room for is an answer too large.
  return { outcome = "unknown", retry = attempt.code ~= 27, base = 0.5 }
end

-- Of a status from 400 on: what it says when it is Stripe's own, and whether it is tried again, from which base.
local statuses = {
  [408] = { outcome = "unknown", retry = true }, [425] = { outcome = "unknown", retry = true },
  [409] = { outcome = "unknown", retry = true, base = 1 },
  [424] = { outcome = "unknown", later = true },
  [429] = { outcome = "rejected", retry = true, later = true, base = 1 },
  [500] = { outcome = "unknown", retry = true, base = 1 },
}
local OTHER_REFUSAL, OTHER_FAILURE = { outcome = "rejected" }, { outcome = "unknown", retry = true }

local function by_status(attempt)
  local status = attempt.status
  if status < 200 or status >= 600 or status >= 300 and status < 400 then
    return { outcome = "unknown", retry = false, final = true }
  elseif status < 300 then
    return { outcome = attempt.usable and "done" or "unknown", retry = not attempt.usable, final = true }
  end
  local rule = statuses[status] or (status < 500 and OTHER_REFUSAL or OTHER_FAILURE)
  -- The stored 500 never changes; a key that was used for something else never fits.
  local final = attempt.problem == "idempotency_error" or status >= 500 and attempt.replayed
  local foreign = rule.outcome == "rejected" and not attempt.stripe
  return {
    outcome = foreign and "unknown" or rule.outcome,
    retry = not final and rule.retry or false,
    later = not final and rule.later,
    base = attempt.problem == "lock_timeout" and status == 429 and 0.5 or rule.base,
    final = final,
  }
end

-- Of the call: what this attempt says, and what earlier ones left open.
local function outcome_of_call(attempt, outcome)
  if outcome == "done" then
    return outcome
  elseif not attempt.post then -- it has no effect; all that matters is whether Stripe can have seen it
    return (outcome ~= "not_sent" or attempt.doubt or attempt.refused) and "rejected" or outcome
  end
  local settled = outcome == "rejected" and behind_the_key[attempt.status]
  if attempt.doubt and not settled then
    return "unknown"
  end
  return outcome == "not_sent" and attempt.refused and "rejected" or outcome
end

-- Whether Stripe's advice, where there is some, counts: of an answer that was cut only the advice against.
local function may_advise(attempt, answered, verdict, advice)
  if not answered then return attempt.status >= 300 and advice == false end
  return not verdict.final
end

-- Whoever changes to another protocol, though nobody asked for it, is not Stripe; what then comes is no answer.
local SWITCHING = 101

---@param attempt table
---@return table { outcome, retry, retryable, base }; base only where there is a retry
function model.decide(attempt)
  local answered = attempt.code == 0 and not attempt.cause
  local verdict = answered and by_status(attempt) or nothing_came(attempt)
  if attempt.status == SWITCHING then verdict.retry, verdict.later = false, false end
  local advice = model.advice(attempt.should_retry)
  if advice ~= nil and may_advise(attempt, answered, verdict, advice) then
    verdict.retry = advice
    verdict.later = verdict.later and advice
  end
  return {
    outcome = outcome_of_call(attempt, verdict.outcome),
    retry = verdict.retry,
    retryable = verdict.retry or verdict.later or false,
    base = verdict.retry and (verdict.base or 0.5) or nil,
  }
end

---Seconds until the next attempt: between which two, for the retry number (from 0).
---@param base number
---@param retry integer
---@param retry_after number|nil seconds, as the server asked
---@return number least, number most
function model.wait(base, retry, retry_after)
  local most = math.min(8, base * 2 ^ retry)
  if not retry_after then
    return 0.1, most
  end
  return math.min(math.max(retry_after, 0.1), 5.1), math.min(math.max(retry_after, most), most + 5)
end

return model
