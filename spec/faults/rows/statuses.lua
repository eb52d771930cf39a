--- N-40 to N-52: answers that are no success, of Stripe's or of somebody on the way.

-- An answer of Stripe's that comes before anything is carried out, or stored under the key.
local function refusal(status, fields, headers)
  local parts = { '"type":"' .. (fields and fields.type or "invalid_request_error") .. '"', '"message":"No."' }
  if fields and fields.code then parts[#parts + 1] = '"code":"' .. fields.code .. '"' end
  return {
    status = status, ledger = "skip", headers = headers or {}, body = '{"error":{' .. table.concat(parts, ",") .. "}}",
  }
end

-- An answer of a proxy, a firewall, a load balancer.
local function page(status, headers, body)
  return { status = status, headers = headers or {}, body = body or "<html>No</html>" }
end

local function status_line(text)
  return { raw = "HTTP/1.1 " .. text .. "\r\nContent-Length: 0\r\n\r\n" }
end

local AGAIN, NOT_AGAIN = { ["Stripe-Should-Retry"] = "true" }, { ["Stripe-Should-Retry"] = "false" }
local LATER = { "ok", "rejected" } -- the second, where the wait that is asked for goes beyond the deadline

local function retry_after(value)
  return refusal(429, { type = "rate_limit_error" }, { ["Retry-After"] = value })
end

local families = {
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
    { "500, not stored", page(500, nil, '{"error":{"type":"api_error"}}') },
    { "500 that says: again", page(500, AGAIN, '{"error":{"type":"api_error"}}') },
    { "500 that says: not again", page(500, NOT_AGAIN, '{"error":{"type":"api_error"}}'), final = true },
    { "500 that contradicts itself", page(500,
      { { "Stripe-Should-Retry", "true" }, { "Stripe-Should-Retry", "false" } }) },
    { "500 that is a replay", page(500, { ["Idempotent-Replayed"] = "true" }), final = true },
    { "500 that is a replay, and says: again",
      page(500, { ["Idempotent-Replayed"] = "true", ["Stripe-Should-Retry"] = "true" }), final = true },
    { "503 that says: not again", page(503, NOT_AGAIN, '{"error":{"type":"api_error"}}'), final = true },
  },
  {
    title = "an answer of somebody on the way,", final = true,
    { "400", page(400) },
    { "401", page(401, { ["WWW-Authenticate"] = "Negotiate" }) },
    { "403", page(403) },
    { "403 in JSON", page(403, nil, '{"error":"blocked"}') },
    { "404", page(404) },
    { "405", page(405) },
    { "406", page(406) },
    { "407", page(407, { ["Proxy-Authenticate"] = "Basic" }) },
    { "411", page(411) },
    { "413", page(413) },
    { "414", page(414) },
    { "418", page(418) },
    { "451", page(451) },
    { "304", { raw = "HTTP/1.1 304 Not Modified\r\n\r\n" } },
    { "199", { raw = "HTTP/1.1 199 Odd\r\n\r\n" }, final = false },
    { "600", page(600) },
    { "999", page(999) },
  },
  {
    title = "an answer of somebody on the way that is worth another attempt,",
    { "408", page(408) },
    { "408, and the connection is closed", { status = 408, body = "", headers = {}, after = "close" } },
    { "425", page(425) },
    { "429", page(429) },
    { "409", page(409) },
  },
  {
    title = "a strange status line,", expect = { "unknown" }, once = { "ok", "unknown" }, blind = true,
    { "status 0", status_line "0 Zero" },
    { "status 000", status_line "000 Zero" },
    { "status 099", status_line "099 Odd" },
    { "status -200", status_line "-200 Odd" },
    { "status 20", status_line "20 Odd" },
  },
}

local edge = { title = "a status of the edge," }
for _, status in ipairs { 501, 502, 503, 504, 505, 511, 520, 521, 522, 523, 524, 525, 526, 527, 599 } do
  edge[#edge + 1] = { tostring(status), page(status) }
end
families[#families + 1] = edge

-- What is redirected goes nowhere: cases.start gives the URL of a server to which nobody may come.
local redirects = { title = "a redirect,", final = true }
for _, status in ipairs { 300, 301, 302, 303, 305, 307, 308 } do
  redirects[#redirects + 1] = { ("%d to another port"):format(status),
    page(status, { Location = "%OTHER%/v1/payment_records/pr_1" }) }
end
for _, target in ipairs {
  { "to itself", "/v1/payment_records/report_payment" }, { "to another host", "https://localhost.invalid/" },
  { "to a file", "file:///etc/hostname" }, { "to nowhere", "" }, { "to something that is no URL", "http://[" },
} do
  redirects[#redirects + 1] = { "307 " .. target[1], page(307, { Location = target[2] }) }
end
families[#families + 1] = redirects

return families
