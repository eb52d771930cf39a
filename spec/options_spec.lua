-- payment_records.new: options, keys, bases; and the life of a client.

local cjson = require "cjson"
local core = require "payment_records.core"
local files = require "spec.support.files"
local payment_records = require "payment_records"
local samples = require "spec.support.samples"

local KEY = samples.KEY
local NOTHING = "http://127.0.0.1:1" -- nobody listens on this port

local function new(options)
  local all = { api_key = KEY }
  for name, value in pairs(options) do all[name] = value end
  return payment_records.new(all)
end

describe("new raises on", function()
  local NAN, INFINITY = 0 / 0, 1 / 0
  local wrong = {
    api_key = { 17, true, {} },
    api_base = { 17, true, {}, print, "" },
    api_version = { 2026, true, "", "a b" },
    stripe_account = { 17, {}, "", "acct 1", "acct\n" },
    stripe_context = { 17, {}, "", "\0" },
    timeout = { "80", true, 0, -1, -0.5, NAN, INFINITY, -INFINITY, {} },
    connect_timeout = { "30", false, 0, -1, NAN, INFINITY },
    deadline = { "100", true, 0, -1, NAN, INFINITY },
    max_retries = { "2", true, -1, 0.5, NAN, INFINITY, 2 ^ 60 },
    max_in_flight = { "64", true, 0, -1, 1.5, NAN, INFINITY, 2 ^ 60, 2 ^ 30 + 1 },
    max_response_bytes = { "1", true, 0, -1, 1.5, NAN, INFINITY, 2 ^ 60 },
    ca_file = { 17, true, {}, "a\0b" },
    proxy = { 17, true, {}, "a\0b" },
    unix_socket = { 17, true, {}, "a\0b" },
    allow_unknown_params = { 0, 1, "true", {} },
    sleep = { true, 0, "sleep", {} },
    on_attempt = { true, false, "print", {} },
    transport = { true, false, "print", {} },
    app_info = { "Shop/1.0", true, 17 },
  }
  for option, values in pairs(wrong) do
    it("a wrong " .. option .. ", and names it", function()
      for _, value in ipairs(values) do
        local made, message = pcall(new, { [option] = value })
        assert.is_false(made)
        assert.matches("payment_records%.new: .*option " .. option .. ": ", message)
      end
    end)
  end

  it("a number out of its range, and says what the range is", function()
    local ranges = {
      timeout = "a number of seconds above 0, at most 1000000, got inf", max_retries = "from 0 to 1073741824, got inf",
      max_in_flight = "from 1 to 1073741824, got inf",
    }
    for option, range in pairs(ranges) do
      assert.error_matches(function() new { [option] = INFINITY } end, range)
    end
  end)

  it("an app_info that is not printable ASCII", function()
    for _, field in ipairs { "name", "version", "url" } do
      for _, value in ipairs { "a\r\nX: y", "é", "\127", "tab\t" } do
        local info = { name = "Shop" }
        info[field] = value
        local expected = "option app_info." .. field .. ": expected printable ASCII"
        assert.error_matches(function() new { app_info = info } end, expected)
      end
    end
  end)

  it("an app_info with something else in it", function()
    local fields = { nam = '"nam"', [1] = "1", [true] = "true" }
    for field, shown in pairs(fields) do
      assert.error_matches(function() new { app_info = { name = "Shop", [field] = "x" } } end,
        "expected name, version and url, got the field " .. shown)
    end
    assert.error_matches(function() new { app_info = { version = 1 } } end,
      "app_info.version: expected printable .*, got 1$")
  end)

  it("an unknown option, with the nearest name", function()
    local cases = {
      api_kye = "api_key", apikey = "api_key", time_out = "timeout", max_retry = "max_retries", timeouts = "timeout",
      stripe_acount = "stripe_account", on_atempt = "on_attempt", ca_fil = "ca_file", allow_unknown_param =
        "allow_unknown_params", maxretries = "max_retries", unixsocket = "unix_socket", transprot = "transport",
    }
    for name, nearest in pairs(cases) do
      local expected = ('unknown option "%s" %%(did you mean "%s"%%?%%)'):format(name, nearest)
      assert.error_matches(function() new { [name] = 1 } end, expected)
    end
    assert.error_matches(function() new { verify = false } end, 'unknown option "verify"')
    assert.error_matches(function() new { ["api_key" .. ("_"):rep(60)] = 1 } end, 'unknown option "api_key_+"…$')
  end)

  it("an option of a call", function()
    for _, name in ipairs { "idempotency_key", "on_done" } do
      assert.error_matches(function() new { [name] = "k" } end,
        "option " .. name .. ": belongs to a call, not to payment_records%.new")
    end
  end)

  it("what is not a table of names", function()
    for _, options in ipairs { KEY, 17, true, print } do
      local expected = "expected a table of options, got a " .. type(options)
      assert.error_matches(function() payment_records.new(options) end, expected)
    end
    assert.error_matches(function() new { "sk_test_x" } end, "expected a table of named options")
  end)

  it("a colon in place of the dot", function()
    for _, name in ipairs { "new", "encode", "describe", "minor_units" } do
      local _, message = pcall(function() payment_records[name](payment_records, {}) end)
      assert.matches("options_spec%.lua:%d+: payment_records%." .. name .. ": call it with a dot, not with a colon$",
        message)
    end
  end)

  it("and shows where the caller called it", function()
    local function caller()
      local client = payment_records.new { api_key = KEY, timeout = 0 }
      return client
    end
    local _, message = pcall(caller)
    assert.matches("options_spec%.lua:%d+: payment_records%.new: ", message)
  end)
end)

describe("new takes", function()
  it("each option, at its limits", function()
    local right = {
      timeout = { 0.001, 80, 1e6 }, connect_timeout = { 0.5, 30 }, deadline = { 0.1, 86400 },
      max_retries = { 0, 2, 2.0, 100 }, max_in_flight = { 1, 1000 }, max_response_bytes = { 1, 4194304, 2 ^ 30 },
      allow_unknown_params = { true, false }, sleep = { print, false }, on_attempt = { print }, transport = { print },
      null = { cjson.null, false, 0, "", {} }, app_info = { {}, { name = "Shop" } },
      api_version = { "2025-10-29.clover" }, stripe_account = { "acct_1" }, stripe_context = { "ctx/1" },
    }
    for option, values in pairs(right) do
      for _, value in ipairs(values) do
        local client = new { [option] = value }
        assert.truthy(client)
        client:close()
      end
    end
  end)

  it("options without changing or keeping their table", function()
    local options = { api_key = KEY, timeout = 5, app_info = { name = "Shop" } }
    local before = samples.copy(options)
    local client = payment_records.new(options)
    assert.same(before, options)
    options.api_key, options.app_info.name = "sk_test_changed", "Other"
    assert.matches("Shop$", client:prepare("list_payment_records").headers["User-Agent"])
  end)
end)

describe("the API key", function()
  local function run(environment, script)
    local path = os.tmpname()
    files.write(path, script)
    local output, status = files.capture(('env %s "$LUA" %s 2>&1'):format(environment, path))
    os.remove(path)
    return output, status
  end

  it("is asked for when there is none", function()
    for _, environment in ipairs { "-u STRIPE_API_KEY", "STRIPE_API_KEY=" } do
      local output, status = run(environment, [[require("payment_records").new {}]])
      assert.is_true(status ~= 0)
      assert.truthy(output:find("no API key: give the option api_key (a string, or a function that returns one), "
        .. "or set STRIPE_API_KEY in the environment", 1, true), output)
    end
  end)

  it("is not what an unknown option is called a lack of", function()
    for _, options in ipairs { '{ api_kye = "x" }', '{ "x" }' } do
      local output = run("-u STRIPE_API_KEY", 'require("payment_records").new ' .. options)
      assert.is_nil(output:find("no API key", 1, true), output)
      assert.matches(options:find "kye" and 'did you mean "api_key"' or "expected a table of named options", output)
    end
  end)

  it("comes from the environment, unless it is given", function()
    local output, status = run("STRIPE_API_KEY=sk_test_environment", [[
      local payment_records = require "payment_records"
      local function show(options)
        options = options or {}
        options.transport = function(request) print(request.headers.Authorization) end
        options.max_retries = 0
        payment_records.new(options):list_payment_records()
      end
      show() show { api_key = "sk_test_given" }
      payment_records.new()
    ]])
    assert.equal(0, status)
    assert.equal("Bearer sk_test_environment\nBearer sk_test_given\n", output)
  end)

  it("comes from a function, asked once per call however often it is sent", function()
    local asked = 0
    local busy = { status = 500, headers = { ["Retry-After"] = "0" }, body = "" }
    local good = { status = 200, headers = {}, body = '{"id":"pr_1","object":"payment_record"}' }
    local client, requests = samples.scripted({ busy, busy, good, good }, {
      sleep = function() end,
      api_key = function()
        asked = asked + 1
        return "sk_test_" .. asked
      end,
    })
    assert(client:report_payment(samples.reference()))
    assert.equal(1, asked)
    assert(client:retrieve_payment_record("pr_1"))
    assert.equal(2, asked)
    local keys = {}
    for i, request in ipairs(requests) do keys[i] = request.headers.Authorization end
    assert.same({ "Bearer sk_test_1", "Bearer sk_test_1", "Bearer sk_test_1", "Bearer sk_test_2" }, keys)
  end)

  it("is not asked for when the call brings its own", function()
    local client, requests = samples.scripted(nil, { api_key = function() error "asked" end })
    assert(client:report_payment(samples.reference(), { api_key = "sk_test_own" }))
    assert.equal("Bearer sk_test_own", requests[1].headers.Authorization)
  end)

  it("of a call is a string: another client's key never stands in for it", function()
    for _, client_key in ipairs { KEY, function() return KEY end } do
      local client, requests = samples.scripted(nil, { api_key = client_key })
      for _, wrong in ipairs { function() return "sk_test_other" end, false, 17 } do
        assert.error_matches(function() client:report_payment(samples.reference(), { api_key = wrong }) end,
          "option api_key: expected a string")
      end
      assert.equal(0, #requests)
    end
  end)

  it("that a function does not return is an error of the call", function()
    for _, answer in ipairs { "", "a b", false } do
      local client, requests = samples.scripted(nil, { api_key = function() return answer or nil end })
      local record, err = client:report_payment(samples.reference())
      assert.is_nil(record)
      assert.same({ "validation_error", "api_key", "not_sent" }, { err.type, err.param, err.outcome })
      if not answer then assert.truthy(err.message:find("expected a string from the client's function", 1, true)) end
      assert.equal(0, #requests)
    end
  end)

  it("function's own error is the caller's", function()
    local client, requests = samples.scripted(nil, { api_key = function() error "vault sealed" end })
    assert.error_matches(function() client:report_payment(samples.reference()) end, "vault sealed")
    assert.equal(0, #requests)
  end)
end)

describe("api_base", function()
  local HOSTS = { "api.stripe.com", "example.com", "localhost", "127.0.0.1", "[::1]", "a-b.example", "10.0.0.1",
    "[2001:db8::1]", "[FE80::A]", "xn--mnchen-3ya.example", "a1.b2.c3", "host", "API.Example.COM" }
  local good = { "http://127.0.0.1", "http://127.0.0.1:8080", "http://127.0.0.1:1/", "http://localhost",
    "http://localhost:65535", "http://localhost/", "http://[::1]", "http://[::1]:80", "http://[::1]:12111/",
    "https://api.stripe.com:443" }
  for _, host in ipairs(HOSTS) do
    good[#good + 1] = "https://" .. host
    good[#good + 1] = "https://" .. host .. "/"
    good[#good + 1] = "https://" .. host .. ":8443"
  end

  it("may be each of these " .. #good, function()
    assert.is_true(#good >= 40)
    for _, url in ipairs(good) do
      local client = new { api_base = url }
      assert.equal(url:gsub("/$", "") .. "/v1/payment_records", client:prepare("list_payment_records").url)
      client:close()
    end
  end)

  local bad = {
    "", "https", "https:", "https:/", "https://", "https:///", "https:///v1", "api.stripe.com", "//api.stripe.com",
    "ftp://api.stripe.com", "file:///etc/passwd", "gopher://127.0.0.1", "javascript:alert(1)", "unix:///tmp/x",
    "https//api.stripe.com", "https:api.stripe.com", " https://api.stripe.com", "https://api.stripe.com ",
    "https://api.stripe.com\n", "https://api.stripe.com\r\nX: y", "https://api.str\0ipe.com", "https://api stripe.com",
    -- more than a host and a port
    "https://api.stripe.com/v1", "https://api.stripe.com//", "https://api.stripe.com/?x=1", "https://api.stripe.com?x",
    "https://api.stripe.com#x", "https://api.stripe.com/..", "https://api.stripe.com\\@evil.example",
    "https://user@api.stripe.com", "https://user:password@api.stripe.com", "https://:@api.stripe.com",
    "https://api.stripe.com@evil.example",
    -- ports
    "https://api.stripe.com:", "https://api.stripe.com:0", "https://api.stripe.com:65536", "https://api.stripe.com:-1",
    "https://api.stripe.com:99999999999", "https://api.stripe.com:44x", "https://api.stripe.com:443:443",
    "https://api.stripe.com:+443", "https://:443",
    -- names that are not ASCII, or not names
    "https://münchen.example", "https://api.stripe。com", "https://%61pi.stripe.com", "https://api_stripe_com!",
    "https://a..b", "https://.host", "https://host.", "https://-host", "https://host-", "https://host~name",
    "https://[1:2]", "https://[cc::::1]", "https://[1::2::3]", "https://[" .. ("1:"):rep(30) .. ":]",
    "https://[::g]", "https://[::G]", "https://[abcdef]", "https://[::1]evil",
    "https://[::1", "https://::1", "https://[]", "https://[fe80::1%25eth0]",
    -- plain, and not a loopback literal
    "http://api.stripe.com", "http://127.1", "http://0x7f.1", "http://0x7f000001", "http://2130706433",
    "http://127.0.0.2",
    "http://0.0.0.0", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://localhost.",
    "http://[::]",
    "http://[::2]", "http://[::ffff:127.0.0.1]", "http://10.0.0.1", "http://localhos", "http://evil.example:80",
    "http://127.0.0.1@evil.example", "http://localhost:80@evil.example", "http://0177.0.0.1", "http://",
  }

  it("may be none of these " .. #bad, function()
    assert.is_true(#bad >= 40)
    for _, url in ipairs(bad) do
      local made, message = pcall(new, { api_base = url })
      assert(not made, ("accepted: %q"):format(url))
      assert.matches("option api_base: ", message)
    end
  end)

  it("is not shown when it holds a password", function()
    local _, message = pcall(new, { api_base = "https://user:hunter2@api.stripe.com" })
    assert.is_nil(message:find("hunter2", 1, true))
  end)

  it("is https for a live key, also on loopback", function()
    for _, prefix in ipairs { "sk", "rk" } do
      local live = samples.live_key(prefix)
      for _, url in ipairs { "http://127.0.0.1:8080", "http://localhost", "http://[::1]" } do
        local made, message = pcall(new, { api_key = live, api_base = url })
        assert.is_false(made)
        assert.matches("option api_base: a live key is sent over https:// only", message)
        assert.is_nil(message:find(live, 1, true))

        local sent = 0
        local function transport() sent = sent + 1 end
        local rotating = new { api_key = function() return live end, api_base = url, transport = transport }
        local fixed = new { api_base = url, transport = transport }
        for _, case in ipairs { { rotating }, { fixed, { api_key = live } } } do
          local record, err = case[1]:report_payment(samples.reference(), case[2])
          assert.is_nil(record)
          assert.same({ "validation_error", "api_key", "not_sent" }, { err.type, err.param, err.outcome })
          assert.is_nil((tostring(err)):find(live, 1, true))
        end
        assert.equal(0, sent)
      end
      local client = new { api_key = live, api_base = "https://localhost:8443" }
      assert.equal("GET", client:prepare("list_payment_records").method)
    end
  end)
end)

describe("a client", function()
  it("does not show its key", function()
    local client = new { api_base = "https://localhost:8443" }
    assert.equal("payment_records.client (https://localhost:8443)", tostring(client))
    client:close()
    assert.equal("payment_records.client (closed)", tostring(client))
  end)

  it("may be closed twice, and is then of no use: each call raises", function()
    for _, options in ipairs { {}, { transport = function() end }, { sleep = function() end } } do
      local client = new(options)
      local each = client:each_payment_record()
      client:close()
      client:close()
      for _, call in ipairs(samples.calls) do
        local params = samples.full[call.name]()
        assert.error_matches(function() client[call.name](client, samples.arguments(call, params)) end, "is closed")
        assert.error_matches(function() client:start(call.name, samples.arguments(call, params)) end, "is closed")
        assert.error_matches(function() client:prepare(call.name, samples.arguments(call, params)) end, "is closed")
        assert.error_matches(function() client:curl(call.name, samples.arguments(call, params)) end, "is closed")
      end
      assert.error_matches(function() client:step() end, "is closed")
      assert.error_matches(each, "is closed")
    end
  end)

  it("that is closed ends the calls that were started", function()
    local client = new { api_base = NOTHING }
    local call = client:start("report_payment", samples.reference())
    assert.is_false(call:done())
    client:close()
    local record, err = call:result()
    assert.is_nil(record)
    assert.is_true(call:done())
    assert.same({ "canceled_error", "not_sent", 0 }, { err.type, err.outcome, err.attempts })
  end)

  it("that nobody answers says so", function()
    local client = new { api_base = NOTHING, max_retries = 0 }
    local record, err, response = client:report_payment(samples.reference())
    assert.is_nil(record)
    assert.same({ "connection_error", "not_sent", true }, { err.type, err.outcome, err.retryable }, tostring(err))
    assert.equal(response.idempotency_key, err.idempotency_key)
  end)
end)

describe("a parameter among the options", function()
  it("is told to go where it belongs", function()
    local client = new { api_base = NOTHING }
    assert.error_matches(function() client:report_payment({}, { initiated_at = 1730253453 }) end,
      'unknown option "initiated_at"; it is a parameter: give it in the table before the options')
    assert.error_matches(function() client:report_refund("pr_1", {}, { refunded = {} }) end, "it is a parameter")
  end)
end)

describe("what a method raises", function()
  local client = new { api_base = NOTHING }
  local sleeping = new { api_base = NOTHING, sleep = function() end }
  local carried = new { transport = function() end }
  local uses = {
    ["a call that yields"] = function() sleeping:report_payment(samples.reference(), { timeot = 1 }) end,
    ["a call with a transport"] = function() carried:report_payment(samples.reference(), { timeot = 1 }) end,
    ["a call"] = function() client:report_payment "x" end,
    ["an option of a call"] = function() client:retrieve_payment_record("pr_1", nil, { timeot = 1 }) end,
    ["a call with an id"] = function() client:report_refund "pr_1" end,
    start = function() client:start "report_paymen" end,
    ["start without a name"] = function() client:start() end,
    step = function() client:step "soon" end,
    ["the budget of a step"] = function() client:step(0, true) end,
    prepare = function() client:prepare("report_payment", 1) end,
    curl = function() client:curl "curl" end,
    ["a page"] = function()
      for _ in client:each_payment_record({}, { timeot = 1 }) do end
    end,
    encode = function() payment_records.encode() end,
    describe = function() payment_records.describe "refund" end,
    new = function() payment_records.new { api_key = KEY, timeot = 1 } end,
  }
  for name, use in pairs(uses) do
    it("points to the line that called: " .. name, function()
      local line = debug.getinfo(use, "S").linedefined
      if name == "a page" then line = line + 1 end
      local raised, message = pcall(use)
      assert.is_false(raised)
      assert.matches("options_spec%.lua:" .. line .. ": ", message)
      assert.is_nil(message:find("payment_records/", 1, true))
    end)
  end

  it("has no position when a protected call is between", function()
    local _, message = pcall(sleeping.report_payment, sleeping, samples.reference(), { timeot = 1 })
    assert.equal('unknown option "timeot" (did you mean "timeout"?)', message)
  end)
end)

describe("the C core without the Lua layer", function()
  it("has the calls as methods of a client", function()
    local client = core.new { api_key = KEY, api_base = NOTHING, max_retries = 0 }
    for _, call in ipairs(samples.calls) do
      local record, err = client[call.name](client, samples.arguments(call, samples.full[call.name]()))
      assert.is_nil(record)
      assert.same({ "connection_error", "not_sent" }, { err.type, err.outcome })
    end
    local _, refused = client:report_payment { amount_requested = { currency = "usd", value = 0 } }
    assert.equal("amount_requested[value]", refused.param)
    assert.has_error(function() client.report_payment({}, samples.reference()) end)
    client:close()
    assert.error_matches(function() client:report_payment(samples.reference()) end, "is closed")
  end)

  it("leaves a transport of the program's to the Lua layer", function()
    local client = core.new { api_key = KEY, transport = function() end }
    assert.error_matches(function() client:report_payment(samples.reference()) end, 'require "payment_records" only')
  end)

  it("needs a key of its own, and checks options as new does", function()
    assert.error_matches(function() core.new {} end, "no API key")
    assert.error_matches(function() core.new { api_key = KEY, timout = 1 } end, 'did you mean "timeout"')
    assert.equal(payment_records._VERSION, core._VERSION)
  end)
end)
