--- The engine under all calls: many in flight, cancel, close, collect.

local files = require "spec.support.files"
local payment_records = require "payment_records"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT

local error_of, step_until = payments.error_of, payments.step_until
local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

describe("calls in flight", function()
  it("are never more than max_in_flight, and all come to an end", function()
    local server = playing { { delay = 0.02 } }
    local client, calls, keys = payments.client(server, { max_in_flight = 8 }), {}, {}
    for i = 1, 100 do calls[i] = client:start("report_payment", PAYMENT) end
    assert.equal(100, client:step())
    assert.is_true(payments.finish(client))
    for _, call in ipairs(calls) do
      local record, err, response = call:result()
      assert.is_nil(err)
      assert.equal("pr_1", record.id)
      keys[response.idempotency_key] = true
    end
    local distinct = 0
    for _ in pairs(keys) do distinct = distinct + 1 end
    assert.equal(100, distinct)
    assert.equal(100, #server:requests())
    local connections = #server:connections()
    assert.is_true(connections > 1 and connections <= 8, connections)
  end)

  it("go out in the order in which they were started", function()
    local server = playing {}
    local client, expected, seen = payments.client(server, { max_in_flight = 1 }), {}, {}
    for i = 1, 20 do
      expected[i] = "key-" .. i
      client:start("report_payment", PAYMENT, { idempotency_key = expected[i] })
    end
    assert.is_true(payments.finish(client))
    for i, request in ipairs(server:requests()) do seen[i] = request.header["idempotency-key"] end
    assert.same(expected, seen)
  end)

  it("need not wait for each other", function()
    local server = playing { { fault = "stall" }, {} }
    local client = payments.client(server)
    local slow = client:start("report_payment", PAYMENT)
    step_until(client, function() return #server:requests() == 1 end)
    local quick = client:start("retrieve_payment_record", "pr_1")
    assert.is_true(step_until(client, function() return quick:done() end))
    assert.is_false(slow:done())
    assert.equal("pr_1", quick:result().id)
    assert.equal(1, client:step())
  end)

  it("move while another call is waited for", function()
    local client = payments.client(playing { { delay = 0.1 } })
    local call = client:start("report_payment", PAYMENT)
    assert(client:report_payment(PAYMENT))
    assert.is_true(step_until(client, function() return call:done() end))
    assert.equal("pr_1", call:result().id)
  end)

  it("have no result before their end, and the same one ever after", function()
    local client = payments.client(playing {})
    local call = client:start("report_payment", PAYMENT)
    assert.same({ "canceled_error", "not_sent", 0 }, error_of(call))
    step_until(client, function() return call:done() end)
    local record, err, response = call:result()
    assert.same({ "pr_1", 200 }, { record.id, response.status })
    assert.is_nil(err)
    assert.equal(record, (call:result()))
  end)

  it("are done at once when their data are refused", function()
    local server = servers.start()
    local client = payments.client(server)
    local call = client:start("report_payment", { amount_requested = { currency = "usd", value = -1 } })
    assert.is_true(call:done())
    assert.same({ "validation_error", "not_sent", 0 }, error_of(call))
    assert.equal(0, client:step())
    assert.same({}, server:connections())
  end)

  it("end while others have yet to be started, in a host that steps now and then", function()
    local client, ticks = payments.client(playing {}), 0
    local calls = {}
    for i = 1, 64 do calls[i] = client:start("report_payment", PAYMENT) end
    local function none_is_done()
      for _, call in ipairs(calls) do if call:done() then return false end end
      return true
    end
    while none_is_done() and ticks < 64 do
      client:step()
      files.shell "sleep 0.02"
      ticks = ticks + 1
    end
    assert.is_true(ticks < 40, ticks)
  end)

  it("end one at a time, by steps that are given no time at all", function()
    local client, ended, unfinished = payments.client(playing {}), {}, 5
    for _ = 1, unfinished do client:start("report_payment", PAYMENT) end
    while unfinished > 0 and #ended < 200 do
      files.shell "sleep 0.02" -- so that several are answered at the same time
      local left = client:step(nil, 0)
      ended[#ended + 1], unfinished = unfinished - left, left
    end
    assert.equal(0, unfinished)
    assert.equal(1, math.max((table.unpack or unpack)(ended)))
  end)

  it("have their turn beside one whose answer does not end, in steps that do one thing", function()
    local server = servers.start { by_path = { ["/pr_1"] = { { endless = "body" } } } }
    local client = payments.client(server, { max_response_bytes = 1e9 })
    local endless, steps = client:start("retrieve_payment_record", "pr_1"), 0
    local function step()
      client:step(nil, 0)
      files.shell "sleep 0.01" -- so that more of it is there
      steps = steps + 1
    end
    while #server:requests() == 0 and steps < 500 do step() end
    local call = client:start("report_payment", PAYMENT)
    steps = 0
    while not call:done() and steps < 100 do step() end
    assert.equal("pr_1", (assert(call:result())).id)
    assert.is_false(endless:done())
  end)

  it("keep an answer that was read in time, however late the host settles it", function()
    local client = payments.client(playing {}, { timeout = 1 })
    assert(client:report_payment(PAYMENT)) -- so that a connection is kept
    local call = client:start("report_payment", PAYMENT)
    for _ = 1, 10 do
      if not call:done() then
        client:step(nil, 0)
        files.shell "sleep 0.6"
      end
    end
    assert.equal("pr_1", (assert(call:result())).id)
  end)

  it("are waited for by a step that may work for no time", function()
    local client = payments.client(playing { { fault = "stall" } })
    client:start("report_payment", PAYMENT)
    local before, steps = processes.now(), 0
    repeat
      client:step(0.1, 0)
      steps = steps + 1
    until processes.now() - before > 1
    assert.is_true(steps < 100, steps)
  end)

  it("end all at once, by a step that is given time", function()
    local server = playing { { delay = 0.1 } }
    local client = payments.client(server)
    for _ = 1, 5 do client:start("report_payment", PAYMENT) end
    assert.is_true(step_until(client, function() return #server:requests() == 5 end))
    files.shell "sleep 1" -- until all are answered
    assert.equal(0, client:step(nil, 10))
  end)

  it("are counted by step in integers, which waits no longer than asked", function()
    local client = payments.client(playing { { fault = "stall" } })
    client:start("report_payment", PAYMENT)
    local before = os.time()
    assert.equal("1", tostring(client:step(0.1)))
    assert.is_true(os.time() - before < 5)
    assert.equal("0", tostring(payments.client(playing()):step(60)))
  end)
end)

describe("cancel", function()
  it("before anything was sent says not_sent", function()
    local server = servers.start() -- of its own, so that no connection of another case is counted
    local client = payments.client(server)
    local call = client:start("report_payment", PAYMENT)
    call:cancel()
    assert.is_true(call:done())
    assert.same({ "canceled_error", "not_sent", 0 }, error_of(call))
    assert.equal(0, client:step(0.1))
    assert.same({}, server:connections())
  end)

  it("in flight says unknown", function()
    local server = playing { { fault = "stall" } }
    local client = payments.client(server)
    local call = client:start("report_payment", PAYMENT)
    step_until(client, function() return #server:requests() == 1 end)
    call:cancel()
    assert.same({ "canceled_error", "unknown", 1 }, error_of(call))
    assert.equal(select(2, call:result()).idempotency_key, server:requests()[1].header["idempotency-key"])
    assert.equal(0, client:step())
  end)

  it("while it connects says not_sent", function()
    local client = payments.client(servers.start { tls = "stall" })
    local call = client:start("report_payment", PAYMENT)
    for _ = 1, 3 do client:step(0.05) end
    call:cancel()
    assert.same({ "canceled_error", "not_sent", 0 }, error_of(call))
  end)

  for status, outcome in pairs { [429] = "rejected", [500] = "unknown" } do
    it(("while it waits for the next attempt says %s after %d"):format(outcome, status), function()
      local attempts = 0
      local body = '{"error":{"type":"api_error","message":"no"}}'
      local step = { status = status, body = body, headers = { ["Retry-After"] = "4" } }
      local client = payments.client(playing { step }, {
        max_retries = 5, on_attempt = function() attempts = attempts + 1 end,
      })
      local call = client:start("report_payment", PAYMENT)
      step_until(client, function() return attempts == 1 end)
      call:cancel()
      assert.same({ "canceled_error", outcome, 1 }, error_of(call))
      assert.equal(0, client:step(0.1))
      assert.equal(1, #playing():requests())
    end)
  end

  it("after the end changes nothing", function()
    local client = payments.client(playing {})
    local call = client:start("report_payment", PAYMENT)
    step_until(client, function() return call:done() end)
    call:cancel()
    assert.equal("pr_1", call:result().id)
  end)

  it("leaves the other calls alone", function()
    local client, calls = payments.client(playing { { delay = 0.1 } }), {}
    for i = 1, 10 do calls[i] = client:start("report_payment", PAYMENT) end
    client:step(0.05)
    for i = 1, 10, 2 do calls[i]:cancel() end
    assert.is_true(payments.finish(client))
    for i = 1, 10 do
      assert.equal(i % 2 == 0 and "pr_1" or nil, (calls[i]:result() or {}).id)
    end
  end)

  it("may come from on_attempt", function()
    local call
    local events = 0
    local client = payments.client(playing { { status = 503, body = "" } }, {
      max_retries = 3,
      on_attempt = function()
        events = events + 1
        call:cancel()
      end,
    })
    call = client:start("report_payment", PAYMENT)
    assert.is_true(step_until(client, function() return call:done() end))
    assert.same({ "canceled_error", "unknown", 1 }, error_of(call))
    assert.is_true(events <= 2, events)
    assert.is_nil(select(3, call:result()).callback_error)
  end)
end)

describe("the end of a client", function()
  it("ends each call with a true outcome, and may come twice", function()
    local server = playing { { fault = "stall" } }
    local client = payments.client(server, { max_in_flight = 1 })
    local sent, queued = client:start("report_payment", PAYMENT), client:start("report_payment", PAYMENT)
    step_until(client, function() return #server:requests() == 1 end)
    client:close()
    assert.is_true(sent:done() and queued:done())
    assert.same({ "canceled_error", "unknown", 1 }, error_of(sent))
    assert.same({ "canceled_error", "not_sent", 0 }, error_of(queued))
    client:close()
    sent:cancel()
    for _, use in ipairs { "step", "report_payment", "prepare" } do
      local used, message = pcall(client[use], client, use == "prepare" and "report_payment" or PAYMENT, PAYMENT)
      assert.is_false(used)
      assert.truthy(message:find("the client is closed", 1, true), message)
    end
    assert.truthy(tostring(client):find "closed")
  end)

  it("may come from on_attempt", function()
    local client
    client = payments.client(playing { { status = 503, body = "" } }, {
      max_retries = 3, on_attempt = function() client:close() end,
    })
    local record, err = client:report_payment(PAYMENT)
    assert.is_nil(record)
    assert.same({ "canceled_error", "unknown", 1 }, { err.type, err.outcome, err.attempts })
  end)

  it("may be the collector's, with calls in flight, and closes the sockets", function()
    local server = playing { { fault = "stall" } }
    do
      local client = payment_records.new { api_key = payments.KEY, api_base = server.url }
      for _ = 1, 20 do client:start("report_payment", PAYMENT) end
      step_until(client, function() return #server:requests() == 20 end)
    end
    collectgarbage()
    collectgarbage()
    assert.is_false(files.shell(("grep -q ':%04X .* 01 ' /proc/net/tcp"):format(server.port)))
    assert.equal("pr_1", payments.client(playing {}):report_payment(PAYMENT).id)
  end)

  it("does not come before that of its calls", function()
    local options = { api_key = payments.KEY, api_base = playing().url }
    local call = payment_records.new(options):start("report_payment", PAYMENT)
    collectgarbage()
    collectgarbage()
    call:cancel()
    assert.same({ "canceled_error", "not_sent", 0 }, error_of(call))
  end)
end)

describe("on_attempt", function()
  it("that raises costs no result", function()
    local client = payments.client(playing {}, { on_attempt = function() error { "boom" } end })
    local record, _, response = client:report_payment(PAYMENT)
    assert.equal("pr_1", record.id)
    assert.same({ "boom" }, response.callback_error)
  end)

  it("may start a call, and may not step", function()
    local client, other
    client = payments.client(playing {}, { on_attempt = function()
      if other then return end
      other = client:start("report_payment", PAYMENT)
      client:step()
    end })
    local record, _, response = client:report_payment(PAYMENT)
    assert.equal("pr_1", record.id)
    assert.truthy(tostring(response.callback_error):find "callback")
    assert.is_true(step_until(client, function() return other:done() end))
    assert.equal("pr_1", other:result().id)
  end)
end)
