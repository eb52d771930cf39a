--- The random part of the waits, and the random keys: evenly spread, and another one in each process.

local processes = require "spec.support.processes"
local rules = require "spec.retry.rules"

local SAMPLES = 100000

local function sampled(count, base, retry)
  local waits = {}
  for i = 1, count do waits[i] = rules.delay(base, retry) end
  return waits
end

local function mean_of(numbers)
  local sum = 0
  for _, number in ipairs(numbers) do sum = sum + number end
  return sum / #numbers
end

-- The largest distance between the distribution of sorted numbers and an even one.
local function kolmogorov_distance(sorted, least, most)
  local distance, count = 0, #sorted
  for i, number in ipairs(sorted) do
    local even = (number - least) / (most - least)
    distance = math.max(distance, i / count - even, even - (i - 1) / count)
  end
  return distance
end

local function assert_near(expected, actual, slack)
  assert(math.abs(actual - expected) <= slack, ("expected %g, but it is %g"):format(expected, actual))
end

describe("the wait before retry number", function()
  for retry = 0, 6 do
    local base = 0.5
    local most = math.min(8, base * 2 ^ retry)
    it(("%d is spread evenly from 0.1 to %g seconds"):format(retry, most), function()
      local waits = sampled(SAMPLES, base, retry)
      table.sort(waits)
      assert_near(0.1, waits[1], 0.1 * 0.02)
      assert_near(most, waits[SAMPLES], most * 0.02)
      assert_near((0.1 + most) / 2, mean_of(waits), (0.1 + most) / 2 * 0.02)
      local distance = kolmogorov_distance(waits, 0.1, most)
      assert(distance < 0.01, distance)
    end)
  end
end)

describe("after a fork", function()
  it("parent and child wait differently", function()
    local count = 10000
    local result = processes.start(function() return sampled(count, 1, 0) end)
    local ours, equal = sampled(count, 1, 0), 0
    local theirs = result()
    local our_mean, their_mean = mean_of(ours), mean_of(theirs)
    local both, our_squares, their_squares = 0, 0, 0
    for i = 1, count do
      local a, b = ours[i] - our_mean, theirs[i] - their_mean
      both, our_squares, their_squares = both + a * b, our_squares + a * a, their_squares + b * b
      if math.abs(ours[i] - theirs[i]) < 1e-9 then equal = equal + 1 end
    end
    local correlation = both / math.sqrt(our_squares * their_squares)
    assert(math.abs(correlation) < 0.06, correlation) -- six times its standard deviation
    assert(equal < 10, equal)
  end)
end)

describe("an idempotency key", function()
  it("is never the same twice", function()
    local seen = {}
    for _ = 1, SAMPLES do
      local key = rules.key()
      assert(not seen[key], key)
      seen[key] = true
    end
  end)
end)
