--- Fork (RELIABILITY L-09): what was made before it serves both processes, and neither disturbs the other.

local files = require "spec.support.files"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT

teardown(servers.stop_all)
after_each(payments.close_all)

-- How many requests each connection carried.
local function requests_by_connection(server)
  local counts = {}
  for _, connection in ipairs(server:connections()) do counts[connection.connection] = 0 end
  for _, request in ipairs(server:requests()) do counts[request.connection] = counts[request.connection] + 1 end
  return counts
end

-- Reports a payment; returns the record's id and its key, or why not.
local function report(client)
  local record, err, response = client:report_payment(PAYMENT)
  return { record and record.id or tostring(err), response.idempotency_key, response.attempts }
end

-- Starts calls and steps until the server has read all of them.
local function in_flight(client, server, count)
  local calls = {}
  for i = 1, count do calls[i] = client:start("report_payment", PAYMENT) end
  assert.is_true(payments.step_until(client, function() return #server:requests() == count end))
  return calls
end

for _, tls in ipairs { false, true } do
  describe(tls and "a fork with TLS" or "a fork", function()
    local server, client, calls

    local function begin(steps, options)
      server = servers.start { steps = steps, tls = tls or nil }
      client = payments.client(server, options)
    end

    it("before the first call: each process has a connection of its own", function()
      begin()
      local child = processes.in_child(function() return report(client) end)
      local parent = report(client)
      assert.same({ "pr_1", "pr_1" }, { child[1], parent[1] })
      assert.are_not.equal(child[2], parent[2])
      assert.same({ 1, 1 }, requests_by_connection(server))
    end)

    local uses = {
      ["makes calls"] = function() return report(client) end,
      ["closes the client"] = function() client:close() end,
      ["steps, and collects the client"] = function()
        client:step(0.1)
        payments.forget_all()
        client, calls = nil, nil
        collectgarbage()
        collectgarbage()
      end,
      ["does nothing"] = function() end,
    }

    for name, use in pairs(uses) do
      it("between calls, and a child that " .. name .. ": the parent's connection goes on", function()
        begin()
        assert.equal("pr_1", report(client)[1])
        local of_child = processes.in_child(use)
        assert.same({ "pr_1", 1 }, { report(client)[1], report(client)[3] })
        if type(of_child) == "table" then
          assert.equal("pr_1", of_child[1])
          assert.same({ 3, 1 }, requests_by_connection(server))
        else
          assert.same({ 3 }, requests_by_connection(server))
        end
      end)

      it("with calls in flight, and a child that " .. name .. ": each payment is reported once", function()
        begin { { delay = 0.3 } }
        calls = in_flight(client, server, 10)
        local of_child = processes.in_child(use)
        assert.is_true(payments.finish(client))
        for _, call in ipairs(calls) do assert.equal("pr_1", call:result().id) end
        assert.equal(10 + (type(of_child) == "table" and 1 or 0), #server:requests())
      end)
    end

    it("with calls in flight: in the child they end as canceled, with a true outcome", function()
      begin { { delay = 0.3 } }
      local call = in_flight(client, server, 1)[1]
      local child = processes.in_child(function()
        client:step()
        local _, err = call:result()
        return { err.type, err.outcome, err.attempts, err.message, report(client)[1] }
      end)
      assert.same({ "canceled_error", "unknown", 1, "the process was forked while the call was in flight", "pr_1" },
        child)
    end)
  end)
end

describe("a fork", function()
  it("within a callback: the child has connections of its own from there on", function()
    local server = servers.start()
    local client = payments.client(server, { max_in_flight = 2 })
    assert.equal("pr_1", report(client)[1])
    local child, results = nil, {}
    client:start("report_payment", {}, { on_done = function() child = processes.fork() end }) -- it is refused
    for i = 1, 2 do
      client:start("report_payment", PAYMENT, { on_done = function(record, err)
        results[i] = record and record.id or tostring(err)
      end })
    end
    local stepped = pcall(payments.finish, client)
    if child == 0 then processes.exit(stepped and results[1] == "pr_1" and results[2] == "pr_1" and 0 or 1) end
    assert.equal(0, processes.wait(child))
    assert.same({ "pr_1", "pr_1" }, results)
    for _, request in ipairs(server:requests()) do assert.is_true(request.complete) end
    assert.equal(5, #server:requests()) -- those of the child are the same payments, under the same keys
  end)

  it("twice, to be a daemon: the grandchild goes on", function()
    local server = servers.start()
    local client = payments.client(server)
    assert.equal("pr_1", report(client)[1])
    local grandchild = processes.in_child(function()
      return processes.in_child(function() return { report(client), report(client) } end)
    end)
    assert.same({ "pr_1", "pr_1" }, { grandchild[1][1], grandchild[2][1] })
    assert.equal("pr_1", report(client)[1])
    assert.same({ 2, 2 }, requests_by_connection(server))
  end)

  it("never gives two processes the same idempotency key", function()
    local client = payments.client { url = "https://api.stripe.com" }
    local directory = files.temporary_directory()
    local children, keys, count = {}, {}, 0
    for i = 1, 200 do
      children[i] = processes.fork()
      local file = io.open(directory .. "/keys", "a")
      for _ = 1, 3 do file:write(client:prepare("report_payment", PAYMENT).headers["Idempotency-Key"], "\n") end
      file:close()
      if children[i] == 0 then processes.exit(0) end
    end
    for _, pid in ipairs(children) do assert.equal(0, processes.wait(pid)) end
    for key in io.lines(directory .. "/keys") do
      assert.is_nil(keys[key])
      keys[key], count = true, count + 1
    end
    files.remove(directory)
    assert.equal(200 * 2 * 3, count)
  end)

  it("leaves the parent nothing that wakes it for no reason", function()
    local server = servers.start { steps = { { delay = 0.3 }, { fault = "stall" } } }
    local client = payments.client(server)
    local call = in_flight(client, server, 1)[1]
    local wait = processes.start(function() files.shell "sleep 2" end) -- it holds the parent's sockets open
    call:cancel()
    client:start("report_payment", PAYMENT)
    local last = processes.now() + 0.8 -- by then the answer to the first one has come
    while processes.now() < last do client:step(0.1) end
    local steps = 0
    last = processes.now() + 0.5
    while processes.now() < last do
      client:step(0.1)
      steps = steps + 1
    end
    wait()
    assert.is_true(steps < 50, steps)
  end)

  it("with a transport of the program's: what the parent may be sending is unknown in the child", function()
    local client = payments.client({ url = "https://api.stripe.com" }, { transport = function() end })
    local calls = { client:start("report_payment", PAYMENT), client:start("report_payment", PAYMENT) }
    assert(client.core:take(calls[1])) -- it is in the hands of the transport
    local outcomes = processes.in_child(function()
      local results = {}
      for i, call in ipairs(calls) do
        results[2 * i - 1] = select(2, call:result()).outcome
        call:cancel()
        results[2 * i] = select(2, call:result()).outcome
      end
      return results
    end)
    assert.same({ "unknown", "unknown", "unknown", "unknown" }, outcomes)
    calls[2]:cancel()
    assert.equal("unknown", select(2, calls[2]:result()).outcome) -- the child may have sent it
    local later = client:start("report_payment", PAYMENT)
    later:cancel()
    assert.equal("not_sent", select(2, later:result()).outcome)
  end)

  -- An event loop in the child that watched the parent's would lose sight of the client with the next call.
  it("gives the child a descriptor of its own, asked for first thing there", function()
    local client = payments.client(servers.start { steps = { { delay = 0.3 } } })
    local function watched()
      local _, count = files.read("/proc/self/fdinfo/" .. client:pollfd()):gsub("tfd:", "")
      return count
    end
    local own = watched()
    client:start("report_payment", PAYMENT)
    assert.is_true(payments.step_until(client, function() return watched() > own end)) -- a connection
    local with_connection = watched()
    assert.equal(own, processes.in_child(watched))
    assert.equal(with_connection, watched())
  end)

  -- The parent still sends it.
  it("while a call connects: the child that cancels it does not say that it was not sent", function()
    local client = payments.client(servers.start { tls = "stall" })
    local call = client:start("report_payment", PAYMENT)
    for _ = 1, 3 do client:step(0.05) end
    local outcomes = processes.in_child(function()
      call:cancel()
      return select(2, call:result()).outcome
    end)
    assert.equal("unknown", outcomes)
  end)

  it("while calls wait for their turn: the parent does not call them not sent, for the child may", function()
    local server = servers.start()
    local client = payments.client(server)
    local canceled = client:start("report_payment", PAYMENT)
    local late = client:start("report_payment", PAYMENT, { deadline = 0.3 })
    processes.in_child(function() payments.finish(client) end)
    assert.equal(2, #server:requests())
    canceled:cancel()
    processes.pause(0.4)
    assert.is_true(payments.finish(client))
    for _, call in ipairs { canceled, late } do
      assert.equal("unknown", select(2, call:result()).outcome)
    end
    assert.equal("pr_1", report(client)[1])
  end)

  it("that a program is started by leaves calls as they are", function()
    local client = payments.client(servers.start())
    local call = client:start("report_payment", PAYMENT)
    os.execute "true"
    io.popen("true"):close()
    call:cancel()
    assert.equal("not_sent", select(2, call:result()).outcome)
  end)

  for says, environment in pairs { ["says so"] = "", ["says otherwise"] = "MADVISE_LIES=1 " } do
    it("is noticed where the system wipes no memory, and " .. says, function()
      local server = servers.start()
      local library = processes.build("old_madvise.c", "old_madvise.so", "-shared -fPIC")
      local program = ([[
        local payments, processes = require "spec.support.payments", require "spec.support.processes"
        local client = payments.client { url = "%s" }
        local function report() return assert(client:report_payment(payments.PAYMENT)).id end
        print(report(), processes.in_child(report), report())]]):format(server.url)
      local output = files.capture(("%sLD_PRELOAD=$LD_PRELOAD:./%s %s -e '%s' 2>&1"):format(environment, library,
        processes.interpreter, program))
      assert.equal("pr_1\tpr_1\tpr_1\n", output)
      assert.same({ 2, 1 }, requests_by_connection(server))
    end)
  end

  for left = 0, 4 do
    it("into a child with " .. left .. " descriptors left: it works as soon as there are more", function()
      local server = servers.start()
      local client = payments.client(server, { timeout = 3 })
      assert.equal("pr_1", report(client)[1])
      local child = processes.in_child(function()
        local _, lowest = processes.descriptors()
        local filled = processes.fill(lowest + 64)
        for _ = 1, left do processes.close(table.remove(filled)) end
        local limit = processes.limit_descriptors(filled[#filled] + 1 + left)
        local first = report(client)
        processes.limit_descriptors(limit)
        for _, descriptor in ipairs(filled) do processes.close(descriptor) end
        return { first[1], report(client)[1] }
      end)
      assert.truthy(child[1] == "pr_1" or child[1]:find("not_sent", 1, true), child[1])
      assert.equal("pr_1", child[2])
    end)
  end
end)
