-- each_payment_record and each_payment_attempt_record: all pages of a list.

local samples = require "spec.support.samples"

--- A client on a sandbox with `count` records; the ids, newest first.
local function with_records(count)
  local client, box = samples.on_sandbox { max_retries = 0 }
  local ids = {}
  for _ = 1, count do
    local record = assert(client:report_payment(samples.reference()))
    table.insert(ids, 1, record.id)
  end
  return client, ids, box
end

--- A record with `count` attempts; their ids, newest first.
local function with_attempts(count)
  local client, _, box = with_records(0)
  local record, ids = assert(client:report_payment(samples.reference())), {}
  for i = 1, count do
    if i > 1 then
      assert(client:report_payment_attempt_failed(record.id, { failed_at = 1730253454 }))
      record = assert(client:report_payment_attempt(record.id, { initiated_at = 1730253455 }))
    end
    table.insert(ids, 1, record.latest_payment_attempt_record)
  end
  return client, ids, box, record.id
end

local function collect(iterator)
  local ids, fault = {}, nil
  for record, err in iterator do
    if not record then
      fault = err
      break
    end
    ids[#ids + 1] = record.id
  end
  return ids, fault
end

local function reversed(list)
  local other = {}
  for i = #list, 1, -1 do other[#other + 1] = list[i] end
  return other
end

local function slice(list, first, last)
  local part = {}
  for i = first, last do part[#part + 1] = list[i] end
  return part
end

local function lists_asked(box)
  local asked = {}
  for _, request in ipairs(box:requests()) do
    if request.method == "GET" then asked[#asked + 1] = request end
  end
  return asked
end

describe("each_payment_record", function()
  local cases = {
    -- records, limit, pages
    { 0, nil, 1 }, { 1, nil, 1 }, { 10, nil, 1 }, { 11, nil, 2 }, { 25, nil, 3 }, { 7, 3, 3 }, { 6, 3, 2 }, { 3, 1, 3 },
    { 120, 100, 2 },
  }
  for _, case in ipairs(cases) do
    local count, limit, pages = case[1], case[2], case[3]
    it(("gives %d records, newest first, with the limit %s"):format(count, tostring(limit)), function()
      local client, ids, box = with_records(count)
      local found, err = collect(client:each_payment_record { limit = limit })
      assert.same(ids, found)
      assert.is_nil(err)
      assert.equal(pages, #lists_asked(box))
    end)
  end

  it("needs no parameters", function()
    local client, ids = with_records(12)
    assert.same(ids, collect(client:each_payment_record()))
  end)

  it("starts after a record", function()
    local client, ids = with_records(9)
    assert.same(slice(ids, 4, 9), collect(client:each_payment_record { starting_after = ids[3], limit = 2 }))
  end)

  it("walks backwards with ending_before: oldest first", function()
    for _, limit in ipairs { 1, 2, 3, 100 } do
      local client, ids = with_records(9)
      local found = collect(client:each_payment_record { ending_before = ids[7], limit = limit })
      assert.same(reversed(slice(ids, 1, 6)), found)
    end
  end)

  it("keeps its filters from page to page", function()
    local client, ids, box = with_records(5)
    assert.same(ids, collect(client:each_payment_record { limit = 2, created_after = 1 }))
    for _, request in ipairs(lists_asked(box)) do
      assert.same({ "2", "1" }, { request.params.limit, request.params.created_after })
    end
  end)

  it("ends for good: asked again it gives nothing, and sends nothing", function()
    local client, _, box = with_records(3)
    local each = client:each_payment_record()
    for _ = 1, 3 do assert.truthy(each()) end
    for _ = 1, 3 do assert.is_nil(each()) end
    assert.equal(1, #lists_asked(box))
  end)

  it("asks for a page only when it is needed", function()
    local client, ids, box = with_records(6)
    local each = client:each_payment_record { limit = 2 }
    assert.equal(0, #lists_asked(box))
    for i = 1, 3 do assert.equal(ids[i], each().id) end
    assert.equal(2, #lists_asked(box))
  end)

  it("leaves the caller's parameters as they were", function()
    local client, ids = with_records(5)
    for _, params in ipairs { { limit = 2 }, { limit = 2, starting_after = ids[1] }, { ending_before = ids[5] } } do
      local before = samples.copy(params)
      collect(client:each_payment_record(params))
      assert.same(before, params)
    end
  end)

  it("gives false and the error when the second page cannot be had, and ends", function()
    local client, ids, box = with_records(5)
    local each = client:each_payment_record { limit = 2 }
    assert.same({ ids[1], ids[2] }, { each().id, each().id })
    box:fail_next { status = 403, type = "invalid_request_error", message = "no longer" }
    local record, err = each()
    assert.is_false(record)
    assert.same({ 403, "no longer" }, { err.status, err.message })
    for _ = 1, 3 do assert.is_nil((each())) end
    assert.equal(2, #lists_asked(box))
  end)

  it("gives false and the error when the first page cannot be had", function()
    local client, _, box = with_records(2)
    box:fail_next "lost_answer"
    local found, err = collect(client:each_payment_record())
    assert.same({}, found)
    assert.equal("connection_error", err.type)
    found, err = collect(client:each_payment_record { limit = 0 })
    assert.same({}, found)
    assert.same({ "validation_error", "limit" }, { err.type, err.param })
  end)

  it("passes its options to the call of each page", function()
    local client, requests = samples.scripted {
      { status = 200, headers = {}, body = '{"object":"list","has_more":true,"data":[{"id":"pr_2"}]}' },
      { status = 200, headers = {}, body = '{"object":"list","has_more":false,"data":[{"id":"pr_1"}]}' },
    }
    assert.same({ "pr_2", "pr_1" }, collect(client:each_payment_record(nil, { stripe_account = "acct_1" })))
    assert.equal("/v1/payment_records?starting_after=pr_2", requests[2].path)
    assert.same({ "acct_1", "acct_1" },
      { requests[1].headers["Stripe-Account"], requests[2].headers["Stripe-Account"] })
  end)

  -- A list that stops short must not pass for a whole one, nor go round in circles.
  local unusable = {
    ["promises more, but is empty"] = '{"object":"list","has_more":true,"data":[]}',
    ["has a record without an id"] = '{"object":"list","has_more":true,"data":[{"id":"pr_1"},{}]}',
    ["has something that is no record"] = '{"object":"list","has_more":true,"data":["pr_1"]}',
  }
  for what, body in pairs(unusable) do
    it("ends with an error at a page that " .. what, function()
      local client, requests = samples.scripted({ { status = 200, headers = {}, body = body } }, { max_retries = 0 })
      local records, err = collect(client:each_payment_record())
      assert.same({}, records)
      assert.same({ "response_error", "rejected" }, { err.type, err.outcome })
      assert.equal(1, #requests)
    end)
  end
end)

describe("each_payment_attempt_record", function()
  it("gives the attempts of one record, newest first, over all pages", function()
    for _, limit in ipairs { 1, 2, 3, 100 } do
      local client, ids, _, record = with_attempts(5)
      assert(client:report_payment(samples.reference()))
      assert.same(ids, collect(client:each_payment_attempt_record { payment_record = record, limit = limit }))
    end
  end)

  it("starts after an attempt", function()
    local client, ids, _, record = with_attempts(4)
    local found = collect(client:each_payment_attempt_record { payment_record = record, starting_after = ids[2] })
    assert.same(slice(ids, 3, 4), found)
  end)

  it("gives false and the error of a record that is not there", function()
    local client = with_records(0)
    local found, err = collect(client:each_payment_attempt_record { payment_record = "pr_none" })
    assert.same({}, found)
    assert.same({ 404, "resource_missing" }, { err.status, err.code })
  end)

  it("raises on parameters that are no table, and reads them raw", function()
    local client, ids = with_records(1)
    for _, name in ipairs { "each_payment_record", "each_payment_attempt_record" } do
      assert.error_matches(function() client[name](client, "pr_1") end, "expected a table of parameters, got a string")
    end
    local params = setmetatable({}, { __pairs = function() error "__pairs has run" end })
    assert.same(ids, collect(client:each_payment_record(params)))
  end)

  it("cannot walk backwards: the API has no ending_before here", function()
    local client, _, box, record = with_attempts(2)
    local found, err = collect(client:each_payment_attempt_record { payment_record = record, ending_before = "par_1" })
    assert.same({}, found)
    assert.same({ "validation_error", "ending_before" }, { err.type, err.param })
    assert.equal(0, #lists_asked(box))
  end)
end)
