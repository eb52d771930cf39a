--- Calls that were started and are looked at when they are done, oldest first: a finished call is dropped then,
--- with its record.

local process = require "bench.process"

local Started = {}
Started.__index = Started

local function new()
  return setmetatable({ first = 1, last = 0 }, Started)
end

function Started:add(call)
  self.last = self.last + 1
  self[self.last] = call
end

---Checks and drops the oldest calls, as far as they are done.
function Started:check()
  local call = self[self.first]
  while call and call:done() do
    process.check(call:result())
    self[self.first] = nil
    self.first = self.first + 1
    call = self[self.first]
  end
end

function Started:count()
  return self.last - self.first + 1
end

return { new = new }
