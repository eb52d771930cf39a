--- What is tried again and what is not, what is the same in every attempt, and what is known at the end.

local cjson = require "cjson"
local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT

local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

-- A step that answers with an error as Stripe does.
local function refusal(status, fields, headers)
  local object = { type = "invalid_request_error", message = "No." }
  for name, value in pairs(fields or {}) do object[name] = value end
  return { status = status, headers = headers, body = cjson.encode { error = object } }
end

local function should_retry(...)
  local headers = {}
  for i, value in ipairs { ... } do headers[i] = { "Stripe-Should-Retry", value } end
  return headers
end

-- Every request is the same call: one key, the same bytes. Returns how many there are.
local function assert_same(requests, key)
  for _, request in ipairs(requests) do
    assert.equal(key, request.header["idempotency-key"])
    assert.same({ requests[1].head, requests[1].body, true }, { request.head, request.body, request.complete })
  end
  return #requests
end

local function assert_same_requests(server, key)
  return assert_same(server:requests(), key)
end

it("a refusal of what libcurl sent again by itself says nothing of what was lost", function()
  local server = playing { {}, { fault = "close" }, refusal(429) }
  local client = payments.client(server)
  assert(client:report_payment(PAYMENT))
  local record, err = client:report_payment(PAYMENT)
  assert.is_nil(record)
  assert.same({ "unknown", 429, 2, 3 }, { err.outcome, err.status, err.attempts, #server:requests() })
end)

-- Reports an attempt on the record pr_N for the case of this number, all at the same time: each with a client of its
-- own, against the steps that `steps_of(case)` gives. Returns what becomes of each: `call` and `requests`.
local function run_together(cases, options, steps_of)
  local by_path, clients, runs, unfinished = {}, {}, {}, #cases
  for i, case in ipairs(cases) do by_path["/pr_" .. i .. "/"] = steps_of(case) end
  local server = servers.start { by_path = by_path }
  for i in ipairs(cases) do
    clients[i] = payments.client(server, options)
    runs[i] = { call = clients[i]:start("report_payment_attempt", "pr_" .. i, { initiated_at = 1730253453 }) }
    runs[i].requests = {}
  end
  local last = os.time() + 20
  while unfinished > 0 and os.time() < last do
    unfinished = 0
    for _, client in ipairs(clients) do unfinished = unfinished + client:step(0.001) end
  end
  for _, request in ipairs(server:requests()) do
    table.insert(runs[tonumber(request.path:match "/pr_(%d+)/")].requests, request)
  end
  return runs
end

local function assert_fields(expected, err)
  local actual = {}
  for name in pairs(expected) do actual[name] = err[name] end
  assert.same(expected, actual)
end

describe("a call whose first attempt fails", function()
  local retried = {
    { "by a closed connection", { fault = "close" } },
    { "by a reset", { fault = "reset" } },
    { "by a stall", { fault = "stall" } },
    { "by a cut in the status line", { cut = "status" } },
    { "by a cut in the headers", { cut = "headers" } },
    { "by a cut in the body", { cut = "body" } },
    { "by garbage", { raw = "garbage\r\n\r\n", after = "close" } },
    { "by an empty success", { body = "" } },
    { "by a success without an id", { body = "{}" } },
    { "with 408", { status = 408, body = "" } },
    { "with 409", refusal(409) },
    { "with 425", { status = 425, body = "" } },
    { "with 429", refusal(429) },
    { "with 429 and lock_timeout", refusal(429, { code = "lock_timeout" }) },
    { "with 500", refusal(500, { type = "api_error" }) },
    { "with 502 from something between", { status = 502, body = "<html>Bad Gateway</html>" } },
    { "with 503", { status = 503, body = "" } },
    { "with 504", { status = 504, body = "" } },
    { "with 400, and Stripe says: again", refusal(400, nil, should_retry "true") },
    { "with 402, and Stripe says: again", refusal(402, nil, should_retry("true", "true")) },
    { "with 500, and Stripe contradicts itself", refusal(500, nil, should_retry("true", "false")) },
    { "with 500, and Stripe says something else", refusal(500, nil, should_retry "perhaps") },
    { "with 429, and Retry-After is 0", refusal(429, nil, { ["Retry-After"] = "0" }) },
    { "with 429, and Retry-After is garbage", refusal(429, nil, { ["Retry-After"] = "soon" }) },
    { "with 429, and Retry-After is negative", refusal(429, nil, { ["Retry-After"] = "-5" }) },
    { "with 429, and Retry-After is a date", refusal(429, nil, { ["Retry-After"] = "Wed, 21 Oct 2099 07:28:00 GMT" }) },
  }

  local runs
  setup(function()
    runs = run_together(retried, { max_retries = 1, timeout = 2 }, function(case) return { case[2], {} } end)
  end)

  for i, case in ipairs(retried) do
    it(case[1] .. " is made again, the same, and has one result", function()
      local record, err, response = runs[i].call:result()
      assert.is_nil(err)
      assert.equal("payment_record", record.object)
      assert.same({ 2, 200 }, { response.attempts, response.status })
      assert.equal(2, assert_same(runs[i].requests, response.idempotency_key))
    end)
  end

  it("by a refused connection is made again", function()
    local attempts = {}
    local port = servers.closed_port()
    local client = payments.client({ url = "http://127.0.0.1:" .. port }, {
      max_retries = 2, on_attempt = function(event) attempts[#attempts + 1] = event end,
    })
    local _, err = client:report_payment(PAYMENT)
    assert_fields({ outcome = "not_sent", retryable = true, attempts = 0 }, err)
    assert.equal(3, #attempts)
  end)

  it("waits as long as Retry-After asks", function()
    local server = playing { refusal(429, nil, { ["Retry-After"] = "1.2" }), {} }
    local _, err, response = payments.client(server, { max_retries = 1 }):report_payment(PAYMENT)
    assert.is_nil(err)
    assert.equal(2, response.attempts)
    assert.is_true(response.elapsed >= 1.1 and response.elapsed < 10, response.elapsed)
  end)

  it("does not wait an hour because a server asks for it", function()
    local waits = {}
    local client = payments.client(playing { refusal(429, nil, { ["Retry-After"] = "3600" }) }, {
      max_retries = 1, on_attempt = function(event) waits[#waits + 1] = event.wait end,
    })
    local call = client:start("report_payment", PAYMENT)
    while #waits == 0 do client:step(1) end
    call:cancel()
    assert.is_true(waits[1] >= 5 and waits[1] <= 13, waits[1])
    local _, err = call:result()
    assert_fields({ type = "canceled_error", outcome = "rejected", attempts = 1 }, err)
  end)

  it("tells of each attempt and of the wait", function()
    local events = {}
    local client = payments.client(playing { refusal(503, nil, { ["Request-Id"] = "req_1" }), {} }, {
      max_retries = 1, on_attempt = function(event) events[#events + 1] = event end,
    })
    local _, _, response = client:report_payment(PAYMENT)
    assert.equal(2, #events)
    assert_fields({ attempt = 1, status = 503, request_id = "req_1", name = "report_payment", method = "POST",
      path = "/v1/payment_records/report_payment", idempotency_key = response.idempotency_key }, events[1])
    assert.is_true(events[1].wait >= 0.1 and events[1].wait <= 1)
    assert_fields({ attempt = 2, status = 200 }, events[2])
    assert.is_nil(events[2].wait)
  end)
end)

describe("a call is not made again", function()
  local final = {
    { "400", refusal(400), { outcome = "rejected", retryable = false, type = "invalid_request_error" } },
    { "401", refusal(401, { type = cjson.null }, { ["Request-Id"] = "req_1" }), {
      outcome = "rejected", retryable = false, type = "authentication_error" } },
    { "402", refusal(402, { type = "card_error" }), { outcome = "rejected", retryable = false, type = "card_error" } },
    { "403", refusal(403, { type = cjson.null }, { ["Request-Id"] = "req_1" }), {
      outcome = "rejected", retryable = false, type = "permission_error" } },
    { "404", refusal(404, { code = "resource_missing" }), { outcome = "rejected", retryable = false,
      code = "resource_missing" } },
    { "410", refusal(410), { outcome = "rejected", retryable = false } },
    { "422", refusal(422), { outcome = "rejected", retryable = false } },
    { "424", refusal(424), { outcome = "unknown", retryable = true } },
    { "400 without a mark of Stripe's", { status = 400, body = "<html>" }, { outcome = "unknown", retryable = false,
      body = "<html>" } },
    { "404 of Stripe's by its Request-Id", { status = 404, body = "", headers = { ["Request-Id"] = "req_1" } }, {
      outcome = "rejected", retryable = false, request_id = "req_1" } },
    { "304", { status = 304, content_length = {} }, { outcome = "unknown", retryable = false } },
    { "a strange status", { status = 600, body = "{}" }, { outcome = "unknown", retryable = false } },
    { "409, and Stripe says: not again", refusal(409, nil, should_retry "false"), {
      outcome = "unknown", retryable = false } },
    { "429, and Stripe says: not again", refusal(429, nil, should_retry "false"), {
      outcome = "rejected", retryable = false } },
    { "500, and Stripe says: not again", refusal(500, nil, should_retry("false", "false")), {
      outcome = "unknown", retryable = false } },
    { "400, and Stripe contradicts itself", refusal(400, nil, should_retry("true", "false")), {
      outcome = "rejected", retryable = false } },
    { "a replayed 500", refusal(500, { type = "api_error" }, { ["Idempotent-Replayed"] = "true" }), {
      outcome = "unknown", retryable = false } },
    { "a replayed 500, whatever Stripe says", refusal(500, { type = "api_error" }, {
      { "Idempotent-Replayed", "true" }, { "Stripe-Should-Retry", "true" } }), {
      outcome = "unknown", retryable = false } },
    { "a key that was used for something else", refusal(400, { type = "idempotency_error" }), {
      outcome = "rejected", retryable = false, type = "idempotency_error" } },
    { "a key that was used for something else, whatever Stripe says",
      refusal(400, { type = "idempotency_error" }, should_retry "true"), {
      outcome = "rejected", retryable = false, type = "idempotency_error" } },
  }

  for _, case in ipairs(final) do
    it("after " .. case[1], function()
      local server = playing { case[2], {} }
      local record, err = payments.client(server, { max_retries = 2 }):report_payment(PAYMENT)
      assert.is_nil(record)
      assert_fields(case[3], err)
      assert.equal(1, err.attempts)
      assert.equal(1, #server:requests())
    end)
  end

  it("when Retry-After goes beyond the deadline: it ends at once", function()
    local server = playing { refusal(429, nil, { ["Retry-After"] = "60" }), {} }
    local _, err, response = payments.client(server, { max_retries = 2, deadline = 15 }):report_payment(PAYMENT)
    assert_fields({ outcome = "rejected", retryable = true, status = 429, attempts = 1 }, err)
    assert.is_true(response.elapsed < 10)
    assert.equal(1, #server:requests())
  end)
end)

describe("max_retries", function()
  for retries = 0, 2 do
    it("is " .. retries .. " for the client or for the call", function()
      local server = playing { { status = 503, body = "" } }
      local _, err = payments.client(server, { max_retries = retries }):report_payment(PAYMENT)
      assert_fields({ outcome = "unknown", retryable = true, status = 503, attempts = retries + 1 }, err)
      assert.equal(retries + 1, assert_same_requests(server, err.idempotency_key))

      server = playing { { fault = "reset" } }
      _, err = payments.client(server, { max_retries = 5 }):report_payment(PAYMENT, { max_retries = retries })
      assert_fields({ outcome = "unknown", retryable = true, attempts = retries + 1 }, err)
      assert.equal(retries + 1, assert_same_requests(server, err.idempotency_key))
    end)
  end
end)

describe("what is known after two attempts", function()
  local CUT, LIMITED = { cut = "body" }, refusal(429)
  local last = {
    { "cut, then 429", CUT, LIMITED, { outcome = "unknown", status = 429, retryable = true } },
    { "cut, then 401", CUT, refusal(401), { outcome = "unknown", status = 401 } },
    { "cut, then 403", CUT, refusal(403), { outcome = "unknown", status = 403 } },
    { "cut, then 409", CUT, refusal(409), { outcome = "unknown", status = 409 } },
    { "cut, then a redirect", CUT, { status = 302, body = "" }, { outcome = "unknown", status = 302 } },
    { "cut, then 400", CUT, refusal(400), { outcome = "rejected", status = 400 } },
    { "cut, then 402", CUT, refusal(402), { outcome = "rejected", status = 402 } },
    { "cut, then a 400 of somebody else", CUT, { status = 400, body = "no" }, { outcome = "unknown", status = 400 } },
    { "500, then 429", refusal(500), LIMITED, { outcome = "unknown", status = 429 } },
    { "429, then cut", LIMITED, CUT, { outcome = "unknown", curl_code = 18 } },
    { "429, then 429", LIMITED, LIMITED, { outcome = "rejected", status = 429 } },
    { "429, then 401", LIMITED, refusal(401), { outcome = "rejected", status = 401 } },
  }

  local runs
  setup(function()
    runs = run_together(last, { max_retries = 1 }, function(case) return { case[2], case[3] } end)
  end)

  for i, case in ipairs(last) do
    it(case[1] .. ": " .. case[4].outcome, function()
      local record, err = runs[i].call:result()
      assert.is_nil(record)
      assert_fields(case[4], err)
      assert.equal(2, err.attempts)
      assert.equal(2, assert_same(runs[i].requests, err.idempotency_key))
    end)
  end

  local refused = {
    { "cut, then refused", { cut = "body" }, "unknown" },
    { "500, then refused", { status = 500, body = "", after = "close" }, "unknown" },
    { "429, then refused", { status = 429, body = '{"error":{"type":"rate_limit_error"}}',
      after = "close" }, "rejected" },
    { "429 of somebody else's, then refused", { status = 429, body = '{"error":{"message":"slow"}}', after = "close" },
      "unknown" },
  }
  for _, case in ipairs(refused) do
    it(case[1] .. ": " .. case[3], function()
      case[2].close_listener = true
      local server = servers.start { steps = { case[2] } }
      local _, err = payments.client(server, { max_retries = 1 }):report_payment(PAYMENT)
      assert_fields({ outcome = case[3], type = "connection_error", curl_code = 7, attempts = 1 }, err)
      assert.is_true(err.retryable)
      assert.equal(1, #server:requests())
    end)
  end

  it("is never unknown of a GET", function()
    local server = playing { { cut = "body" }, { fault = "reset" } }
    local _, err = payments.client(server, { max_retries = 1 }):retrieve_payment_record "pr_1"
    assert_fields({ outcome = "rejected", retryable = true, attempts = 2 }, err)
    assert.is_nil(err.idempotency_key)
    assert.equal(2, assert_same_requests(server, nil))
  end)

  it("is never not_sent of a GET that was sent once", function()
    local server = servers.start { steps = { { cut = "body", close_listener = true } } }
    local _, err = payments.client(server, { max_retries = 1 }):retrieve_payment_record "pr_1"
    assert_fields({ outcome = "rejected", curl_code = 7, attempts = 1 }, err)
  end)
end)

describe("a deadline", function()
  local MANY = 1000
  local cases = {
    { "while it waits for the next attempt", { { status = 503, headers = { ["Retry-After"] = "0.6" }, body = "" } }, {
      outcome = "unknown", type = "api_error", status = 503, retryable = true } },
    { "while the server is silent", { { fault = "stall" } }, {
      outcome = "unknown", type = "timeout_error", attempts = 1, retryable = true } },
    { "while the answer trickles in", { { slice = 1, delay_body = 20 } }, {
      outcome = "unknown", type = "timeout_error", attempts = 1 } },
  }
  for _, case in ipairs(cases) do
    it("ends a call " .. case[1], function()
      local client = payments.client(playing(case[2]), { deadline = 1, max_retries = MANY })
      local _, err, response = client:report_payment(PAYMENT)
      assert_fields(case[3], err)
      assert.is_true(response.elapsed < 8, response.elapsed)
      assert.is_true(response.attempts >= 1 and response.attempts < MANY)
    end)
  end

  it("ends a call while it connects", function()
    local client = payments.client(servers.start { listener = "black_hole" }, { max_retries = MANY })
    local _, err, response = client:report_payment(PAYMENT, { deadline = 1 })
    assert_fields({ outcome = "not_sent", type = "timeout_error", attempts = 0, retryable = true }, err)
    assert.is_true(response.elapsed < 8)
  end)

  it("ends a call while it waits for its turn on the wire", function()
    local client = payments.client(playing { { fault = "stall" } }, { max_in_flight = 1 })
    client:start("report_payment", PAYMENT)
    local call = client:start("report_payment", PAYMENT, { deadline = 0.3 })
    for _ = 1, 30 do
      if not call:done() then client:step(0.1) end
    end
    assert.is_true(call:done())
    local _, err = call:result()
    assert_fields({ outcome = "not_sent", type = "timeout_error", attempts = 0 }, err)
  end)
end)

describe("the idempotency key", function()
  it("is the caller's where there is one", function()
    local server = playing { { fault = "reset" }, {} }
    local client = payments.client(server, { max_retries = 1 })
    local _, _, response = client:report_payment(PAYMENT, { idempotency_key = "order-7" })
    assert.equal("order-7", response.idempotency_key)
    assert.equal(2, assert_same_requests(server, "order-7"))
  end)

  it("is otherwise 36 characters, another one for each call", function()
    local client, seen = payments.client(playing()), {}
    for _ = 1, 1000 do
      local key = client:prepare("report_payment", PAYMENT).headers["Idempotency-Key"]
      assert(#key == 36 and key:find "^%x+%-%x+%-%x+%-%x+%-%x+$" and not seen[key], key)
      seen[key] = true
    end
    assert.truthy(next(seen))
  end)
end)

describe("an option of one call", function()
  it("reaches the wire, and no further than this call", function()
    local server = playing {}
    local client = payments.client(server, { stripe_account = "acct_client" })
    assert(client:report_payment(PAYMENT, { stripe_account = "acct_call", api_version = "2026-07-29.dahlia" }))
    assert(client:report_payment(PAYMENT))
    local first, second = server:requests()[1].header, server:requests()[2].header
    assert.same({ "acct_call", "2026-07-29.dahlia" }, { first["stripe-account"], first["stripe-version"] })
    assert.same({ "acct_client", "2026-09-30.endive" }, { second["stripe-account"], second["stripe-version"] })
  end)

  it("may be its timeout", function()
    local client = payments.client(playing { { fault = "stall" } }, { timeout = 30 })
    local _, err, response = client:report_payment(PAYMENT, { timeout = 0.3 })
    assert_fields({ type = "timeout_error", outcome = "unknown", attempts = 1 }, err)
    assert.is_true(response.elapsed < 10)
  end)
end)
