-- payment_records.describe, compared with the tables of the sandbox, which were written apart from it.

local payment_records = require "payment_records"
local sandbox_params = require "payment_records.sandbox.params"
local samples = require "spec.support.samples"

-- The two retrieve calls share their parameters.
local function sandbox_tree(name)
  return sandbox_params[name] or sandbox_params[name:match "^(retrieve)_"]
end

local TYPES = {
  string = function() return "string" end,
  -- A timestamp is an integer without bounds there.
  integer = function(kind) return (kind.min or kind.max) and "integer" or "timestamp" end,
  currency = function() return "currency" end,
  enum = function() return "enum" end,
  hash = function() return "object" end,
  metadata = function() return "metadata" end,
  array = function() return "array" end,
}

local function children(fields)
  local described = {}
  for _, field in ipairs(fields) do
    local kind = field[2]
    described[#described + 1] = {
      name = field[1],
      type = TYPES[kind.kind](kind),
      required = field.required or false,
      clearable = field.empty or false,
      max_length = kind.max and kind.kind == "string" and kind.max or kind.of and kind.of.max or nil,
      minimum = kind.min,
      maximum = kind.kind == "integer" and kind.max or nil,
      enum = kind.values,
      params = kind.kind == "hash" and children(kind) or nil,
    }
  end
  return described
end

local function by_name(params)
  local sorted = {}
  for i, param in ipairs(params) do
    local copied = {}
    for field, value in pairs(param) do copied[field] = value end
    if param.params then copied.params = by_name(param.params) end
    sorted[i] = copied
  end
  table.sort(sorted, function(a, b) return a.name < b.name end)
  return sorted
end

--- The fields of each class of types.lua, in their order: `name` and what follows it.
local function annotated_classes()
  local classes, class = {}, nil
  for line in io.lines "lua/payment_records/types.lua" do
    class = line:match "^%-%-%-@class payment_records%.(%w+)" or class
    local name, rest = line:match "^%-%-%-@field (%S+) (.+)$"
    if name then
      classes[class] = classes[class] or {}
      table.insert(classes[class], { name = name, rest = rest })
    end
  end
  return classes
end

-- What types.lua calls the parameters of a call: "report_refund" has ReportRefundParams.
local function class_of(name)
  if name:find "^retrieve_" then return "RetrieveParams" end
  return ("_" .. name):gsub("_(%l)", string.upper) .. "Params"
end

local SIMPLE = {
  string = "string", currency = "string", integer = "integer", timestamp = "integer", array = "string[]",
}

--- The type of a parameter as an annotation without a class writes it: "a"|"b", { name: type }.
local function annotation(param)
  if param.enum then return '"' .. table.concat(param.enum, '"|"') .. '"' end
  if not param.params then return SIMPLE[param.type] or "payment_records.Metadata" end
  local fields = {}
  for i, field in ipairs(param.params) do
    fields[i] = field.name .. ": " .. annotation(field) .. (field.required and "" or "|nil")
  end
  return "{ " .. table.concat(fields, ", ") .. " }"
end

local function check_fields(classes, params, class)
  local fields = assert(classes[class], class)
  assert.equal(#params, #fields, class)
  for i, param in ipairs(params) do
    local where = class .. "." .. param.name
    assert.equal(param.name, fields[i].name, where)
    local type_text = fields[i].rest:match "^%b{}%S*" or fields[i].rest:match "^%S+"
    assert.equal(not param.required, type_text:find "|nil$" ~= nil, where)
    assert.equal(param.clearable and param.params ~= nil, type_text:find('""', 1, true) ~= nil, where)
    local inner = type_text:match "^payment_records%.(%w+)"
    if inner and param.params then
      check_fields(classes, param.params, inner)
    else
      assert.equal(annotation(param), (type_text:gsub("|nil$", "")), where)
    end
  end
end

describe("describe", function()
  for _, call in ipairs(samples.calls) do
    -- The order may differ: the sandbox checks metadata last.
    it("says of " .. call.name .. " what the sandbox knows", function()
      assert.same(by_name(children(sandbox_tree(call.name))), by_name(payment_records.describe(call.name)))
    end)

    it("has the required parameters of " .. call.name .. " first, expand last", function()
      local params, optional = payment_records.describe(call.name), false
      for _, param in ipairs(params) do
        assert.is_false(optional and param.required)
        optional = optional or not param.required
      end
      assert.equal("expand", params[#params].name)
    end)

    it("says of " .. call.name .. " what the annotations for editors do", function()
      check_fields(annotated_classes(), payment_records.describe(call.name), class_of(call.name))
    end)

    it("names every parameter that a full " .. call.name .. " has, and no other twice", function()
      local known = {}
      for _, param in ipairs(payment_records.describe(call.name)) do
        assert.is_nil(known[param.name])
        known[param.name] = true
      end
      for name in pairs(samples.full[call.name]()) do assert.is_true(known[name]) end
    end)
  end

  it("has this for the amount of a payment", function()
    assert.same({
      name = "amount_requested", type = "object", required = true, clearable = false,
      params = {
        { name = "currency", type = "currency", required = true, clearable = false },
        { name = "value", type = "integer", required = true, clearable = false, minimum = 1 },
      },
    }, payment_records.describe("report_payment")[1])
  end)

  it("has what may be cleared", function()
    local found = {}
    for _, call in ipairs(samples.calls) do
      for _, param in ipairs(payment_records.describe(call.name)) do
        if param.clearable and param.name ~= "metadata" then found[#found + 1] = call.name .. "." .. param.name end
      end
    end
    assert.same({ "report_payment_attempt_informational.description",
      "report_payment_attempt_informational.shipping_details" }, found)
  end)

  it("gives a table of the caller's own", function()
    payment_records.describe("report_payment")[1].name = "changed"
    assert.equal("amount_requested", payment_records.describe("report_payment")[1].name)
  end)

  it("counts in integers", function()
    if not math.type then return assert.is_nil(math.type) end
    local limit = payment_records.describe("list_payment_records")[4]
    assert.same({ "limit", "integer", "integer" }, { limit.name, math.type(limit.minimum), math.type(limit.maximum) })
    assert.equal("integer", math.type(payment_records.describe("report_payment")[7].max_length))
  end)

  it("raises when there is no such call, and names the nearest", function()
    assert.error_matches(function() payment_records.describe "report_refnd" end, 'did you mean "report_refund"')
    assert.error_matches(function() payment_records.describe "charge" end, 'unknown call "charge"')
    assert.has_error(function() payment_records.describe() end)
    assert.has_error(function() payment_records.describe {} end)
  end)
end)
