-- payment_records.encode: any nested table as a form.

local cjson = require "cjson"
local forms = require "spec.support.forms"
local payment_records = require "payment_records"
local samples = require "spec.support.samples"

local encode = payment_records.encode
local INTEGERS = math.type ~= nil -- Lua 5.3 and later

--- `depth` tables, one in the other, with one value in the innermost.
local function nested(depth)
  local value = "x"
  for _ = 1, depth do value = { a = value } end
  return value
end

describe("encode writes", function()
  local shared = { k = 1 }
  local cases = {
    { "nothing for an empty table", {}, "" },
    { "nothing for empty tables within", { a = {}, b = { c = {} }, d = "x" }, "d=x" },
    { "keys in the order of their bytes", { b = 1, a = 2, B = 3, ["a-"] = 4, ab = 5, ["1"] = 6 },
      "1=6&B=3&a=2&a-=4&ab=5&b=1" },
    { "nested keys in brackets", { a = { b = { c = 1 }, a = 2 } }, "a[a]=2&a[b][c]=1" },
    { "a sequence of scalars", { a = { "x", 2, true } }, "a[]=x&a[]=2&a[]=true" },
    { "a nested sequence of scalars", { a = { b = { "x", "y" } } }, "a[b][]=x&a[b][]=y" },
    { "a sequence of tables with indexes", { a = { { k = 1, j = 2 }, { k = 3 } } }, "a[0][j]=2&a[0][k]=1&a[1][k]=3" },
    { "a sequence of scalars and tables with indexes", { a = { 1, { k = 2 } } }, "a[0]=1&a[1][k]=2" },
    { "a sequence of sequences", { a = { { 1, 2 }, { 3 } } }, "a[0][]=1&a[0][]=2&a[1][]=3" },
    { "tables in sequences in tables in sequences", { a = { { b = { { c = 1 } } } } }, "a[0][b][0][c]=1" },
    { "more than nine elements in their order", { a = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 } },
      "a[]=1&a[]=2&a[]=3&a[]=4&a[]=5&a[]=6&a[]=7&a[]=8&a[]=9&a[]=10&a[]=11" },
    { "whole floats as indexes", { a = { [1.0] = "x", [2.0] = "y" } }, "a[]=x&a[]=y" },
    { "digits that are a string as a name", { a = { ["0"] = "x", ["10"] = "y" } }, "a[0]=x&a[10]=y" },
    { "booleans", { a = true, b = false }, "a=true&b=false" },
    { "null as an empty value", { a = cjson.null, b = { c = cjson.null } }, "a=&b[c]=" },
    { "an empty string as an empty value", { a = "" }, "a=" },
    { "null and empty strings in a sequence", { a = { cjson.null, "", 1 } }, "a[]=&a[]=&a[]=1" },
    { "a table that is there twice, twice", { a = shared, b = { c = shared } }, "a[k]=1&b[c][k]=1" },
    { "a name that looks like structure as one name", { ["a]&amount[value=1"] = "x" }, "a%5D%26amount%5Bvalue%3D1=x" },
    { "such a name within brackets", { m = { ["x][y"] = "1&b=2" } }, "m[x%5D%5By]=1%26b%3D2" },
    { "a space as %20, a plus as %2B", { ["a b"] = "c d+e" }, "a%20b=c%20d%2Be" },
    { "a name that is escaped already, escaped again", { ["a%5B"] = "%26" }, "a%255B=%2526" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.equal(case[3], (encode(case[2])))
    end)
  end
end)

describe("encode writes numbers as digits:", function()
  local cases = {
    { 0, "0" }, { -1, "-1" }, { 1e15, "1000000000000000" }, { -1e15, "-1000000000000000" }, { 1e2, "100" },
    { 2 ^ 53, "9007199254740992" }, { -2 ^ 53, "-9007199254740992" }, { 2 ^ 53 - 1, "9007199254740991" },
    { 123456789012345, "123456789012345" }, { 10.0, "10" }, { -0.0, "0" }, { 1730253453, "1730253453" },
  }
  if INTEGERS then
    cases[#cases + 1] = { math.maxinteger, "9223372036854775807" }
    cases[#cases + 1] = { math.mininteger, "-9223372036854775808" }
    cases[#cases + 1] = { math.tointeger(2 ^ 53) + 1, "9007199254740993" }
  end
  for _, case in ipairs(cases) do
    it(case[2], function()
      assert.equal("a=" .. case[2] .. "&b[]=" .. case[2], (encode { a = case[1], b = { case[1] } }))
    end)
  end
end)

describe("encode refuses", function()
  local cycle, ring = {}, { b = { c = {} } }
  cycle.a = cycle
  ring.b.c.a = ring
  local sequence_cycle = {}
  sequence_cycle[1] = sequence_cycle
  local cases = {
    { "NaN", { a = { b = 0 / 0 } }, "a[b]: expected an integer" },
    { "infinity", { a = 1 / 0 }, "a: expected an integer" },
    { "minus infinity", { a = { -1 / 0 } }, "a[]: expected an integer" },
    { "a fraction", { a = 10.5 }, "a: expected an integer (send other numbers as strings), got 10.5" },
    { "a small fraction", { a = 1e-300 }, "a: expected an integer" },
    { "a float above 2^53", { a = 2 ^ 53 + 2 }, "a: expected an integer" },
    { "a float below -2^53", { a = -2 ^ 53 - 2 }, "a: expected an integer" },
    { "a huge float", { a = 1e300 }, "a: expected an integer" },
    { "2^63", { a = 2 ^ 63 }, "a: expected an integer" },
    { "a function", { a = { b = print } }, "a[b]: expected a string, a number, a boolean or a table, got a function" },
    { "a thread", { a = coroutine.create(function() end) }, "boolean or a table, got a thread" },
    { "a userdata", { a = io.stdout }, "a: expected a string, a number, a boolean or a table, got a userdata" },
    { "the first of several faults in a sequence", { a = { 1, 0.5, print, 2 } }, "a[]: expected an integer" },
    { "control characters of a name, when they are shown", { ["a\127\n"] = print }, "a??: expected a string" },
    { "a function in a sequence of tables", { a = { { k = 1 }, print } }, "a[1]: expected a string" },
    { "a hole", { a = { b = { "x", nil, "z" } } }, "a[b]: expected a sequence, got a table with holes" },
    { "a sequence that starts at 2", { a = { [2] = "x" } }, "a: expected a sequence, got a table with holes" },
    { "a huge index", { a = { "x", [1e9] = "y" } }, "a: expected a sequence, got a table with holes" },
    { "names among indexes", { a = { "x", b = "y" } }, "a: expected either names or a sequence" },
    { "the index 0", { a = { [0] = "x" } }, "a: expected keys that are strings or the indexes of a sequence, got 0" },
    { "a negative index", { a = { [-1] = "x" } }, "a: expected keys that are strings" },
    { "a fractional index", { a = { [1.5] = "x" } }, "a: expected keys that are strings" },
    { "an infinite index", { a = { [1 / 0] = "x" } }, "a: expected keys that are strings" },
    { "a boolean key", { a = { [true] = "x" } }, "a: expected keys that are strings" },
    { "a table as a key", { a = { [{}] = "x" } }, "a: expected keys that are strings" },
    { "a sequence at the top", { "x" }, "expected a table of names, got a sequence" },
    { "names and indexes at the top", { "x", a = 1 }, "expected a table of names" },
    { "a hole at the top", { [3] = "x" }, "expected a sequence, got a table with holes" },
    { "depth 17", nested(17), "nested more than 16 tables deep" },
    { "depth 10,000", nested(10000), "nested more than 16 tables deep" },
    { "a table within itself", cycle, "or a table that contains itself" },
    { "a sequence within itself", { a = sequence_cycle }, "or a table that contains itself" },
    { "a ring of three tables", ring, "or a table that contains itself" },
  }
  if debug.upvalueid then -- not on 5.1
    local light = debug.upvalueid(function() return ring end, 1)
    cases[#cases + 1] = { "a light userdata that is not null", { a = light }, "boolean or a table, got a userdata" }
  end
  for _, case in ipairs(cases) do
    it(case[1], function()
      local body, message = encode(case[2])
      assert.is_nil(body)
      assert.truthy(message:find(case[3], 1, true), message)
    end)
  end

  it("by raising, what is no table", function()
    for _, value in ipairs { "a=b", 17, true, print } do
      assert.has_error(function() encode(value) end)
    end
    assert.has_error(function() encode(nil) end)
  end)
end)

describe("encode", function()
  it("takes a sequence whose table knows it in another order", function()
    assert.equal("a[]=1&a[]=2&a[]=3", (encode { a = { [3] = 3, [2] = 2, [1] = 1 } }))
  end)

  it("takes tables up to 16 deep", function()
    assert.equal("a" .. ("[a]"):rep(14) .. "=x", encode(nested(15)))
    assert.equal("a" .. ("[a]"):rep(15) .. "=x", encode(nested(16)))
  end)

  it("runs no metamethod, and sees only what is in the table itself", function()
    local function forbidden() error "a metamethod ran" end
    local watched = { __index = forbidden, __newindex = forbidden, __pairs = forbidden, __ipairs = forbidden,
      __len = forbidden, __tostring = forbidden, __concat = forbidden, __eq = forbidden, __call = forbidden }
    local params = setmetatable({ a = setmetatable({ "x", "y" }, watched), b = setmetatable({}, watched) }, watched)
    assert.equal("a[]=x&a[]=y", encode(params))
    local inherits = setmetatable({ a = 1 }, { __index = { b = 2 }, __metatable = "locked" })
    assert.equal("a=1", encode(inherits))
  end)

  it("changes nothing in the caller's table", function()
    local params = { a = { b = 1.0 }, c = { "x", { d = cjson.null } }, e = 2 ^ 53, f = {} }
    local before = samples.copy(params)
    assert.truthy(encode(params))
    assert.same(before, params)
    assert.is_nil(encode { a = params, b = print })
    assert.same(before, params)
  end)

  it("gives the same bytes whatever the order of insertion", function()
    local params = { metadata = {}, z = { y = { x = 1, w = 2 } }, a = { "3", "1", "2" } }
    for i = 1, 40 do params.metadata["key " .. i] = "value " .. i end
    local expected = encode(params)
    for _ = 1, 3 do
      params = samples.reinserted(params)
      assert.equal(expected, encode(params))
    end
  end)

  it("writes 10,000 values, each once", function()
    local params = { list = {} }
    for i = 1, 5000 do
      params["name" .. i] = i
      params.list[i] = { k = i }
    end
    local tree = forms.tree(encode(params))
    for i = 1, 5000 do
      assert(tree["name" .. i] == tostring(i) and tree.list[i].k == tostring(i), i)
    end
    assert.equal(10000, select(2, encode(params):gsub("=", "")))
  end)
end)

describe("encode percent-encodes", function()
  it("every byte of a value as RFC 3986 asks", function()
    for byte = 1, 127 do
      local text = "x" .. string.char(byte) .. "y"
      assert.equal("a=" .. forms.escape(text), encode { a = text })
    end
    for byte = 128, 255 do -- as the second byte of a character, or the first
      local text = byte < 192 and "\195" .. string.char(byte) or nil
      if byte >= 194 and byte <= 223 then text = string.char(byte, 128) end
      if text then assert.equal("a=" .. forms.escape(text), encode { a = text }) end
    end
  end)

  it("every ASCII byte of a name, at the top and within brackets", function()
    for byte = 1, 127 do
      local name = "n" .. string.char(byte)
      local escaped = forms.escape(name)
      assert.equal(("%s[%s]=1"):format(escaped, escaped), encode { [name] = { [name] = 1 } })
    end
  end)

  it("longer characters, of two to four bytes", function()
    local text = "é€😀"
    assert.equal("a=%C3%A9%E2%82%AC%F0%9F%98%80", encode { a = text })
    assert.equal("%C3%A9%E2%82%AC%F0%9F%98%80=a", encode { [text] = "a" })
  end)
end)

describe("encode and UTF-8:", function()
  local good = {
    "", "ascii", "\127", "\194\128", "\223\191", "\224\160\128", "\237\159\191", "\238\128\128", "\239\191\189",
    "\239\187\191bom", "\239\191\191", "\240\144\128\128", "\244\143\191\191", "a\204\136", "\1\2\31", "\r\n\t",
  }
  for i, text in ipairs(good) do
    it("good text " .. i .. " is sent", function()
      assert.equal("a=" .. forms.escape(text), encode { a = text })
      assert.equal("a[" .. forms.escape("k" .. text) .. "]=1", encode { a = { ["k" .. text] = 1 } })
    end)
  end

  local bad = {
    ["a lone continuation byte"] = "a\128",
    ["the last continuation byte"] = "\191",
    ["an overlong / in two bytes"] = "\192\175",
    ["an overlong NUL"] = "\192\128",
    ["an overlong DEL"] = "\193\191",
    ["an overlong / in three bytes"] = "\224\128\175",
    ["an overlong U+07FF"] = "\224\159\191",
    ["an overlong / in four bytes"] = "\240\128\128\175",
    ["an overlong U+FFFF"] = "\240\143\191\191",
    ["the first surrogate"] = "\237\160\128",
    ["the last surrogate"] = "\237\191\191",
    ["a surrogate pair"] = "\237\160\189\237\184\128",
    ["a code point above U+10FFFF"] = "\244\144\128\128",
    ["a first byte F5"] = "\245\128\128\128",
    ["five bytes"] = "\248\136\128\128\128",
    ["the byte FE"] = "\254",
    ["the byte FF"] = "x\255y",
    ["two bytes cut"] = "\195",
    ["three bytes cut"] = "\226\130",
    ["four bytes cut"] = "\240\159\152",
    ["four bytes cut short"] = "\240\159",
    ["a character cut by ASCII"] = "\226\130x",
    ["Latin-1"] = "caf\233",
    ["UTF-16"] = "\255\254a\0",
    ["NUL alone"] = "\0",
    ["NUL within"] = "a\0b",
    ["NUL at the end"] = "a\0",
  }
  for what, text in pairs(bad) do
    it(what .. " is refused, in values and in names", function()
      local body, message = encode { a = { b = text } }
      assert.is_nil(body)
      assert.matches("^a%[b%]: expected .*text, got ", message)
      body, message = encode { a = { [text] = "x" } }
      assert.is_nil(body)
      assert.matches("expected .*text, got ", message)
    end)
  end
end)

describe("encode round trip:", function()
  -- A generator of its own: the same tables on every Lua.
  local seed = 20260930
  local function random(limit)
    seed = (seed * 16807) % 2147483647
    return seed % limit + 1
  end

  local CHARACTERS = { "a", "Z", "9", " ", "&", "=", "[", "]", "%", "+", "é", "€", "😀", "\n", "'", '"', "~", "/", "#" }

  local function text(least)
    local out = {}
    for i = 1, random(6) - 1 + least do out[i] = CHARACTERS[random(#CHARACTERS)] end
    return table.concat(out)
  end

  local SCALARS = {
    function() local value = text(0) return value, value end,
    function() local value = random(2000000000) - 1000000000 return value, ("%d"):format(value) end,
    function() local value = random(2) == 1 return value, tostring(value) end,
    function() return cjson.null, "" end,
  }

  local value_of

  local function hash_of(depth)
    local value, model = {}, {}
    for _ = 1, random(4) do
      local key = "k" .. text(0) -- not of digits, which the decoder takes for indexes
      value[key], model[key] = value_of(depth - 1)
    end
    return value, model
  end

  local function sequence_of(depth)
    local value, model = {}, {}
    local scalars = depth == 1 or random(2) == 1
    for i = 1, random(4) do
      if scalars then
        value[i], model[i] = SCALARS[random(#SCALARS)]()
      else
        value[i], model[i] = hash_of(depth - 1)
      end
    end
    return value, model
  end

  function value_of(depth)
    local kind = random(3)
    if depth <= 0 or kind == 1 then return SCALARS[random(#SCALARS)]() end
    return (kind == 2 and hash_of or sequence_of)(depth)
  end

  it("400 tables come out of an independent decoder as they went in", function()
    for i = 1, 400 do
      local value, model = hash_of(5)
      local body = encode(value)
      assert.same(model, forms.tree(body), "table " .. i)
      assert.equal(body, encode(samples.reinserted(value)))
      assert.is_nil(body:find "[^%w%-._~%%=&%[%]]")
    end
  end)
end)
