-- What happens when code of the user's runs while the client is at work: finalizers, callbacks, errors in between.

local payment_records = require "payment_records"
local files = require "spec.support.files"
local samples = require "spec.support.samples"
local servers = require "spec.support.servers"

local GOOD = { status = 200, headers = { ["Request-Id"] = "req_1" }, body = '{"id":"pr_1","object":"payment_record"}' }

local function payment(value)
  local params = samples.reference()
  params.amount_requested.value = value
  return params
end

local function new(transport, options)
  options = samples.copy(options or {})
  options.api_key, options.transport = samples.KEY, transport
  return payment_records.new(options)
end

-- Runs a program of finalizers; returns what it says.
local function run(mode, url)
  local output, status = files.capture(("%s spec/support/finalizers.lua %s %s 2>&1"):format(
    os.getenv "LUA" or arg[-1] or "lua", mode, url or ""))
  assert.equal(0, status, output)
  return output
end

describe("a finalizer that uses the client", function()
  it("does not change the request that is being written", function()
    assert.equal("ran\t0\n", run "prepare")
  end)

  it("may empty the options of a client that is being made", function()
    assert.equal("ran\t0\n", run "new")
  end)

  it("may remove names of a table that is being written", function()
    assert.equal("ran\t0\n", run "names")
  end)

  it("may close the client before a request with a key of its own is written", function()
    assert.equal("ran\t0\n", run "own_key")
  end)

  it("may close it while a request for a transport is made", function()
    assert.equal("ran\t0\n", run "take")
  end)

  for _, mode in ipairs { "step", "close", "start" } do
    it("may " .. mode .. " while an answer is taken, and each call has one result", function()
      local server = servers.start { steps = { GOOD } }
      assert.equal("ran\t0\n", run(mode, server.url))
      server:stop()
    end)
  end
end)

-- 5.1, 5.3 and LuaJIT pass what a finalizer raises on to whoever allocates. 5.4 does not, so that it does not matter
-- there whether one runs within a call.
describe("a finalizer that raises", function()
  for _, way in ipairs { "blocking", "sleeping", "carried" } do
    it("keeps no caller from the result of a report that was sent: " .. way, function()
      local server = servers.start { steps = { GOOD } }
      local ran, known = run("raise " .. way, server.url):match "^([a-z ]+)\t(%d+)\n$"
      assert.is_true(ran == "ran" or _VERSION == "Lua 5.4", ran)
      assert.equal(#server:requests(), tonumber(known)) -- 0 for those that are carried
      server:stop()
    end)
  end
end)

describe("a call that raises", function()
  it("from within on_attempt, because it would wait, is never sent", function()
    local sent, refusal = {}, nil
    local client
    client = new(function(request)
      sent[#sent + 1] = request.body:match "value%]=(%d+)"
      return GOOD
    end, { on_attempt = function() refusal = refusal or { pcall(client.report_payment, client, payment(2222)) } end })
    assert(client:report_payment(payment(1111)))
    assert.is_false(refusal[1])
    assert.matches("not wait for them", refusal[2])
    assert(client:report_payment(payment(3333)))
    while client:step(0.1) > 0 do end
    for _, value in ipairs(sent) do assert.is_not.equal("2222", value) end
  end)

  it("never does so because the host has taken the table of loaded modules away", function()
    local client, all = new(function() return GOOD end), package
    for _, left in ipairs { false, { path = "" } } do
      _G.package = left or nil
      local called, record = pcall(client.report_payment, client, payment(1111))
      local started, call = pcall(client.start, client, "report_payment", payment(2222))
      _G.package = all
      assert.same({ true, true, false }, { called, started, call:done() })
      assert.equal("pr_1", record.id)
    end
  end)

  it("because nginx may not wait in this phase is never sent", function()
    local sent = 0
    local client = new(function() sent = sent + 1 return GOOD end)
    local stub = { get_phase = function() return "log" end, sleep = function() end }
    local function refused()
      local made, message = pcall(client.report_payment, client, payment(4242))
      return not made and message:find("ngx.timer.at", 1, true) ~= nil
    end
    _G.ngx = stub
    local as_global = refused()
    _G.ngx = nil
    -- With a LuaJIT that is not OpenResty's, a module that a request loads has globals which only inherit ngx.
    local globals = getmetatable(_G)
    setmetatable(_G, { __index = { ngx = stub } })
    package.loaded.ngx = stub
    local inherited = refused()
    package.loaded.ngx = nil
    setmetatable(_G, globals)
    assert.same({ true, true }, { as_global, inherited })
    assert(client:retrieve_payment_record "pr_1")
    assert.equal(1, sent)
  end)
end)

describe("a sleep that raises", function()
  it("ends its call as canceled, and the call is not sent later", function()
    local server = servers.start { steps = { { delay = 0.3, status = 200, body = GOOD.body } } }
    local client = payment_records.new {
      api_key = samples.KEY, api_base = server.url, sleep = function() error("no more", 0) end,
    }
    local record, err = client:report_payment(payment(1))
    assert.is_nil(record)
    assert.equal("canceled_error", err.type)
    assert.matches("no more", err.message)
    assert.equal(0, client:step(0))
    server:stop()
  end)
end)

describe("on_attempt", function()
  it("that cancels its own call is called once for it", function()
    local events, call = 0, nil
    local client = new(function() return { status = 500, body = "" } end, {
      on_attempt = function()
        events = events + 1
        call:cancel()
      end,
    })
    call = client:start("report_payment", payment(1))
    client:step(0)
    local record, err = call:result()
    assert.is_nil(record)
    assert.same({ "canceled_error", "unknown", 1 }, { err.type, err.outcome, events })
  end)

  it("that cancels a call whose answer has come does not take the answer away", function()
    local client, call
    client = new(function() return GOOD end, { on_attempt = function() call:cancel() end })
    call = client:start("report_payment", payment(1))
    client:step(0)
    assert.equal("pr_1", call:result().id)
  end)

  it("that closes the client leaves the answer to its call", function()
    local client
    client = new(function() return GOOD end, { on_attempt = function() client:close() end })
    local call = client:start("report_payment", payment(1))
    local other = client:start("report_payment", payment(2))
    pcall(client.step, client, 0)
    assert.equal("pr_1", call:result().id)
    assert.same({ "canceled_error", "not_sent" }, { select(2, other:result()).type, select(2, other:result()).outcome })
    assert.is_false((pcall(client.report_payment, client, payment(3))))
  end)
end)

describe("a transport whose response runs code", function()
  it("is read raw: the call that would be canceled meanwhile has its answer", function()
    local call
    local client = new(function()
      return setmetatable({ status = 200, headers = GOOD.headers }, { __index = function(_, name)
        if name == "body" then call:cancel() end
      end })
    end, { max_retries = 0 })
    call = client:start("report_payment", payment(1))
    client:step()
    assert.same({ "response_error", "unknown" }, { select(2, call:result()).type, select(2, call:result()).outcome })
  end)
end)

describe("a transport that never returns", function()
  it("costs its call no more than its timeout", function()
    local client = new(function() coroutine.yield() end, { timeout = 0.2, max_retries = 0, sleep = function() end })
    local call = client:start("report_payment", payment(1))
    local stuck = coroutine.create(function() client:step(0) end)
    assert(coroutine.resume(stuck))
    for _ = 1, 100 do
      if call:done() then break end
      client.core:step(0.05)
    end
    assert.same({ "timeout_error", "unknown" }, { select(2, call:result()).type, select(2, call:result()).outcome })
  end)
end)

describe("a callback that resumes a coroutine whose call was sent, and waits for its next attempt", function()
  -- The coroutine, once that is so, and what the other call's on_done does then.
  local function wait_for_attempt(options, on_done)
    local sent = 0
    local client = new(function(request)
      if request.method == "GET" then return GOOD end
      sent = sent + 1
      if not options.sleep then coroutine.yield() end
      return nil, "lost"
    end, options)
    local waiting = coroutine.create(function() return client:report_payment(payment(1)) end)
    assert(coroutine.resume(waiting))
    client:start("retrieve_payment_record", "pr_1", {}, { on_done = function() on_done(client, waiting) end })
    client:step()
    assert.equal(1, sent)
    return waiting
  end

  local function assert_canceled(resumed, record, err)
    assert(resumed, record)
    assert.is_nil(record)
    assert.same({ "canceled_error", "unknown" }, { err.type, err.outcome })
    assert.is_string(err.idempotency_key)
  end

  it("and has closed the client, does not keep from it what is known", function()
    local waiting = wait_for_attempt({ sleep = coroutine.yield }, function(client, coroutine_of_call)
      client:close()
      assert(coroutine.resume(coroutine_of_call))
    end)
    assert_canceled(coroutine.resume(waiting))
  end)

  it("which cannot sleep, does not hang: the call ends", function()
    local results
    wait_for_attempt({}, function(_, waiting) results = { coroutine.resume(waiting) } end)
    assert_canceled(results[1], results[2], results[3])
  end)
end)
