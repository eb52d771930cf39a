--- Signals and descriptors (RELIABILITY L-10, L-11): the process lives, outcomes are true, all is well after.

local files = require "spec.support.files"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT
local LARGE = payments.with { padding = ("x"):rep(900000) }

teardown(servers.stop_all)
after_each(payments.close_all)

describe("a connection that is reset while 900 kB are written", function()
  for _, tls in ipairs { false, true } do
    it("does not end the process by SIGPIPE" .. (tls and ", with TLS" or ""), function()
      local server = servers.start { steps = { { when = "headers", fault = "reset" } }, tls = tls or nil }
      local types, status = processes.in_child(function()
        processes.default_sigpipe()
        local client, seen = payments.client(server, { allow_unknown_params = true }), {}
        for i = 1, 20 do
          local _, err = client:report_payment(LARGE)
          seen[i] = err.type .. " " .. err.outcome
        end
        return seen
      end)
      assert.equal(0, status)
      for _, seen in ipairs(types) do assert.equal("connection_error unknown", seen) end
    end)
  end
end)

describe("what a signal does", function()
  it("is left as it was: nothing is changed for SIGPIPE", function()
    local server = servers.start { tls = true, steps = { { delay = 0.1 } } }
    local library = processes.build("sigpipe_kept.c", "sigpipe_kept.so", "-shared -fPIC -ldl")
    local program = ([[
      local payments = require "spec.support.payments"
      local client = payments.client { url = "%s", ca_file = "%s" }
      for _ = 1, 3 do client:start("report_payment", payments.PAYMENT) end
      assert(payments.finish(client))
      client:close()]]):format(server.url, server.ca_file)
    local output, status = files.capture(("LD_PRELOAD=$LD_PRELOAD:./%s %s -e '%s' 2>&1"):format(
      library, processes.interpreter, program))
    assert.same({ "", 0 }, { output, status })
    assert.equal(3, #server:requests())
  end)
end)

describe("1,000 signals a second", function()
  local function interrupted(body)
    local before = processes.interrupt(1000)
    local ended, message = pcall(body)
    local count = processes.interrupt(0) - before
    assert(ended, message)
    assert.is_true(count > 20, count)
  end

  for _, tls in ipairs { false, true } do
    it("disturb no call" .. (tls and " with TLS" or ""), function()
      local server = servers.start { steps = { { delay = 0.01 } }, tls = tls or nil }
      local client = payments.client(server, { allow_unknown_params = true })
      local wrong = {}
      interrupted(function()
        for i = 1, 20 do
          local record, err = client:report_payment(i % 5 == 0 and LARGE or PAYMENT)
          if not record then wrong[#wrong + 1] = tostring(err) end
        end
        for _ = 1, 50 do client:start("report_payment", PAYMENT) end
        if not payments.finish(client, 20) then wrong[#wrong + 1] = "some are not done" end
      end)
      assert.same({}, wrong)
      assert.equal(70, #server:requests())
    end)
  end

  it("do not end a wait for the next attempt early", function()
    local client = payments.client(servers.start { steps = { { status = 503, headers = { ["Retry-After"] = "1" },
      body = "" }, {} } }, { max_retries = 1 })
    local elapsed, record, _, response
    interrupted(function()
      local start = processes.now()
      record, _, response = client:report_payment(PAYMENT)
      elapsed = processes.now() - start
    end)
    assert.same({ "pr_1", 2 }, { record.id, response.attempts })
    assert.is_true(elapsed >= 1, elapsed)
  end)
end)

describe("descriptors above 1024", function()
  it("serve as well as small ones", function()
    local server = servers.start { tls = true }
    local result = processes.in_child(function()
      processes.limit_descriptors(1400)
      processes.fill(1100)
      local client, failed = payments.client(server), 0
      local first = client:report_payment(PAYMENT)
      local calls = {}
      for i = 1, 100 do calls[i] = client:start("report_payment", PAYMENT) end
      payments.finish(client, 20)
      for _, call in ipairs(calls) do failed = failed + (call:result() and 0 or 1) end
      return { first.id, failed }
    end)
    assert.same({ "pr_1", 0 }, result)
  end)
end)

describe("running out of descriptors", function()
  -- Runs `body` with only so many descriptors left, and gives them back.
  local function with_left(count, body)
    local _, lowest = processes.descriptors()
    local filled = processes.fill(lowest + 64) -- so that none below is free
    for _ = 1, count do processes.close(table.remove(filled)) end
    local _, free = processes.descriptors()
    local limit = processes.limit_descriptors(free + count)
    local ended, result = pcall(body)
    processes.limit_descriptors(limit)
    for _, descriptor in ipairs(filled) do processes.close(descriptor) end
    return ended, result
  end

  for left = 0, 5 do
    it("with " .. left .. " left: not sent, or reported; and all is well after", function()
      local server = servers.start()
      local client = payments.client(server)
      local calls, called, retryable = {}, nil, nil
      local ended, message = with_left(left, function()
        local record, err = client:report_payment(PAYMENT)
        called = record and "reported" or err.outcome
        retryable = not record and err.retryable
        for i = 1, 10 do calls[i] = client:start("report_payment", PAYMENT) end
        payments.finish(client, 20)
      end)
      assert.is_true(ended, message)
      assert.equal(left == 0 and "not_sent" or "reported", called)
      assert.equal(left == 0, retryable)
      local reported = called == "reported" and 1 or 0
      for _, call in ipairs(calls) do
        local record, err = call:result()
        if record then
          reported = reported + 1
        else
          assert.same({ "connection_error", "not_sent", true }, { err.type, err.outcome, err.retryable })
        end
      end
      assert.equal(reported, #server:requests())
      assert.equal(left > 0, reported > 0)
      assert.equal("pr_1", client:report_payment(PAYMENT).id)
    end)
  end

  it("keeps a client from having a descriptor for event loops, until there is one", function()
    local server = servers.start()
    local client = payments.client(server)
    local _, message = with_left(0, function() return client:pollfd() end)
    assert.truthy(tostring(message):find("no descriptor left", 1, true), message)
    assert.equal("number", type(client:pollfd()))
    assert.equal("pr_1", client:report_payment(PAYMENT).id)
  end)

  it("while calls are tried again: they are made as soon as there are some", function()
    local server = servers.start()
    local client = payments.client(server, { max_retries = 10 })
    local call
    assert.is_true(with_left(0, function()
      call = client:start("report_payment", PAYMENT)
      for _ = 1, 10 do client:step(0.05) end
    end))
    assert.is_false(call:done())
    assert.is_true(payments.finish(client, 20))
    assert.equal("pr_1", call:result().id)
    assert.equal(1, #server:requests())
  end)

  it("after a fork: the child's calls are made as soon as there are some", function()
    local server = servers.start()
    local client = payments.client(server, { max_retries = 10 })
    local call = client:start("report_payment", PAYMENT)
    client:pollfd()
    local seen, status = processes.in_child(function()
      local limit = processes.limit_descriptors(3) -- also for the numbers that the client gives back
      for _ = 1, 5 do client:step(0.05) end
      local pollable = pcall(client.pollfd, client)
      processes.limit_descriptors(limit)
      payments.finish(client, 20)
      return { pollable, (call:result() or {}).id or "none", type(client:pollfd()) }
    end)
    assert.same({ { false, "pr_1", "number" }, 0 }, { seen, status })
    assert.equal("pr_1", client:report_payment(PAYMENT).id)
  end)

  for left = 0, 5 do
    it("with " .. left .. " left: a new client is refused, or one that works is made", function()
      local server = servers.start()
      local before = processes.descriptors()
      local ended, made = with_left(left, function() return payments.client(server) end)
      if ended then
        assert.equal("pr_1", made:report_payment(PAYMENT).id)
      else
        assert.truthy(tostring(made):find("not enough memory or descriptors", 1, true), made)
        assert.equal(before, (processes.descriptors()))
      end
      if left == 0 or left >= 4 then assert.equal(left > 0, ended) end
    end)
  end
end)
