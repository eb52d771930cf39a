--- The retry rules a second time, as the documents state them and without a look at src/retry.c: what
--- retry_decision_spec.lua holds the C code to. An attempt is a table of what was seen:
---   code         libcurl's error code; 0: an answer came to its end
---   cause        "large": the answer is larger than we take; "canceled": by the caller; nil
---   sent         some byte of the request left us
---   status       of the answer
---   should_retry the values of its Stripe-Should-Retry lines
---   problem      "lock_timeout", "idempotency_error" or nil
---   replayed, usable, stripe   a stored answer; the object that was asked for; Stripe's own answer
---   post         or else a GET
---   doubt, refused             what earlier attempts of the call left behind

local model = {}

local function set(...)
  local members = {}
  for _, member in ipairs { ... } do
    members[member] = true
  end
  return members
end

-- Before a byte was sent: what is wrong here stays wrong. Certificates and ciphers (58, 59, 60, 77, 82, 83, 90,
-- 91, 98), addresses and protocols (1, 3, 4), libcurl itself (2), no memory (27).
local lasting = set(1, 2, 3, 4, 27, 58, 59, 60, 77, 82, 83, 90, 91, 98)

-- A refusal that says nothing of earlier attempts: Stripe gives it before it looks at the key.
local before_the_key = set(401, 403, 407, 429)

---What Stripe advises: true, false, or nil where it says nothing that can be followed.
---@param values string[]
---@return boolean|nil
function model.advice(values)
  local said = {}
  for _, value in ipairs(values) do
    said[value] = true
  end
  if said["true"] ~= said["false"] then
    return said["true"] == true
  end
end

local function nothing_came(attempt)
  if attempt.cause == "large" then
    return { outcome = "unknown", retry = false }
  elseif attempt.cause == "canceled" then
    return { outcome = attempt.sent and "unknown" or "not_sent", retry = false, later = true }
  elseif not attempt.sent then
    return { outcome = "not_sent", retry = not lasting[attempt.code], base = 0.25 }
  end
  -- A header line that libcurl has no room for is an answer too large.
  return { outcome = "unknown", retry = attempt.code ~= 27, base = 0.5 }
end

local function by_status(attempt)
  local status = attempt.status
  if status < 200 or status >= 600 or status >= 300 and status < 400 then
    return { outcome = "unknown", retry = false, final = true }
  elseif status < 300 then
    return { outcome = attempt.usable and "done" or "unknown", retry = not attempt.usable, final = true }
  elseif attempt.problem == "idempotency_error" then
    return { outcome = "rejected", retry = false, final = true }
  elseif status >= 500 then
    local first = not attempt.replayed
    return { outcome = "unknown", retry = first, final = not first, base = status == 500 and 1 or 0.5 }
  elseif status == 408 or status == 425 or status == 409 then
    return { outcome = "unknown", retry = true, base = status == 409 and 1 or 0.5 }
  elseif status == 424 then
    return { outcome = "unknown", retry = false, later = true }
  elseif status == 429 then
    local base = attempt.problem == "lock_timeout" and 0.5 or 1
    return { outcome = attempt.stripe and "rejected" or "unknown", retry = true, later = true, base = base }
  end
  return { outcome = attempt.stripe and "rejected" or "unknown", retry = false }
end

-- Of the call: what this attempt says, and what earlier ones left open.
local function outcome_of_call(attempt, outcome)
  if outcome == "done" then
    return outcome
  elseif not attempt.post then -- it has no effect; all that matters is whether Stripe can have seen it
    return (outcome ~= "not_sent" or attempt.doubt or attempt.refused) and "rejected" or outcome
  end
  local settled = outcome == "rejected" and not before_the_key[attempt.status]
  if attempt.doubt and not settled then
    return "unknown"
  end
  return outcome == "not_sent" and attempt.refused and "rejected" or outcome
end

---@param attempt table
---@return table { outcome, retry, retryable, base }; base only where there is a retry
function model.decide(attempt)
  local answered = attempt.code == 0 and not attempt.cause
  local verdict = answered and by_status(attempt) or nothing_came(attempt)
  local advice = model.advice(attempt.should_retry)
  if answered and not verdict.final and advice ~= nil then
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
