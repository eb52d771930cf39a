-- A program for security_locales_spec.lua: sets a locale ("" for none) before or after it loads the library, and
-- prints all that it makes of parameters, answers and headers, as bytes.
--     lua spec/security/locales.lua LOCALE before|after

local function set_locale()
  if arg[1] ~= "" then assert(os.setlocale(arg[1], "all"), "no locale " .. arg[1]) end
end

if arg[2] == "before" then set_locale() end
local payment_records = require "payment_records"
local samples = require "spec.support.samples"
if arg[2] == "after" then set_locale() end

-- What "I" is in lower case in Turkish, and what the decimal point is in German
local TEXTS = { "IDEMPOTENT", "ıİiI", "TITLE", "1,5", "1.5", "1.000.000", "straße", "Ärger" }

local function show(value, path)
  if type(value) ~= "table" then
    print(path .. "=" .. (type(value) == "number" and ("%.0f"):format(value) or tostring(value)))
    return
  end
  local names = {}
  for name in pairs(value) do names[#names + 1] = tostring(name) end
  table.sort(names)
  for _, name in ipairs(names) do
    local inner = value[name]
    if inner == nil then inner = value[tonumber(name)] end
    if name ~= "elapsed" then show(inner, path .. "." .. name) end
  end
end

local function encode_all()
  for i, text in ipairs(TEXTS) do
    show({ payment_records.encode { [text] = { text, i * 1000000, 2 ^ 53 } } }, "encode")
  end
  for _, amount in ipairs { "12.34", "12,34", "1000000.00", "1.000,00", "0.1" } do
    show({ payment_records.minor_units(amount, "usd") }, "minor_units")
  end
  for _, currency in ipairs { "USD", "TRY", "usd", "isk" } do
    local params = samples.reference()
    params.amount_requested.currency = currency
    local client = samples.scripted()
    show({ client:prepare("report_payment", params, { idempotency_key = "ID-I" }) }, "prepare")
    show({ client:curl("report_payment", params, { idempotency_key = "ID-I" }) }, "curl")
  end
end

local function answer_all()
  local ANSWERS = {
    { status = 200, headers = { ["REQUEST-ID"] = "req_I", ["IDEMPOTENT-REPLAYED"] = "TRUE" },
      body = '{"id":"pr_1","big":1234567,"exact":9007199254740991,"whole":1000.0,"text":"1,5"}' },
    { status = 400, headers = { ["Request-Id"] = "req_1" }, body = '{"error":{"type":"T","message":"İ","n":1234567}}' },
    { status = 503, headers = { ["RETRY-AFTER"] = "0.5", ["STRIPE-SHOULD-RETRY"] = "FALSE" }, body = "" },
    { status = 503, headers = { ["Retry-After"] = "0,5", ["X-I"] = "I" }, body = "I" },
  }
  for _, answer in ipairs(ANSWERS) do
    local waited = {}
    local client = samples.scripted({ answer }, { sleep = function() end, max_retries = 0, on_attempt = function(event)
      event.elapsed = nil
      waited[#waited + 1] = event
    end })
    local record, err, response = client:report_payment(samples.reference(), { idempotency_key = "order-I" })
    show({ record = record, err = err, line = tostring(err), response = response, headers = response.headers,
      waited = waited }, "answer")
  end
end

-- How long a call waits when a server says how long: exact where that is longer than it would have waited anyway.
local function wait_all()
  for _, seconds in ipairs { "1.75", "1,75", "1.95", "+1.9", "1e0" } do
    local event
    local client = samples.scripted({ { status = 503, headers = { ["RETRY-AFTER"] = seconds }, body = "" } },
      { on_attempt = function(told) event = told end, deadline = 100 })
    client:start("report_payment", samples.reference())
    client:step()
    show(event.wait > 1.2 and event.wait * 100 or "its own", "wait " .. seconds)
    client:close()
  end
end

encode_all()
answer_all()
wait_all()
