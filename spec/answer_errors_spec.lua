-- What becomes of an answer that is an error: its table, its line, and what is kept out of both.

local payment_records = require "payment_records"
local samples = require "spec.support.samples"

local KEY = samples.KEY

-- On plain Lua 5.1, where a protected call cannot yield, what a transport raises is the caller's.
local YIELDS_FROM_PCALL = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

--- Sends a payment to a server that answers with this, once or again and again; the triple, and the events.
local function answered(answer, options)
  local events, all = {}, { max_retries = 0 }
  for option, value in pairs(options or {}) do all[option] = value end
  all.on_attempt = function(event) events[#events + 1] = event end
  local client = samples.scripted({ type(answer) == "string" and answer or {
    status = answer.status, headers = answer.headers or {}, body = answer.body or "" } }, all)
  local record, err, response = client:report_payment(samples.reference(), { idempotency_key = "order-7" })
  assert.is_nil(record)
  return err, response, events
end

local function contains(value, text, seen)
  seen = seen or {}
  if type(value) == "string" then return value:find(text, 1, true) ~= nil end
  if type(value) ~= "table" or seen[value] then return false end
  seen[value] = true
  for key, inner in pairs(value) do
    if contains(key, text, seen) or contains(inner, text, seen) then return true end
  end
  return false
end

describe("an error of Stripe's", function()
  local BODY = [[{"error":{"type":"card_error","code":"card_declined","message":"Declined.",
    "param":"amount_requested[value]","doc_url":"https://docs.example/card-declined",
    "request_log_url":"https://dashboard.example/logs/req_1",
    "decline_code":"do_not_honor","new_field":{"a":[1,null,2.5]}}}]]

  it("is a table with all that it says, and what we know beside", function()
    local err = answered { status = 402, body = BODY, headers = { ["Request-Id"] = "req_1" } }
    local fields = {}
    for name, value in pairs(err) do fields[name] = value end
    assert.same({
      type = "card_error", code = "card_declined", message = "Declined.", param = "amount_requested[value]",
      doc_url = "https://docs.example/card-declined", request_log_url = "https://dashboard.example/logs/req_1",
      decline_code = "do_not_honor", new_field = { a = { [1] = 1, [3] = 2.5 } },
      outcome = "rejected", retryable = false, status = 402, request_id = "req_1", idempotency_key = "order-7",
      attempts = 1,
    }, fields)
  end)

  it("may not say what is ours to say", function()
    local err = answered { status = 400, headers = { ["Request-Id"] = "req_1" }, body = [[{"error":{"type":"t",
      "message":"m","outcome":"done","retryable":true,"status":200,"attempts":99,"idempotency_key":"other",
      "request_id":"req_other"}}]] }
    assert.same({ "rejected", false, 400, 1, "order-7", "req_1" },
      { err.outcome, err.retryable, err.status, err.attempts, err.idempotency_key, err.request_id })
  end)

  local types = {
    [400] = "invalid_request_error", [401] = "authentication_error", [403] = "permission_error",
    [404] = "invalid_request_error", [409] = "api_error", [422] = "invalid_request_error", [429] = "rate_limit_error",
    [500] = "api_error", [502] = "api_error", [503] = "api_error", [504] = "api_error",
  }
  local outcomes = {
    [400] = "rejected", [401] = "rejected", [402] = "rejected", [403] = "rejected", [404] = "rejected",
    [405] = "rejected", [408] = "unknown", [409] = "unknown", [410] = "rejected", [422] = "rejected",
    [424] = "unknown", [425] = "unknown", [429] = "rejected", [500] = "unknown", [501] = "unknown",
    [502] = "unknown", [503] = "unknown", [504] = "unknown", [520] = "unknown", [599] = "unknown",
    [301] = "unknown", [302] = "unknown", [307] = "unknown", [308] = "unknown", [99] = "unknown", [600] = "unknown",
    [999] = "unknown",
  }
  local retryable = { [408] = true, [409] = true, [424] = true, [425] = true, [429] = true, [500] = true, [501] = true,
    [502] = true, [503] = true, [504] = true, [520] = true, [599] = true }

  for status, outcome in pairs(outcomes) do
    it(("with the status %d has the outcome %s"):format(status, outcome), function()
      local err = answered { status = status, body = '{"error":{"message":"m"}}',
        headers = { ["Request-Id"] = "req_1" } }
      assert.same({ "m", outcome, retryable[status] or false, status },
        { err.message, err.outcome, err.retryable, err.status })
      if types[status] then assert.equal(types[status], err.type) end
    end)

    it(("with the status %d keeps its own type"):format(status), function()
      local err = answered { status = status, body = '{"error":{"type":"some_error","message":"m"}}' }
      assert.same({ "some_error", outcome }, { err.type, err.outcome })
    end)
  end

  it("with the type idempotency_error is not worth trying again", function()
    local err = answered { status = 400, body = '{"error":{"type":"idempotency_error","message":"m"}}',
      headers = { ["Stripe-Should-Retry"] = "true" } }
    assert.same({ "idempotency_error", "rejected", false }, { err.type, err.outcome, err.retryable })
  end)

  it("may be a string with a description", function()
    local body = '{"error":"invalid_grant","error_description":"No such code"}'
    local err = answered { status = 400, body = body, headers = { ["Request-Id"] = "req_1" } }
    assert.same({ "invalid_grant", "No such code", "rejected" }, { err.code, err.message, err.outcome })
    err = answered { status = 400, body = '{"error":"invalid_grant"}', headers = { ["Request-Id"] = "req_1" } }
    assert.equal("invalid_grant", err.code)
    assert.equal("string", type(err.message))
  end)
end)

describe("an error that is not Stripe's", function()
  local HTML = "<html><head><title>502 Bad Gateway</title></head><body>" .. ("é"):rep(400) .. "</body></html>"

  it("shows at most 500 bytes of its body", function()
    for _, status in ipairs { 400, 403, 404, 500, 502, 503 } do
      local err = answered { status = status, body = HTML }
      assert.equal(HTML:sub(1, 499), err.body) -- and not half of a character
      assert.truthy(err.message:find(tostring(status), 1, true))
      assert.equal("unknown", err.outcome)
      assert.is_nil(tostring(err):find("<html>", 1, true))
    end
    assert.equal("short", answered({ status = 500, body = "short" }).body)
    assert.is_nil(answered({ status = 500, body = "" }).body)
  end)

  it("with a request id of Stripe's is a refusal", function()
    for _, status in ipairs { 400, 403, 404 } do
      local err = answered { status = status, body = HTML, headers = { ["request-id"] = "req_1" } }
      assert.same({ "rejected", "req_1", status }, { err.outcome, err.request_id, err.status })
    end
  end)

  it("comes of every body that is no error object", function()
    for _, body in ipairs { "", "null", "[]", "17", '"x"', "{}", '{"errors":[]}', '{"error":null}', '{"error":true}',
      '{"error":17}', "{", '{"error":{"message":"m"}', "\0", ("["):rep(10000) } do
      local err = answered { status = 500, body = body }
      assert.same({ "api_error", "unknown", 500 }, { err.type, err.outcome, err.status })
      assert.equal("string", type(err.message))
    end
  end)

  it("may be the transport's", function()
    local err, response = answered "connection reset"
    assert.same({ "connection_error", "connection reset", "unknown", true, 1 },
      { err.type, err.message, err.outcome, err.retryable, err.attempts })
    assert.is_nil(response.status)
  end)

  if YIELDS_FROM_PCALL then
    it("may be what the transport raised", function()
      local client = payment_records.new { api_key = KEY, max_retries = 0, transport = function() error "boom" end }
      local record, err = client:report_payment(samples.reference())
      assert.is_nil(record)
      assert.same({ "connection_error", "unknown" }, { err.type, err.outcome })
      assert.matches("boom", err.message)
    end)

    it("may be something raised that cannot be shown", function()
      local raised = setmetatable({}, { __tostring = function() error "no" end })
      local client = payment_records.new { api_key = KEY, max_retries = 0, transport = function() error(raised) end }
      local record, err = client:report_payment(samples.reference())
      assert.is_nil(record)
      assert.same({ "unknown", "the transport raised: a table that cannot be shown" }, { err.outcome, err.message })
    end)
  end
end)

describe("tostring of an error", function()
  local function line_of(message, code)
    local function json(text)
      return (text:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end))
    end
    local body = ('{"error":{"type":"t","message":"%s","code":"%s"}}'):format(json(message), json(code or "c"))
    return tostring((answered { status = 400, body = body, headers = { ["Request-Id"] = "req_1" } }))
  end

  it("says what happened", function()
    assert.equal("t: no such thing (outcome rejected, status 400, code missing, request req_1, "
      .. "idempotency key order-7)", line_of("no such thing", "missing"))
    local _, err = samples.scripted():report_payment {}
    assert.equal("validation_error: amount_requested: required, but missing (outcome not_sent)", tostring(err))
  end)

  it("is one line without control characters", function()
    for byte = 0, 127 do
      local text = "a" .. string.char(byte) .. "b"
      local line = line_of(text, text)
      assert.is_nil(line:find "%c")
      if byte >= 32 and byte < 127 then assert.truthy(line:find(text, 1, true)) end
    end
    assert.is_nil(line_of("\27[2J\27]0;title\7\r\nERROR forged line"):find "%c")
    assert.is_nil(tostring((answered "broken\r\n\27[31m pipe")):find "%c")
    local _, err = samples.scripted():report_payment { ["a\nb\27"] = 1 }
    assert.is_nil(tostring(err):find "%c")
  end)

  it("has an end", function()
    for _, length in ipairs { 1000, 2000, 40000 } do
      local line = line_of(("m"):rep(length), ("c"):rep(length))
      assert.is_true(#line <= 2200)
      assert.matches("outcome rejected, status 400", line)
    end
    assert.is_true(#tostring((answered(("x"):rep(100000)))) <= 2200)
  end)
end)

describe("the API key", function()
  local echoes = {
    ["in a message"] = { status = 401, body = '{"error":{"type":"t","message":"Invalid API Key: ' .. KEY .. '."}}' },
    ["in a message, thrice"] = { status = 401, body = ('{"error":{"message":"%s %s%s"}}'):format(KEY, KEY, KEY) },
    ["in each field"] = { status = 400, body = (('{"error":{"type":"K","code":"x K","param":"K]","doc_url":"h?k=K"}}')
      :gsub("K", KEY)) },
    ["in an error that is a string"] = { status = 400,
      body = ('{"error":"%s","error_description":"%s"}'):format(KEY, KEY) },
    ["in a page"] = { status = 502, body = "<pre>Authorization: Bearer " .. KEY .. "</pre>" },
    ["at the cut of a page"] = { status = 502, body = ("x"):rep(490) .. KEY .. KEY },
    ["in JSON that is no error"] = { status = 500, body = ('{"request":{"headers":"%s"}}'):format(KEY) },
    ["in an answer that cannot be used"] = { status = 200, body = "echo " .. KEY },
    ["in the transport's message"] = "cannot send " .. KEY,
  }
  for where, answer in pairs(echoes) do
    it("that a server sends back " .. where .. " is in no error and no event", function()
      local err, _, events = answered(answer)
      assert.is_false(contains(err, KEY))
      assert.is_false(contains(err, KEY:sub(1, 20)))
      assert.is_nil(tostring(err):find(KEY, 1, true))
      assert.equal(1, #events)
      assert.is_false(contains(events, KEY))
    end)
  end

  it("is found in whatever case, with letters alone, and only where there is enough of it to be a secret", function()
    for given, expected in pairs { AbcDefgh = "[api key] [api key] abc", abc = "abcdefgh ABCDEFGH abc" } do
      local client = samples.scripted({ { status = 401, body = '{"error":{"message":"abcdefgh ABCDEFGH abc"}}',
        headers = {} } })
      local _, err = client:report_payment(samples.reference(), { api_key = given })
      assert.equal(expected, err.message)
    end
  end)

  it("is in no error and no event when a call brings its own", function()
    local events = {}
    local client = samples.scripted({ { status = 401, body = '{"error":{"message":"sk_test_own K"}}', headers = {} } },
      { on_attempt = function(event) events[#events + 1] = event end })
    local record, err = client:report_payment(samples.reference(), { api_key = "sk_test_own" })
    assert.is_nil(record)
    assert.equal("[api key] K", err.message)
    assert.is_false(contains(events, "sk_test_own"))
  end)

  if YIELDS_FROM_PCALL then
    it("is in no error of a transport that raises with it", function()
      local client = payment_records.new { api_key = KEY, max_retries = 0,
        transport = function(request) error(request.headers.Authorization) end }
      local record, err = client:report_payment(samples.reference())
      assert.is_nil(record)
      assert.is_false(contains(err, KEY))
    end)
  end
end)

describe("on_attempt", function()
  local GOOD = { status = 200, headers = { ["Request-Id"] = "req_2" },
    body = '{"id":"pr_1","object":"payment_record"}' }
  local BUSY = { status = 503, headers = { ["Request-Id"] = "req_1" }, body = "busy" }

  local function client_with(responses, on_attempt)
    return samples.scripted(responses, { on_attempt = on_attempt })
  end

  it("is told of every attempt, without secrets and bodies", function()
    local events = {}
    local client = client_with({ BUSY, "reset", GOOD }, function(event) events[#events + 1] = event end)
    local params = samples.full.report_payment_attempt_failed()
    assert(client:report_payment_attempt_failed("pr_1", params, { idempotency_key = "order-7" }))
    local path = "/v1/payment_records/pr_1/report_payment_attempt_failed"
    for i, event in ipairs(events) do
      assert.is_true(event.elapsed >= 0)
      assert.equal(i < 3, event.wait ~= nil)
      event.elapsed, event.wait = nil, nil
    end
    local function event(attempt, rest)
      local expected = { name = "report_payment_attempt_failed", method = "POST", path = path, attempt = attempt,
        idempotency_key = "order-7" }
      for name, value in pairs(rest) do expected[name] = value end
      return expected
    end
    assert.same({
      event(1, { status = 503, request_id = "req_1", error_type = "api_error" }),
      event(2, { error_type = "connection_error" }),
      event(3, { status = 200, request_id = "req_2" }),
    }, events)
  end)

  it("does not see the query of a GET", function()
    local events = {}
    local client = client_with({ GOOD }, function(event) events[#events + 1] = event end)
    client:retrieve_payment_record(samples.ID, { expand = { "secret" } })
    assert.equal("/v1/payment_records/" .. samples.ID, events[1].path)
    assert.is_nil(events[1].idempotency_key)
  end)

  it("is not told of what was refused before sending", function()
    local client = client_with({ GOOD }, function() error "called" end)
    local _, err, response = client:report_payment {}
    assert.equal("validation_error", err.type)
    assert.is_nil(response.callback_error)
  end)

  it("may raise anything: the result is not lost, and the response has what was raised", function()
    local mark = {}
    for _, raised in ipairs { "boom", mark, 17, true } do
      local client = client_with({ BUSY, GOOD }, function() error(raised, 0) end)
      local record, err, response = client:report_payment(samples.reference())
      assert.equal("pr_1", record.id)
      assert.is_nil(err)
      assert.equal(raised, response.callback_error)
      assert.equal(2, response.attempts)
      assert(client:retrieve_payment_record "pr_1")
    end
    local client = client_with({ BUSY }, function() error(mark) end)
    local record, err, response = client:report_payment(samples.reference())
    assert.is_nil(record)
    assert.same({ "api_error", "unknown", 3 }, { err.type, err.outcome, err.attempts })
    assert.equal(mark, response.callback_error)
  end)

  it("may make calls of its own, but not wait for them", function()
    local other = samples.scripted()
    local seen
    local client
    client = client_with({ GOOD }, function()
      seen = seen or { other:retrieve_payment_record "pr_1" }
      client:step()
    end)
    local record, _, response = client:report_payment(samples.reference())
    assert.equal("pr_1", record.id)
    assert.equal("pr_1", seen[1].id)
    assert.matches("a callback may start and cancel calls, but not wait for them", response.callback_error)
  end)
end)

describe("the error of a call", function()
  local function failed()
    return samples.scripted({ { status = 400, headers = {}, body = '{"error":{"type":"t","message":"m"}}' } },
      { max_retries = 0 }):report_payment(samples.reference(), { idempotency_key = "order-7" })
  end

  it("can be appended to a text, and a text to it, as it prints", function()
    local _, err = failed()
    local text = tostring(err)
    assert.same({ "why: " .. text, text .. ".", text .. text, "1" .. text },
      { "why: " .. err, err .. ".", err .. err, 1 .. err })
    for _, other in ipairs { {}, true, print } do
      local appended, message = pcall(function() return err .. other end)
      assert.is_false(appended)
      assert.matches("attempt to concatenate a " .. type(other), message)
    end
  end)

  it("is in the response, too, which prints as it: LuaJIT's assert raises its last argument", function()
    local _, err, response = failed()
    assert.equal(err, response.error)
    assert.equal(tostring(err), tostring(response))
    local _, refused, of_refused = samples.scripted():report_payment {}
    assert.equal(refused, of_refused.error)
    assert.equal(tostring(refused), tostring(of_refused))
    response.error = nil
    assert.equal("a response", tostring(response))
    local raised = select(2, pcall(function() return assert(failed()) end))
    if _VERSION ~= "Lua 5.1" or jit then assert.matches("^t: m %(outcome ", tostring(raised)) end
  end)

  it("is in no response of a call that went well", function()
    local client = samples.scripted { { status = 200, headers = {}, body = '{"id":"pr_1","object":"payment_record"}' } }
    local record, _, response = client:report_payment(samples.reference())
    assert.equal("pr_1", record.id)
    assert.is_nil(response.error)
    assert.matches("^table: ", tostring(response))
  end)
end)
