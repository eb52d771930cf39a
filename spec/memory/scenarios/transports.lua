--- Scenarios of calls that a transport of the user's carries, or the sandbox.

local actions = require "spec.memory.actions"

local PAYMENT = actions.PAYMENT

--- A transport that counts what it is asked to send; the result must agree.
local function carried(name, transport, run)
  actions.scenario(name, {
    setup = function()
      local state
      state = actions.state_with({ "200-a" }, { timeout = 0.3, transport = function(request)
        state.sent = state.sent + 1
        return transport(state, request)
      end })
      state.sent = 0
      return state
    end,
    run = run or function(state)
      state.made = true
      local record, err = state.client:report_payment(PAYMENT, state.options["200-a"])
      state.made = false
      state.outcome = err and err.outcome
      assert(record or state.sent == 0 or state.outcome ~= "not_sent")
    end,
    after = function(state)
      local sent = state.sent
      actions.come_to_rest(state.client)
      assert(not state.made or state.sent == sent, "sent after it had raised")
      assert(actions.anchored(state.client) == 0)
      state.client:close()
    end,
  })
end

local RECORD = '{"id":"pr_1","object":"payment_record","amount":{"value":1}}'
carried("transport", function() return { status = 200, headers = { ["Request-Id"] = "req_1" }, body = RECORD } end)
carried("transport, headers in lists", function()
  return { status = 402, headers = { ["Request-Id"] = { "req_1", "req_2" } }, body = "{}" }
end)
carried("transport that fails, then a record", function(state)
  if state.sent < 2 then return nil, "lost" end
  return { status = 200, body = RECORD }
end)
carried("transport that raises", function() error "boom" end)
carried("transport, started", function() return { status = 200, body = RECORD } end, function(state)
  state.client:start("report_payment", PAYMENT, state.options["200-a"])
  actions.step_all(state)
end)

local function in_sandbox(name, fault, settings)
  actions.scenario("sandbox: " .. name, {
    setup = function()
      local box = require("payment_records.sandbox").new { now = function() return 1730253453 end }
      local options = { transport = box:transport() }
      for option, value in pairs(settings or {}) do options[option] = value end
      local state = actions.state_with({ "200-a" }, options)
      state.box = box
      if fault then box:fail_next(fault) end
      return state
    end,
    run = function(state)
      local record, err = state.client:report_payment(PAYMENT, state.options["200-a"])
      state.record, state.outcome = record, err and err.outcome
    end,
    after = function(state)
      local count = #state.box:records()
      actions.come_to_rest(state.client)
      assert(#state.box:records() == count, "executed after it had raised")
      assert(count == 1 or not state.record)
      assert(count == 0 or state.outcome ~= "not_sent")
      state.client:close()
    end,
  })
end
in_sandbox("a record")
in_sandbox("an answer is lost", "lost_answer")
in_sandbox("a request is lost", "lost_request")
