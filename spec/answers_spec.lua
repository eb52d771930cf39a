-- What becomes of an answer: a record, or nothing that could pass for one.

local cjson = require "cjson"
local payments = require "spec.support.payments"
local samples = require "spec.support.samples"
local servers = require "spec.support.servers"

local ID = samples.ID

teardown(servers.stop_all)
after_each(payments.close_all)

--- Sends a call to a server that answers with this once; the triple.
local function answered(answer, options, name, ...)
  local all = { max_retries = 0 }
  for option, value in pairs(options or {}) do all[option] = value end
  local client = samples.scripted({ { status = answer.status or 200, headers = answer.headers or {},
    body = answer.body } }, all)
  if name then return client[name](client, ...) end
  return client:report_payment(samples.reference(), { idempotency_key = "order-7" })
end

local function record_of(fields, options)
  local body = ('{"id":"%s","object":"payment_record"%s}'):format(ID, fields == "" and "" or "," .. fields)
  local record, err = answered({ body = body }, options)
  assert.is_nil(err)
  assert.equal(ID, record.id)
  return record
end

describe("a record", function()
  local integers = {
    { "1000", 1000 }, { "0", 0 }, { "-0", 0 }, { "-17", -17 }, { "1000.0", 1000 }, { "1e3", 1000 }, { "1E+3", 1000 },
    { "1730253453", 1730253453 }, { "4294967296", 4294967296 }, { "123456789012345", 123456789012345 },
    { "9007199254740991", 9007199254740991 }, { "-9007199254740991", -9007199254740991 },
  }
  for _, case in ipairs(integers) do
    it("has an integer for " .. case[1], function()
      local record = record_of((('"amount":{"value":N},"list":[N,[N]],"top":N'):gsub("N", case[1])))
      for _, value in ipairs { record.amount.value, record.list[1], record.list[2][1], record.top } do
        assert.equal(case[2], value)
        if math.type then assert.equal("integer", math.type(value)) end
        assert.equal(("%.0f"):format(case[2]), ("%d"):format(value))
      end
    end)
  end

  local floats = {
    { "0.5", 0.5 }, { "-10.25", -10.25 }, { "1e-3", 0.001 }, { "9007199254740994", 2 ^ 53 + 2 }, { "1e300", 1e300 },
    { "18446744073709551616", 2 ^ 64 }, { "1e15", 1e15 },
  }
  for _, case in ipairs(floats) do
    it("has the number of " .. case[1], function()
      local value = record_of('"n":' .. case[1]).n
      assert.equal(case[2], value)
      local whole = case[2] % 1 == 0 and math.abs(case[2]) <= 2 ^ 53
      if math.type then assert.equal(whole and "integer" or "float", math.type(value)) end
    end)
  end

  it("has strings, booleans and tables as they are", function()
    local record = record_of [==["s":"caf\u00e9 \ud83d\ude00 \"q\" \\ \/ \n","t":true,"f":false,
      "o":{"a":{"b":"c"}},"l":["x",[]],"digits":"1000","metadata":{"1":"one","k":""}]==]
    assert.equal('caf\195\169 \240\159\152\128 "q" \\ / \n', record.s)
    assert.is_true(record.t)
    assert.is_false(record.f)
    assert.same({ a = { b = "c" } }, record.o)
    assert.same({ "x", {} }, record.l)
    assert.equal("1000", record.digits)
    assert.same({ ["1"] = "one", k = "" }, record.metadata)
    assert.is_nil(getmetatable(record))
  end)

  local NULLS = '"a":null,"b":{"c":null,"d":1},"l":[null,2]'

  it("lacks what is null", function()
    local record = record_of(NULLS)
    assert.is_nil(record.a)
    assert.same({ d = 1 }, record.b)
    assert.is_nil(record.l[1])
    assert.equal(2, record.l[2])
  end)

  it("has the option null instead, where there is one", function()
    local mark = {}
    for _, null in ipairs { cjson.null, mark, "none", false, 0 } do
      local record = record_of(NULLS, { null = null })
      assert.equal(null, record.a)
      assert.equal(null, record.b.c)
      assert.equal(null, record.l[1])
      assert.equal(1, record.b.d)
    end
  end)

  it("can be sent again where null stood", function()
    local client = samples.scripted(nil, { null = "none" })
    local request = client:prepare("report_payment_attempt_informational", ID, { description = "none" })
    assert.equal("description=", request.body)
  end)

  it("does not depend on settings of cjson that others made, nor change them", function()
    local before = cjson.decode_invalid_numbers()
    cjson.decode_invalid_numbers(true)
    assert.equal("response_error", select(2, answered { body = ('{"id":"%s","n":NaN}'):format(ID) }).type)
    assert.truthy(cjson.decode "[NaN]")
    cjson.decode_invalid_numbers(before)
    assert.equal(1, record_of('"n":1').n)
  end)

  it("needs no content type, and any status of success will do", function()
    for _, status in ipairs { 200, 201, 202 } do
      local record = answered { status = status, headers = { ["Content-Type"] = "text/html" },
        body = ('{"id":"%s","object":"payment_record"}'):format(ID) }
      assert.equal(ID, record.id)
    end
  end)

  it("may lack every field but its id", function()
    assert.same({ id = ID }, (answered { body = ('{"id":"%s"}'):format(ID) }))
  end)

  it("is a list where a list was asked for", function()
    local body = '{"object":"list","url":"/v1/payment_records","has_more":false,"data":[{"id":"pr_1"}]}'
    local list = answered({ body = body }, nil, "list_payment_records")
    assert.same({ object = "list", url = "/v1/payment_records", has_more = false, data = { { id = "pr_1" } } }, list)
  end)
end)

describe("an answer of success that cannot be used", function()
  local whole = ('{"id":"%s","object":"payment_record"}'):format(ID)
  local unusable = {
    ["nothing"] = "", ["blanks"] = " \r\n", ["null"] = "null", ["true"] = "true", ["a number"] = "17",
    ["a string"] = '"' .. ID .. '"', ["an array"] = "[]", ["an array with a record"] = "[" .. whole .. "]",
    ["an empty object"] = "{}", ["an object without an id"] = '{"object":"payment_record","amount":{}}',
    ["an id that is null"] = '{"id":null,"object":"payment_record"}',
    ["an id that is empty"] = '{"id":"","object":"payment_record"}',
    ["an id that is a number"] = '{"id":17,"object":"payment_record"}',
    ["an id that is a table"] = '{"id":{},"object":"payment_record"}',
    ["another object"] = '{"id":"ch_1","object":"charge"}',
    ["an attempt"] = '{"id":"par_1","object":"payment_attempt_record"}',
    ["a list"] = '{"object":"list","has_more":false,"data":[' .. whole .. "]}",
    ["an error"] = '{"error":{"type":"api_error","message":"x"}}',
    ["a page of a proxy"] = "<!DOCTYPE html><html><body>Please log in</body></html>",
    ["a record that is cut"] = whole:sub(1, -2), ["a record cut in a string"] = whole:sub(1, 12),
    ["junk after the record"] = whole .. " x", ["two records"] = whole .. whole, ["a comma after it"] = whole .. ",",
    ["a byte order mark"] = "\239\187\191" .. whole, ["UTF-16"] = (whole:gsub(".", "%0\0")),
    ["zero bytes"] = ("\0"):rep(40), ["gzip"] = "\31\139\8\0\0\0\0\0\0\3",
    ["NaN"] = '{"id":"pr_1","x":NaN}', ["Infinity"] = '{"id":"pr_1","x":Infinity}', ["01"] = '{"id":"pr_1","x":01}',
    ["hexadecimal"] = '{"id":"pr_1","x":0x10}', ["single quotes"] = "{'id':'pr_1'}", ["a comment"] = whole .. "//",
    ["arrays without end"] = ("["):rep(100000),
    ["arrays too deep"] = '{"id":"pr_1","x":' .. ("["):rep(500) .. ("]"):rep(500) .. "}",
    ["a form"] = "id=" .. ID,
  }

  for what, body in pairs(unusable) do
    it(what .. ", leaves the outcome unknown", function()
      local record, err, response = answered { body = body, headers = { ["Request-Id"] = "req_1" } }
      assert.is_nil(record)
      assert.same({ "response_error", "unknown", true, 200, 1, "req_1", "order-7" }, { err.type, err.outcome,
        err.retryable, err.status, err.attempts, err.request_id, err.idempotency_key })
      assert.is_true(err.body == nil or #err.body <= 500 and err.body == body:sub(1, #err.body))
      assert.equal(200, response.status)
    end)
  end

  it("also with the statuses 204 and 304, and no body at all", function()
    for _, status in ipairs { 204, 205, 206, 304 } do
      for _, body in ipairs { "", whole:sub(1, 20) } do
        local record, err = answered { status = status, body = body }
        assert.is_nil(record)
        assert.same({ "response_error", "unknown", status }, { err.type, err.outcome, err.status })
      end
    end
    local record, err = answered { status = 200 }
    assert.is_nil(record)
    assert.equal("unknown", err.outcome)
  end)

  it("is asked for again with the same key and bytes, until it can be used", function()
    local client, requests = samples.scripted({
      { status = 200, headers = {}, body = "" }, { status = 200, headers = {}, body = whole:sub(1, 20) },
      { status = 200, headers = { ["Idempotent-Replayed"] = "true" }, body = whole },
    })
    local record, err, response = client:report_payment(samples.reference())
    assert.is_nil(err)
    assert.equal(ID, record.id)
    assert.equal(3, response.attempts)
    assert.is_true(response.replayed)
    for i = 2, 3 do assert.same(requests[1], requests[i]) end
  end)

  describe("because it belongs to another request", function()
    local OTHER = '{"id":"pr_other","object":"%s"}'
    local LONGER, SHORTER, WITH_ZERO = ID .. "x", ID:sub(1, -2), ID .. "\\u0000x"

    -- Starts a call that is answered with `body` first, and then with what it asks for.
    local function begin(call, body, headers)
      local object = call.name:find "attempt_record$" and "payment_attempt_record" or "payment_record"
      local client, requests = samples.scripted {
        { status = 200, headers = headers or {}, body = body:format(object) },
        { status = 200, headers = {}, body = ('{"id":"%s","object":"%s"}'):format(call.id or "pr_new", object) },
      }
      local options = call.method == "POST" and { idempotency_key = "order-7" } or nil
      local started = client:start(call.name, samples.arguments(call, samples.full[call.name](), options))
      return { client = client, call = started, requests = requests }
    end

    -- The result of one that began: they wait side by side for their second attempt.
    local function finish(one)
      repeat one.client:step(0.05) until one.call:done()
      return one.call:result()
    end

    for _, call in ipairs(samples.calls) do
      if call.id then
        it(call.name .. " is made again, the same, until it has its own record", function()
          local begun = {}
          for i, id in ipairs { "pr_other", LONGER, SHORTER, WITH_ZERO } do
            begun[i] = begin(call, (OTHER:gsub("pr_other", id)))
          end
          for _, one in ipairs(begun) do
            local record, err = finish(one)
            assert.is_nil(err)
            assert.equal(ID, record.id)
            assert.same({ 2, one.requests[1] }, { #one.requests, one.requests[2] })
          end
        end)
      end

      if call.method == "POST" then
        it(call.name .. " is made again when the idempotency key is another", function()
          local mine = ('{"id":"%s","object":"%%s"}'):format(call.id or "pr_new")
          local begun = {}
          for i, key in ipairs { "order-8", "order-77", "order-", "ORDER-7" } do
            begun[i] = begin(call, mine, { ["idempotency-key"] = key })
          end
          for _, one in ipairs(begun) do
            local record, err = finish(one)
            assert.is_nil(err)
            assert.truthy(record)
            assert.same({ 2, one.requests[1] }, { #one.requests, one.requests[2] })
          end
        end)
      end
    end

    it("leaves a write unknown, and a GET not", function()
      local body = OTHER:format "payment_record"
      local record, err = answered({ body = body }, nil, "report_payment_attempt_failed", ID, { failed_at = 1 })
      assert.is_nil(record)
      assert.same({ "response_error", "unknown", true, 200 }, { err.type, err.outcome, err.retryable, err.status })
      assert.equal(body, err.body)
      record, err = answered({ body = body }, nil, "retrieve_payment_record", ID)
      assert.is_nil(record)
      assert.same({ "response_error", "rejected", true, 200 }, { err.type, err.outcome, err.retryable, err.status })
    end)

    it("also when it is a refusal, and says: not again", function()
      local refusal = { status = 402, body = '{"error":{"type":"card_error","code":"card_declined","message":"No."}}',
        headers = { ["Request-Id"] = "req_1", ["Idempotency-Key"] = "order-8", ["Stripe-Should-Retry"] = "false" } }
      local err = select(2, answered(refusal))
      assert.same({ "unknown", true, 402 }, { err.outcome, err.retryable, err.status })
      assert.is_nil(err.code)
      local client, requests = samples.scripted({ refusal, { status = 200, headers = {}, body = whole } })
      assert.equal(ID, client:report_payment(samples.reference(), { idempotency_key = "order-7" }).id)
      assert.same({ 2, requests[1] }, { #requests, requests[2] })
      refusal.headers["Idempotency-Key"] = "order-7"
      err = select(2, answered(refusal))
      assert.same({ "rejected", false, "card_declined" }, { err.outcome, err.retryable, err.code })
    end)

    it("and not because the answer repeats our own key, or a GET is answered with one", function()
      assert.equal(ID, (answered { body = whole, headers = { ["IDEMPOTENCY-KEY"] = " order-7 " } }).id)
      assert.equal(ID, (answered({ body = whole, headers = { ["Idempotency-Key"] = "x" } }, nil,
        "retrieve_payment_record", ID)).id)
    end)

    it("but for stripe-mock, which makes up the id of the record that a report is on", function()
      local function reported(headers)
        local answer = { body = '{"id":"obj_1","object":"payment_record"}', headers = headers }
        return (answered(answer, nil, "report_payment_attempt_failed", ID, { failed_at = 1 }) or {}).id
      end
      local mock = { ["Stripe-Mock-Version"] = "0.203.0" }
      assert.equal("obj_1", reported(mock))
      assert.is_nil(reported {})
      mock["Idempotency-Key"] = "another"
      assert.is_nil(reported(mock))
    end)

    it("is nothing that the elements of a list can be told by", function()
      local body = '{"object":"list","has_more":false,"data":[{"id":"par_9","payment_record":"pr_other"}]}'
      local list = answered({ body = body }, nil, "list_payment_attempt_records", { payment_record = "pr_1" })
      assert.equal("par_9", list.data[1].id)
    end)
  end)

  it("of a list, is one without data", function()
    local bodies = { "{}", "[]", '{"object":"list","has_more":false}', '{"object":"list","has_more":false,"data":null}',
      '{"object":"list","has_more":false,"data":"x"}', '{"has_more":false,"data":[]}',
      '{"object":"payment_record","id":"pr_1","has_more":false,"data":[]}' }
    for _, name in ipairs { "list_payment_records", "list_payment_attempt_records" } do
      for _, body in ipairs(bodies) do
        local params = { payment_record = name:match "attempt" and "pr_1" or nil }
        local list, err = answered({ body = body }, nil, name, params)
        assert.is_nil(list)
        assert.equal("response_error", err.type)
      end
    end
  end)

  local not_records = {
    ["an element without an id"] = '[{"id":"pr_1"},{}]', ["an id that is empty"] = '[{"id":""}]',
    ["a string"] = '["pr_1"]', ["a hole"] = '[{"id":"pr_1"},null,{"id":"pr_3"},null,null]',
    ["names"] = '{"pr_1":{"id":"pr_1"}}', ["no element, and more to come"] = "[]",
  }
  for what, data in pairs(not_records) do
    it("of a list, is one whose data have " .. what, function()
      local more = tostring(what:find "more" ~= nil)
      local body = ('{"object":"list","has_more":%s,"data":%s}'):format(more, data)
      local list, err = answered({ body = body }, nil, "list_payment_records")
      assert.is_nil(list)
      assert.equal("response_error", err.type)
    end)
  end

  it("of a list, is one that does not say whether it is the last", function()
    for _, says in ipairs { "", '"has_more":null,', '"has_more":0,', '"has_more":"false",', '"has_more":{},' } do
      local list, err = answered({ body = '{"object":"list",' .. says .. '"data":[{"id":"pr_1"}]}' }, nil,
        "list_payment_records")
      assert.is_nil(list)
      assert.equal("response_error", err.type)
    end
  end)

  it("is one whose id is null, whatever the option null says", function()
    for _, null in ipairs { "null", ID } do
      local record, err = answered({ body = '{"id":null,"object":"payment_record"}' }, { null = null })
      assert.is_nil(record)
      assert.equal("unknown", err.outcome)
      record, err = answered({ status = 403, body = '{"error":{"type":null,"message":"m"}}' }, { null = null })
      assert.is_nil(record)
      assert.equal("unknown", err.outcome)
    end
  end)

  it("of a GET changes nothing, and is not called unknown", function()
    local record, err = answered({ body = "" }, nil, "retrieve_payment_record", ID)
    assert.is_nil(record)
    assert.equal("response_error", err.type)
    assert.are_not.equal("unknown", err.outcome)
  end)

  it("is one that is too large", function()
    local record, err = answered({ body = whole }, { max_response_bytes = #whole - 1 })
    assert.is_nil(record)
    assert.same({ "response_error", "unknown" }, { err.type, err.outcome })
    assert.truthy(answered({ body = whole }, { max_response_bytes = #whole }))
  end)
end)

describe("the response", function()
  local body = ('{"id":"%s","object":"payment_record"}'):format(ID)

  it("says what was sent and received", function()
    local _, _, response = answered { status = 200, body = body, headers = { ["Request-Id"] = "req_1",
      ["X-Twice"] = { "a", "b" }, ["IDEMPOTENT-REPLAYED"] = "true" } }
    assert.equal("number", type(response.elapsed))
    assert.is_true(response.elapsed >= 0 and response.elapsed < 60)
    response.elapsed = nil
    -- Made when they are first asked for, from the lines as they came.
    assert.is_nil(rawget(response, "headers"))
    assert.same({ ["request-id"] = "req_1", ["x-twice"] = "a, b", ["idempotent-replayed"] = "true" }, response.headers)
    assert.equal(response.headers, rawget(response, "headers"))
    assert.is_nil(response.nothing)
    assert.same({ status = 200, request_id = "req_1", idempotency_key = "order-7", attempts = 1, replayed = true,
      headers = { ["request-id"] = "req_1", ["x-twice"] = "a, b", ["idempotent-replayed"] = "true" } }, response)
    if math.type then assert.equal("integer", math.type(response.status)) end
  end)

  it("takes no line that goes on with another for a header", function()
    local server = servers.start { steps = { { raw = "HTTP/1.1 200 OK\r\nX-Long: begins\r\n Request-Id: folded\r\n"
      .. "\tRetry-After: 9\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body } } }
    local _, err, response = payments.client(server):report_payment(payments.PAYMENT)
    assert.is_nil(err)
    assert.is_nil(response.request_id)
    assert.equal("begins", response.headers["x-long"]:match "^%a+") -- newer libcurls make one line of them
    response.headers["x-long"] = nil
    assert.same({ ["content-length"] = tostring(#body) }, response.headers)
  end)

  -- libcurl before 8.1.1 would add it to a line of the answer before, which it has freed.
  local FOLDED, NO_STATUS = "begins with a line that goes on with another", "does not begin with HTTP and a status"
  for status, message in pairs { ["HTTP/1.1 200 OK"] = FOLDED, ["HTTP/1.1 200 " .. ("x"):rep(20000)] = FOLDED,
                                 ["http/1.1 200 OK"] = NO_STATUS } do
    it("does not begin with a line that goes on with another, or it is left out: " .. status:sub(1, 20), function()
      local folded = status .. "\r\n X-Folded: line\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
      local server = servers.start { steps = { { body = body, headers = { ["X-Last"] = "line" } }, { raw = folded } } }
      local client = payments.client(server, { max_retries = 0 })
      assert.truthy(client:report_payment(payments.PAYMENT))
      local record, err, response = client:report_payment(payments.PAYMENT)
      if record then return assert.same({ ["content-length"] = tostring(#body) }, response.headers) end
      assert.same({ "connection_error", "unknown" }, { err.type, err.outcome })
      local own = err.curl_code == 43 -- of libcurl 8.1, which refuses it by itself
      assert.truthy(own or err.message:find(message, 1, true), err.message)
    end)
  end

  it("does not begin with a status that libcurl takes for 200", function()
    local raw = "http/1.1 500 Oops\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
    local client = payments.client(servers.start { steps = { { raw = raw } } }, { max_retries = 0 })
    local record, err = client:report_payment(payments.PAYMENT)
    assert.is_nil(record)
    assert.same({ "connection_error", "unknown" }, { err.type, err.outcome })
    assert.truthy(err.message:find(NO_STATUS, 1, true), err.message)
  end)

  it("comes with errors, too", function()
    local _, err, response = answered { status = 400, body = '{"error":{"message":"x"}}',
      headers = { ["Request-Id"] = "req_1" } }
    assert.same({ 400, "req_1", "order-7", 1, false },
      { response.status, response.request_id, response.idempotency_key, response.attempts, response.replayed })
    assert.equal(response.request_id, err.request_id)
  end)

  it("has no status when there was no answer", function()
    local client = samples.scripted({ "no route" }, { max_retries = 0 })
    local record, err, response = client:report_payment(samples.reference())
    assert.is_nil(record)
    assert.is_nil(response.status)
    assert.equal(1, response.attempts)
    assert.equal(err.idempotency_key, response.idempotency_key)
  end)

  it("has no idempotency key of a GET", function()
    local _, _, response = answered({ body = body }, nil, "retrieve_payment_record", ID)
    assert.is_nil(response.idempotency_key)
  end)
end)
