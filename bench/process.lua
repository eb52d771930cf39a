--- What the Lua benchmarks share that needs no client: what the process has cost.

local process = {}

---A line of the kernel's account of this process, in kB; 0 where there is no /proc.
---@param field "VmHWM"|"RssAnon"
function process.kilobytes(field)
  local status = io.open "/proc/self/status"
  if not status then return 0 end
  local kilobytes = status:read("*a"):match(field .. ":%s*(%d+)")
  status:close()
  return tonumber(kilobytes)
end

---Starts to count. The function that is returned prints what so many calls have cost since: microseconds of CPU time
---per call, peak resident memory in kB at the start and now, and calls per second.
function process.meter()
  local socket = require "socket.core"
  local peak = process.kilobytes "VmHWM"
  local time, cpu = socket.gettime(), os.clock() -- os.clock: CPU time of this process, user and system
  return function(calls)
    local cost, elapsed = os.clock() - cpu, socket.gettime() - time
    print(("%.2f %d %d %.0f"):format(cost * 1e6 / calls, peak, process.kilobytes "VmHWM", calls / elapsed))
  end
end

---Raises unless the call has ended as it should.
function process.check(record, err)
  assert(record, tostring(err))
  assert(record.amount_requested.value == 1000)
end

return process
