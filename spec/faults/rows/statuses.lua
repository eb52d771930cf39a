--- N-40 to N-52: answers of Stripe's that are no success.

-- An answer of Stripe's that comes before anything is carried out, or stored under the key.
local function refusal(status, fields, headers)
  local parts = { '"type":"' .. (fields and fields.type or "invalid_request_error") .. '"', '"message":"No."' }
  if fields and fields.code then parts[#parts + 1] = '"code":"' .. fields.code .. '"' end
  return {
    status = status, ledger = "skip", headers = headers or {}, body = '{"error":{' .. table.concat(parts, ",") .. "}}",
  }
end

-- An answer of Stripe's that may come after everything was carried out, in JSON unless there is another body.
local function failure(status, headers, body)
  return { status = status, headers = headers or {}, body = body or '{"error":{"type":"api_error"}}' }
end

local PAGE = "<html>No</html>"

local AGAIN, NOT_AGAIN = { ["Stripe-Should-Retry"] = "true" }, { ["Stripe-Should-Retry"] = "false" }
local LATER = { "ok", "rejected" } -- the second, where the wait that is asked for goes beyond the deadline

local function retry_after(value)
  return refusal(429, { type = "rate_limit_error" }, { ["Retry-After"] = value })
end

return {
  {
    title = "an answer of Stripe's,", expect = "rejected", final = true,
    { "400", refusal(400) },
    { "401", refusal(401) },
    { "402", refusal(402, { type = "card_error" }) },
    { "402, which is stored", { ledger = "decline" }, get = false },
    { "403", refusal(403) },
    { "404", refusal(404, { code = "resource_missing" }) },
    { "405", refusal(405) },
    { "410", refusal(410) },
    { "413", refusal(413) },
    { "422", refusal(422) },
    { "431", refusal(431) },
    { "400, of another type", refusal(400, { type = "temporary_session_expired" }) },
    { "400, an idempotency error", refusal(400, { type = "idempotency_error" }) },
    { "400, an idempotency error that says: again", refusal(400, { type = "idempotency_error" }, AGAIN) },
    { "400 that contradicts itself", refusal(400, nil,
      { { "Stripe-Should-Retry", "true" }, { "Stripe-Should-Retry", "false" } }) },
    { "429 that says: not again", refusal(429, nil, NOT_AGAIN) },
    { "429 that asks for more time than there is", retry_after "99999999999" },
    { "429 that asks for an hour", retry_after "3600" },
  },
  {
    title = "an answer of Stripe's that is worth another attempt,", expect = "rejected",
    { "400 that says: again", refusal(400, nil, AGAIN) },
    { "402 that says: again", refusal(402, { type = "card_error" }, AGAIN) },
    { "429", refusal(429, { type = "rate_limit_error" }) },
    { "429 with a reason", refusal(429, nil, { ["Stripe-Rate-Limited-Reason"] = "global-rate" }) },
    { "429 with lock_timeout", refusal(429, { code = "lock_timeout" }) },
    { "429 that says: again", refusal(429, nil, AGAIN) },
    { "429 with a Retry-After of 0", retry_after "0" },
    { "429 with a Retry-After of 1", retry_after "1" },
    { "429 with a Retry-After of 1.5", retry_after "1.5" },
    { "429 with a negative Retry-After", retry_after "-5" },
    { "429 with a Retry-After that is a date", retry_after "Wed, 21 Oct 2099 07:28:00 GMT" },
    { "429 with a Retry-After that is a past date", retry_after "Wed, 21 Oct 2020 07:28:00 GMT" },
    { "429 with a Retry-After that is garbage", retry_after "soon" },
    { "429 with two Retry-Afters", refusal(429, nil, { { "Retry-After", "0" }, { "Retry-After", "1" } }),
      once = LATER },
  },
  {
    title = "an answer of Stripe's that leaves it open,",
    { "409", refusal(409) },
    { "409 that says: again", refusal(409, nil, AGAIN) },
    { "409 that says: not again", refusal(409, nil, NOT_AGAIN), final = true },
    { "424", refusal(424), final = true },
    { "500, stored before there was an effect", { ledger = "fail_before" }, get = false, once = "unknown" },
    { "500, stored after there was an effect", { ledger = "fail_after" }, get = false, once = "unknown" },
    { "500, not stored", failure(500) },
    { "500 that says: again", failure(500, AGAIN) },
    { "500 that says: not again", failure(500, NOT_AGAIN), final = true },
    { "500 that contradicts itself", failure(500,
      { { "Stripe-Should-Retry", "true" }, { "Stripe-Should-Retry", "false" } }, PAGE) },
    { "500 that is a replay", failure(500, { ["Idempotent-Replayed"] = "true" }, PAGE), final = true },
    { "500 that is a replay, and says: again",
      failure(500, { ["Idempotent-Replayed"] = "true", ["Stripe-Should-Retry"] = "true" }, PAGE), final = true },
    { "503 that says: not again", failure(503, NOT_AGAIN), final = true },
  },
}
