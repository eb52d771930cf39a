--- Cooperative use under real schedulers: a client whose `sleep` is theirs serves many coroutines.

local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT
local TICK = 0.005
local RATE_LIMITED = '{"error":{"type":"invalid_request_error","message":"Slow down"}}'

-- Plain Lua 5.1 cannot yield out of a protected call: what a sleep raises goes to the caller there.
local PLAIN_5_1 = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

-- A scheduler starts a function as a coroutine, and tells `ended` when it has returned (nil) or what it raised; `step`
-- runs what can run, and waits a moment for more; `sleep` is what users give to the client.

local function with_cqueues(cqueues)
  local loop = cqueues.new()
  local ended_of_raised
  return {
    sleep = cqueues.sleep,
    start = function(body, ended)
      ended_of_raised = ended
      loop:wrap(function()
        body()
        ended()
      end)
    end,
    step = function()
      local stepped, raised = loop:step(0.1)
      if not stepped then ended_of_raised(raised) end
    end,
  }
end

local function with_luv(uv)
  local ended_of = {}
  local function resume(thread)
    local succeeded, raised = coroutine.resume(thread)
    if coroutine.status(thread) == "dead" then ended_of[thread](not succeeded and raised or nil) end
  end
  return {
    sleep = function(seconds)
      local thread, timer = coroutine.running(), uv.new_timer()
      timer:start(math.ceil(seconds * 1000), 0, function()
        timer:close()
        resume(thread)
      end)
      coroutine.yield()
    end,
    start = function(body, ended)
      local thread = coroutine.create(body)
      ended_of[thread] = ended
      resume(thread)
    end,
    step = function() uv.run "once" end,
    drop = function()
      uv.walk(function(handle)
        if not handle:is_closing() then handle:close() end
      end)
      uv.run()
    end,
  }
end

-- Copas had no timers before its version 2. A coroutine yields an object and the queue in which it waits for that.
local function old_copas_timers(copas)
  local gettime, sleepers = require "socket".gettime, {}
  local queue = {
    insert = function() end,
    push = function(_, due, thread) sleepers[#sleepers + 1] = { due = due, thread = thread } end,
  }
  local function wake()
    local now, slept = gettime(), sleepers
    sleepers = {}
    for _, sleeper in ipairs(slept) do
      if sleeper.due <= now then copas.addthread(sleeper.thread) else queue:push(sleeper.due, sleeper.thread) end
    end
  end
  return function(seconds) coroutine.yield(gettime() + seconds, queue) end, wake
end

local function with_copas(copas)
  local sleep, wake = copas.pause or copas.sleep, function() end
  if not sleep then sleep, wake = old_copas_timers(copas) end
  return {
    sleep = sleep,
    start = function(body, ended)
      copas.addthread(function()
        copas.setErrorHandler(ended)
        body()
        ended()
      end)
    end,
    step = function()
      copas.step(0.001)
      wake()
    end,
  }
end

-- Runs `main` as a coroutine, with a function that starts another one, until all have ended, or until `enough()`.
-- Returns what they raised.
local function run(scheduler, main, enough)
  local alive, raised, last = 0, {}, os.time() + 30
  local function start(body)
    alive = alive + 1
    scheduler.start(body, function(reason)
      alive = alive - 1
      raised[#raised + 1] = reason
    end)
  end
  start(function() main(start) end)
  repeat
    scheduler.step()
    assert(os.time() < last, "the coroutines did not end")
  until alive == 0 or enough and enough()
  return raised
end

-- How the calls below end, whoever waits for them.
local ENDS = {
  ["an answer"] = { steps = { {} } },
  ["an answer after a retry"] = { steps = { { status = 503, body = "" }, {} } },
  ["a refusal"] = { steps = { { status = 402, body = '{"error":{"type":"card_error"}}' } } },
  ["too many retries"] = { steps = { { status = 500, body = "" } } },
  ["lost answers"] = { steps = { { fault = "close" } } },
  ["its timeout"] = { steps = { { fault = "stall" } }, options = { timeout = 1, max_retries = 0 } },
  ["its deadline"] = { steps = { { fault = "stall" } }, options = { deadline = 1 } },
  ["its deadline between two attempts"] = {
    steps = { { status = 503, body = "", headers = { ["Retry-After"] = "5" } } }, options = { deadline = 1 },
  },
}

-- Reports a payment; returns how that ended, and what the server saw of it.
local function end_of_call(server, client, options)
  local settings = { idempotency_key = "key-1", max_retries = 1 }
  for name, value in pairs(options or {}) do settings[name] = value end
  local record, err, response = client:report_payment(PAYMENT, settings)
  local seen = {}
  for i, request in ipairs(server:requests()) do seen[i] = { request.header["idempotency-key"], request.body } end
  return {
    id = record and record.id, type = err and err.type, outcome = err and err.outcome,
    retryable = err and err.retryable, status = response.status, attempts = response.attempts, seen = seen,
  }
end

-- A function that reports a payment, and how often that succeeded so far.
local function reporter(client, options)
  local reported = 0
  return function()
    local record = client:report_payment(PAYMENT, options)
    if record then reported = reported + 1 end
  end, function() return reported end
end

-- Sleeps until the server has read so many requests.
local function await_requests(server, count, sleep)
  while #server:requests() < count do sleep(TICK) end
end

for library, make in pairs { cqueues = with_cqueues, luv = with_luv, copas = with_copas } do
  local found, module = pcall(require, library)
  local describe_scheduler = found and describe or library == "copas" and function() end or pending
  describe_scheduler("coroutines of " .. library, function()
    if not found then return end
    local scheduler

    before_each(function() scheduler = make(module) end)
    after_each(function()
      if scheduler.drop then scheduler.drop() end
    end)

    local function client_of(server, options)
      local settings = { sleep = scheduler.sleep }
      for name, value in pairs(options or {}) do settings[name] = value end
      return payments.client(server, settings)
    end

    it("share a client and its connections, while others go on", function()
      local server = playing { { delay = 0.05 } }
      local before = #server:connections()
      local report, reported = reporter(client_of(server, { max_in_flight = 8 }))
      local ticks = 0
      local raised = run(scheduler, function(start)
        for _ = 1, 50 do start(report) end
        while reported() < 50 do
          scheduler.sleep(TICK)
          ticks = ticks + 1
        end
      end)
      assert.same({ {}, 50, 50 }, { raised, reported(), #server:requests() })
      assert.is_true(#server:connections() - before <= 8, #server:connections())
      assert.is_true(ticks >= 10, ticks) -- of the 70 in seven rounds of answers
    end)

    for name, case in pairs(ENDS) do
      it("see the same end of a call as who blocks: " .. name, function()
        local server = playing(case.steps)
        local blocking = end_of_call(server, payments.client(server), case.options)
        server:play(case.steps)
        local client, cooperative, ticks = client_of(server), nil, 0
        local raised = run(scheduler, function(start)
          start(function() cooperative = end_of_call(server, client, case.options) end)
          repeat
            scheduler.sleep(TICK)
            ticks = ticks + 1
          until cooperative
        end)
        assert.same({}, raised)
        assert.same(blocking, cooperative)
        if cooperative.attempts > 1 or cooperative.type == "timeout_error" then assert.is_true(ticks > 3, ticks) end
      end)
    end

    it("are told when another closes the client", function()
      local server = playing { { fault = "stall" } }
      local client, outcomes, types = client_of(server, { max_in_flight = 2 }), {}, {}
      local raised = run(scheduler, function(start)
        for i = 1, 10 do
          start(function()
            local _, err = client:report_payment(PAYMENT)
            outcomes[i], types[err.type] = err.outcome, true
          end)
        end
        await_requests(server, 2, scheduler.sleep)
        client:close()
      end)
      table.sort(outcomes)
      assert.same({ {}, { canceled_error = true } }, { raised, types })
      assert.equal(("not_sent "):rep(8) .. "unknown unknown", table.concat(outcomes, " "))
    end)

    it("move calls that were started, too, and cancel them without harm to their own", function()
      local server = playing { { fault = "stall" }, { delay = 0.1 } }
      local client, record = client_of(server), nil
      local call = client:start("report_payment", PAYMENT)
      local raised = run(scheduler, function(start)
        start(function() client:report_payment(PAYMENT) end)
        await_requests(server, 2, scheduler.sleep)
        start(function() record = client:report_payment(PAYMENT) end)
        call:cancel()
      end)
      local _, err = call:result()
      assert.same({ {}, "canceled_error", "unknown" }, { raised, err.type, err.outcome })
      assert.equal("pr_1", record.id)
    end)

    it("raise without harm to the others", function()
      local report, reported = reporter(client_of(playing { { delay = 0.02 } }, { max_in_flight = 3 }))
      local raised = run(scheduler, function(start)
        for i = 1, 12 do
          start(function()
            report()
            if i % 4 == 0 then error("boom", 0) end
            report()
          end)
        end
      end)
      assert.equal(12 + 9, reported())
      assert.equal("boom boom boom", table.concat(raised, " "))
    end)

    it("may be left where they wait: their calls give their places to the others", function()
      local server, told, left = playing { { delay = 0.02 } }, 0, {}
      local client = client_of(server, { max_in_flight = 1, sleep = function(seconds)
        if left[coroutine.running()] then coroutine.yield() else scheduler.sleep(seconds) end
      end })
      local report, reported = reporter(client)
      local raised = run(scheduler, function(start)
        for _ = 1, 3 do
          local thread = coroutine.create(function()
            client:report_payment(PAYMENT, { on_done = function() told = told + 1 end })
          end)
          left[thread] = true
          assert(coroutine.resume(thread))
        end
        left = setmetatable({}, { __mode = "k" })
        collectgarbage()
        for _ = 1, 3 do start(report) end
      end)
      assert.same({ {}, 3, 3, 6 }, { raised, reported(), told, #server:requests() })
      assert.equal(0, client:step())
    end)

    it("may never run again: step finishes what they began", function()
      local server, told, returned = playing { { delay = 0.1 } }, 0, 0
      local client = client_of(server, { max_in_flight = 2 })
      run(scheduler, function(start)
        for _ = 1, 5 do
          start(function()
            client:report_payment(PAYMENT, { on_done = function(record) told = told + (record and 1 or 0) end })
            returned = returned + 1
          end)
        end
        scheduler.sleep(3600)
      end, function() return #server:requests() == 2 end)
      local before = returned
      for _ = 1, 100 do
        if client:step(0.1) == 0 then break end
      end
      assert.same({ 5, 5, before }, { told, #server:requests(), returned })
    end)

    -- Where a call is, behind another one's, when its sleep raises; its outcome then
    local RAISING = {
      ["in the queue"] = { outcome = "not_sent", steps = { { delay = 0.3 } }, options = { max_in_flight = 1 } },
      ["on the wire"] = { outcome = "unknown", steps = { { delay = 0.3 } }, requests = 2 },
      ["before its next attempt"] = {
        outcome = "rejected", options = { max_retries = 1 }, attempts = 2,
        steps = { {}, { status = 429, body = RATE_LIMITED, headers = { ["Retry-After"] = "5" } } },
      },
    }

    for name, case in pairs(RAISING) do
      it("lose their own call alone when the sleep raises: " .. name, function()
        local server, attempts = playing(case.steps), 0
        local doomed, record, lost_record, lost
        local options = {
          sleep = function(seconds)
            if coroutine.running() == doomed and attempts >= (case.attempts or 0)
              and #server:requests() >= (case.requests or 1) then
              error("no more", 0)
            end
            scheduler.sleep(seconds)
          end,
          on_attempt = function() attempts = attempts + 1 end,
        }
        for option, value in pairs(case.options or {}) do options[option] = value end
        local client = client_of(server, options)
        local raised = run(scheduler, function(start)
          start(function() record = client:report_payment(PAYMENT) end)
          await_requests(server, 1, scheduler.sleep)
          start(function()
            doomed = coroutine.running()
            lost_record, lost = client:report_payment(PAYMENT)
          end)
        end)
        assert.equal("pr_1", record.id)
        assert.is_nil(lost_record)
        if PLAIN_5_1 then return assert.same({ "no more" }, raised) end
        assert.same({ {}, "canceled_error", case.outcome }, { raised, lost.type, lost.outcome })
        assert.matches("no more", lost.message)
        assert.equal(0, client:step())
      end)
    end
  end)
end
