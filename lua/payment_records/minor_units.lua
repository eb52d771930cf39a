--- Decimal amounts as integers of the currency's minor unit.
-- Source: Stripe: supported currencies, zero-decimal and three-decimal currencies, special cases.
-- SPDX-License-Identifier: MIT

local function set(text)
  local names = {}
  for name in text:gmatch "%S+" do names[name] = true end
  return names
end

local ZERO_DECIMALS = set "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
local THREE_DECIMALS = set "bhd jod kwd omr tnd"

-- Written with two decimals, for compatibility, though the currency has none: the decimals must be 00.
local WHOLE_UNITS = set "isk ugx"

-- An unknown currency is refused: to guess its decimals would be to guess the amount.
local TWO_DECIMALS = set [[
  aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf cny cop crc
  cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd kzt
  lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln
  qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std svc szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd
  xcg yer zar zmw]]

local LARGEST_EXACT = 2 ^ 53
local SHOWN_BYTES = 40 -- of a text in a message

local function decimals_of(currency)
  if ZERO_DECIMALS[currency] then return 0 end
  if THREE_DECIMALS[currency] then return 3 end
  if TWO_DECIMALS[currency] or WHOLE_UNITS[currency] then return 2 end
end

-- As a message shows it: without control characters, a long one cut between two characters, and not an API key.
local function describe(value)
  if value == nil then return "nil" end
  if type(value) ~= "string" then return "a " .. type(value) end
  if value:find "[sr]k_%l+_" then return '"[api key]"' end
  local shown = #value <= SHOWN_BYTES and value or value:sub(1, SHOWN_BYTES + 1):gsub("[^\128-\191][\128-\191]*$", "")
  return '"' .. shown:gsub("%c", "?") .. '"'
end

--- The digits before and after the point; nil when that is not what the amount is made of.
local function split(amount)
  if type(amount) ~= "string" then return nil end
  local whole, fraction = amount:match "^(%d+)%.(%d+)$"
  return whole or amount:match "^%d+$", fraction or ""
end

--- See payment_records.minor_units.
---@param amount string
---@param currency string
---@return integer|nil, string|nil
return function(amount, currency)
  local decimals = decimals_of(currency)
  if not decimals then
    return nil, "expected a currency of Stripe's as three lower-case letters, got " .. describe(currency)
  end
  local whole, fraction = split(amount)
  if not whole then return nil, 'expected an amount as a string such as "12.34", got ' .. describe(amount) end
  local kept, rest = fraction:sub(1, decimals), fraction:sub(decimals + 1)
  if rest:find "[^0]" then
    return nil, string.format("%s has %d decimals, got %s", currency, decimals, describe(amount))
  end
  kept = kept .. ("0"):rep(decimals - #kept)
  if WHOLE_UNITS[currency] and kept ~= "00" then
    return nil, string.format("%s has no decimals, got %s", currency, describe(amount))
  end
  local units = tonumber(whole .. kept)
  if units >= LARGEST_EXACT then return nil, "the amount is too large to be exact, got " .. describe(amount) end
  return math.tointeger and math.tointeger(units) or units
end
