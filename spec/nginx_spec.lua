--- The module in nginx's workers: handlers wait without keeping the worker from others, phases where nothing may yield,
--- fork, reload, and the end of requests and workers with calls in flight.

local files = require "spec.support.files"
local nginx_client = require "spec.support.nginx_client"
local servers = require "spec.support.servers"

local eventually, playing = nginx_client.eventually, servers.playing

local missing = nginx_client.missing()
if missing then
  pending("nginx: " .. missing)
  return
end

describe("under nginx", function()
  local running, held

  setup(nginx_client.build)
  teardown(servers.stop_all)

  before_each(function() running, held = {}, files.temporary_directory() end)

  -- Lets the upstream answer what it holds back.
  local function release() files.write(held .. "/release", "") end

  after_each(function()
    release()
    for _, nginx in ipairs(running) do
      local faults, logs = nginx:finish()
      assert.same({}, faults)
      assert.is_nil(logs:find(nginx_client.KEY, 1, true))
    end
    files.remove(held)
  end)

  local function start(options)
    local nginx = nginx_client.start(playing(), options)
    running[#running + 1] = nginx
    return nginx
  end

  -- An upstream that answers no request before release().
  local function holding()
    return playing { { hold = held .. "/release" } }
  end

  local function seen(upstream, count)
    eventually(function() return #upstream:requests() >= count end, count .. " requests upstream")
  end

  -- How many different values there are of a field of the requests that the upstream saw.
  local function distinct(upstream, field)
    local values, count = {}, 0
    for _, request in ipairs(upstream:requests()) do
      local value = request[field] or request.header[field]
      if not values[value] then values[value], count = true, count + 1 end
    end
    return count
  end

  local function count(answers, pattern)
    local found = 0
    for _, answer in pairs(answers) do
      if answer:find(pattern) then found = found + 1 end
    end
    return found
  end

  local function location(name, code)
    return ("location = /%s { content_by_lua_block { %s } }\n"):format(name, code)
  end

  describe("a worker", function()
    it("serves others while 200 handlers wait for their reports", function()
      local upstream = holding()
      local nginx = start()
      local group = nginx:start("/report", 200)
      seen(upstream, 64)
      assert.same({ "trivial", 200 }, { nginx:get "/trivial" })
      assert.same({ 64, 0 }, { #upstream:requests(), count(group.answers(), "") }) -- max_in_flight; the others wait
      release()
      assert.equal(200, count(group.wait(), "^pr_1 "))
      assert.same({ 200, 200 }, { #upstream:requests(), distinct(upstream, "idempotency-key") })
      assert.is_true(#upstream:connections() <= 64)
    end)

    it("gives each of 200 handlers its own record", function()
      local sandbox = servers.sandbox { delay = 0.1 }
      local nginx = nginx_client.start({ url = sandbox.http }, {})
      running[#running + 1] = nginx
      local ids, different = {}, 0
      for n, answer in ipairs(nginx:start("/report", 200).wait()) do
        local id, order = answer:match "^(pr_%w+) (%d+) "
        assert.equal(tostring(n), order, answer)
        if not ids[id] then ids[id], different = true, different + 1 end
      end
      assert.equal(200, different)
    end)

    it("needs no option but where Stripe is, and not that in production", function()
      local nginx = start { init = "plain = require 'payment_records'.new()", server = location("prepare", [[
        ngx.print(plain:prepare("retrieve_payment_record", "pr_1").url)]]) }
      assert.equal("https://api.stripe.com/v1/payment_records/pr_1", (nginx:get "/prepare"))
    end)

    it("keeps at most max_in_flight on the wire, and the others in order", function()
      local upstream = holding()
      local nginx = start { init = "client = inside.client { max_in_flight = 3 }" }
      local group = nginx:start("/report", 8)
      seen(upstream, 3)
      nginx:get "/trivial"
      assert.equal(3, #upstream:requests())
      release()
      assert.equal(8, count(group.wait(), "^pr_1 "))
      assert.same({ 8, 3 }, { #upstream:requests(), #upstream:connections() })
    end)

    it("goes on when handlers make clients of their own, and drop them", function()
      playing { {} }
      local nginx = start { init = "dropped = setmetatable({}, { __mode = 'k' })", server = location("own", [[
        local own = inside.client()
        dropped[own.core] = true
        ngx.print(inside.report(own))]]) .. location("forget", [[
        local own = inside.client()
        dropped[own.core] = true
        inside.start(own)
        own:step()]]) .. location("dropped", [[
        collectgarbage() collectgarbage()
        local count = 0
        for _ in pairs(dropped) do count = count + 1 end
        ngx.print(count)]]) }
      assert.equal(20, count(nginx:start("/own", 20).wait(), "^pr_1 "))
      nginx:start("/forget", 20).wait()
      eventually(function() return nginx:get "/dropped" == "0" end, "the clients are collected")
      assert.matches("^pr_1 ", (nginx:get "/report"))
    end)

    it("tries again, and ends what takes too long, with nobody else to step", function()
      local upstream = playing { { status = 503, body = "" }, {}, { hold = held .. "/release" } }
      local nginx = start { init = "client = inside.client { max_retries = 1, deadline = 2 }" }
      assert.matches("^pr_1 ", (nginx:get "/report"))
      assert.matches("^timeout_error unknown: ", (nginx:get "/report"))
      assert.equal(2, distinct(upstream, "idempotency-key"))
    end)

    it("is stepped by one timer, even when it stood still for as long as one that ended", function()
      local upstream = holding()
      local nginx = start { server = location("stall", [[
        os.execute "sleep 1.2"
        ngx.update_time()
        ngx.thread.spawn(inside.report, client)
        ngx.sleep(0.01)
        ngx.exit(204)]]) .. location("timers", "ngx.print(ngx.timer.running_count())") }
      local group = nginx:start("/report", 5)
      seen(upstream, 5)
      for _ = 1, 3 do nginx:get "/stall" end
      eventually(function() return (nginx:get "/timers") == "1" end, "one timer")
      release()
      assert.equal(5, count(group.wait(), "^pr_1 "))
    end)

    it("lets a transport that fails be tried again without a flood in the log", function()
      local nginx = start { init = [[client = inside.client {
        max_retries = 1, transport = function() return nil, "refused" end }]] }
      assert.equal(20, count(nginx:start("/report", 20).wait(), "^connection_error unknown"))
    end)

    it("lets handlers wait for a transport that yields", function()
      local nginx = start { init = [[
        local carry = require("payment_records.sandbox").new():transport()
        client = inside.client { transport = function(request)
          ngx.sleep(0.1)
          return carry(request)
        end }]] }
      for n, answer in ipairs(nginx:start("/report", 10).wait()) do
        assert.matches("^pr_%w+ " .. n .. " ", answer)
      end
    end)

    it("tells every handler that waits when the client is closed", function()
      local upstream = holding()
      local nginx = start { init = "client = inside.client { max_in_flight = 3 }", server = location("close", [[
        client:close()
        ngx.print("closed")]]) }
      local group = nginx:start("/report", 5)
      seen(upstream, 3)
      assert.equal("closed", (nginx:get "/close"))
      local answers = group.wait()
      assert.equal(3, count(answers, "^canceled_error unknown: "))
      assert.equal(2, count(answers, "^canceled_error not_sent: "))
    end)

    it("goes on with more clients than it may have timers", function()
      local upstream = holding()
      local nginx = start {
        http = "lua_max_running_timers 2; lua_max_pending_timers 2;",
        server = location("own", "ngx.print(inside.report(inside.client()))"),
        expected = { "lua_max_running_timers are not enough" },
      }
      local group = nginx:start("/own", 20)
      seen(upstream, 20)
      release()
      assert.equal(20, count(group.wait(), "^pr_1 "))
    end)

    it("does without a cache of Lua code: a state, and a client, for each request", function()
      playing { {} }
      local nginx = start { http = "lua_code_cache off;", expected = { "lua_code_cache is off" } }
      assert.equal(5, count(nginx:start("/report", 5).wait(), "^pr_1 "))
    end)
  end)

  describe("a phase", function()
    it("that may yield waits without blocking", function()
      local upstream = holding()
      local nginx = start { server = [[
        server_rewrite_by_lua_block {
          if ngx.var.uri == "/server_rewrite" then inside.try("server_rewrite", client) ngx.exit(204) end
        }
        location = /access { access_by_lua_block { inside.try("access", client) ngx.exit(204) } }
        location = /rewrite { rewrite_by_lua_block { inside.try("rewrite", client) ngx.exit(204) } }
        location = /timer { content_by_lua_block {
          assert(ngx.timer.at(0, function() inside.try("timer", client) end))
          ngx.exit(204)
        } }]] }
      local phases = { "access", "server_rewrite", "rewrite", "timer" }
      for i, phase in ipairs(phases) do
        nginx:start("/" .. phase)
        seen(upstream, i)
        assert.same({ "trivial", 200 }, { nginx:get "/trivial" })
      end
      release()
      for _, phase in ipairs(phases) do
        assert.matches("^pr_1 " , nginx:note(phase))
      end
    end)

    -- Each makes a call with the client `chosen`, and notes what came of it under its own name.
    local UNYIELDING = {
      init = [[chosen = client
        if blocking then chosen = inside.client { sleep = false } end
        inside.try("init", chosen)]],
      http = [[
        init_worker_by_lua_block { inside.try("init_worker", chosen) }
        upstream balanced {
          server 0.0.0.1;
          balancer_by_lua_block { inside.try("balancer", chosen) ngx.exit(503) }
        }]],
      server = [[
        location = /balanced { proxy_pass http://balanced; }
        location = /phases {
          set_by_lua_block $nothing { inside.try("set", chosen) return "" }
          header_filter_by_lua_block { inside.try("header_filter", chosen) }
          body_filter_by_lua_block { if ngx.arg[2] then inside.try("body_filter", chosen) end }
          log_by_lua_block { inside.try("log", chosen) }
          content_by_lua_block { ngx.print("a body to filter") }
        }]],
    }
    local PHASES = { "init", "init_worker", "balancer", "set", "header_filter", "body_filter", "log" }

    local function visited(init)
      local nginx = start {
        init = init .. UNYIELDING.init, http = UNYIELDING.http, server = UNYIELDING.server,
      }
      nginx:get "/balanced"
      nginx:get "/phases"
      return nginx
    end

    it("that may not yield gets an error that names it, and ngx.timer.at; nothing is sent", function()
      local upstream = playing { {} }
      local nginx = visited ""
      for _, phase in ipairs(PHASES) do
        assert.matches("block the nginx worker in the phase " .. phase .. ",.*ngx%.timer%.at", nginx:note(phase))
      end
      assert.equal(0, #upstream:requests())
      assert.matches("^pr_1 ", (nginx:get "/report")) -- the same client
      assert.equal(1, #upstream:requests())
    end)

    it("that may not yield blocks, when the client has sleep = false", function()
      local upstream = playing { {} }
      local nginx = visited "blocking = true "
      for _, phase in ipairs(PHASES) do
        assert.matches("^pr_1 ", nginx:note(phase))
      end
      assert.same({ #PHASES, #PHASES }, { #upstream:requests(), distinct(upstream, "idempotency-key") })
    end)

    it("that may not yield has the report made by a timer", function()
      playing { {} }
      local nginx = start { server = [[
        location = /later {
          log_by_lua_block {
            local order = ngx.var.arg_order
            assert(ngx.timer.at(0, function() inside.note("later", inside.report(client, order)) end))
          }
          return 204;
        }]] }
      nginx:get "/later?order=7"
      assert.matches("^pr_1 ", nginx:note "later")
    end)
  end)

  describe("a call that is started", function()
    it("is made though nobody waits, steps or comes again, and in a phase where nothing may yield", function()
      local upstream = holding()
      local nginx = start { server = [[
        location = /later {
          log_by_lua_block {
            local order = ngx.var.arg_n
            inside.start(client, { on_done = function(record) inside.note("later" .. order, record.id) end })
          }
          return 204;
        }]] }
      nginx:start("/later", 300).wait()
      seen(upstream, 64)
      release()
      for _, order in ipairs { 1, 150, 300 } do assert.equal("pr_1", nginx:note("later" .. order)) end
      eventually(function() return #upstream:requests() == 300 end, "300 reports")
      assert.equal(300, distinct(upstream, "idempotency-key"))
    end)

    it("has what its callback raises in the log, when nobody steps", function()
      playing { {} }
      local nginx = start { expected = { "a callback raised" }, server = location("raise", [[
        inside.start(client, { on_done = function() inside.note("done", "done") error("of on_done", 0) end })
        ngx.print("started")]]) }
      nginx:start("/raise", 40).wait()
      nginx:note "done"
      eventually(function()
        local _, times = nginx:log():gsub("a callback raised: of on_done", "")
        return times == 40
      end, "40 errors in the log")
    end)

    it("has it raised by step where the program steps", function()
      playing { {} }
      local nginx = start { init = "client:step()", server = location("raise", [[
        inside.start(client, { on_done = function() inside.note("done", "done") error("of on_done", 0) end })
        ngx.print("started")]]) .. location("step", "ngx.print(select(2, pcall(client.step, client)))") }
      nginx:get "/raise"
      nginx:note "done"
      assert.equal("of on_done", (nginx:get "/step"))
    end)
  end)

  describe("the option sleep", function()
    it("may be ngx.sleep, which is the default", function()
      local upstream = playing { {} }
      local nginx = start { init = "client = inside.client { sleep = ngx.sleep }", server = [[
        location = /log {
          log_by_lua_block { inside.try("log", client) }
          return 204;
        }]] }
      assert.matches("^pr_1 ", (nginx:get "/report"))
      nginx:get "/log"
      assert.matches("ngx%.timer%.at", nginx:note "log")
      assert.equal(1, #upstream:requests())
    end)
  end)

  describe("a client made in init_by_lua", function()
    -- A worker that blocks cannot take the next request: the other one does.
    local BOTH = location("blocked", [[
      ngx.print(ngx.worker.pid(), " ", inside.report(insisting), " ", inside.report(client))]])
      .. location("other", [[
      ngx.print(ngx.worker.pid(), " ", inside.report(insisting), " ", inside.report(client))]])

    -- Uses both clients, `insisting` on blocking and `client`, in both workers.
    local function used_in_both(nginx, upstream, earlier)
      playing { { hold = held .. "/release" }, {} }
      local blocked = nginx:start "/blocked"
      seen(upstream, 1)
      local answers = { (nginx:get "/other") }
      release()
      answers[2] = blocked.wait()[1]
      local pids = {}
      for i, answer in ipairs(answers) do
        pids[i] = answer:match "^(%d+) pr_1 %S+ %S+ pr_1 "
        assert(pids[i], answer)
      end
      assert.not_equal(pids[1], pids[2])
      assert.same({ 4, 4, 4 }, {
        #upstream:requests(), distinct(upstream, "idempotency-key"), distinct(upstream, "connection"),
      })
      for _, request in ipairs(upstream:requests()) do assert.is_nil(earlier[request.connection]) end
    end

    it("is used by all workers: each has connections of its own", function()
      local upstream = playing { {} }
      local nginx = start { workers = 2, init = "insisting = inside.client { sleep = false }", server = BOTH }
      used_in_both(nginx, upstream, {})
    end)

    it("may have made calls before the fork", function()
      local upstream = playing { {} }
      local nginx = start { workers = 2, server = BOTH, init = [[
        insisting = inside.client { sleep = false }
        inside.note("before", inside.report(insisting))
        local call = inside.start(client)
        while client:step(1) > 0 do end
        inside.note("started", call:result().id)]] }
      assert.matches("^pr_1 ", nginx:note "before")
      assert.equal("pr_1", nginx:note "started")
      local earlier = {}
      for _, request in ipairs(upstream:requests()) do earlier[request.connection] = true end
      used_in_both(nginx, upstream, earlier)
    end)
  end)

  describe("a handler", function()
    it("that ends because its client went away leaves the others alone; its report goes on", function()
      local upstream = holding()
      local nginx = start { server = [[
        lua_check_client_abort on;
        location = /abandoned { content_by_lua_block {
          assert(ngx.on_abort(function() inside.note("abort", "seen") ngx.exit(499) end))
          inside.report(client, "1", { on_done = function(record) inside.note("outcome", record.id) end })
          inside.note("returned", "it went on")
        } }]] }
      local abandoned = nginx:start "/abandoned"
      seen(upstream, 1)
      local group = nginx:start("/report", 5)
      seen(upstream, 6)
      abandoned.leave()
      assert.equal("seen", nginx:note "abort")
      release()
      assert.equal(5, count(group.wait(), "^pr_1 "))
      assert.equal("pr_1", nginx:note "outcome")
      assert.equal(404, select(2, nginx:get "/note?name=returned"))
      assert.matches("^pr_1 ", (nginx:get "/report"))
      assert.equal(7, #upstream:requests())
    end)

    it("that ends leaves its report to go on, even if nobody else waits", function()
      local upstream = holding()
      local nginx = start { server = location("leave", [[
        ngx.thread.spawn(inside.report, client, "1", {
          on_done = function(record) inside.note("outcome", record.id) end,
        })
        ngx.sleep(0.01)
        ngx.exit(204)]]) }
      assert.equal(204, select(2, nginx:get "/leave"))
      seen(upstream, 1)
      release()
      assert.equal("pr_1", nginx:note "outcome")
    end)

    it("goes on when a callback ends the driver by ngx.exit", function()
      playing { {} }
      local nginx = start { server = location("leaves", [[
        inside.report(client, "1", { on_done = function() ngx.exit(200) end })
        ngx.print("done")]]) }
      nginx:start("/leaves", 3)
      local group = nginx:start("/report", 5)
      assert.equal(5, count(group.wait(), "^pr_1 "))
      assert.matches("^pr_1 ", (nginx:get "/report"))
    end)

    it("that cannot wait, within a function of C, learns the outcome and the key of its report", function()
      local upstream = playing { {} }
      local nginx = start { server = location("gsub", [[
        local first, refused = inside.report(client), nil
        string.gsub("x", "x", function() refused = select(2, pcall(inside.report, client)) end)
        ngx.print(refused, " ", first)]]) }
      local answer = nginx:get "/gsub"
      seen(upstream, 2)
      assert.matches("^canceled_error unknown: .*attempt to yield across C%-call boundary", answer)
      assert.truthy(answer:find(upstream:requests()[2].header["idempotency-key"], 1, true), answer)
      assert.matches("^pr_1 ", (nginx:get "/report"))
    end)

    it("reports in light threads", function()
      local upstream = holding()
      local nginx = start { server = location("threads", [[
        local threads, ids = {}, {}
        for i = 1, 5 do threads[i] = ngx.thread.spawn(inside.report, client) end
        for i = 1, 5 do ids[i] = select(2, ngx.thread.wait(threads[i])):match "^%S+" end
        ngx.print(table.concat(ids, " "))]]) }
      local group = nginx:start "/threads"
      seen(upstream, 5) -- all at once
      release()
      assert.same({ "pr_1 pr_1 pr_1 pr_1 pr_1" }, group.wait())
      assert.equal(5, distinct(upstream, "idempotency-key"))
    end)

    it("may kill a light thread that waits for its report, which goes on", function()
      local upstream = holding()
      local nginx = start { server = location("kill", [[
        local killed = ngx.thread.spawn(inside.report, client, "1", {
          on_done = function(record) inside.note("outcome", record.id) end,
        })
        local left = ngx.thread.spawn(inside.report, client)
        ngx.sleep(0.01)
        assert(ngx.thread.kill(killed))
        inside.note("killed", coroutine.status(killed))
        ngx.print(select(2, ngx.thread.wait(left)))]]) }
      local group = nginx:start "/kill"
      nginx:note "killed"
      seen(upstream, 2)
      release()
      assert.matches("^pr_1 ", group.wait()[1])
      assert.equal("pr_1", nginx:note "outcome")
      assert.matches("^pr_1 ", (nginx:get "/report"))
    end)

    it("reports from a coroutine of its own", function()
      local upstream = holding()
      local nginx = start { server = location("wrap", [[
        local reports = coroutine.wrap(function()
          coroutine.yield(inside.report(client))
          return inside.report(client)
        end)
        ngx.print(reports(), " ", reports())]]) }
      local group = nginx:start "/wrap"
      seen(upstream, 1)
      assert.same({ "trivial", 200 }, { nginx:get "/trivial" })
      release()
      assert.matches("^pr_1 %S+ %S+ pr_1 ", group.wait()[1])
    end)

    it("may start calls, and step until they are done, beside others that wait", function()
      playing { { delay = 0.1 } }
      local nginx = start { server = location("step", [[
        local ids, calls = {}, {}
        for i = 1, 5 do
          calls[i] = inside.start(client, { on_done = function(record) ids[i] = record.id end })
        end
        while client:step() > 0 do ngx.sleep(0.001) end
        ngx.print(table.concat(ids, " "), " ", calls[5]:result().id)]]) }
      local others = nginx:start("/report", 5)
      for _, answer in ipairs(nginx:start("/step", 5).wait()) do
        assert.equal("pr_1 pr_1 pr_1 pr_1 pr_1 pr_1", answer)
      end
      assert.equal(5, count(others.wait(), "^pr_1 "))
    end)

    it("gets what on_done raises from step, once; the others are not harmed", function()
      local upstream = holding()
      local nginx = start { server = location("raise", [[
        local raised, call = 0, inside.start(client, { on_done = function() error("of the callback", 0) end })
        repeat
          local stepped, message = pcall(client.step, client)
          if not stepped then
            assert(message:find "of the callback", message)
            raised = raised + 1
          end
          ngx.sleep(0.001)
        until call:done() and raised > 0
        assert(pcall(client.step, client))
        ngx.print(raised, " ", call:result().id)]]) }
      local others, group = nginx:start("/report", 5), nginx:start "/raise"
      seen(upstream, 6)
      release()
      assert.same({ "1 pr_1" }, group.wait())
      assert.equal(5, count(others.wait(), "^pr_1 "))
    end)
  end)

  describe("with calls in flight", function()
    -- Two reports, the second in a worker that is on its way out, and one by a timer.
    local TWICE = location("twice", [[
        local first = inside.report(client)
        ngx.print(tostring(ngx.worker.exiting()), " ", first, " ", inside.report(client))]])
      .. location("timer", [[
        assert(ngx.timer.at(0, function() inside.note("timer", inside.report(client)) end))
        ngx.exit(204)]])

    local function in_flight(upstream, nginx)
      local group = nginx:start("/twice", 10)
      nginx:get "/timer"
      seen(upstream, 11)
      return group
    end

    -- Waits until the worker knows that it has to go. It takes no connection any more then.
    local function leave(nginx, signal)
      nginx:signal(signal)
      eventually(function() return nginx:log():find "gracefully shutting down" end, "the worker knows")
    end

    it("a reload lets handlers and timers finish, in the old worker", function()
      local upstream = holding()
      local nginx = start { server = TWICE }
      local group, old = in_flight(upstream, nginx), nginx:get "/worker"
      leave(nginx, "HUP")
      assert.not_equal(old, (nginx:get "/worker"))
      release()
      assert.equal(10, count(group.wait(), "^true pr_1 %S+ %S+ pr_1 "))
      assert.matches("^pr_1 ", nginx:note "timer")
      assert.matches("^pr_1 ", (nginx:get "/report"))
      eventually(function() return not files.shell(("kill -0 %s 2>/dev/null"):format(old)) end, "the old worker ends")
      assert.equal(22, distinct(upstream, "idempotency-key"))
    end)

    it("quitting lets handlers and timers finish", function()
      local upstream = holding()
      local nginx = start { server = TWICE }
      local group = in_flight(upstream, nginx)
      leave(nginx, "QUIT")
      release()
      assert.equal(10, count(group.wait(), "^true pr_1 %S+ %S+ pr_1 "))
      assert.equal(0, nginx:wait())
      assert.same({ 21, 21 }, { #upstream:requests(), distinct(upstream, "idempotency-key") })
    end)

    it("termination ends workers at once, and none crashes", function()
      local upstream = holding()
      local nginx = start { server = TWICE, workers = 2 }
      local group = in_flight(upstream, nginx)
      nginx:signal "TERM"
      assert.equal(0, nginx:wait())
      assert.equal(0, count(group.wait(), "pr_1"))
    end)
  end)

  it("the API key is in no log, not even in one for debugging", function()
    playing { {}, { status = 401, body = '{"error":{"message":"no"}}' }, { fault = "reset" } }
    local nginx = start { log_level = "debug", server = location("log", [[
      ngx.log(ngx.NOTICE, tostring(client), inside.report(client))
      ngx.say(inside.report(client))]]) }
    for _ = 1, 3 do
      local answer = nginx:get "/log"
      assert.is_nil(answer:find(nginx_client.KEY, 1, true))
    end
  end) -- after_each looks into the logs
end)
