--- The engine at its limits: calls that come too late, results asked for too early, transports that call back.

local core = require "payment_records.core"
local files = require "spec.support.files"
local payment_records = require "payment_records"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT
local RECORD = { status = 200, headers = {}, body = '{"id":"pr_1","object":"payment_record"}' }

local error_of, step_until = payments.error_of, payments.step_until
local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

local function carried(transport, options)
  local settings = { api_key = payments.KEY, transport = transport, max_retries = 0 }
  for name, value in pairs(options or {}) do settings[name] = value end
  return payment_records.new(settings)
end

describe("a call whose time is over", function()
  it("before the first step is not sent", function()
    local server = playing {}
    local client = payments.client(server)
    local late = client:start("report_payment", PAYMENT, { deadline = 0.01 })
    local good = client:start("report_payment", PAYMENT)
    files.shell "sleep 0.05"
    assert.is_true(step_until(client, function() return good:done() end))
    assert.same({ "timeout_error", "not_sent", 0 }, error_of(late))
    assert.equal("pr_1", good:result().id)
    assert.equal(1, #server:requests())
  end)

  it("as soon as it is sent, within a tenth of a millisecond, ends all the same", function()
    local client = payments.client(playing { { fault = "stall" } }, { timeout = 1e-4 })
    local _, err = client:report_payment(PAYMENT)
    assert.equal("timeout_error", err.type)
  end)
end)

describe("a result that is asked for too early", function()
  it("is unknown while the call is on the wire", function()
    local server = playing { { fault = "stall" } }
    local client = payments.client(server)
    local call = client:start("report_payment", PAYMENT)
    step_until(client, function() return #server:requests() == 1 end)
    assert.same({ "unknown" }, { error_of(call)[2] })
    assert.is_false(call:done())
  end)

  it("is unknown while it waits for the next attempt", function()
    local attempts = 0
    local client = payments.client(playing { { status = 503, headers = { ["Retry-After"] = "4" }, body = "" } }, {
      max_retries = 1, on_attempt = function() attempts = attempts + 1 end,
    })
    local call = client:start("report_payment", PAYMENT)
    step_until(client, function() return attempts == 1 end)
    assert.same({ "canceled_error", "unknown", 1 }, error_of(call))
    assert.is_false(call:done())
  end)
end)

describe("a step of more than an hour", function()
  it("ends early when a signal comes", function()
    local status = select(2, processes.in_child(function()
      local client = carried(function() coroutine.yield() end, { timeout = 1e5 })
      client:start("report_payment", PAYMENT)
      coroutine.wrap(function() client:step() end)() -- now the transport has it, for ever
      processes.interrupt(50000)
      client.core:step(9e4)
      processes.exit(7)
    end))
    assert.equal(7, status)
  end)
end)

describe("a transport that makes a call of its own", function()
  it("has it carried beyond max_in_flight, as nobody else would, and alone", function()
    local client, other
    local paths = {}
    client = carried(function(request)
      paths[#paths + 1] = request.path
      if #paths == 1 then
        other = client:start("list_payment_records")
        assert.equal("pr_1", client:retrieve_payment_record("pr_1").id)
        client:step()
        assert.is_false(other:done())
      end
      return RECORD
    end, { max_in_flight = 1 })
    assert.equal("pr_1", client:report_payment(PAYMENT).id)
    client:step()
    assert.is_true(other:done())
    assert.same({ "/v1/payment_records/report_payment", "/v1/payment_records/pr_1", "/v1/payment_records" }, paths)
  end)
end)

describe("the core's part for the Lua layer", function()
  it("delivers to a client its own calls only", function()
    local options = { api_key = payments.KEY, transport = function() end }
    local client, other = core.new(options), core.new(options)
    local call = client:start("report_payment", PAYMENT)
    assert.is_nil(other:take(call))
    assert.equal(call, (client:take(call)))
    other:deliver(call, RECORD)
    assert.is_false(call:done())
    assert.is_nil(other:take(call))
    client:deliver(call, RECORD)
    assert.equal("pr_1", call:result().id)
    client:deliver(call, { status = 500 })
    assert.equal("pr_1", call:result().id)
  end)

  it("takes what comes late of an attempt that took too long for no answer to the next one", function()
    local client = core.new { api_key = payments.KEY, transport = function() end, timeout = 0.01 }
    local call = client:start("report_payment", PAYMENT)
    local _, _, first = client:take(call)
    local second
    step_until(client, function()
      second = second or select(3, client:take(call))
      return second
    end)
    client:deliver(call, { status = 400, headers = { ["Request-Id"] = "req_1" } }, nil, first)
    assert.is_false(call:done())
    client:deliver(call, RECORD, nil, second)
    assert.equal("pr_1", call:result().id)
  end)

  it("takes a call beyond max_in_flight only when asked to", function()
    local client = core.new { api_key = payments.KEY, transport = function() end, max_in_flight = 1 }
    local calls = { client:start("report_payment", PAYMENT), client:start("report_payment", PAYMENT) }
    assert.equal(calls[1], (client:take()))
    assert.is_nil(client:take())
    assert.is_nil(client:take(calls[2]))
    assert.equal(calls[2], (client:take(calls[2], true)))
  end)

  it("begin sends so many calls at once that the host still gets its turn, and leaves the others to steps", function()
    local server = servers.start() -- of its own, so that no connection of another case is counted
    local client = core.new { api_key = payments.KEY, api_base = server.url, max_in_flight = 100 }
    for _ = 1, 100 do client:begin("report_payment", PAYMENT) end
    files.shell "sleep 0.5"
    local connected = #server:connections()
    assert.is_true(connected <= 16, connected)
    assert.is_true(payments.finish(client))
    assert.equal(100, #server:requests())
    client:close()
  end)

  it("advance says whether its budget was used up", function()
    local client = core.new { api_key = payments.KEY, api_base = playing({}).url }
    client:start("report_payment", PAYMENT)
    assert.same({ 1, true }, { client:advance(0, 0) })
    assert.is_true(payments.finish(client))
    assert.same({ 0, false }, { client:advance(0, 10) })
    client:close()
  end)

  it("when_done tells one who waits, once, and keeps what it raises for the response", function()
    local client = core.new { api_key = payments.KEY, api_base = playing({}).url }
    local call, told = client:begin("report_payment", PAYMENT), 0
    local other = client:begin("report_payment", PAYMENT)
    other:when_done(function() told = told + 1 end)
    call:when_done(function(done)
      told = told + (done == call and 1 or 0)
      error "boom"
    end)
    assert.is_true(step_until(client, function() return call:done() and other:done() end))
    client:step()
    assert.equal(2, told)
    assert.is_nil(select(3, other:result()).callback_error)
    assert.matches("boom", select(3, call:result()).callback_error)
    assert.error_matches(function() call:when_done(print) end, "the call is done")
    client:close()
  end)

  it("timeout does not count what a callback has raised, for one who waits for calls only", function()
    local client = core.new { api_key = payments.KEY, transport = function() end }
    local call = client:start("report_payment", PAYMENT, { on_done = function() error "boom" end })
    call:cancel()
    assert.equal(0, client:timeout())
    assert.is_nil(client:timeout(true))
    assert.error_matches(function() client:step() end, "boom")
    assert.is_nil(client:timeout())
  end)
end)

describe("on_attempt", function()
  it("is not called for what it ends itself", function()
    local server = servers.start { by_path = { ["/pr_1"] = { { fault = "stall" } } } }
    local client, other
    local names = {}
    client = payments.client(server, { on_attempt = function(event)
      names[#names + 1] = event.name
      if other then other:cancel() end
    end })
    local call = client:start("report_payment", PAYMENT)
    step_until(client, function() return #server:requests() == 1 and call:done() end)
    other = client:start("retrieve_payment_record", "pr_1")
    step_until(client, function() return #server:requests() == 2 end)
    client:report_payment(PAYMENT)
    assert.same({ "canceled_error", "rejected", 1 }, error_of(other))
    assert.same({ "report_payment", "report_payment" }, names)
  end)
end)
