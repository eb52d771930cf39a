--- The retry decision of src/ in every case there is, compared with a model that knows nothing of the code.

local cjson = require "cjson"
local model = require "spec.retry.model"
local payments = require "spec.support.payments"
local rules = require "spec.retry.rules"

after_each(payments.close_all)

local BOOLEANS = { false, true }
local PROBLEMS = { false, "lock_timeout", "idempotency_error" }
local ADVICE = { {}, { "true" }, { "false" }, { "TRUE" }, { "perhaps" }, { "true", "false" }, { "false", "perhaps" } }

-- The head of an answer as libcurl hands it over.
local function head_of(attempt)
  local lines = { "HTTP/1.1 " .. attempt.status .. " \r\n", "Content-Type: application/json\r\n" }
  for _, value in ipairs(attempt.should_retry) do lines[#lines + 1] = "stripe-should-retry:  " .. value .. "\r\n" end
  if attempt.replayed then lines[#lines + 1] = "Idempotent-Replayed: true\r\n" end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines)
end

local function describe_attempt(attempt)
  local names, words = {}, {}
  for name in pairs(attempt) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = attempt[name]
    words[i] = name .. "=" .. (type(value) == "table" and table.concat(value, "+") or tostring(value))
  end
  return table.concat(words, " ")
end

-- Runs through combinations, and keeps the first that differ.
local Comparison = {}
Comparison.__index = Comparison

local function new_comparison()
  return setmetatable({ count = 0, different = 0, seen = {} }, Comparison)
end

function Comparison:check(attempt, head)
  local outcome, retry, retryable, base = rules.decide(attempt.code, attempt.cause or nil, attempt.sent, attempt.status,
    head, attempt.problem or nil, attempt.usable, attempt.stripe, attempt.post, attempt.doubt, attempt.refused)
  local expected = model.decide(attempt)
  self.count = self.count + 1
  if outcome ~= expected.outcome or retry ~= expected.retry or retryable ~= expected.retryable
    or retry and base ~= expected.base then
    self.different = self.different + 1
    if #self.seen < 10 then
      self.seen[#self.seen + 1] = ("%s:\n    expected %s, but it is outcome=%s retry=%s retryable=%s base=%s"):format(
        describe_attempt(attempt), describe_attempt(expected), outcome, tostring(retry), tostring(retryable), base)
    end
  end
end

function Comparison:assert_equal(least)
  assert(self.different == 0,
    ("%d of %d differ, among them\n  %s"):format(self.different, self.count, table.concat(self.seen, "\n  ")))
  assert(self.count > least, self.count)
end

-- The attempt with each combination of what is known of the call, from whom the answer is, and what it is to.
local function with_all_flags(attempt, visit)
  for _, post in ipairs(BOOLEANS) do
    attempt.post = post
    for _, doubt in ipairs(BOOLEANS) do
      attempt.doubt = doubt
      for _, refused in ipairs(BOOLEANS) do
        attempt.refused = refused
        visit(attempt)
      end
    end
  end
end

local function with_all_heads(attempt, visit)
  for _, advice in ipairs(ADVICE) do
    for _, replayed in ipairs(attempt.code == 0 and BOOLEANS or { false }) do
      attempt.should_retry, attempt.replayed = advice, replayed
      visit(attempt, head_of(attempt))
    end
  end
end

local function all_statuses()
  local statuses = { 0, 99, 600, 999 }
  for status = 100, 599 do statuses[#statuses + 1] = status end
  return statuses
end

describe("the retry decision", function()
  it("is the model's for every answer", function()
    local comparison = new_comparison()
    for _, status in ipairs(all_statuses()) do
      local attempt = { code = 0, sent = true, status = status }
      with_all_heads(attempt, function(_, head)
        for _, good in ipairs(BOOLEANS) do
          attempt.usable = good and status >= 200 and status < 300
          attempt.stripe = good
          for _, problem in ipairs(attempt.usable and { false } or PROBLEMS) do
            attempt.problem = problem
            with_all_flags(attempt, function() comparison:check(attempt, head) end)
          end
        end
      end)
    end
    comparison:assert_equal(300000)
  end)

  it("is the model's for every end without an answer", function()
    local comparison = new_comparison()
    local function check(cause, code, sent)
      for _, status in ipairs { 0, 101, 200, 400, 429, 500 } do -- that was on its way
        local attempt = { cause = cause, code = code, sent = sent, status = status }
        with_all_heads(attempt, function(_, head)
          with_all_flags(attempt, function() comparison:check(attempt, head) end)
        end)
      end
    end
    for _, sent in ipairs(BOOLEANS) do
      for code = 1, 99 do check(false, code, sent) end
      check("large", 0, sent)
      check("canceled", 0, sent)
    end
    comparison:assert_equal(56000)
  end)
end)

describe("the wait before the next attempt", function()
  local function head(...)
    local lines = { "HTTP/1.1 429 \r\n" }
    for _, value in ipairs { ... } do lines[#lines + 1] = "Retry-After: " .. value .. "\r\n" end
    return table.concat(lines) .. "\r\n"
  end

  -- What is read of the header, as seconds. Stripe sends no dates: those of others count as absent.
  local headers = {
    { nil, head() }, { 0, head "0" }, { 1, head "1" }, { 2.5, head "2.5" }, { 7, head " 7 \t" }, { nil, head "-5" },
    { 99999999999, head "99999999999" }, { 9e99, head(("9"):rep(400)) }, { nil, head "" }, { nil, head "soon" },
    { nil, head "1e3" }, { nil, head "0x10" }, { nil, head "." }, { nil, head "1.2.3" }, { nil, head "1, 2" },
    { nil, head "Wed, 21 Oct 2015 07:28:00 GMT" }, { nil, head "Fri, 21 Oct 2099 07:28:00 GMT" },
    { nil, head(os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 365 * 86400)) },
    { 3, head("2", "3") }, { 3, head("3", "2") }, { 3, head("3", "soon") }, -- the longer wait
  }

  it("is within the model's bounds", function()
    for _, case in ipairs(headers) do
      for _, base in ipairs { 0.25, 0.5, 1 } do
        for retry = 0, 40 do
          local least, most = model.wait(base, retry, case[1])
          local said = ("base %g, retry %d, %s"):format(base, retry, case[2])
          assert(math.abs(rules.delay(base, retry, case[2], 0) - least) < 1e-9, said)
          assert(math.abs(rules.delay(base, retry, case[2], 1) - most) < 1e-9, said)
          local wait = rules.delay(base, retry, case[2])
          assert(wait >= least and wait <= most, said)
        end
      end
    end
  end)

  it("is never longer than 13 seconds", function()
    for _, retry in ipairs { 0, 5, 1000, 2147483647 } do
      local wait = rules.delay(1, retry, head "99999999999")
      assert.is_true(wait >= 5.1 and wait <= 13, wait)
    end
  end)
end)

-- Calls of a client whose transport is a function: the same decision with the answer read, the attempts counted, and
-- what is known of a call kept from one attempt to the next.
describe("a call", function()
  local LOST, LIMITED = { code = 56, sent = true, status = 0 }, { code = 0, status = 429, stripe = true }

  local function response(attempt, id)
    if attempt.code ~= 0 then return nil, "lost" end
    local problem = attempt.problem
    local error = { message = "No.", code = problem ~= "idempotency_error" and problem or nil,
      type = problem == "idempotency_error" and problem or attempt.stripe and "some_error" or nil }
    local headers = { ["Idempotent-Replayed"] = attempt.replayed and "true" or nil }
    headers["Stripe-Should-Retry"] = attempt.should_retry and attempt.should_retry[1] and attempt.should_retry
    return { status = attempt.status, headers = headers,
      body = attempt.usable and ('{"object":"payment_record","id":"%s"}'):format(id) or cjson.encode { error = error } }
  end

  -- A client whose calls have these ends of their attempts, by the number in their path; the waits go to `waits`.
  local function client_of(ends, waits, max_retries)
    return payments.client({ url = "https://api.stripe.com" }, {
      max_retries = max_retries,
      on_attempt = function(event) waits[tonumber(event.path:match "/pr_(%d+)")] = event.wait end,
      transport = function(request)
        local id, number = request.path:match "/(pr_(%d+))"
        return response(table.remove(ends[tonumber(number)], 1), id)
      end,
    })
  end

  local function start(client, i, post)
    if post then return client:start("report_payment_attempt", "pr_" .. i, { initiated_at = 1730253453 }) end
    return client:start("retrieve_payment_record", "pr_" .. i)
  end

  -- `last`: no attempt is left. A call that waits for its next one has been canceled, which keeps what is known.
  local function assert_ended(attempt, err, wait, last)
    local expected = model.decide(attempt)
    local outcome = err and err.outcome or "done"
    local retried = expected.retry and not last
    local right = outcome == expected.outcome and (wait ~= nil) == retried
    if right and retried then
      local least, most = model.wait(expected.base, 0)
      right = wait >= least and wait <= most
    elseif right and err then
      right = err.retryable == expected.retryable
    end
    assert(right, ("%s: expected %s, but it is outcome=%s retryable=%s, and waits %s"):format(describe_attempt(attempt),
      describe_attempt(expected), outcome, tostring(err and err.retryable), tostring(wait)))
  end

  -- Every status with what can come along; idempotency_error is an error's type, and so a mark of Stripe's.
  local function all_answers()
    local answers = {}
    for _, status in ipairs(all_statuses()) do
      for _, advice in ipairs { ADVICE[1], ADVICE[2], ADVICE[3], ADVICE[6] } do
        for kind = 1, 8 do
          local good = kind > 2
          local usable = good and status >= 200 and status < 300
          answers[#answers + 1] = { code = 0, sent = true, status = status, post = true, should_retry = advice,
            stripe = good, usable = usable, problem = not usable and PROBLEMS[good and kind % 3 + 1 or kind],
            replayed = kind % 2 == 0 }
        end
      end
    end
    return answers
  end

  for retries = 0, 1 do
    it("with " .. retries .. " attempts left is decided so, whatever the answer", function()
      local ends, waits, answers = {}, {}, all_answers()
      local client = client_of(ends, waits, retries)
      for i, attempt in ipairs(answers) do
        ends[i] = { attempt }
        local call = start(client, i, true)
        client:step()
        call:cancel() -- does nothing when it is done
        local _, err = call:result()
        assert_ended(attempt, err, waits[i], retries == 0)
      end
      assert(#answers > 16000, #answers)
    end)
  end

  it("is decided so after an attempt that was lost or refused", function()
    local ends, waits, calls, attempts = {}, {}, {}, {}
    local client = client_of(ends, waits, 1)
    for _, attempt in ipairs(all_answers()) do
      if not attempt.problem and #attempt.should_retry == 0 then
        for _, first in ipairs { LOST, LIMITED } do
          for _, post in ipairs(BOOLEANS) do
            local i = #attempts + 1
            attempts[i] = { post = post, doubt = first == LOST, refused = first == LIMITED }
            for name, value in pairs(attempt) do
              if attempts[i][name] == nil then attempts[i][name] = value end
            end
            ends[i] = { first, attempts[i] }
          end
        end
      end
    end
    for i, attempt in ipairs(attempts) do calls[i] = start(client, i, attempt.post) end
    repeat until client:step(0.05) == 0
    for i, attempt in ipairs(attempts) do
      local _, err = calls[i]:result()
      assert_ended(attempt, err, waits[i], true)
    end
    assert(#attempts > 4000, #attempts)
  end)
end)
