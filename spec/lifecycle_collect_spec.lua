--- The collector and the end of the state (RELIABILITY L-02, L-03), and a memory that does not grow (L-12).

local files = require "spec.support.files"
local payment_records = require "payment_records"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT

teardown(servers.stop_all)
after_each(payments.close_all)

local function collect()
  collectgarbage()
  collectgarbage()
end

for _, tls in ipairs { false, true } do
  describe(tls and "a client with TLS that is collected" or "a client that is collected", function()
    it("closes the connections of its 50 calls, those alone, at once, and says nothing more", function()
      local server, directory = servers.start { tls = tls or nil }, files.temporary_directory()
      local other = payments.client(server)
      assert(other:report_payment(PAYMENT))
      server:play { { hold = directory .. "/answer" } }
      collect()
      local before, events = processes.descriptors(), 0
      local weak = setmetatable({}, { __mode = "k" })
      do
        local client = payment_records.new {
          api_key = payments.KEY, api_base = server.url, ca_file = tls and server.ca_file or nil, max_retries = 0,
          on_attempt = function() events = events + 1 end,
        }
        local options = { on_done = function() events = events + 1 end }
        for _ = 1, 50 do weak[client:start("report_payment", PAYMENT, options)] = true end
        assert.is_true(payments.step_until(client, function() return #server:requests() == 50 end, 120))
        assert.is_true(processes.descriptors() > before + 50)
        weak[client] = true
      end
      local start = processes.now()
      collect()
      assert.is_true(processes.now() - start < 0.5)
      assert.equal(before, (processes.descriptors()))
      assert.is_nil(next(weak))
      files.write(directory .. "/answer", "")
      assert.equal("pr_1", other:report_payment(PAYMENT).id) -- the answers come meanwhile
      files.remove(directory)
      assert.equal(0, events)
      assert.equal(1, server:requests()[51].connection)
    end)
  end)
end

-- A resolver that takes half a second; libcurl asks it in a thread.
describe("a name that is slow to resolve", function()
  local slow = {
    close = "client:close()",
    cancel = "call:cancel()",
    ["collect"] = "client, call = nil, nil collectgarbage() collectgarbage()",
    ["step past its timeout"] = "repeat local t = now() client:step(0.02) longest = math.max(longest, now() - t) "
      .. "until call:done()",
  }
  for name, code in pairs(slow) do
    it("keeps nobody waiting who would " .. name, function()
      local program = ([[
        local now = require("spec.support.processes").now
        local client = require("payment_records").new { api_key = "sk_test_123", timeout = 0.1, max_retries = 0 }
        local call = client:start "list_payment_records"
        client:step(0)
        client:step(0.01)
        local start, longest = now(), 0
        %s
        io.write(longest > 0 and longest or now() - start)]]):format(code)
      local library = processes.build("slow_resolver.c", "slow_resolver.so", "-shared -fPIC -ldl")
      local output, status = files.capture(("RESOLVER_SECONDS=2 LD_PRELOAD=$LD_PRELOAD:./%s %s -e '%s' 2>&1"):format(
        library, processes.interpreter, program))
      assert.equal(0, status, output)
      assert.is_true(tonumber(output) < 1, output)
    end)
  end
end)

describe("a state that is closed with 50 calls in flight", function()
  for seed = 1, 3 do
    it("ends in peace, in whatever order things were made: " .. seed, function()
      local server = servers.start { steps = { { fault = "stall" } } }
      local output, status = files.capture(("%s spec/support/closing.lua %s %d %d 2>&1"):format(
        processes.interpreter, server.url, seed, 40))
      assert.equal("", output)
      assert.equal(0, status)
      server:stop()
    end)
  end
end)

describe("5,000 calls that wait for their turn", function()
  it("are all made, and cost little memory each", function()
    local server = servers.nginx(false)
    local client = payments.client(server)
    assert(client:report_payment(PAYMENT))
    local keys, calls, distinct = {}, {}, 0
    for i = 1, 5000 do calls[i] = false end
    collect()
    local lua_before, all_before = collectgarbage "count" * 1024, processes.heap()
    for i = 1, 5000 do calls[i] = client:start("report_payment", PAYMENT) end
    collect()
    -- Lua's own memory is among that of malloc, but for LuaJIT.
    local taken = collectgarbage "count" * 1024 - lua_before + processes.heap() - all_before
    assert.is_true(taken / 5000 < 8192, taken / 5000)
    assert.is_true(payments.finish(client, 120))
    for _, call in ipairs(calls) do
      local record, err, response = call:result()
      assert.equal("pr_1", record and record.id or tostring(err))
      if not keys[response.idempotency_key] then distinct = distinct + 1 end
      keys[response.idempotency_key] = true
    end
    assert.equal(5000, distinct)
  end)
end)

describe("a burst of answers with long header lines that are cut", function()
  it("leaves no memory taken by them", function()
    local server = servers.start { steps = { { delay = 0.2 } } }
    local client = payments.client(server, { max_in_flight = 100, max_retries = 0 })
    local function burst(step)
      server:play { step }
      for _ = 1, 100 do client:start("report_payment", PAYMENT) end
      assert.is_true(payments.finish(client, 60))
      collect()
      return processes.heap()
    end
    local before = burst { delay = 0.2 }
    burst { delay = 0.2, header_bytes = 90000, cut = "body", after = "close" }
    local kept = burst { delay = 0.2 } - before
    assert.is_true(kept < 100 * 32768, kept)
  end)
end)

-- To a collector that knows of memory alone there would be nothing to do: the heap is large, and a client is small.
describe("clients that are made, used once and dropped", function()
  it("do not use up the descriptors", function()
    local server = servers.start()
    local reported = processes.in_child(function()
      local heap, ids = {}, 0
      for i = 1, 200000 do heap[i] = { i } end
      local _, lowest = processes.descriptors()
      local limit = processes.limit_descriptors(lowest + 200)
      for _ = 1, 150 do
        local client = payment_records.new { api_key = payments.KEY, api_base = server.url, max_retries = 0 }
        local record = client:report_payment(PAYMENT)
        ids = ids + (record and 1 or 0)
      end
      processes.limit_descriptors(limit)
      return { ids, #heap }
    end)
    assert.same({ 150, 200000 }, reported)
  end)
end)
