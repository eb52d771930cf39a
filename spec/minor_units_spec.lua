-- payment_records.minor_units: decimal text as an integer of the currency's minor unit.

local minor_units = require("payment_records").minor_units

local function with(currencies, amount, units)
  local cases = {}
  for currency in currencies:gmatch "%S+" do cases[#cases + 1] = { amount, currency, units } end
  return cases
end

local function append(list, more)
  for _, case in ipairs(more) do list[#list + 1] = case end
end

local ZERO = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
local THREE = "bhd jod kwd omr tnd"

describe("minor_units gives", function()
  local cases = {
    { "12.34", "usd", 1234 }, { "12", "usd", 1200 }, { "12.3", "usd", 1230 }, { "0.01", "usd", 1 }, { "0", "usd", 0 },
    { "0.00", "eur", 0 }, { "007.50", "usd", 750 }, { "12.340", "usd", 1234 }, { "12.3400000000", "usd", 1234 },
    { "0.29", "usd", 29 }, { "0.57", "usd", 57 }, { "1.15", "usd", 115 }, { "1.005", "kwd", 1005 },
    { "19.99", "gbp", 1999 }, { "4503599627370.49", "usd", 450359962737049 },
    { "90071992547409.91", "usd", 9007199254740991 }, { "9007199254740991", "jpy", 9007199254740991 },
    { "5", "isk", 500 }, { "5.00", "isk", 500 }, { "5", "ugx", 500 }, { "12.34", "huf", 1234 },
    { "12.34", "twd", 1234 },
  }
  append(cases, with(ZERO, "500", 500))
  append(cases, with(ZERO, "500.00", 500))
  append(cases, with(THREE, "5.124", 5124))
  append(cases, with(THREE, "5", 5000))
  append(cases, with("usd eur gbp sek aud cad chf nok dkk pln", "5.1", 510))
  for _, case in ipairs(cases) do
    it(("%.0f for %s %s"):format(case[3], case[1], case[2]), function()
      local units, message = minor_units(case[1], case[2])
      assert.equal(case[3], units)
      assert.is_nil(message)
      if math.type then assert.equal("integer", math.type(units)) end
    end)
  end

  it("every amount of cents exactly, where a float would not", function()
    for cents = 0, 20000 do
      local text = ("%d.%02d"):format(math.floor(cents / 100), cents % 100)
      assert(minor_units(text, "usd") == cents, text)
    end
  end)
end)

describe("minor_units refuses", function()
  local cases = {
    { "more decimals than the currency has", "12.345", "usd", "decimals" },
    { "a decimal that would be lost", "12.3401", "usd", "decimals" },
    { "four decimals of three", "1.0001", "kwd", "decimals" },
    { "decimals of a currency without", "500.5", "jpy", "decimals" },
    { "decimals of a króna", "5.50", "isk", "decimals" },
    { "decimals of a shilling", "5.01", "ugx", "decimals" },
    { "a sign", "-12.34", "usd", "expected an amount" }, { "a plus", "+1", "usd", "expected an amount" },
    { "nothing", "", "usd", "expected an amount" }, { "a point", ".", "usd", "expected an amount" },
    { "no whole part", ".50", "usd", "expected an amount" },
    { "a point at the end", "12.", "usd", "expected an amount" },
    { "two points", "1.2.3", "usd", "expected an amount" }, { "a comma", "12,34", "usd", "expected an amount" },
    { "thousands", "1,234.00", "usd", "expected an amount" }, { "blanks", " 12", "usd", "expected an amount" },
    { "a blank at the end", "12 ", "usd", "expected an amount" }, { "a line", "12\n", "usd", "expected an amount" },
    { "an exponent", "1e3", "usd", "expected an amount" }, { "hexadecimal", "0x10", "usd", "expected an amount" },
    { "a currency sign", "$12", "usd", "expected an amount" },
    { "other digits", "\217\161", "usd", "expected an amount" },
    { "a zero byte", "12\0", "usd", "expected an amount" }, { "not a number", "nan", "usd", "expected an amount" },
    { "a number", 12.34, "usd", 'as a string such as "12.34"' }, { "an integer", 12, "usd", "as a string" },
    { "a table", {}, "usd", "as a string" }, { "a boolean", true, "usd", "as a string" },
    { "an unknown currency", "12.34", "xyz", "currency" }, { "capitals", "12.34", "USD", "currency" },
    { "an empty currency", "12.34", "", "currency" }, { "a number for a currency", "12.34", 840, "currency" },
    { "too much", "90071992547409.94", "usd", "too large" }, { "far too much", ("9"):rep(30), "usd", "too large" },
    { "beyond every float", ("9"):rep(400), "jpy", "too large" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local units, message = minor_units(case[2], case[3])
      assert.is_nil(units)
      assert.truthy(message:find(case[4], 1, true), message)
    end)
  end

  it("three letters that are no currency, and does not say that letters are missing", function()
    local _, message = minor_units("1", "btc")
    assert.matches("a currency of Stripe's as three lower%-case letters, got \"btc\"", message)
  end)

  it("nil for either", function()
    local units, message = minor_units(nil, "usd")
    assert.is_nil(units)
    assert.matches("as a string", message)
    units, message = minor_units("1", nil)
    assert.is_nil(units)
    assert.matches("currency.*, got nil$", message)
  end)
end)
