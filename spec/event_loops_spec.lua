--- The client as a pollable object: driven by event loops that wait on its descriptor, and never look without cause.

local files = require "spec.support.files"
local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

local PAYMENT = payments.PAYMENT

local playing = servers.playing

teardown(servers.stop_all)
after_each(payments.close_all)

local function with_cqueues(cqueues)
  return {
    -- Runs `main` in a coroutine of the loop, with a function that starts another, until all have ended.
    run = function(main)
      local loop = cqueues.new()
      loop:wrap(function() main(function(body) loop:wrap(body) end, cqueues.sleep) end)
      assert(loop:loop(30))
    end,
    wait = function(client) cqueues.poll(client) end,
  }
end

local function with_luv(uv)
  local function resume(thread)
    local alive, message = coroutine.resume(thread)
    if not alive then error(message, 0) end
  end
  local function start(body) resume(coroutine.create(body)) end
  local function timer(seconds, act)
    local handle = uv.new_timer()
    handle:start(math.ceil(seconds * 1000), 0, function()
      handle:close()
      act()
    end)
    return handle
  end
  return {
    run = function(main)
      start(function()
        main(start, function(seconds)
          local thread = coroutine.running()
          timer(seconds, function() resume(thread) end)
          coroutine.yield()
        end)
      end)
      uv.run()
    end,
    -- As examples/luv.lua does, with a poll handle and a timer, whichever comes first.
    wait = function(client)
      local thread, handle, alarm = coroutine.running(), uv.new_poll(client:pollfd()), nil
      local function wake()
        handle:close()
        if alarm and not alarm:is_closing() then alarm:close() end
        handle = nil
        resume(thread)
      end
      handle:start("r", function() if handle then wake() end end)
      local seconds = client:timeout()
      alarm = seconds and timer(seconds, function() if handle then wake() end end)
      coroutine.yield()
    end,
  }
end

-- The system's own, without a loop around it.
local function with_poll(ffi)
  ffi.cdef "struct pollfd { int fd; short events, revents; }; int poll(struct pollfd *, unsigned long, int);"
  local POLLIN = 1
  return {
    run = function(main) main() end,
    wait = function(client)
      local seconds = client:timeout()
      ffi.C.poll(ffi.new("struct pollfd", client:pollfd(), POLLIN), 1, seconds and math.ceil(seconds * 1000) or -1)
    end,
  }
end

local LOOPS = { cqueues = with_cqueues, luv = with_luv, ffi = with_poll }

-- Steps the client whenever the loop says so until all calls are done; returns how many steps that took.
local function drive(loop, client)
  local steps = 0
  while client:step() > 0 do
    loop.wait(client)
    steps = steps + 1
  end
  return steps
end

for name, make in pairs(LOOPS) do
  local found, library = pcall(require, name)
  local describe_loop = found and describe or name == "ffi" and function() end or pending
  describe_loop("the loop of " .. name, function()
    if not found then return end
    local loop = make(library)

    it("moves calls to their end without looking in vain", function()
      local client, told, steps = payments.client(playing { { delay = 0.5 } }), 0, nil
      loop.run(function()
        for _ = 1, 8 do
          client:start("report_payment", PAYMENT, { on_done = function(record) told = told + (record and 1 or 0) end })
        end
        steps = drive(loop, client)
      end)
      assert.equal(8, told)
      assert.is_true(steps < 150, steps) -- half a second: a look each millisecond would be 500
    end)

    it("waits for the next attempt, and then for nothing", function()
      local client, steps = payments.client(playing { { status = 503, body = "" }, {} }, { max_retries = 1 }), nil
      local call = client:start("report_payment", PAYMENT)
      loop.run(function() steps = drive(loop, client) end)
      assert.same({ "pr_1", 2 }, { call:result().id, select(3, call:result()).attempts })
      assert.is_true(steps < 50, steps)
      assert.is_nil(client:timeout())
    end)

    it("ends a call at its deadline", function()
      local client = payments.client(playing { { fault = "stall" } })
      local call = client:start("report_payment", PAYMENT, { deadline = 0.2 })
      loop.run(function() drive(loop, client) end)
      assert.equal("timeout_error", (select(2, call:result())).type)
    end)

    if name ~= "ffi" then -- which has no coroutines
      it("wakes for a call that is started while it waits", function()
        local server, late = playing { { fault = "stall" }, {} }, nil
        local client = payments.client(server)
        local early = client:start("report_payment", PAYMENT)
        loop.run(function(start, sleep)
          start(function() drive(loop, client) end)
          repeat sleep(0.1) until #server:requests() == 1
          late = client:start("retrieve_payment_record", "pr_1", nil, {
            on_done = function() early:cancel() end,
          })
        end)
        assert.equal("pr_1", late:result().id)
        assert.equal("canceled_error", (select(2, early:result())).type)
      end)

      it("wakes when the last call is canceled while it waits", function()
        local client = payments.client(playing { { fault = "stall" } })
        local call = client:start("report_payment", PAYMENT)
        loop.run(function(start, sleep)
          start(function() drive(loop, client) end)
          sleep(0.1)
          call:cancel()
        end)
        assert.is_true(call:done())
      end)

      it("serves many coroutines, each with a client of its own", function()
        local server, reported = playing { { delay = 0.05 } }, 0
        loop.run(function(start)
          for _ = 1, 5 do
            start(function()
              local client = payments.client(server)
              local call = client:start("report_payment", PAYMENT)
              drive(loop, client)
              reported = reported + (call:result() and 1 or 0)
            end)
          end
        end)
        assert.equal(5, reported)
      end)
    end

  end)
end

describe("the descriptor of a client", function()
  local cqueues = require "cqueues"

  local function is_readable(client, seconds)
    local object = { pollfd = client:pollfd(), events = "r" }
    return cqueues.poll(object, seconds or 0) == object
  end

  it("is readable from the start or the cancellation of a call to the next step", function()
    local client = payments.client(playing { { fault = "stall" } }, { max_in_flight = 1 })
    assert.is_false(is_readable(client))
    client:start("report_payment", PAYMENT)
    assert.is_true(is_readable(client))
    repeat client:step() until client:timeout() > 0 and not is_readable(client)
    local call = client:start("report_payment", PAYMENT)
    assert.is_true(is_readable(client))
    client:step()
    assert.is_false(is_readable(client))
    call:cancel()
    assert.is_true(is_readable(client))
    client:step()
    assert.is_false(is_readable(client))
    client:start("report_payment", {}, { on_done = function() end })
    assert.is_true(is_readable(client))
    client:step()
    assert.is_false(is_readable(client))
  end)

  -- How many descriptors it waits for, as Linux tells; one of them is its own.
  local function watched(client)
    local _, count = files.read(("/proc/self/fdinfo/%d"):format(client:pollfd())):gsub("tfd:", "")
    return count
  end

  it("goes on waiting for a connection between calls, until the server closes it", function()
    local late = { delay = 0.05 } -- or it is there at once, and nothing is waited for
    local last = { delay = 0.05, after = "close" }
    local client = payments.client(servers.start { steps = { late, late, late, last, late } })
    assert.equal(1, watched(client))
    assert(client:report_payment(PAYMENT)) -- which connects
    for _ = 1, 2 do
      assert(client:report_payment(PAYMENT))
      client:step()
      assert.equal(2, watched(client))
      assert.is_false(is_readable(client))
    end
    assert(client:report_payment(PAYMENT))
    client:step()
    assert.is_true(watched(client) == 1 or is_readable(client, 5))
    client:step()
    assert.equal(1, watched(client))
    assert.is_false(is_readable(client))
    assert(client:report_payment(PAYMENT))
  end)

  it("is a number, to be waited on for reading", function()
    local client = payments.client(playing {})
    assert.equal("r", client:events())
    assert.matches("^%d+$", tostring(client:pollfd()))
    assert.equal(client:pollfd(), client:pollfd())
    assert(client:report_payment(PAYMENT))
    assert.is_nil(client:timeout())
  end)

  it("is readable when somebody else has stepped meanwhile, and left something to do", function()
    local client = payments.client(playing {})
    assert.is_false(is_readable(client))
    client:report_payment(PAYMENT, { on_done = function() client:start("report_payment", PAYMENT) end })
    assert.is_true(is_readable(client))
  end)

  it("has a timeout of 0 while there is work, and none while there is none", function()
    local client = payments.client(playing { { fault = "stall" } })
    assert.is_nil(client:timeout())
    client:start("report_payment", PAYMENT)
    assert.equal(0, client:timeout())
    client:start("report_payment", { }, { on_done = function() end })
    client:step(0.1)
    local seconds = client:timeout()
    assert.is_true(seconds > 0 and seconds <= 21, seconds)
  end)

  it("is not there with a transport of the user's, which has its timeouts", function()
    local client = payments.client(playing(), { transport = function() return nil, "down" end })
    assert.is_nil(client:pollfd())
    client:start("report_payment", PAYMENT)
    assert.equal(0, client:timeout())
    assert.equal(0, client:step())
  end)

  it("is not to be had of a closed client", function()
    local client = payments.client(playing())
    client:close()
    for _, method in ipairs { "pollfd", "events", "timeout" } do
      assert.has_error(function() client[method](client) end)
    end
  end)
end)
