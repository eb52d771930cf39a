--- S-05 to S-08, S-10: hostile and odd values in what a program passes to the library.

local cjson = require "cjson"
local core = require "payment_records.core"
local form_tree = require "spec.support.form_tree"
local forms = require "spec.support.forms"
local payment_records = require "payment_records"
local samples = require "spec.support.samples"

local encode = payment_records.encode
local EXACT_INTEGERS = math.type ~= nil -- of 64 bits; elsewhere numbers are doubles

local function leaves(tree)
  local count = 0
  for _, value in pairs(tree) do count = count + (type(value) == "table" and leaves(value) or 1) end
  return count
end

describe("a name or a value", function()
  local HOSTILE = {
    "x][y", "x]", "[x", "[", "]", "[]", "][", "a]&amount[value=1", "a&b", "a=b", "=", "&", "&&", "=&=", "%", "%%",
    "%5B", "%5D", "%5b0%5d", "%26", "%3D", "%00", "+", "a+b", " ", "  ", "\t", "\n", "\r\n", "\r\nX-Evil: 1",
    "a\r\n\r\nGET / HTTP/1.1", "?", "#", ";", "a;b", ",", "/", "\\", "..", "'", '"', "<script>", "${x}", "`x`", "|",
    "amount_requested[value]", "amount_requested[value]=1", "metadata[x]", "expand[]", "0", "[0]", "-1", "1e3",
    "é", "€", "\240\159\152\128", "\194\133", "\226\128\168", "\239\187\191", "\127", "\1", "\27[2J",
  }

  it("never becomes structure: each of " .. #HOSTILE .. " texts, as name, value and both", function()
    local seen = 0
    for _, text in ipairs(HOSTILE) do
      for _, tree in ipairs {
        { [text] = "v" }, { a = text }, { a = { [text] = "v" } }, { a = { b = { [text] = text } } },
        { list = { text, text } }, { list = { { [text] = text }, { b = text } } },
        { [text] = { [text] = { [text] = text } } }, { [text] = "1", [text .. "x"] = { [text] = "2" }, z = text },
      } do
        local body = assert(encode(tree))
        assert.is_nil(body:find "[^%w%-%._~%%%[%]=&]")
        local expected = form_tree.of(tree)
        assert.equal(form_tree.describe(expected), form_tree.describe(form_tree.decode(body)))
        assert.equal(leaves(expected), select(2, body:gsub("=", "")))
        seen = seen + 1
      end
    end
    assert.is_true(seen >= 400)
  end)

  it("of metadata stays one name, or is refused when it has brackets", function()
    local client, requests = samples.scripted()
    for i, text in ipairs(HOSTILE) do
      local params = samples.reference()
      params.metadata = { [text] = text }
      local record, err = client:report_payment(params)
      if text:find "[%[%]]" then
        assert.is_nil(record)
        assert.same({ "validation_error", "not_sent" }, { err.type, err.outcome }, i)
      else
        local tree = form_tree.decode(requests[#requests].body)
        assert.same({ [text] = text }, tree.metadata)
        assert.equal("1000", tree.amount_requested.value)
      end
    end
  end)
end)

describe("a table", function()
  -- Bytes of memory that the process has used at most.
  local function peak()
    for line in io.lines "/proc/self/status" do
      local kilobytes = line:match "^VmHWM:%s+(%d+)"
      if kilobytes then return tonumber(kilobytes) * 1024 end
    end
  end

  local function nested(depth, inner)
    local tree = inner
    for _ = 1, depth do tree = { a = tree } end
    return tree
  end

  local client, requests = samples.scripted(nil, { allow_unknown_params = true })

  local function prepared(extra)
    local params = samples.reference()
    params.extra = extra
    return client:prepare("report_payment", params)
  end

  it("may be 16 deep, and no deeper", function()
    for _, depth in ipairs { 1, 2, 15, 16 } do assert.truthy(encode(nested(depth, "x"))) end
    for _, depth in ipairs { 17, 18, 100, 197, 200, 250, 1000, 100000, 1000000 } do
      local body, message = encode(nested(depth, "x"))
      assert.is_nil(body)
      assert.truthy(message:find("nested more than 16 tables deep", 1, true))
      local request, err = prepared(nested(depth, "x"))
      assert.is_nil(request)
      assert.same({ "validation_error", "not_sent" }, { err.type, err.outcome })
    end
    assert.truthy(prepared(nested(15, "x")))
  end)

  it("that contains itself is refused, one that is there twice is not", function()
    local own, ring, list = {}, { b = { c = {} } }, {}
    own.own, ring.b.c.a, list[1] = own, ring, list
    for _, cyclic in ipairs { own, ring, list, { x = { y = own } }, { { { list } } } } do
      assert.is_nil((encode { a = cyclic }))
      local request, err = prepared(cyclic)
      assert.is_nil(request)
      assert.equal("not_sent", err.outcome)
    end
    local shared = { v = "1" }
    assert.equal("a[v]=1&b[v]=1&c[0][v]=1&c[1][v]=1", encode { a = shared, b = shared, c = { shared, shared } })
  end)

  it("with a million leaves, or text of 64 MiB, is refused in bounded memory", function()
    local wide, names, text = {}, {}, ("é"):rep(2 ^ 25)
    for i = 1, 1000000 do wide[i] = "x" end
    for i = 1, 200000 do names["n" .. i] = i end
    collectgarbage()
    local before = peak()
    for _, extra in ipairs { wide, names, { wide, wide }, text, { a = text } } do
      local request, err = prepared(extra)
      assert.is_nil(request)
      assert.equal("the parameters are longer than 1 MiB", err.message)
      collectgarbage()
    end
    local grown = (peak() - before) / 2 ^ 20
    assert(grown < 64, ("%.1f MiB more"):format(grown))
    assert.equal(0, #requests)
  end)
end)

describe("a metamethod", function()
  local ran

  local function forbidden(name)
    return function() ran = name error("a metamethod ran: " .. name) end
  end

  -- Every event that a table may have; __gc and __mode are for the collector, and do not count.
  local function trapped(content)
    local traps = { __metatable = "locked", __name = "trapped", __mode = "k" }
    for _, event in ipairs { "__index", "__newindex", "__pairs", "__ipairs", "__len", "__tostring", "__concat", "__eq",
      "__lt", "__le", "__call", "__unm", "__add", "__close" } do
      traps[event] = forbidden(event)
    end
    return setmetatable(content, traps)
  end

  before_each(function() ran = nil end)

  local function report(options, params, client_options)
    local client, requests = samples.scripted(nil, client_options)
    local record, err = client:report_payment(params or samples.reference(), options)
    return record, err, requests
  end

  local ANSWER = '{"id":"pr_1","object":"payment_record"}'

  local CASES = {
    ["of the parameters"] = function() return report(nil, trapped(samples.reference())) end,
    ["of a table within them"] = function()
      local params = samples.reference()
      params.amount_requested = trapped { currency = "usd", value = 1000 }
      params.payment_method_details.custom = trapped { display_name = "x", type = "y" }
      return report(nil, params)
    end,
    ["of metadata"] = function()
      local params = samples.reference()
      params.metadata = trapped { a = "b" }
      return report(nil, params)
    end,
    ["of a sequence"] = function()
      local params = samples.reference()
      params.expand = trapped { "a", "b" }
      return report(nil, params)
    end,
    ["of unknown parameters"] = function()
      local params = samples.reference()
      params.extra = trapped { trapped { a = trapped {} } }
      return report(nil, params, { allow_unknown_params = true })
    end,
    ["of what encode gets"] = function() return encode(trapped { a = trapped { "x" }, b = trapped { c = 1 } }) end,
    ["of a value that is refused"] = function()
      local record, err = report(nil, { amount_requested = { currency = trapped {}, value = trapped {} } })
      return record == nil and err.outcome == "not_sent"
    end,
    ["of a table in place of a number"] = function()
      local params = samples.reference()
      params.initiated_at = trapped {}
      local record, err = report(nil, params)
      return record == nil and err.param == "initiated_at"
    end,
    ["of a table in place of an id"] = function()
      local record, err = samples.scripted():retrieve_payment_record(trapped {})
      return record == nil and err.param == "id"
    end,
    ["of a table as a key"] = function() return encode { a = { [trapped {}] = 1 } } == nil end,
    ["of the options of a call"] = function() return report(trapped { idempotency_key = "k", timeout = 5 }) end,
    ["of the options of a call, with keys from a function"] = function()
      return report(trapped { idempotency_key = "k" }, nil, { api_key = function() return samples.KEY end })
    end,
    ["of the options of a client"] = function()
      return payment_records.new(trapped { api_key = samples.KEY, transport = function()
        return { status = 200, headers = {}, body = ANSWER }
      end }):report_payment(samples.reference())
    end,
    ["of the options of a client of the core"] = function()
      return core.new(trapped { api_key = samples.KEY, app_info = trapped { name = "x" } })
    end,
    ["of app_info"] = function() return report(nil, nil, { app_info = trapped { name = "x", url = "y" } }) end,
    ["of an option that is refused"] = function()
      return not pcall(payment_records.new, { api_key = samples.KEY, timeout = trapped {} })
        and not pcall(payment_records.new, { api_key = trapped {} })
        and not pcall(payment_records.new, { api_key = samples.KEY, [trapped {}] = 1 })
    end,
    ["of null"] = function()
      local client = samples.scripted({ { status = 200, headers = {}, body = '{"id":"pr_1","x":null}' } },
        { null = trapped {} })
      return client:report_payment(samples.reference())
    end,
    ["of a carried response"] = function()
      local client = payment_records.new { api_key = samples.KEY, transport = function()
        return trapped { status = 200, body = ANSWER, headers = trapped { ["Request-Id"] = trapped { "req_1" } } }
      end }
      local record, _, response = client:report_payment(samples.reference())
      return record and response.request_id == "req_1"
    end,
    ["of an error that a callback raises"] = function()
      local client = samples.scripted(nil, { on_attempt = function() error(trapped {}) end })
      return client:report_payment(samples.reference())
    end,
    ["of strings"] = function()
      local index = getmetatable("").__index
      getmetatable("").__index = forbidden "string"
      local ended, record = pcall(report)
      getmetatable("").__index = index
      return ended and record
    end,
    ["that changes the table while it is read"] = function()
      local params = samples.reference()
      params.metadata = setmetatable({ a = "b" }, { __index = function(tree, key) rawset(tree, key, "c") end,
        __pairs = function(tree) tree.c = "d" return next, tree end })
      local record, _, requests = report(nil, params)
      return record and not requests[1].body:find("metadata[c]", 1, true)
    end,
  }

  local count = 0
  for what, case in pairs(CASES) do
    count = count + 1
    it(what .. " does not run", function()
      assert.truthy(case())
      assert.is_nil(ran)
    end)
  end
  assert(count >= 20, count)

  it("does not lend options that are not in the table", function()
    local client = payment_records.new(setmetatable({ api_key = samples.KEY, api_base = "http://127.0.0.1:1",
      max_retries = 0 }, { __index = { transport = forbidden "transport", sleep = forbidden "sleep" } }))
    local _, err = client:report_payment(samples.reference())
    assert.same({ "connection_error", "not_sent" }, { err.type, err.outcome })
    assert.is_nil(ran)
  end)
end)

describe("an amount", function()
  local NAN, INFINITY = 0 / 0, 1 / 0

  -- A value, and the digits that are sent, or nil where it is refused
  local CASES = {
    { 1, "1" }, { 2, "2" }, { 9, "9" }, { 10, "10" }, { 99, "99" }, { 100, "100" }, { 1000, "1000" },
    { 1.0, "1" }, { 1000.0, "1000" }, { 1e3, "1000" }, { 1e5, "100000" }, { 1e14, "100000000000000" },
    { 1e15, "1000000000000000" }, { 123456789012345, "123456789012345" }, { 99999999, "99999999" },
    { 100000000, "100000000" }, { 999999999999, "999999999999" },
    { 2 ^ 15, "32768" }, { 2 ^ 16 - 1, "65535" }, { 2 ^ 31 - 1, "2147483647" }, { 2 ^ 31, "2147483648" },
    { 2 ^ 32 - 1, "4294967295" }, { 2 ^ 32, "4294967296" }, { 2 ^ 53 - 1, "9007199254740991" },
    { 2 ^ 53, "9007199254740992" },
    { 0 }, { -0.0 }, { -1 }, { -1000 }, { -2 ^ 31 }, { -2 ^ 53 }, { -2 ^ 63 },
    { 2 ^ 53 + 2 }, { 2 ^ 54 }, { 2 ^ 62 }, { 2 ^ 63 }, { 2 ^ 64 }, { 1e16 + 2 }, { 1e20 }, { 1e300 },
    { NAN }, { -NAN }, { INFINITY }, { -INFINITY }, { 0.1 }, { 0.5 }, { 0.9999999999999999 }, { 1.5 }, { 10.01 },
    { 999.9999999999 }, { 1e-300 }, { 4.9e-324 }, { 2 ^ 51 + 0.5 },
    { "1000" }, { "12 " }, { "1e3" }, { "0x10" }, { "" }, { "1.0" }, { "１０" }, { true }, { false }, { {} },
    { { 1000 } }, { cjson.null }, { print },
  }
  if EXACT_INTEGERS then
    CASES[#CASES + 1] = { math.maxinteger, "9223372036854775807" }
    CASES[#CASES + 1] = { math.tointeger(2 ^ 53) + 1, "9007199254740993" }
    CASES[#CASES + 1] = { math.mininteger }
  end

  it("is sent to the digit or refused: " .. #CASES .. " values", function()
    assert.is_true(#CASES >= 60)
    local client, requests = samples.scripted()
    for i, case in ipairs(CASES) do
      local params = samples.reference()
      params.amount_requested.value = case[1]
      local record, err = client:report_payment(params)
      local sent = record and requests[#requests].body:match "amount_requested%[value%]=([^&]*)"
      assert.equal(case[2], sent, i)
      if not case[2] then
        assert.same({ "amount_requested[value]", "not_sent" }, { err.param, err.outcome })
      end
    end
  end)
end)

describe("text", function()
  local GOOD = {
    "", "a", "\1", "\31", "\127", "\r\n", "\194\128", "\195\191", "\223\191", "\224\160\128", "\225\128\128",
    "\236\191\191", "\237\128\128", "\237\159\191", "\238\128\128", "\239\191\189", "\239\191\191", "\239\187\191bom",
    "\240\144\128\128", "\241\128\128\128", "\243\191\191\191", "\244\143\191\191", "a\204\136", "\226\128\174rtl",
    "\226\128\139", "caf\195\169 \240\159\152\128",
  }
  local BAD = {
    "\0", "a\0", "\0a", "\128", "a\191", "\192\128", "\192\175", "\193\191", "\194", "\194a", "\195\40", "\223",
    "\224\128\128", "\224\159\191", "\226\130", "\226\40\161", "\237\160\128", "\237\173\191", "\237\174\128",
    "\237\191\191", "\237\160\189\237\184\128", "\239\191", "\240\128\128\128", "\240\143\191\191", "\240\159\152",
    "\240\40\140\188", "\244\144\128\128", "\245\128\128\128", "\247\191\191\191", "\248\136\128\128\128",
    "\252\132\128\128\128\128", "\254", "\255", "\255\254a\0", "\254\255\0a", "caf\233",
    ("x"):rep(8) .. "\255", ("x"):rep(15) .. "\226\130", ("é"):rep(1000) .. "\195",
  }

  it("is UTF-8 without a zero byte, in values and in names: " .. #GOOD + #BAD .. " strings", function()
    assert.is_true(#GOOD + #BAD >= 40)
    local client, requests = samples.scripted()
    for i, text in ipairs(GOOD) do
      assert.equal("a=" .. forms.escape(text), encode { a = text })
      assert.equal("a[" .. forms.escape("k" .. text) .. "]=1", encode { a = { ["k" .. text] = 1 } }, i)
    end
    for i, text in ipairs(BAD) do
      assert.is_nil((encode { a = text }))
      assert.is_nil((encode { [text] = "a" }))
      for _, wrong in ipairs { { description = text }, { metadata = { k = text } }, { metadata = { [text] = "v" } } } do
        local params = samples.reference()
        for name, value in pairs(wrong) do params[name] = value end
        local record, err = client:report_payment(params)
        assert.is_nil(record, i)
        assert.same({ "validation_error", "not_sent" }, { err.type, err.outcome })
      end
    end
    assert.equal(0, #requests)
  end)
end)
