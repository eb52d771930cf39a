--- What payment_records sends and what the official SDK for Node sends mean the same.
---
--- The encoders differ by choice in two things. A list of scalars is `a[]=x` here and `a[0]=x` there: the decoder
--- gives both the same tree. Brackets in a key are `%5B` here and bare there, where they cannot be told from
--- structure: the generated keys have none.

local cjson = require "cjson"
local files = require "spec.support.files"
local form_tree = require "spec.support.form_tree"
local parameters = require "spec.support.parameters"
local payment_records = require "payment_records"
local Random = require "spec.support.random"

local directory = os.getenv "STRIPE_NODE"
if not directory or directory == "" then
  pending "compares with the official SDK: set STRIPE_NODE to a directory made by npm ci from spec/support/node"
  return
end

local SEED, PER_CALL, ARBITRARY, DEEPEST = 20261122, 100, 2000, 6
local LARGEST = 2 ^ 53

---JSON with all the digits of a number: lua-cjson writes 14 at most.
local function to_json(value)
  if type(value) == "number" then return ("%.0f"):format(value) end
  if type(value) ~= "table" then return cjson.encode(value) end
  local items = {}
  for key, item in pairs(value) do
    if #value > 0 then items[key] = to_json(item)
    else items[#items + 1] = cjson.encode(key) .. ":" .. to_json(item) end
  end
  return (#value > 0 and "[%s]" or "{%s}"):format(table.concat(items, ","))
end

-- As the SDK calls them
local SDK_NAMES = {
  retrieve_payment_record = "paymentRecords.retrieve",
  list_payment_records = "paymentRecords.list",
  retrieve_payment_attempt_record = "paymentAttemptRecords.retrieve",
  list_payment_attempt_records = "paymentAttemptRecords.list",
}

local function sdk_name(name)
  local camel = name:gsub("_(%l)", string.upper)
  return SDK_NAMES[name] or "paymentRecords." .. camel
end

local scalars = {
  function(random) return random:text(12) end,
  function(random) return random:integer(-1000, 1000) end,
  function(random) return random:integer(-LARGEST, LARGEST) end,
  function(random) return random:one_of { LARGEST, -LARGEST, LARGEST - 1, 0 } end,
  function(random) return random:chance(2) end,
  function() return "" end,
  function() return cjson.null end,
}

local containers = {}

local function any_value(random, depth)
  if depth < DEEPEST and random:chance(2) then return random:one_of(containers)(random, depth + 1) end
  return random:one_of(scalars)(random)
end

function containers.hash(random, depth)
  local hash = {}
  for _ = 1, random:integer(0, 4) do hash[random:text(4, "key")] = any_value(random, depth) end
  return hash
end

function containers.list(random, depth)
  local list = {}
  for place = 1, random:integer(0, 4) do list[place] = any_value(random, depth) end
  return list
end

function containers.list_of_scalars(random)
  local list = {}
  for place = 1, random:integer(1, 4) do list[place] = random:one_of(scalars)(random) end
  return list
end

containers[1], containers[2], containers[3] = containers.hash, containers.list, containers.list_of_scalars

---A table of parameters, as deep as DEEPEST at most, and what payment_records makes of it.
local function arbitrary(random)
  local params = containers.hash(random, 1)
  params.never_empty = any_value(random, 1)
  return { params = params, ours = assert(payment_records.encode(params)) }
end

---Parameters that a call takes, and what the client would send.
local function of_call(client, call, random)
  local params = parameters.random(call.name, random)
  local request = assert(client:prepare(call.name, parameters.arguments(call, "pr_123", params)))
  return {
    method = sdk_name(call.name),
    id = call.id and "pr_123" or nil,
    params = params,
    ours = request.method == "GET" and (request.url:match "%?(.*)$" or "") or request.body,
  }
end

local function generate()
  local random, cases = Random.new(SEED), {}
  for _ = 1, ARBITRARY do cases[#cases + 1] = arbitrary(random) end
  local client = payment_records.new { api_key = "sk_test_123" }
  for _, call in ipairs(parameters.CALLS) do
    for _ = 1, PER_CALL do cases[#cases + 1] = of_call(client, call, random) end
  end
  client:close()
  return cases
end

---Has the SDK encode all cases, in one process of node.
local function ask_sdk(cases)
  local work, lines = files.temporary_directory(), {}
  for place, case in ipairs(cases) do
    lines[place] = to_json { method = case.method, id = case.id, params = case.params }
  end
  files.write(work .. "/requests", table.concat(lines, "\n") .. "\n")
  local printed, status = files.capture(("node spec/support/stripe_node_encode.js '%s' <%s/requests 2>&1 >%s/answers")
    :format(directory, work, work))
  local answers = files.read(work .. "/answers")
  files.remove(work)
  assert(status == 0, "the SDK did not encode: " .. printed)
  local place = 0
  for line in answers:gmatch "[^\n]+" do
    place = place + 1
    cases[place].sdk = cjson.decode("[" .. line .. "]")[1]
  end
  assert(place == #cases, "the SDK encoded some of the tables only")
end

describe("the official SDK for Node", function()
  local cases

  setup(function()
    cases = generate()
    ask_sdk(cases)
  end)

  ---The cases whose forms are not the same, each with both.
  local function differences(one, other)
    local found = {}
    for place, case in ipairs(cases) do
      local a, b = form_tree.describe(one(case)), form_tree.describe(other(case))
      if a ~= b then found[#found + 1] = ("%d: %s\n%s\n%s"):format(place, case.method or "any table", a, b) end
    end
    return found
  end

  local function ours(case) return form_tree.decode(case.ours) end
  local function sdk(case) return form_tree.decode(case.sdk) end
  local function meant(case) return form_tree.of(case.params, cjson.null) end

  it("was asked about at least 2,000 tables, of which few are empty", function()
    local empty = 0
    for _, case in ipairs(cases) do empty = empty + (case.ours == "" and 1 or 0) end
    assert.is_true(#cases >= 2000)
    assert.is_true(empty < #cases / 10, empty .. " empty forms")
  end)

  it("sends forms that decode to the same trees as ours", function()
    assert.same({}, differences(ours, sdk))
  end)

  it("and both decode to the tables they were made of", function()
    assert.same({}, differences(ours, meant))
    assert.same({}, differences(sdk, meant))
  end)
end)
