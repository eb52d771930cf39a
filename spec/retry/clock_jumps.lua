--- For clock_spec.lua, under libfaketime: makes calls while the wall clock jumps, and prints what became of them.
--     lua clock_jumps.lua SERVER, as JSON

local cjson = require "cjson"
local files = require "spec.support.files"
local payments = require "spec.support.payments"
local processes = require "spec.support.processes"

local servers = cjson.decode(arg[1])
local clock = assert(os.getenv "FAKETIME_TIMESTAMP_FILE")
local now = processes.now

-- What the wall clock says beside the true one from now on: "+1h", "-10y".
local function set_clock(offset)
  files.write(clock .. ".new", offset .. "\n")
  assert(os.rename(clock .. ".new", clock))
end

local function result_of(start, record, err)
  return { elapsed = now() - start, outcome = record and "done" or err.outcome, type = err and err.type,
    curl_code = err and err.curl_code, retryable = err and err.retryable }
end

-- A call each that waits for a connection, an answer that never comes, one that comes late, its next attempt, and one
-- that blocks.
local function call_while_it_jumps(offset)
  local results, started, jumped = {}, now(), nil
  local plain = payments.client(servers.plain, { max_retries = 1 })
  local closed = payments.client(servers.black_hole, { max_retries = 1 })
  local function start(client, name, deadline)
    client:start("report_payment_attempt", "pr_" .. name, { initiated_at = 1730253453 }, {
      deadline = deadline, on_done = function(record, err) results[name] = result_of(started, record, err) end })
  end
  set_clock "+0"
  local before = os.time()
  start(closed, "connect", 1)
  start(plain, "silent", 1)
  start(plain, "late", 5)
  start(plain, "busy", 5)
  while plain:step(0.01) + closed:step(0.01) > 0 do
    if not jumped and now() - started > 0.3 then
      set_clock(offset)
      jumped = os.time() - before
    end
  end
  set_clock "+0"
  files.shell(("(sleep 0.3; echo %s >%s) >&- 2>&- &"):format(offset, clock))
  started = now()
  results.block = result_of(started,
    plain:report_payment_attempt("pr_silent", { initiated_at = 1730253453 }, { deadline = 1 }))
  return { results = results, jumped = jumped }
end

-- A first call, and one on the same connection after the clock has jumped; then one on a new connection.
local function connect_when_it_is(offset)
  set_clock "+0"
  local kept = payments.client(servers.tls, { max_retries = 2 })
  local before = result_of(now(), kept:report_payment(payments.PAYMENT))
  set_clock(offset)
  local after = result_of(now(), kept:report_payment(payments.PAYMENT))
  local new = payments.client(servers.tls, { max_retries = 2 })
  return { before = before, after = after, new = result_of(now(), new:report_payment(payments.PAYMENT)) }
end

local found = { jumps = {}, certificates = {} }
for _, offset in ipairs { "+0", "+1h", "-1h", "+10y", "-10y" } do found.jumps[offset] = call_while_it_jumps(offset) end
for _, offset in ipairs { "+10y", "-10y" } do found.certificates[offset] = connect_when_it_is(offset) end
payments.close_all()
print(cjson.encode(found))
