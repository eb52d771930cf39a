--- Parameter tables for every call, made from what `payment_records.describe` says about it: nothing here knows the
--- parameters by name, so that a new one is filled, too.

local payment_records = require "payment_records"

local parameters = {}

---@class spec.Call
---@field name string
---@field id boolean whether the call takes the id of a record before its parameters
---@field object string the `object` field of a good answer

---@type spec.Call[] in the order of the API
parameters.CALLS = {
  { name = "report_payment", object = "payment_record" },
  { name = "report_payment_attempt", id = true, object = "payment_record" },
  { name = "report_payment_attempt_canceled", id = true, object = "payment_record" },
  { name = "report_payment_attempt_failed", id = true, object = "payment_record" },
  { name = "report_payment_attempt_guaranteed", id = true, object = "payment_record" },
  { name = "report_payment_attempt_informational", id = true, object = "payment_record" },
  { name = "report_refund", id = true, object = "payment_record" },
  { name = "retrieve_payment_record", id = true, object = "payment_record" },
  { name = "list_payment_records", object = "list" },
  { name = "retrieve_payment_attempt_record", id = true, object = "payment_attempt_record" },
  { name = "list_payment_attempt_records", object = "list" },
}

---The arguments of a call's method.
---@param call spec.Call
---@return any ... id, parameters, options; or parameters, options
function parameters.arguments(call, id, params, options)
  if call.id then return id, params, options end
  return params, options
end

local function by_name(params)
  local found = {}
  for _, param in ipairs(params) do found[param.name] = param end
  return found
end

---An outcome goes with the hash of its name, and with no other: the names of the hashes beside an enum that its
---values select.
local function selected_by(enum, siblings)
  local names = {}
  for _, value in ipairs(enum.enum) do
    if siblings[value] then names[#names + 1] = value end
  end
  return names
end

---A value for every parameter that `choice.wants`; the hashes that an enum selects follow its value.
local function build(params, choice)
  local siblings, values, selectable = by_name(params), {}, {}
  for _, param in ipairs(params) do
    for _, name in ipairs(param.type == "enum" and selected_by(param, siblings) or {}) do selectable[name] = true end
  end
  for _, param in ipairs(params) do
    if not selectable[param.name] and (param.required or choice.wants(param)) then
      local value = choice[param.type](param, choice)
      values[param.name] = value
      if selectable[value] then values[value] = build(siblings[value].params, choice) end
    end
  end
  return values
end

local function object(param, choice)
  return build(param.params, choice)
end

---How many values the enum with most of them has.
local function count_variants(params)
  local most = 1
  for _, param in ipairs(params) do
    local count = param.enum and #param.enum or param.params and count_variants(param.params) or 1
    most = math.max(most, count)
  end
  return most
end

---@param variant integer which value of the enums
---@param expandable string the beginning of what may be expanded: in a list, a field of each item
local function fill(variant, expandable)
  return {
    wants = function() return true end,
    object = object,
    enum = function(param) return param.enum[(variant - 1) % #param.enum + 1] end,
    string = function(param) return ("the %s & more = 100%% [ü]"):format(param.name) end,
    integer = function(param) return (param.minimum or 1) + variant end,
    currency = function() return "usd" end,
    timestamp = function() return 1730253453 + variant end,
    metadata = function() return { order = "6735", ["a & b"] = "c = d", ["ключ"] = "значение" } end,
    array = function() return { expandable .. "customer_details", expandable .. "payment_method_details" } end,
  }
end

---Tables with every parameter filled: as many as it takes to give each enum each of its values.
---@param name string of a call
---@return table[]
function parameters.filled(name)
  local params, tables = payment_records.describe(name), {}
  local expandable = name:match "^list" and "data." or ""
  for variant = 1, count_variants(params) do tables[variant] = build(params, fill(variant, expandable)) end
  return tables
end

---A valid table with some of the parameters.
---@param name string of a call
---@param random spec.Random
---@return table
function parameters.random(name, random)
  local function text(length, class)
    return (random:text(length, class))
  end
  return build(payment_records.describe(name), {
    -- Enums are always there: of some hashes the `type` must be given, which describe() does not say.
    wants = function(param) return param.type == "enum" or random:chance(2) end,
    object = function(param, choice)
      if param.clearable and random:chance(4) then return "" end
      return object(param, choice)
    end,
    enum = function(param) return random:one_of(param.enum) end,
    string = function() return text(12) end,
    integer = function(param) return random:integer(param.minimum or 1, param.maximum or 2 ^ 53) end,
    currency = function() return random:one_of { "usd", "eur", "jpy" } end,
    timestamp = function() return random:integer(1, 2 ^ 33) end,
    metadata = function()
      if random:chance(4) then return "" end
      local pairs_wanted, metadata = random:integer(0, 6), {}
      for _ = 1, pairs_wanted do metadata[text(6, "key")] = random:chance(4) and "" or text(20) end
      return metadata
    end,
    array = function()
      local list = {}
      for place = 1, random:integer(0, 4) do list[place] = text(8) end
      return list
    end,
  })
end

return parameters
