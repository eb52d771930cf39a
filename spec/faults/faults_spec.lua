--- Nothing is lost and nothing is doubled, whatever the network does: RELIABILITY 2 over HTTP/1.1, plain and with TLS,
-- on TCP and Unix sockets and through proxies. Every row of the tables (rows/) is met in several modes (cases.lua), and
-- after every case all that must hold is checked (checks.lua): one result for each call, in time, with a true outcome;
-- one key and one body over all attempts; at most one payment by the server's ledger, and exactly one if the client
-- says so; attempts as the server counts them; the next call works; descriptors and memory are as before.
--
-- The spec files beside this one do that, each with a part of the tables (tables.lua, part.lua). Here: that they are
-- all, that they are not blind, and what is no fault of the network's.
--
-- Not here:
--   N-04  a name server that does not answer: the resolver cannot be had so in this process; lifecycle_descriptors_spec
--         preloads a slow one.
--   N-08  EPERM by a firewall: needs one. N-09: more than two addresses of a name: needs a name server.
--   N-10  ENOBUFS, EMFILE: cases that run side by side cannot share a process that lacks them;
--         lifecycle_descriptors_spec.
--   N-14  RC4: OpenSSL has none left. N-16: renegotiation, which TLS 1.3 has not and Python cannot start; must-staple.
--   N-17  a certificate that changes while a connection is kept: takes ten minutes.
--   N-35  the id of another record: an answer is not compared with what was asked for.
--   N-60 to N-67  HTTP/2: a spec of its own.
--   N-70  the environment, N-71: network_connection_spec. SOCKS: a proxy is an HTTP proxy.
--   N-72  clocks that jump: needs another kernel or libfaketime. N-73: loss and reordering: needs netem.
--   N-74  load: a matter of time, not of truth.

local cases = require "spec.faults.cases"
local checks = require "spec.faults.checks"
local files = require "spec.support.files"
local payments = require "spec.support.payments"
local runner = require "spec.faults.runner"
local servers = require "spec.support.servers"
local tables = require "spec.faults.tables"

teardown(servers.stop_all)

describe("one key", function()
  after_each(payments.close_all)

  local function payment(reference)
    return payments.with { metadata = { reference = reference } }
  end

  it("that two calls share at the same time makes one payment, and both have it", function()
    local server = servers.start { ledger = true, steps = { { work = 0.3 } } }
    local client = payments.client(server, { max_retries = 5 })
    local calls = {}
    for i = 1, 2 do
      calls[i] = client:start("report_payment", payment "shared", { idempotency_key = "shared" })
    end
    assert.is_true(payments.finish(client, 15))
    for _, call in ipairs(calls) do
      local record, err = call:result()
      assert.is_nil(err)
      assert.equal("shared", record.metadata.reference)
    end
    assert.equal(1, #server:entries "effect")
  end)

  it("that was used for another payment is refused, and the first payment stays as it is", function()
    local server = servers.start { ledger = true }
    local client = payments.client(server, { max_retries = 5 })
    assert(client:report_payment(payment "first", { idempotency_key = "used" }))
    local record, err = client:report_payment(payment "second", { idempotency_key = "used" })
    assert.is_nil(record)
    assert.same({ "idempotency_error", "rejected", 1 }, { err.type, err.outcome, err.attempts })
    assert.equal(1, #server:entries "effect")
  end)

  for _, applied in ipairs { true, false } do
    it("tells after a 500 what became of it: the same 500, for ever" .. (applied and ", though it was made" or ""),
      function()
        local step = { ledger = applied and "fail_after" or "fail_before" }
        local server = servers.start { ledger = true, steps = { step, {} } }
        local client = payments.client(server, { max_retries = 3 })
        local _, err = client:report_payment(payment "odd", { idempotency_key = "odd" })
        assert.same({ "unknown", 500, 2, false }, { err.outcome, err.status, err.attempts, err.retryable })
        _, err = client:report_payment(payment "odd", { idempotency_key = "odd" })
        assert.same({ "unknown", 500, 1 }, { err.outcome, err.status, err.attempts })
        assert.equal(applied and 1 or 0, #server:entries "effect")
      end)
  end
end)

describe("the tables", function()
  it("are run by the spec files beside: at least 340 faults, in at least 3,000 cases", function()
    local faults, planned = 0, 0
    for name, of_file in pairs(tables.FILES) do
      local code = files.read("spec/faults/" .. name .. ".lua")
      assert.truthy(code and code:find(('require "spec.faults.part" "%s"'):format(name), 1, true), name)
      for _, table_name in ipairs(of_file) do
        local entries = tables.entries(table_name)
        faults, planned = faults + #entries, planned + #tables.cases_of(entries)
      end
    end
    local share = tables.EVERY == 1 and 1 or 1 / (tables.EVERY + 2) -- each table has a rest of some rows
    assert.is_true(faults >= 340 * share, faults)
    assert.is_true(planned >= 3000 * share, planned)
  end)

  it("make doubles where the server ignores keys, or else these specs would be blind", function()
    local list, doubles = {}, 0
    for _, name in ipairs { "requests", "answers", "bodies", "statuses", "edge" } do
      for _, case in ipairs(tables.cases_of(tables.entries(name))) do
        if case.effect == "after" and case.often == "once" and case.calls == 1 then list[#list + 1] = case end
      end
    end
    runner.run(list, function(part) return cases.start(part, "without_keys") end, nil, function(case)
      for _, effects in pairs(checks.ledger_of(case).effects) do doubles = doubles + effects - 1 end
    end)
    assert.is_true(doubles >= 100 / tables.EVERY, doubles)
  end)
end)
