--- The deadline of a call is kept wherever the call waits, and in each way to wait for it.

local cjson = require "cjson"
local files = require "spec.support.files"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"
local waiting = require "spec.retry.waiting"

local SLACK = 0.25 -- seconds; on top of what the machine is late by itself

teardown(servers.stop_all)

local STALL = { fault = "stall" }
local BUSY = { status = 503, body = "" }
local NOT_FOR_A_MINUTE = { status = 429, headers = { ["Retry-After"] = "60" },
  body = '{"error":{"type":"rate_limit_error"}}' }

-- What the calls wait for, and what is known at the end; `sooner`: they may end before the deadline.
local cases = {
  { name = "a connection", server = { listener = "black_hole" }, outcome = "not_sent" },
  { name = "the TLS handshake", server = { tls = "stall" }, outcome = "not_sent" },
  { name = "a server that does not read", large = true, outcome = "unknown",
    server = { steps = { { when = "headers", fault = "stall" } }, unix = true } }, -- TCP would buffer it all
  { name = "the head of the answer", server = { steps = { STALL } }, outcome = "unknown" },
  { name = "the rest of the answer", server = { steps = { { delay_body = 60 } } }, outcome = "unknown" },
  { name = "the next attempt", server = { steps = { BUSY } }, outcome = "unknown", sooner = true },
  { name = "their turn", server = { steps = { STALL } }, queued = true, outcome = "not_sent" },
  { name = "a server that says when to come again", server = { steps = { NOT_FOR_A_MINUTE } }, outcome = "rejected",
    sooner = true },
}

-- In a process of its own, whose resolver takes longer than any deadline.
local function measure_resolver()
  local library = processes.build("slow_resolver.c", "slow_resolver.so", "-shared -fPIC -ldl")
  local program = [[
    local samples, stall = require("spec.retry.waiting").measure {
      { name = "a name", server = { url = "https://payments.invalid" } } }
    print(require("cjson").encode { samples = samples, stall = stall })
    io.stdout:flush()
    require("spec.support.processes").exit(0)]] -- which does not wait for the resolver
  local output = files.capture(("RESOLVER_SECONDS=3 LD_PRELOAD=$LD_PRELOAD:./%s %s -e '%s' 2>&1"):format(
    library, processes.interpreter, program))
  local result = cjson.decode(output)
  return result.samples, result.stall
end

local function assert_kept(case, samples, stall)
  local count, reached, ways = 0, 0, {}
  for _, sample in ipairs(samples) do
    if sample.name == case.name then
      local over = sample.elapsed - sample.deadline
      local said = ("%s, deadline %g: %.3f s too long; the machine: %.3f s"):format(
        sample.way, sample.deadline, over, stall)
      assert(over <= SLACK + stall, said)
      assert(case.sooner or over > -0.02, said)
      count, ways[sample.way] = count + 1, true
      if sample.outcome == case.outcome then reached = reached + 1 end
    end
  end
  assert.equal(30, count)
  assert(reached > 6, reached) -- a very busy machine does not get that far with all of them
  assert.same({ step = true, sleep = true, block = true }, ways)
end

describe("the deadline of calls that wait for", function()
  local samples, stall

  setup(function()
    local to_measure = {}
    for i, case in ipairs(cases) do
      local server = servers.start(case.server)
      to_measure[i] = { name = case.name, large = case.large, queued = case.queued, server = server }
    end
    samples, stall = waiting.measure(to_measure)
  end)

  for _, case in ipairs(cases) do
    it(case.name .. " is kept", function() assert_kept(case, samples, stall) end)
  end

  it("a name is kept", function()
    assert_kept({ name = "a name", outcome = "not_sent" }, measure_resolver())
  end)
end)
