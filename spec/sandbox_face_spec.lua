-- What a test does with the sandbox beside sending requests: options, transport, faults, records, requests, reset.

local cjson = require "cjson"
local sandbox = require "payment_records.sandbox"
local sandbox_client = require "spec.support.sandbox_client"

local RECORDS = "/v1/payment_records"
local KEY = { ["Idempotency-Key"] = "key-1" }

describe("sandbox.new", function()
  local wrong = {
    { "now", "options must be a table, got a string" },
    { { nwo = os.time }, "unknown option nwo %(known: keys, move_refunded, now%)" },
    { { now = 17 }, "option now must be a function, got a number" },
    { { keys = "sk_test_1" }, "option keys must be a table, got a string" },
    { { move_refunded = 1 }, "option move_refunded must be a boolean, got a number" },
    { { keys = { "sk_test_1", "pk_test_1" } }, "option keys: element 2 is not a secret or restricted API key" },
    { { keys = { 17 } }, "option keys: element 1" },
  }
  for _, case in ipairs(wrong) do
    it("raises: " .. case[2], function()
      local made, message = pcall(sandbox.new, case[1])
      assert.is_false(made)
      assert.matches(case[2], message)
      assert.is_nil(message:find("pk_test_1", 1, true))
    end)
  end

  it("blames the caller", function()
    local _, message = pcall(function() sandbox.new { nwo = 1 } end)
    assert.matches("sandbox_face_spec", message)
    _, message = pcall(function() sandbox.new { keys = { 1 } } end)
    assert.matches("sandbox_face_spec", message)
  end)

  it("uses the clock of the system by default", function()
    local before = os.time()
    local created = sandbox_client.new(sandbox.new()):pay().created
    assert.is_true(created >= before and created <= os.time())
  end)
end)

describe("a sandbox", function()
  local box, client

  before_each(function()
    box = sandbox.new()
    client = sandbox_client.new(box)
  end)

  local GET = { method = "GET", path = RECORDS, headers = { authorization = "Bearer sk_test_1" } }

  describe("request", function()
    it("may have a url instead of a path", function()
      client:pay()
      local response = box:handle {
        method = "get", url = "https://api.stripe.com/v1/payment_records?limit=1#x", headers = GET.headers,
      }
      assert.equal(200, response.status)
      assert.equal(1, #cjson.decode(response.body).data)
    end)

    it("may have several values for a header", function()
      local headers = { authorization = { "Bearer sk_test_1", "Bearer x" } }
      assert.equal(200, box:handle({ method = "GET", path = RECORDS, headers = headers }).status)
    end)

    it("raises without a method or a path", function()
      assert.has_error(function() box:handle { path = RECORDS } end,
        "payment_records.sandbox: request.method must be a string")
      assert.has_error(function() box:handle { method = "GET" } end,
        "payment_records.sandbox: a request needs a path or a url")
      assert.has_error(function() box:handle "GET /" end, "payment_records.sandbox: a request is a table")
    end)
  end)

  describe("transport", function()
    it("answers like handle", function()
      local response = box:transport()(GET)
      assert.equal(200, response.status)
      assert.equal('{"object":"list","url":"/v1/payment_records","has_more":false,"data":[]}', response.body)
    end)

    it("and the other methods say so when they are called with a dot, or given in its place", function()
      for _, name in ipairs { "transport", "handle", "receive", "fail_next", "records", "requests", "reset" } do
        local raised, message = pcall(function() box[name](GET) end)
        assert.is_false(raised)
        assert.matches("sandbox_face_spec%.lua:%d+: payment_records%.sandbox: call it as box:" .. name
          .. "%(%), with a colon$", message)
      end
      assert.error_matches(function() sandbox:new() end, "sandbox%.new: call it with a dot, not with a colon$")
    end)

    it("returns nil and a message when a connection is lost", function()
      box:fail_next "lost_request"
      local response, message = box:transport()(GET)
      assert.is_nil(response)
      assert.equal("connection lost before the request arrived", message)
    end)
  end)

  it("shows the records of a mode that there is", function()
    assert.same({ {}, {} }, { box:records "test", box:records "live" })
    assert.error_matches(function() box:records "tset" end, "records: expected test or live, got tset$")
  end)

  describe("receive", function()
    it("executes nothing until it is finished, and then once", function()
      local body = "amount_requested[currency]=usd&amount_requested[value]=1&initiated_at=1"
        .. "&payment_method_details[type]=custom"
      local finish = box:receive {
        method = "POST", path = RECORDS .. "/report_payment", body = body,
        headers = { authorization = "Bearer sk_test_1", ["content-type"] = "application/x-www-form-urlencoded" },
      }
      assert.equal(0, #box:records())
      assert.is_nil(box:requests()[1].status)
      local response = finish()
      assert.equal(200, response.status)
      assert.equal(response, finish())
      assert.equal(1, #box:records())
    end)
  end)

  describe("fail_next", function()
    local function pay_through(transport, headers)
      local sent = { authorization = "Bearer sk_test_1", ["content-type"] = "application/x-www-form-urlencoded" }
      for name, value in pairs(headers or {}) do sent[name] = value end
      return transport {
        method = "POST", path = RECORDS .. "/report_payment", headers = sent,
        body = "amount_requested[currency]=usd&amount_requested[value]=1&initiated_at=1"
          .. "&payment_method_details[type]=custom",
      }
    end

    it("loses a request: it has no effect and is not seen", function()
      box:fail_next "lost_request"
      local response, message = pay_through(box:transport(), KEY)
      assert.is_nil(response)
      assert.equal("connection lost before the request arrived", message)
      assert.equal(0, #box:records())
      assert.equal(0, #box:requests())
      assert.is_nil(pay_through(box:transport(), KEY).headers["Idempotent-Replayed"])
    end)

    it("loses an answer: the request takes effect and is replayed when sent again", function()
      box:fail_next "lost_answer"
      local response, message = pay_through(box:transport(), KEY)
      assert.is_nil(response)
      assert.equal("connection lost before the answer arrived", message)
      assert.equal(1, #box:records())
      assert.equal(200, box:requests()[1].status)
      assert.equal("true", pay_through(box:transport(), KEY).headers["Idempotent-Replayed"])
      assert.equal(1, #box:records())
    end)

    it("answers with a status instead of executing", function()
      box:fail_next { status = 503 }
      local answer, response = client:pay({}, KEY)
      assert.equal(503, response.status)
      assert.equal("api_error", answer.error.type)
      assert.matches("^req_", response.headers["Request-Id"])
      assert.equal("key-1", response.headers["Idempotency-Key"])
      assert.equal(0, #box:records())
      assert.equal(503, box:requests()[1].status)
      local _, retried = client:pay({}, KEY)
      assert.equal(200, retried.status)
      assert.is_nil(retried.headers["Idempotent-Replayed"])
    end)

    it("answers with a status though the request took effect; a retry learns of it", function()
      box:fail_next { status = 500, executed = true, headers = { ["Stripe-Should-Retry"] = "true" } }
      local _, response = client:pay({}, KEY)
      assert.equal(500, response.status)
      assert.equal("true", response.headers["Stripe-Should-Retry"])
      local record, retried = client:pay({}, KEY)
      assert.equal(200, retried.status)
      assert.equal("true", retried.headers["Idempotent-Replayed"])
      assert.equal(box:records()[1].id, record.id)
      assert.equal(1, #box:records())
    end)

    it("gives the error the fields it is told", function()
      box:fail_next { status = 429, code = "lock_timeout", message = "locked", param = "id", type = "rate_limit_error" }
      local answer, response = client:get(RECORDS)
      assert.equal(429, response.status)
      assert.same({
        code = "lock_timeout", message = "locked", param = "id", type = "rate_limit_error",
        doc_url = "https://stripe.com/docs/error-codes/lock-timeout",
      }, answer.error)
    end)

    for status, type_ in pairs { [402] = "invalid_request_error", [429] = "rate_limit_error", [500] = "api_error" } do
      it("gives " .. status .. " the type " .. type_, function()
        box:fail_next { status = status }
        assert.equal(type_, client:get(RECORDS).error.type)
      end)
    end

    it("sends any body", function()
      box:fail_next { status = 502, body = "<html>Bad gateway</html>" }
      local response = box:handle(GET)
      assert.equal("<html>Bad gateway</html>", response.body)
      assert.equal("text/html", response.headers["Content-Type"])
      box:fail_next { status = 200, body = '{"id":', headers = { ["Content-Type"] = "application/json" } }
      response = box:handle(GET)
      assert.equal('{"id":', response.body)
      assert.equal("application/json", response.headers["Content-Type"])
    end)

    it("queues its faults", function()
      box:fail_next { status = 500 }
      box:fail_next "lost_answer"
      box:fail_next { status = 503 }
      assert.equal(500, box:handle(GET).status)
      assert.is_nil(box:handle(GET))
      assert.equal(503, box:handle(GET).status)
      assert.equal(200, box:handle(GET).status)
    end)

    local wrong = {
      { "lost", "a fault is one of lost_answer, lost_request, or a table; got lost" },
      { 500, "got 500" },
      { {}, "status must be an integer from 200 to 599" },
      { { status = 99 }, "status must be an integer" },
      { { status = 500.5 }, "status must be an integer" },
      { { status = "500" }, "status must be a number, got a string" },
      { { status = 500, executed = "true" }, "executed must be a boolean, got a string" },
      { { status = 500, headers = "x" }, "headers must be a table, got a string" },
      { { stauts = 500 }, "unknown field stauts %(known: body, code, executed, headers, message, param, status, type" },
    }
    for i, case in ipairs(wrong) do
      it("raises on a wrong fault, case " .. i, function()
        local accepted, message = pcall(box.fail_next, box, case[1])
        assert.is_false(accepted)
        assert.matches("fail_next: .*" .. case[2], message)
        assert.equal(200, box:handle(GET).status)
      end)
    end
  end)

  describe("records", function()
    it("are in the order of their creation, without what is null", function()
      local first, second = client:pay(), client:pay { description = "second" }
      local records = box:records()
      assert.same({ first.id, second.id }, { records[1].id, records[2].id })
      assert.equal("second", records[2].description)
      assert.is_nil(records[1].description)
      assert.equal(1000, records[1].amount_requested.value)
    end)

    it("are copies", function()
      client:pay { metadata = { k = "v" } }
      local record = box:records()[1]
      record.metadata.k, record.amount_requested.value = "changed", 0
      assert.equal("v", box:records()[1].metadata.k)
      assert.equal(1000, box:records()[1].amount_requested.value)
    end)
  end)

  describe("requests", function()
    it("are those that arrived, with what was sent and answered", function()
      local record, response = client:pay({ metadata = { k = "v" }, expand = { "x" } }, KEY)
      client:pay({ metadata = { k = "v" }, expand = { "x" } }, KEY)
      client:get(RECORDS .. "/" .. record.id .. "?limit=1")
      local requests = box:requests()
      assert.same({
        method = "POST",
        path = RECORDS .. "/report_payment",
        params = {
          amount_requested = { currency = "usd", value = "1000" },
          expand = { "x" },
          initiated_at = "1730253453",
          metadata = { k = "v" },
          payment_method_details = { type = "custom" },
        },
        idempotency_key = "key-1",
        request_id = response.headers["Request-Id"],
        status = 200,
      }, requests[1])
      assert.is_true(requests[2].replayed)
      assert.equal("GET", requests[3].method)
      assert.equal(RECORDS .. "/" .. record.id, requests[3].path)
      assert.same({ limit = "1" }, requests[3].params)
      assert.equal(400, requests[3].status)
      assert.equal(3, #requests)
    end)

    it("never show the API key", function()
      client:pay({}, KEY)
      assert.is_nil(cjson.encode(box:requests()):find("sk_test", 1, true))
    end)

    it("are forgotten from the oldest on when there are very many", function()
      for _ = 1, 20000 do box:handle(GET) end
      local last = box:handle(GET)
      local requests = box:requests()
      assert.equal(10001, #requests)
      assert.equal(last.headers["Request-Id"], requests[#requests].request_id)
    end)
  end)

  it("forgets everything when it is reset", function()
    local record = client:pay({}, KEY)
    box:fail_next { status = 500 }
    box:reset()
    assert.same({}, box:requests())
    assert.same({}, box:records())
    local again, response = client:pay({}, KEY)
    assert.equal(200, response.status)
    assert.is_nil(response.headers["Idempotent-Replayed"])
    assert.equal(record.id, again.id)
  end)

  it("is apart from another sandbox", function()
    client:pay({}, KEY)
    local other = sandbox.new()
    assert.equal(0, #other:records())
    assert.is_nil(select(2, sandbox_client.new(other):pay({}, KEY)).headers["Idempotent-Replayed"])
  end)
end)
