--- Calls while the wall clock jumps, and while the process stands still.

local cjson = require "cjson"
local files = require "spec.support.files"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

teardown(servers.stop_all)
after_each(payments.close_all)

local HOUR, YEAR = 3600, 365 * 86400
local JUMPS = { ["+0"] = 0, ["+1h"] = HOUR, ["-1h"] = -HOUR, ["+10y"] = 10 * YEAR, ["-10y"] = -10 * YEAR }

-- Runs clock_jumps.lua with a wall clock of its own; the clock that waits are measured by stays the machine's.
local function jump_about(plain, black_hole, tls)
  local library = files.capture "faketime -f +0 printenv LD_PRELOAD":gsub("%s+$", "") -- "$LIB" in it is for the loader
  local directory = files.temporary_directory()
  local function address(server) return { url = server.url, ca_file = server.ca_file } end
  files.write(directory .. "/clock", "+0\n")
  local output, status = files.capture(([[
    FAKETIME_TIMESTAMP_FILE=%s/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD='%s' \
      timeout 100 %s spec/retry/clock_jumps.lua '%s' 2>&1]]):format(directory, library, processes.interpreter,
    cjson.encode { plain = address(plain), black_hole = address(black_hole), tls = address(tls) }))
  files.remove(directory)
  assert(status == 0, output)
  return cjson.decode(output)
end

describe("the wall clock", function()
  local found, tls

  setup(function()
    local busy, times = {}, 0
    for _ in pairs(JUMPS) do times = times + 1 end
    for i = 1, times do
      busy[2 * i - 1], busy[2 * i] = { status = 503, body = "", headers = { ["Retry-After"] = "0.6" } }, {}
    end
    local plain = servers.start { by_path = {
      ["/pr_silent/"] = { { fault = "stall" } }, ["/pr_late/"] = { { delay = 0.6 } }, ["/pr_busy/"] = busy } }
    tls = servers.start { tls = true }
    found = jump_about(plain, servers.start { listener = "black_hole" }, tls)
  end)

  -- What becomes of a call, and after how many seconds at least.
  local calls = {
    connect = { "not_sent", "timeout_error", 1 },
    silent = { "unknown", "timeout_error", 1 },
    block = { "unknown", "timeout_error", 1 },
    late = { "done", nil, 0.6 },
    busy = { "done", nil, 0.6 },
  }

  for offset, seconds in pairs(JUMPS) do
    it("may jump " .. offset .. " while calls wait: nothing comes of it", function()
      local jump = found.jumps[offset]
      assert(math.abs(jump.jumped - seconds) < 5 * 86400, jump.jumped) -- leap days, and the time that passed
      for name, expected in pairs(calls) do
        local result = jump.results[name]
        assert.same({ name, expected[1], expected[2] }, { name, result.outcome, result.type })
        local late = result.elapsed - expected[3]
        assert(late > -0.02 and late < 4, name .. ": " .. late)
      end
    end)
  end

  for offset, state in pairs { ["+10y"] = "has expired", ["-10y"] = "is not valid yet" } do
    it("decides on certificates: one that " .. state .. " is refused, once, and nothing is sent", function()
      local results = found.certificates[offset]
      assert.same({ "done", "done" }, { results.before.outcome, results.after.outcome }) -- on one connection
      assert.same({ "not_sent", "connection_error", 60, false },
        { results.new.outcome, results.new.type, results.new.curl_code, results.new.retryable })
    end)
  end

  it("of a refused certificate's server saw no request, and no second try", function()
    assert.equal(4, #tls:requests())
    assert.equal(4, #tls:connections())
  end)
end)

describe("a process that is stopped for longer than the deadline", function()
  local DEADLINE, STOPPED = 2, 2.5
  local directory, silent, late, continued
  local runs = {}

  local ways = {
    blocks = function(client) return client:report_payment(payments.PAYMENT) end,
    steps = function(client)
      local call = client:start("report_payment", payments.PAYMENT)
      while not call:done() do client:step(10) end
      return call:result()
    end,
    sleeps = function(client) return client:report_payment(payments.PAYMENT) end,
  }

  -- Starts a process that makes a call in this way, and writes down what became of it, and when.
  local function start(way, server)
    local path = directory .. "/" .. way .. server.port
    local pid = processes.fork()
    if pid == 0 then
      local client = payments.client(server, {
        deadline = DEADLINE, max_retries = 5, sleep = way == "sleeps" and processes.pause or nil })
      local record, err = ways[way](client)
      files.write(path, cjson.encode {
        outcome = record and "done" or err.outcome, type = err and err.type, time = processes.now() })
      processes.exit(0)
    end
    return { pid = pid, way = way, server = server, path = path }
  end

  setup(function()
    directory = files.temporary_directory()
    silent = servers.start { steps = { { fault = "stall" } } }
    late = servers.start { steps = { { delay = 1 } } }
    for way in pairs(ways) do
      runs[#runs + 1], runs[#runs + 2] = start(way, silent), start(way, late)
    end
    local pids = ""
    for _, run in ipairs(runs) do pids = pids .. " " .. run.pid end
    while #silent:requests() + #late:requests() < #runs do processes.pause(0.01) end
    files.shell("kill -STOP" .. pids)
    processes.pause(STOPPED)
    continued = processes.now()
    files.shell("kill -CONT" .. pids)
    for _, run in ipairs(runs) do
      assert.equal(0, processes.wait(run.pid))
      run.result = cjson.decode(files.read(run.path))
    end
    files.remove(directory)
  end)

  local function results_of(server)
    local results = {}
    for _, run in ipairs(runs) do
      if run.server == server then
        results[#results + 1] = run.result
        local took = run.result.time - continued
        assert(took < 1, run.way .. ": " .. took)
      end
    end
    assert.equal(3, #results)
    return results
  end

  it("ends its call as soon as it goes on, as unknown", function()
    for _, result in ipairs(results_of(silent)) do
      assert.same({ "unknown", "timeout_error" }, { result.outcome, result.type })
    end
  end)

  it("has the answer that came meanwhile, or does not know", function()
    for _, result in ipairs(results_of(late)) do
      local unknown = result.type == "timeout_error" and result.outcome == "unknown"
      assert(result.outcome == "done" or unknown, result.outcome)
    end
  end)
end)

describe("a machine that sleeps while a call may have taken effect", function()
  -- What becomes of the call.
  local function sleep(hours, moment)
    local library = processes.build("sleeping_machine.c", "sleeping_machine.so", "-shared -fPIC")
    local directory = files.temporary_directory()
    local output, status = files.capture(
      ("LD_PRELOAD=%s SLEPT_FILE=%s/slept timeout 60 %s spec/retry/sleeping_machine.lua %d %s 2>&1"):format(
        library, directory, processes.interpreter, hours * HOUR, moment))
    files.remove(directory)
    assert(status == 0, output)
    return cjson.decode(output)
  end

  local moments = {
    retry = { "before its next attempt", 2, 1 },
    resend = { "before libcurl sends it again by itself", 2, 2 },
    connect = { "while its next attempt connects", 2, 2 },
    fork = { "before a forked process makes it, too", 1, 2 },
  }
  for moment, expected in pairs(moments) do
    it("for most of a day, " .. expected[1] .. ", sends it again", function()
      assert.same({ outcome = "done", attempts = expected[2], reports = expected[3] }, sleep(22, moment))
    end)

    it("for as long as Stripe keeps a key, " .. expected[1] .. ", does not: it would take effect again", function()
      local attempts = moment == "fork" and 0 or 1
      assert.same({ outcome = "unknown", retryable = false, attempts = attempts, reports = 1 }, sleep(24, moment))
    end)
  end
end)
