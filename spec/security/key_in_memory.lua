-- A program for security_memory_spec.lua: prints how often the key is in memory at each point of a client's life.
--     lua spec/security/key_in_memory.lua MEMORY_LIBRARY URL CA_FILE UNIX_SOCKET WIPE_CURL
-- CA_FILE and UNIX_SOCKET may be "". WIPE_CURL "yes": libcurl wipes what it frees.

local memory = assert(package.loadlib(arg[1], "luaopen_memory"))()
memory.wipe_lua()
if arg[5] == "yes" then assert(memory.wipe_curl()) end

local payment_records = require "payment_records"
local payments = require "spec.support.payments"

local function show(point)
  collectgarbage()
  collectgarbage()
  print(point .. "=" .. memory.count())
end

-- Whether it is given as a string or by a function, only the client keeps it.
local function new(by_function)
  return payment_records.new {
    api_key = by_function and memory.key or memory.key(), api_base = arg[2], ca_file = arg[3] ~= "" and arg[3] or nil,
    unix_socket = arg[4] ~= "" and arg[4] or nil, max_retries = 0, timeout = 20,
  }
end

local function use(client)
  for _ = 1, 3 do assert(client:report_payment(payments.PAYMENT)) end
  assert(client:retrieve_payment_record "pr_1")
  client:report_payment {}
  client:prepare("report_payment", payments.PAYMENT)
  local calls = {}
  for i = 1, 20 do calls[i] = client:start("report_payment", payments.PAYMENT) end
  while client:step(0.1) > 10 do end -- luacheck: ignore 542
  calls[20]:cancel()
  client:start("report_payment", payments.PAYMENT)
  client:step() -- and leave it in flight
  return calls
end

show "start"
local first, second = new(false), new(true)
show "new"
local held = { use(first), use(second) }
show "used"
first:close()
second:close()
show "closed"
assert(#held == 2) -- so long, the calls are not collected
held = nil -- luacheck: ignore 311
show "collected"
io.stdout:flush()
os.exit(0) -- without closing the state: the allocator is in a library that would be unloaded before
