--- How many requests a failing server gets: as many as the attempts that max_retries allows, and not one more.

local cjson = require "cjson"
local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

teardown(servers.stop_all)
after_each(payments.close_all)

local function failure(status, headers)
  return { status = status, headers = headers, body = cjson.encode { error = { type = "api_error" } } }
end

-- Makes so many calls at once. Returns their errors, in any order, and the sum of their attempts.
local function make_calls(server, count, options)
  local errors, attempts = {}, 0
  local client = payments.client(server, options)
  for _ = 1, count do
    client:start("report_payment", payments.PAYMENT, { on_done = function(_, err, response)
      errors[#errors + 1], attempts = err, attempts + response.attempts
    end })
  end
  local last = os.time() + 60
  while client:step(1) > 0 do assert(os.time() < last, "the calls do not end") end
  return errors, attempts
end

describe("a server that fails", function()
  for retries = 0, 2 do
    it(("always gets each call %d times, no more and no less"):format(retries + 1), function()
      local calls, kinds = 300, { failure(500), failure(503), failure(409), failure(429), { cut = "body" } }
      local steps = {}
      for i = 1, 3 * calls do steps[i] = kinds[i % #kinds + 1] end
      local server = servers.start { steps = steps }
      local errors, attempts = make_calls(server, calls, { max_retries = retries })
      assert.equal(calls, #errors)
      assert.equal((retries + 1) * calls, attempts)
      local keys, distinct = {}, 0
      for _, request in ipairs(server:requests()) do
        local key = request.header["idempotency-key"]
        distinct = distinct + (keys[key] and 0 or 1)
        keys[key] = (keys[key] or 0) + 1
      end
      assert.equal(calls, distinct)
      for key, times in pairs(keys) do assert(times == retries + 1, key .. ": " .. times) end
    end)
  end

  it("one time in ten gets a tenth more, and every call ends well", function()
    local calls, steps, failures = 2500, {}, 0
    for i = 1, calls + 700 do
      local fails = math.random(10) == 1
      steps[i] = fails and failure(503, { ["Retry-After"] = "0" }) or {}
    end
    steps[#steps + 1] = {} -- for ever
    local server = servers.start { steps = steps }
    local errors, attempts = make_calls(server, calls, { max_retries = 8 })
    assert.same({}, errors)
    for i = 1, attempts do failures = failures + (steps[i].status and 1 or 0) end
    assert.equal(calls + failures, attempts)
    assert.equal(attempts, #server:requests())
    assert(attempts / calls > 1.05 and attempts / calls <= 1.2, attempts / calls)
  end)
end)
