--- Cooperative use: `sleep` yields to a scheduler, and coroutines share a client.

local payments = require "spec.support.payments"
local sandbox = require "payment_records.sandbox"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT

local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

describe("coroutines", function()
  -- Runs functions as coroutines, each in turn, until all have ended. What one raises ends the test.
  local function run(functions)
    local threads = {}
    for i, body in ipairs(functions) do threads[i] = coroutine.create(body) end
    while #threads > 0 do
      for i = #threads, 1, -1 do
        local alive, message = coroutine.resume(threads[i])
        if not alive then error(message, 0) end
        if coroutine.status(threads[i]) == "dead" then table.remove(threads, i) end
      end
    end
  end

  local function ten(body)
    local functions = {}
    for i = 1, 10 do functions[i] = function() body(i) end end
    return functions
  end

  it("share a client, and wait together", function()
    local server = playing { { delay = 0.5 } }
    local client = payments.client(server, { sleep = function() coroutine.yield() end })
    local ids, slowest = {}, 0
    run(ten(function(i)
      local record, err, response = client:report_payment(PAYMENT)
      ids[i] = record and record.id or tostring(err)
      slowest = math.max(slowest, response.elapsed)
    end))
    assert.same({ "pr_1", "pr_1", "pr_1", "pr_1", "pr_1", "pr_1", "pr_1", "pr_1", "pr_1", "pr_1" }, ids)
    assert.same({ 10, 10 }, { #server:requests(), #server:connections() }) -- none waited for another's
    assert.is_true(slowest < 4, slowest)
  end)

  it("get seconds to sleep that are few", function()
    local longest = 0
    local client = payments.client(playing { { delay = 0.05 } }, { sleep = function(seconds)
      longest = math.max(longest, seconds)
      coroutine.yield()
    end })
    run { function() assert(client:report_payment(PAYMENT)) end }
    assert.is_true(longest > 0 and longest <= 1, longest)
  end)

  it("retry without keeping the others waiting", function()
    local server = playing { { status = 503, body = "" }, {} }
    local client = payments.client(server, { max_retries = 1, sleep = function() coroutine.yield() end })
    local order = {}
    local function report(name)
      return function()
        if name == "second" then -- lets the other one's request go first
          while #server:requests() == 0 do coroutine.yield() end
        end
        assert(client:report_payment(PAYMENT))
        order[#order + 1] = name
      end
    end
    run { report "second", report "first" }
    assert.same({ "second", "first" }, order)
  end)

  it("may be left where they wait: the others go on", function()
    local client = payments.client(playing { { delay = 0.05 } }, { sleep = function() coroutine.yield() end })
    local left = coroutine.create(function() client:report_payment(PAYMENT) end)
    assert(coroutine.resume(left))
    assert.equal("suspended", coroutine.status(left))
    left = nil -- luacheck: ignore
    collectgarbage()
    run { function() assert.equal("pr_1", client:report_payment(PAYMENT).id) end }
  end)

  it("may be what a transport yields from", function()
    local carry, inside, most = sandbox.new():transport(), 0, 0
    local client = payments.client(playing(), {
      sleep = function() coroutine.yield() end,
      transport = function(request)
        inside = inside + 1
        most = math.max(most, inside)
        for _ = 1, 3 do coroutine.yield() end
        inside = inside - 1
        return carry(request)
      end,
    })
    local ids = {}
    run(ten(function(i) ids[i] = client:report_payment(PAYMENT).id end))
    assert.same({ 10, 10, 0 }, { #ids, most, inside })
  end)
end)
