--- Coroutines that are dropped, closed or resumed by others while they wait (RELIABILITY L-06, L-07).

local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT
local PLAIN_51 = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

local function yielding(server, options)
  local settings = { sleep = function() coroutine.yield() end }
  for name, value in pairs(options or {}) do settings[name] = value end
  return payments.client(server, settings)
end

local function collect()
  collectgarbage()
  collectgarbage()
end

-- A coroutine that reports a payment and keeps what came of it.
local function reporter(client, results, i)
  return coroutine.create(function() results[i] = { client:report_payment(PAYMENT) } end)
end

-- Resumes a coroutine until it has ended, for a few seconds at most.
local function finish(thread)
  local last = processes.now() + 10
  while coroutine.status(thread) ~= "dead" and processes.now() <= last do
    assert(coroutine.resume(thread))
  end
end

local function start_all(threads)
  for _, thread in ipairs(threads) do assert(coroutine.resume(thread)) end
end

local ways = {
  ["left and collected"] = function(threads, i) threads[i] = false end,
  ["closed"] = coroutine.close and function(threads, i) -- luacheck: ignore
    assert.is_true(coroutine.close(threads[i])) -- luacheck: ignore
    threads[i] = false
  end,
}

for name, way in pairs(ways) do
  describe("coroutines that are " .. name .. " while they wait", function()
    it("take nothing from the others, and their payments are reported once", function()
      local server = servers.start { steps = { { delay = 0.2 } } }
      local client, results, threads = yielding(server), {}, {}
      for i = 1, 20 do threads[i] = reporter(client, results, i) end
      start_all(threads)
      for i = 1, 20, 2 do way(threads, i) end
      collect()
      for i = 2, 20, 2 do finish(threads[i]) end
      while client:step(0.1) > 0 do end
      for i = 2, 20, 2 do assert.equal("pr_1", results[i][1].id) end
      assert.equal(20, #server:requests())
    end)

    it("are collected, and so are their calls", function()
      -- The delay puts as many calls in flight in each round, for which a client keeps what they needed.
      local client, weak = yielding(playing { { delay = 0.05 } }), setmetatable({}, { __mode = "k" })
      local function leave_many(count)
        local threads = {}
        for i = 1, count do
          threads[i] = reporter(client, {}, i)
          weak[threads[i]] = true
        end
        start_all(threads)
        for i = 1, count do way(threads, i) end
      end
      local function settle()
        while client:step(0.1) > 0 do end
        collect()
        return collectgarbage "count" * 1024 + processes.heap()
      end
      for _ = 1, 3 do
        leave_many(100)
        settle()
      end
      local before = settle()
      for _ = 1, 5 do
        leave_many(100)
        settle()
      end
      assert.is_nil(next(weak))
      local growth = settle() - before
      assert.is_true(growth < 500 * 1000, growth) -- a call that is kept takes more
    end)

    it("may be all that there were: their client is collected with them", function()
      local before = processes.descriptors()
      local client = yielding(playing { { fault = "stall" } })
      payments.forget_all()
      local threads = { reporter(client, {}, 1), reporter(client, {}, 2) }
      start_all(threads)
      for i = 1, 2 do way(threads, i) end
      client = nil -- luacheck: ignore
      collect()
      assert.equal(before, (processes.descriptors()))
    end)
  end)
end

describe("a coroutine that waits", function()
  it("may be resumed by another one that waits, and more often than its sleep asked for", function()
    local server = servers.start { steps = { { delay = 0.2 } } }
    local client, results = yielding(server), {}
    local inner = reporter(client, results, 1)
    local outer = coroutine.create(function()
      while coroutine.status(inner) ~= "dead" do
        assert(coroutine.resume(inner))
        assert(coroutine.status(inner) == "dead" or coroutine.resume(inner))
        coroutine.yield()
      end
      results[2] = { client:report_payment(PAYMENT) }
    end)
    finish(outer)
    assert.same({ "pr_1", "pr_1", 2 }, { results[1][1].id, results[2][1].id, #server:requests() })
  end)

  it("may make its next call while the first resumption of another is under way", function()
    local threads, results = {}, {}
    local client = payments.client(playing { { delay = 0.05 } }, { sleep = function()
      local other = threads[coroutine.running() == threads[1] and 2 or 1]
      if other and coroutine.status(other) == "suspended" then assert(coroutine.resume(other)) end
      coroutine.yield()
    end })
    threads[1], threads[2] = reporter(client, results, 1), reporter(client, results, 2)
    finish(threads[1])
    finish(threads[2])
    assert.same({ "pr_1", "pr_1" }, { results[1][1].id, results[2][1].id })
  end)

  it("and is resumed from within on_attempt, gets its result all the same", function()
    local server = servers.start { steps = { { delay = 0.5 }, {} } }
    local results, waiting, resumed = {}, nil, nil
    local client = yielding(server, { on_attempt = function()
      resumed = resumed or { coroutine.resume(waiting) }
    end })
    waiting = reporter(client, results, 1)
    assert(coroutine.resume(waiting))
    while #server:requests() == 0 do client:step(0.01) end
    local other = client:start("report_payment", PAYMENT)
    while not other:done() do client:step(0.1) end
    assert.is_true(resumed[1], tostring(resumed[2]))
    finish(waiting)
    assert.equal("pr_1", results[1][1].id)
  end)

  it("and has its result before its on_done is called, leaves to step what that raises", function()
    local client, waiting, result = yielding(playing { { fault = "stall" } }), nil, nil
    local told = client:start("report_payment", PAYMENT, { on_done = function() assert(coroutine.resume(waiting)) end })
    waiting = coroutine.create(function()
      result = { client:report_payment(PAYMENT, { on_done = function() error "late" end }) }
    end)
    assert(coroutine.resume(waiting))
    client:close()
    assert.is_true(told:done())
    assert.same({ "dead", "canceled_error" }, { coroutine.status(waiting), result[2].type })
    assert.is_nil(result[3].callback_error)
    local stepped, raised = pcall(client.step, client)
    assert.is_false(stepped)
    assert.matches("late$", raised)
  end)
end)

-- Where nothing may yield the sleep raises.
local places = {
  ["the comparison of a sort"] = function(use) table.sort({ 1, 2 }, function() use() return false end) end,
  ["the replacement of gsub"] = function(use) string.gsub("x", "x", function() use() end) end,
  ["the chunk of a loader"] = function(use) load(function() use() end) end,
}
-- Where only later Luas let yield.
local later = {
  ["a metamethod"] = function(use) return setmetatable({}, { __index = use }).field end,
  ["an iterator"] = function(use) for _ in use do break end end, -- luacheck: ignore
  ["a protected call"] = function(use) assert(pcall(use)) end,
}

describe("a call where nothing may yield", function()
  local function call_within(place)
    local server = servers.start { steps = { { delay = 0.1 } } }
    local client = yielding(server)
    local record, err, raised
    local thread = coroutine.create(function()
      local _, message = pcall(place, function()
        local ended, message = pcall(function() record, err = client:report_payment(PAYMENT) end)
        raised = not ended and message or nil
      end)
      raised = raised or (not record and not err and message or nil)
    end)
    finish(thread)
    while client:step(0.1) > 0 do end
    return record, err, raised, server
  end

  for name, place in pairs(places) do
    it("such as " .. name .. ", ends with an error and a true outcome", function()
      local record, err, raised, server = call_within(place)
      assert.is_nil(record)
      if PLAIN_51 then -- it cannot yield out of a pcall: what the sleep raises goes to the caller
        assert.truthy(tostring(raised):find "yield")
        return
      end
      assert.is_nil(raised)
      assert.equal("canceled_error", err.type)
      assert.truthy(err.message:find("yield", 1, true), err.message)
      assert.is_true(err.outcome == "unknown" or #server:requests() == 0, err.outcome)
    end)
  end

  for name, place in pairs(later) do
    it("or may on some Luas, such as " .. name .. ", ends with its record or an error", function()
      local record, err, raised = call_within(place)
      if record then
        assert.equal("pr_1", record.id)
      elseif err then
        assert.same({ "canceled_error", "unknown" }, { err.type, err.outcome })
      else
        assert.is_true(PLAIN_51)
        assert.truthy(tostring(raised):find "yield")
      end
    end)
  end

  it("leaves the client as it was", function()
    call_within(places["the replacement of gsub"])
    local client, results = yielding(playing {}), {}
    finish(reporter(client, results, 1))
    assert.equal("pr_1", results[1][1].id)
  end)
end)
