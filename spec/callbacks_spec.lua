--- on_done, and what happens to that which callbacks raise.

local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT
local REFUSED = { amount_requested = { currency = "usd", value = -1 } }

local errors_of_steps = payments.errors_of_steps
local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

local function finish(client)
  assert.same({}, errors_of_steps(client))
end

describe("on_done", function()
  it("gets the result of the call, once", function()
    local client, told, call = payments.client(playing {}), {}, nil
    call = client:start("report_payment", PAYMENT, { on_done = function(record, err, response)
      told[#told + 1] = { record, err, response, call:done() }
    end })
    finish(client)
    finish(client)
    local record, err, response = call:result()
    assert.equal("pr_1", record.id)
    assert.same({ { record, err, response, true } }, told)
  end)

  it("gets the error of a call that failed", function()
    local client, told = payments.client(playing { { status = 402, body = '{"error":{"type":"card_error"}}' } }), nil
    client:start("report_payment", PAYMENT, { on_done = function(...) told = { n = select("#", ...), ... } end })
    finish(client)
    assert.same({ 3, nil, "card_error", 402 }, { told.n, told[1], told[2].type, told[3].status })
  end)

  it("is not called before start has returned, not even when the data are refused", function()
    local client, told = payments.client(playing()), nil
    local call = client:start("report_payment", REFUSED, { on_done = function(_, err) told = err end })
    assert.is_true(call:done())
    assert.is_nil(told)
    assert.equal(0, client:step())
    assert.equal("amount_requested[value]", told.param)
  end)

  it("is called for a call that somebody waits for, too", function()
    local client, told = payments.client(playing {}), {}
    local function on_done(record, err) told[#told + 1] = record and record.id or err.type end
    assert(client:report_payment(PAYMENT, { on_done = on_done }))
    assert.is_nil((client:report_payment(REFUSED, { on_done = on_done })))
    local waiting = payments.client(playing {}, { sleep = function() end })
    assert(waiting:report_payment(PAYMENT, { on_done = on_done }))
    assert.same({ "pr_1", "validation_error", "pr_1" }, told)
  end)

  it("is called under a scheduler for refused data, too", function()
    local client, told = payments.client(playing(), { sleep = function() end }), nil
    client:report_payment(REFUSED, { on_done = function(_, err) told = err end })
    assert.equal("amount_requested[value]", told.param)
  end)

  it("is called for each of many calls", function()
    local client, told = payments.client(playing {}), {}
    for i = 1, 100 do
      client:start("report_payment", PAYMENT, { on_done = function(record) told[i] = record.id end })
    end
    finish(client)
    assert.equal(100, #told)
  end)

  it("is called by cancel, before it returns", function()
    local client, told = payments.client(playing()), nil
    local call = client:start("report_payment", PAYMENT, { on_done = function(_, err) told = err end })
    call:cancel()
    assert.same({ "canceled_error", "not_sent" }, { told.type, told.outcome })
  end)

  it("is called by close, for thousands of calls", function()
    local client, told = payments.client(playing()), 0
    local function on_done(_, err) told = told + (err.type == "canceled_error" and 1 or 0) end
    for _ = 1, 5000 do client:start("report_payment", PAYMENT, { on_done = on_done }) end
    client:close()
    assert.equal(5000, told)
  end)

  it("must be a function", function()
    local client = payments.client(playing())
    assert.has_error(function() client:start("report_payment", PAYMENT, { on_done = 1 }) end,
      "option on_done: expected a function, got 1")
  end)

  it("keeps neither call nor client alive", function()
    local seen = setmetatable({}, { __mode = "k" })
    do
      local client = payments.client(playing {})
      local call = client:start("report_payment", PAYMENT, { on_done = function() end })
      seen[call] = true
      finish(client)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(seen))
  end)
end)

describe("within on_done", function()
  it("a call may be started, and is told in its turn", function()
    local client, told = payments.client(playing {}), 0
    local function again()
      told = told + 1
      if told < 5 then client:start("report_payment", PAYMENT, { on_done = again }) end
    end
    client:start("report_payment", PAYMENT, { on_done = again })
    finish(client)
    assert.equal(5, told)
  end)

  it("a call that is refused counts as unfinished for step until it was told", function()
    local client, told = payments.client(playing()), 0
    local function again()
      told = told + 1
      if told < 5 then client:start("report_payment", REFUSED, { on_done = again }) end
    end
    again()
    while client:step() > 0 do end -- luacheck: ignore 542
    assert.equal(5, told)
  end)

  it("a call with refused data may be started for ever: each step comes to its end", function()
    local client, told = payments.client(playing()), 0
    local function again()
      told = told + 1
      client:start("report_payment", REFUSED, { on_done = again })
    end
    again()
    for _ = 1, 10 do client:step() end
    assert.equal(11, told)
  end)

  it("calls may be canceled, in a long chain", function()
    local client, calls, told = payments.client(playing()), {}, 0
    for i = 1, 1000 do
      calls[i] = client:start("report_payment", PAYMENT, { on_done = function()
        told = told + 1
        calls[i]:cancel()
        if calls[i + 1] then calls[i + 1]:cancel() end
      end })
    end
    calls[1]:cancel()
    finish(client)
    for _ = 1, 1000 do client:step() end
    assert.equal(1000, told)
  end)

  it("the client may be closed: the others are told that they are canceled", function()
    local client, told = payments.client(playing {}, { max_in_flight = 1 }), {}
    client:start("report_payment", PAYMENT, { on_done = function() client:close() end })
    for i = 1, 3 do
      client:start("report_payment", PAYMENT, { on_done = function(_, err) told[i] = err.type end })
    end
    repeat until not pcall(client.step, client, 0.1)
    assert.same({ "canceled_error", "canceled_error", "canceled_error" }, told)
    assert.has_error(function() client:step() end)
  end)

  it("nobody may wait", function()
    local client, raised = payments.client(playing {}), {}
    client:start("report_payment", PAYMENT, { on_done = function()
      for _, method in ipairs { "step", "report_payment" } do
        local _, message = pcall(client[method], client, method ~= "step" and PAYMENT or nil)
        raised[#raised + 1] = message:match "a callback may .*"
      end
    end })
    pcall(client.step, client, 0.1)
    finish(client)
    local message = "a callback may start and cancel calls, but not wait for them"
    assert.same({ message, message }, raised)
  end)
end)

-- What a callback may raise
local RAISED = {
  ["a string"] = "boom",
  ["a table"] = { "boom" },
  ["false"] = false,
  ["a userdata"] = io.stdout,
  ["an error that cannot be shown"] = setmetatable({}, { __tostring = function() error "no" end }),
}

describe("what a callback raises", function()
  for name, value in pairs(RAISED) do
    it("comes out of step once, and harms no other call: " .. name, function()
      local client = payments.client(playing {})
      local others = {}
      local call = client:start("report_payment", PAYMENT, { on_done = function() error(value, 0) end })
      for i = 1, 10 do others[i] = client:start("report_payment", PAYMENT) end
      local raised = errors_of_steps(client)
      assert.equal(1, #raised)
      assert.is_true(rawequal(value, raised[1]))
      assert.equal("pr_1", call:result().id)
      for _, other in ipairs(others) do assert.equal("pr_1", other:result().id) end
      assert.equal("pr_1", client:report_payment(PAYMENT).id)
    end)
  end

  it("leaves work for the next step, as long as there is more of it", function()
    local client = payments.client(playing())
    for i = 1, 3 do client:start("report_payment", REFUSED, { on_done = function() error(i, 0) end }) end
    local seen = {}
    while client:timeout() do
      assert.equal(0, client:timeout())
      seen[#seen + 1] = select(2, pcall(client.step, client))
    end
    assert.same({ 1, 2, 3 }, seen)
  end)

  it("comes out of as many steps as there were errors, in order", function()
    local client = payments.client(playing())
    for i = 1, 5 do client:start("report_payment", REFUSED, { on_done = function() error(i, 0) end }) end
    assert.same({ 1, 2, 3, 4, 5 }, errors_of_steps(client))
  end)

  it("may be nothing at all", function()
    local client = payments.client(playing())
    client:start("report_payment", REFUSED, { on_done = function() error() end })
    assert.same({ "a callback raised nil" }, errors_of_steps(client))
  end)

  it("may be an error of the interpreter's own", function()
    local client = payments.client(playing {})
    local call = client:start("report_payment", PAYMENT, { on_done = function(record) return record.no.field end })
    assert.equal(1, #errors_of_steps(client))
    assert.equal("pr_1", call:result().id)
  end)

  it("may be on_attempt's", function()
    local client = payments.client(playing { { status = 503, body = "" }, {} }, {
      max_retries = 1, on_attempt = function(event) error(event.attempt, 0) end,
    })
    local call = client:start("report_payment", PAYMENT)
    assert.same({ 1, 2 }, errors_of_steps(client))
    assert.equal("pr_1", call:result().id)
    assert.is_nil(select(3, call:result()).callback_error)
  end)

  it("is in the response where somebody waits for the call", function()
    local client = payments.client(playing {})
    local _, _, response = client:report_payment(PAYMENT, { on_done = function() error("boom", 0) end })
    assert.equal("boom", response.callback_error)
    finish(client)
  end)
end)
