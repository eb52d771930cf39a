--- The whole life of a payment, from a client of the library to the sandbox under nginx, over each kind of connection.

local cjson = require "cjson"
local files = require "spec.support.files"
local libcurl = require "spec.support.libcurl"
local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

local T0 = 1730253453
local box

setup(function() box = servers.sandbox { unix = true, delay = 0.02 } end)
teardown(servers.stop_all)
after_each(payments.close_all)

local function control(arguments, path)
  return (files.capture(("curl -q -s -f --noproxy '*' %s %s/_sandbox/%s"):format(arguments, box.http, path)))
end

before_each(function() control("-X POST", "reset") end)

-- Connections that a process of this machine holds to a port, of any process (Linux; elsewhere nil).
local function connections_to(port)
  local table_of_sockets = files.read "/proc/net/tcp"
  if not table_of_sockets then return nil end
  local seen, count = {}, 0 -- the kernel may list one twice while others come and go
  for own in table_of_sockets:gmatch((":(%%x+) %%x+:%04X 01 "):format(port)) do
    count = count + (seen[own] and 0 or 1)
    seen[own] = true
  end
  return count
end

local ways = {
  { "HTTP", function() return { url = box.http } end },
  { "HTTPS with HTTP/2", function() return { url = box.https, ca_file = box.ca_file } end },
  { "a Unix socket", function() return { url = "http://localhost", unix_socket = box.unix } end },
}

local function pay(client, reference, options)
  return client:report_payment({
    amount_requested = { currency = "usd", value = 1000 },
    initiated_at = T0,
    payment_method_details = { type = "custom", custom = { display_name = "newpay" } },
    processor_details = { type = "custom", custom = { payment_reference = reference } },
    customer_presence = "on_session",
    description = "computer software, \195\188ber & more",
    metadata = { order = reference },
  }, options)
end

-- Reports a payment, fails it, tries again, guarantees it and refunds half; returns the record of each call.
local function live(client)
  local open = assert(pay(client, "npp_1"))
  local failed = assert(client:report_payment_attempt_failed(open.id, { failed_at = T0 + 10 }))
  local again = assert(client:report_payment_attempt(open.id, {
    initiated_at = T0 + 20, payment_method_details = { type = "custom", custom = { display_name = "newpay" } },
  }))
  local paid = assert(client:report_payment_attempt_guaranteed(open.id, { guaranteed_at = T0 + 30 }))
  local refunded = assert(client:report_refund(open.id, {
    outcome = "refunded", initiated_at = T0 + 40, refunded = { refunded_at = T0 + 50 },
    amount = { currency = "usd", value = 500 },
    processor_details = { type = "custom", custom = { refund_reference = "nr_1" } },
  }))
  return { open, failed, again, paid, refunded }
end

for _, way in ipairs(ways) do
  local name, server = way[1], way[2]

  describe("over " .. name .. ", a client and the sandbox", function()
    it("lead a payment from its report to a partial refund", function()
      local client = payments.client(server())
      local records = live(client)
      local amounts = {}
      for i, record in ipairs(records) do
        assert.equal(records[1].id, record.id)
        assert.equal("payment_record", record.object)
        amounts[i] = { record.amount_failed.value, record.amount_guaranteed.value, record.amount_refunded.value }
      end
      amounts[5][2] = nil -- whether a refund leaves what was guaranteed is not known of Stripe
      assert.same({ { 0, 0, 0 }, { 1000, 0, 0 }, { 0, 0, 0 }, { 0, 1000, 0 }, { 0, nil, 500 } }, amounts)
      assert.are_not.equal(records[1].latest_payment_attempt_record, records[3].latest_payment_attempt_record)
      assert.equal("computer software, \195\188ber & more", records[5].description)
      assert.equal("npp_1", records[5].metadata.order)
      assert.is_false(records[5].livemode)
      assert.equal("1000", tostring(records[5].amount_requested.value)) -- an integer, also where numbers have kinds
      local fetched = assert(client:retrieve_payment_record(records[1].id))
      assert.same(records[5], fetched)
    end)

    it("show the attempts of a payment, newest first", function()
      local client = payments.client(server())
      local records = live(client)
      local list = assert(client:list_payment_attempt_records { payment_record = records[1].id })
      assert.same({ "list", 2, false }, { list.object, #list.data, list.has_more })
      local latest = assert(client:retrieve_payment_attempt_record(records[5].latest_payment_attempt_record))
      assert.same(list.data[1], latest)
      assert.same({ "payment_attempt_record", records[1].id, 500 },
        { latest.object, latest.payment_record, latest.amount_refunded.value })
      assert.equal(records[1].latest_payment_attempt_record, list.data[2].id)
      local ids = {}
      for attempt, err in client:each_payment_attempt_record { payment_record = records[1].id, limit = 1 } do
        assert(attempt, err)
        ids[#ids + 1] = attempt.id
      end
      assert.same({ list.data[1].id, list.data[2].id }, ids)
    end)

    it("list and walk through the records, page after page", function()
      local client, reported = payments.client(server()), {}
      for i = 1, 7 do table.insert(reported, 1, assert(pay(client, "npp_" .. i)).id) end
      local page = assert(client:list_payment_records { limit = 3 })
      assert.same({ 3, true, reported[1] }, { #page.data, page.has_more, page.data[1].id })
      local walked = {}
      for record, err in client:each_payment_record { limit = 3 } do
        assert(record, err)
        walked[#walked + 1] = record.id
      end
      assert.same(reported, walked)
    end)

    it("agree on errors", function()
      local client = payments.client(server())
      local _, err, response = client:retrieve_payment_record "pr_none"
      assert.same({ "invalid_request_error", "resource_missing", "rejected", 404, false },
        { err.type, err.code, err.outcome, err.status, err.retryable })
      assert.equal(err.request_id, response.request_id)
      assert.truthy(err.request_id)
      local record = assert(pay(client, "npp_1"))
      _, err = client:report_refund(record.id, { outcome = "refunded", refunded = { refunded_at = T0 },
        processor_details = { type = "custom", custom = { refund_reference = "nr_1" } } })
      assert.same({ "invalid_request_error", "rejected" }, { err.type, err.outcome })
      _, err = payments.client(server(), { api_key = "sk_none" }):retrieve_payment_record(record.id)
      assert.same({ 401, "invalid_request_error", "rejected" }, { err.status, err.type, err.outcome })
    end)

    it("report a payment once, however often its answer is lost", function()
      local client = payments.client(server(), { max_retries = 1 })
      control("-d fault=lost_answer", "fail_next")
      local record, err, response = pay(client, "npp_1", { idempotency_key = "order-1" })
      assert.is_nil(err)
      assert.is_true(response.replayed)
      assert.is_true(response.attempts >= 2)
      assert.same({ record.id }, { (client:list_payment_records()).data[1].id })
      assert.equal(1, #client:list_payment_records().data)
      assert.equal(record.id, (pay(client, "npp_1", { idempotency_key = "order-1" })).id)
      _, err = pay(client, "npp_2", { idempotency_key = "order-1" })
      assert.same({ "idempotency_error", "rejected", false }, { err.type, err.outcome, err.retryable })
    end)

    it("serve a hundred calls at once, each once", function()
      local client, calls = payments.client(server(), { max_in_flight = 50 }), {}
      for i = 1, 100 do
        calls[i] = client:start("report_payment", {
          amount_requested = { currency = "usd", value = i }, initiated_at = T0,
          payment_method_details = { type = "custom", custom = { display_name = "newpay" } },
        })
      end
      assert.is_true(payments.finish(client, 20))
      local seen = {}
      for i, call in ipairs(calls) do
        local record = assert(call:result())
        assert.equal(i, record.amount_requested.value)
        seen[record.id] = true
      end
      local distinct = 0
      for _ in pairs(seen) do distinct = distinct + 1 end
      assert.equal(100, distinct)
      assert.equal(100, #cjson.decode(control("", "requests")))
    end)
  end)
end

it("over HTTP/2 share one connection where libcurl can, and HTTP/1.1 needs one for each call in flight", function()
  for _, case in ipairs { { box.https, libcurl.shares_connections and 1 or 20 }, { box.http, 20 } } do
    local client = payments.client({ url = case[1], ca_file = box.ca_file }, { max_in_flight = 20 })
    assert(client:list_payment_records())
    local port = tonumber(case[1]:match ":(%d+)$")
    for i = 1, 20 do client:start("retrieve_payment_record", "pr_" .. i) end
    local most, last = connections_to(port), os.time() + 10
    while client:step(0.5) > 0 and os.time() < last do
      most = most and math.max(most, connections_to(port))
    end
    client:close()
    assert.equal(case[2], most or case[2])
  end
end)
