--- Callbacks at the limits of the interpreter (RELIABILITY L-04, L-05); callbacks_spec.lua has what they do otherwise.

local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT
local REFUSED = { amount_requested = { currency = "usd", value = -1 } }
local JIT = rawget(_G, "jit") ~= nil

local errors_of_steps = payments.errors_of_steps
local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

local function overflow() return 1 + overflow() end

local limits = {
  ["the memory"] = { function()
    processes.limit_memory(64 * 2 ^ 20)
    local ended, message = pcall(string.rep, "x", 2 ^ 30)
    processes.limit_memory()
    error(ended or message, 0)
  end, "not enough memory" },
  ["the stack"] = { overflow, "overflow" },
  ["the C stack"] = not JIT and { function() -- where LuaJIT itself crashes
    local function deeper() return (("x"):gsub("x", deeper)) end
    deeper()
  end, "overflow" } or nil,
  ["the callback, by a yield,"] = { function() coroutine.yield() end, "yield" },
}

for _, callback in ipairs { "on_attempt", "on_done" } do
  describe(callback, function()
    for name, case in pairs(limits) do
      it("that leaves " .. name .. " harms no call, and step says so once", function()
        local options = { [callback] = case[1] }
        local client = payments.client(playing {}, callback == "on_attempt" and options or nil)
        local calls, raised = {}, nil
        local thread = coroutine.create(function()
          for i = 1, 3 do
            calls[i] = client:start("report_payment", PAYMENT, callback == "on_done" and options or nil)
          end
          raised = errors_of_steps(client)
        end)
        assert(coroutine.resume(thread))
        assert.equal("dead", coroutine.status(thread))
        assert.equal(3, #raised)
        for i, call in ipairs(calls) do
          assert.truthy(raised[i]:find(case[2], 1, true), raised[i])
          assert.equal("pr_1", call:result().id)
        end
      end)
    end
  end)
end

describe("on_done", function()
  -- Calls `use` below so many calls of C.
  local function deep_down(depth, use)
    if depth == 0 then return use() end
    string.gsub("x", "x", function() deep_down(depth - 1, use) end)
  end

  it("is called once, also when a step has run out of C stack", function()
    local client = payments.client(playing())
    for depth = 150, 230 do
      local told, refused = 0, 0
      client:start("report_payment", REFUSED, { on_done = function() refused = refused + 1 end })
      local call = client:start("report_payment", PAYMENT, { on_done = function() told = told + 1 end })
      call:cancel()
      pcall(deep_down, depth, function() client:step() end)
      errors_of_steps(client)
      assert.same({ 1, 1, depth }, { told, refused, depth })
    end
  end)

  it("is called, or has failed, also when the step that would call it has run out of C stack", function()
    local client = payments.client(playing())
    for depth = 150, 230 do
      local told = 0
      client:start("report_payment", REFUSED, { on_done = function() told = told + 1 end })
      local stepped = pcall(deep_down, depth, function() client:step() end)
      assert.same({}, errors_of_steps(client))
      assert.is_true(told == 1 or told == 0 and not stepped, depth)
    end
  end)

  it("is called once, also when cancel has run out of C stack", function()
    local client = payments.client(playing())
    for depth = 150, 230 do
      local told = 0
      local call = client:start("report_payment", PAYMENT, { on_done = function() told = told + 1 end })
      local canceled = pcall(deep_down, depth, function() call:cancel() end)
      if not call:done() then call:cancel() end
      told = told + #errors_of_steps(client) -- when there was no stack left for on_done itself
      assert.same({ 1, depth }, { told, depth }, tostring(canceled))
    end
  end)

  it("that raises within close does not keep the others from being told, nor the sockets open", function()
    local before = processes.descriptors()
    local client, told = payments.client(playing { { fault = "stall" } }), 0
    for _ = 1, 10 do
      client:start("report_payment", PAYMENT, { on_done = function()
        told = told + 1
        error "boom"
      end })
    end
    client:step(0.05)
    pcall(client.close, client)
    assert.equal(10, told)
    assert.equal(before, (processes.descriptors()))
  end)

  it("and the C stack at its end: close releases everything in the end", function()
    collectgarbage() -- what other cases have left
    collectgarbage()
    for depth = 150, 230 do
      local before = processes.descriptors()
      local client, told = payments.client(playing()), 0
      local call = client:start("report_payment", PAYMENT, { on_done = function() told = told + 1 end })
      pcall(deep_down, depth, function() client:close() end)
      client:close()
      assert.same({ true, depth }, { call:done(), depth })
      assert.is_true(told <= 1, told) -- not at all when there was no stack left for it
      assert.equal(before, (processes.descriptors()))
    end
  end)

  it("may collect all garbage, and drop what it is called for", function()
    local client = payments.client(playing {})
    local calls, told = {}, 0 -- luacheck: ignore
    for i = 1, 20 do
      calls[i] = client:start("report_payment", PAYMENT, { on_done = function(record)
        calls[i] = nil
        collectgarbage()
        collectgarbage()
        told = told + (record.id == "pr_1" and 1 or 0)
      end })
    end
    assert.same({}, errors_of_steps(client))
    assert.equal(20, told)
  end)
end)
