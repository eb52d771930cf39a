--- Answers of strange form: header lines of all kinds, bodies that go on, messages that are long.

local payments = require "spec.support.payments"
local samples = require "spec.support.samples"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT
local BODY = '{"id":"pr_1","object":"payment_record"}'

teardown(servers.stop_all)
after_each(payments.close_all)

-- What comes of one answer of a transport.
local function answered(answer, call, ...)
  local client = samples.scripted({ answer }, { max_retries = 0 })
  return client[call or "report_payment"](client, ... or PAYMENT)
end

local function with_headers(headers)
  return select(3, answered { status = 200, headers = headers, body = BODY })
end

describe("headers of a transport", function()
  it("may be lists, and what is no header is left out", function()
    local response = with_headers {
      ["X-List"] = { "a", "b\r\nX-Evil: 1", "c" }, ["X-Bad"] = "1\n2", ["X-Tab"] = "1\t2", ["X-None"] = true,
      ["X\nEvil"] = "1", [""] = "nameless", "no name", [7] = { "no name either" },
    }
    assert.same({ ["x-list"] = "a, c", ["x-tab"] = "1\t2" }, response.headers)
  end)

  it("are no other field of the response", function()
    local response = with_headers { ["X-A"] = "1" }
    assert.is_nil(response[1])
    assert.is_nil(response.header)
    assert.equal("1", response.headers["x-a"])
  end)

  it("have names that are cut at 128 bytes", function()
    local response = with_headers { [("x"):rep(200)] = "1" }
    assert.equal("1", response.headers[("x"):rep(128)])
  end)

  it("name the first of several requests", function()
    local response = with_headers { ["Request-Id"] = { "req_1", "req_2" } }
    assert.equal("req_1", response.request_id)
  end)

  it("that echo the key do not show it", function()
    local response = with_headers { ["X-Echo"] = "Bearer " .. samples.KEY }
    assert.equal("Bearer [api key]", response.headers["x-echo"])
  end)

  it("may be no table at all", function()
    assert.same({}, with_headers("none").headers)
  end)
end)

describe("Retry-After", function()
  -- An answer with a deadline of a second: it is tried again only if the wait is short.
  local function attempts_after(value)
    local client = samples.scripted({
      { status = 503, headers = { ["Retry-After"] = value }, body = "" }, { status = 200, body = BODY },
    }, { max_retries = 1, deadline = 1.5 })
    return select(3, client:report_payment(PAYMENT)).attempts
  end

  it("that is no number of seconds is not heeded", function()
    for _, value in ipairs { ".", "", "9.9.9", "9s", "-9", "Fri, 31 Dec 1999 23:59:59 GMT" } do
      assert.equal(2, attempts_after(value), value)
    end
  end)

  it("may have a fraction", function()
    assert.same({ 2, 1 }, { attempts_after " 0.01\t", attempts_after "1.75" })
  end)
end)

describe("header lines of a server", function()
  local function raw(lines)
    local server = servers.playing { {
      raw = ("HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(
        table.concat(lines, "\r\n"), #BODY, BODY),
    } }
    return payments.client(server):report_payment(PAYMENT)
  end

  it("may end in blanks and tabs", function()
    local _, _, response = raw { "Request-Id: \t req_1 \t ", "X-Empty:", "retry: 1", "Stripe-Should: x" }
    assert.equal("req_1", response.request_id)
    assert.same({ "", "1" }, { response.headers["x-empty"], response.headers.retry })
  end)

  it("of more than 256 KiB are too large an answer", function()
    local lines = {}
    for i = 1, 70 do lines[i] = ("X-%d: %s"):format(i, ("x"):rep(4000)) end
    local record, err = raw(lines)
    assert.is_nil(record)
    assert.same({ "response_error", "unknown" }, { err.type, err.outcome })
  end)
end)

describe("a body", function()
  it("that goes on after a zero byte is not taken for a record", function()
    local record, err = answered { status = 200, body = BODY .. "\0" }
    assert.is_nil(record)
    assert.same({ "response_error", "unknown" }, { err.type, err.outcome })
  end)

  it("that is a list is refused for the first element that is no record", function()
    for _, data in ipairs { '[1,{"id":"pr_1"}]', '[{"id":"pr_1"},{}]', '[{"id":1},{"id":"pr_1"}]' } do
      local list, err = answered({ status = 200, body = '{"object":"list","has_more":false,"data":' .. data .. "}" },
        "list_payment_records", {})
      assert.is_nil(list)
      assert.equal("response_error", err.type)
    end
  end)
end)

describe("an error that is shown", function()
  local function line_of(message)
    local _, err = answered { status = 400, headers = { ["Request-Id"] = "req_1" },
      body = ('{"error":{"type":"invalid_request_error","message":"%s"}}'):format(message) }
    return tostring(err)
  end

  it("is cut before a character, not within it", function()
    for offset = 0, 3 do
      local line = line_of(("x"):rep(1000 - offset) .. ("€"):rep(20))
      local shown = line:match "^invalid_request_error: x+(.-) %(outcome"
      assert.equal("", (shown:gsub("€", "")))
      local length = #line:match "^(.-) %(outcome"
      assert.is_true(length > 1021 and length <= 1024, length)
    end
  end)

  it("has no control characters, of one byte or two", function()
    local line = line_of "a\\u0007b\\u0085c\\u009fd\\u007fe\\u00a0f\\u00c2"
    assert.truthy(line:find("a b  c  d e\194\160f\195\130 (outcome", 1, true), line)
  end)

  it("is one that was thrown together as well", function()
    local _, err = answered { status = 400, body = "{}" }
    for name in pairs(err) do err[name] = nil end
    assert.equal(")", tostring(err))
    err.message = "\194x\194"
    assert.equal(": \194x\194)", tostring(err))
    err.type = ("\128"):rep(2000) -- no character begins anywhere
    assert.equal(")", tostring(err))
  end)
end)

describe("a refusal that asks to be tried again", function()
  local function attempts_after(type)
    local client = samples.scripted({ { status = 400, headers = { ["Idempotent-Replayed"] = "true",
      ["Stripe-Should-Retry"] = "true", ["Request-Id"] = "req_1" }, body = '{"error":{"type":"' .. type .. '"}}' } },
      { max_retries = 1 })
    local _, err = client:report_payment(PAYMENT)
    assert.equal(type, err.type)
    return err.attempts
  end

  it("is, even when it is replayed, unless the key was used for something else", function()
    assert.equal(2, attempts_after "invalid_request_error")
    assert.equal(1, attempts_after "idempotency_error")
  end)

  it("by another word than true or false is not", function()
    for _, word in ipairs { "trueish", "tru", "falsely", "" } do
      local client = samples.scripted({ { status = 402, headers = { ["Stripe-Should-Retry"] = word,
        ["Idempotent-Replayed"] = word }, body = "" } }, { max_retries = 1 })
      local _, err, response = client:report_payment(PAYMENT)
      assert.same({ 1, false }, { err.attempts, response.replayed }, word)
    end
  end)
end)

describe("an answer that is cut", function()
  it("can still say that it is no use to ask again", function()
    for should_retry, attempts in pairs { ["false"] = 1, ["true"] = 2 } do
      local server = servers.playing { { status = 500, headers = { ["Stripe-Should-Retry"] = should_retry },
        body = '{"error":{"type":"api_error"}}', cut = "body" } }
      local _, err = payments.client(server, { max_retries = 1 }):report_payment(PAYMENT)
      assert.same({ "connection_error", "unknown", attempts }, { err.type, err.outcome, err.attempts })
    end
  end)
end)
