--- How calls share what an HTTP/2 server offers: connections, streams, the protocol itself (N-60, N-64, N-66, N-67).

local libcurl = require "spec.support.libcurl"
local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

local MANY = 50

---Makes calls at once, each with a reference of its own. `first` takes the place of the first one, if it is given.
---@return table[] results {record, err, response} of each, in their order
local function make(client, first)
  local calls, results = {}, {}
  for i = 1, MANY do
    local params = payments.with { metadata = { reference = "order-" .. i } }
    calls[i] = i == 1 and first and first() or client:start("report_payment", params)
  end
  while client:step(1) > 0 do end -- luacheck: ignore
  for i, call in ipairs(calls) do results[i] = { call:result() } end
  return results
end

---Fails unless each call from number `from` on went well, and has the record of its own payment.
local function check_all_well(results, from)
  for i = from or 1, MANY do
    local record, err = results[i][1], results[i][2]
    assert.is_nil(err)
    assert.equal("order-" .. i, record.metadata.reference)
  end
end

local function start(options)
  options.http2, options.tls, options.ledger = true, true, true
  return servers.start(options)
end

describe("a server that offers", function()
  teardown(servers.stop_all)
  after_each(payments.close_all)

  for name, case in pairs {
    ["HTTP/2 alone"] = { { "h2" }, "HTTP/2" }, ["both protocols"] = { { "h2", "http/1.1" }, "HTTP/2" },
    ["HTTP/1.1 alone"] = { { "http/1.1" }, "HTTP/1.1" }, ["no choice of a protocol"] = { {}, "HTTP/1.1" },
  } do
    it(name .. " gets " .. case[2], function()
      local server = start { alpn = case[1] }
      check_all_well(make(payments.client(server)))
      local requests = server:requests()
      assert.equal(MANY, #requests)
      for _, request in ipairs(requests) do assert.equal(case[2], request.version) end
    end)
  end
end)

describe("50 calls at once", function()
  teardown(servers.stop_all)
  after_each(payments.close_all)

  -- The server's options, the steps of its first request
  local limits = {
    { "1 stream at a time", { streams = 1 } },
    { "10 streams at a time", { streams = 10 } },
    { "1 stream at a time from now on", {}, { play = { { streams = 1 }, { wait = 0.1 }, "headers", "body" } } },
    { "no stream for a while", {}, { play = { { streams = 0 }, "headers", "body", { wait = 0.1 }, { streams = 9 } } } },
  }
  for _, limit in ipairs(limits) do
    for _, is_warm in ipairs { false, true } do
      it(("all end well where a connection takes %s, %s"):format(limit[1], is_warm and "warm" or "cold"), function()
        local server = start(limit[2])
        local client = payments.client(server, { max_retries = 5 })
        if is_warm then assert(client:retrieve_payment_record "pr_1") end
        server:play { limit[3] or {}, {} }
        check_all_well(make(client))
        assert.equal(MANY, #server:requests())
        -- A request that shares a connection may be refused there, and takes another.
        local most = libcurl.shares_connections and 2 * MANY or MANY
        assert.is_true(#server:connections() <= most, #server:connections() .. " connections")
      end)
    end
  end

  it("are not late because one of them gets no answer", function()
    local server = start { by_path = { pr_stall = { { play = { { wait = 60 } } } } } }
    local client = payments.client(server)
    local results = make(client, function()
      return client:start("report_payment_attempt", "pr_stall", { initiated_at = 1730253453 }, { timeout = 2 })
    end)
    check_all_well(results, 2)
    local err = results[1][2]
    assert.same({ "timeout_error", "unknown", 1 }, { err.type, err.outcome, err.attempts })
    assert(client:report_payment(payments.PAYMENT))
  end)
end)

describe("a server that refuses streams", function()
  teardown(servers.stop_all)

  it("is asked twice in each attempt, and then waited for", function()
    local server = start { steps = { { play = { { rst = 7 } } } } }
    local _, err = payments.client(server, { max_retries = 2 }):report_payment(payments.PAYMENT)
    assert.same({ "connection_error", "unknown", 6 }, { err.type, err.outcome, err.attempts })
    assert.truthy(err.message:find("did not take the request", 1, true))
    assert.equal(6, #server:requests())
    payments.close_all()
  end)
end)

describe("a connection on which no answer comes", function()
  teardown(servers.stop_all)
  after_each(payments.close_all)

  local function connections_of(play, proxy)
    local server = start { steps = { { play = play }, {} } }
    local client = payments.client(server, { max_retries = 1, timeout = 1, proxy = proxy })
    assert(client:report_payment(payments.PAYMENT))
    assert(client:report_payment(payments.PAYMENT))
    local connections = {}
    for i, request in ipairs(server:requests()) do connections[i] = request.connection end
    return connections
  end

  it("is given up after a timeout: the next attempt and the next call have another", function()
    assert.same({ 1, 2, 2 }, connections_of { { wait = 60 } })
  end)

  it("is given up after an interim answer, too", function()
    assert.same({ 1, 2, 2 }, connections_of { { interim = 103, count = 1 }, { wait = 60 } })
  end)

  it("is given up where a proxy has answered", function()
    assert.same({ 1, 2, 2 }, connections_of({ { wait = 60 } }, servers.proxy().url))
  end)

  it("is not that of the next attempt, even if the answer had begun", function()
    assert.equal(2, connections_of({ "headers", { wait = 60 } })[2])
  end)
end)
