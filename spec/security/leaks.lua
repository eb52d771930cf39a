-- A program for security_leaks_spec.lua: makes all kinds of things go wrong with a client whose key is the canary, and
-- prints every value that comes out of it, deep. Lines that begin with "case " are counted.
--     lua spec/security/leaks.lua URL CLOSED_URL
-- The server at URL answers by the id in the path.

local cjson = require "cjson"
local canary = require "spec.security.canary"
local payment_records = require "payment_records"
local samples = require "spec.support.samples"
local sandbox = require "payment_records.sandbox"

local KEY, URL, CLOSED_URL = canary.KEY, arg[1], arg[2]
local TLS_URL = URL:gsub("^http:", "https:")
local YIELDS_FROM_PCALL = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local cases = 0

local function report(what, ...)
  cases = cases + 1
  print(("case %d: %s"):format(cases, what))
  for i = 1, select("#", ...) do print(canary.everything((select(i, ...)))) end
end

local function new(options)
  local all = { api_key = KEY, api_base = URL, max_retries = 0, timeout = 10 }
  for name, value in pairs(options or {}) do all[name] = value end
  return payment_records.new(all)
end

-- What a call returns or raises, and what a client shows of itself before and after it is closed.
local function try(what, f, ...) report(what, pcall(f, ...)) end

local function show(client)
  report("a client", client)
  client:close()
  report("a closed client", client)
end

-- The canary in every form in which a program may pass it to the wrong place.
local FORMS = {
  KEY, KEY .. " ", KEY .. "\r\n", "x" .. KEY, { KEY }, { [KEY] = KEY }, { KEY .. "\0" },
}

-- All that a client with such an option says; its curl lines but for those that repeat the option as it was given.
local function use(option, form)
  local made, client = pcall(new, { [option] = form, api_base = option == "ca_file" and TLS_URL or nil })
  if not made then return report(option, client) end
  try(option .. ": call", client.report_payment, client, samples.reference())
  try(option .. ": curl", function()
    local command, err = client:curl("report_payment", samples.reference())
    return command and command:gsub("\n  %-%-%S+ [^\n]*", ""), err
  end)
  client:close()
end

local function wrong_client_options()
  local OPTIONS = { "api_base", "api_version", "stripe_account", "stripe_context", "idempotency_key", "timeout",
    "connect_timeout", "deadline", "max_retries", "max_in_flight", "max_response_bytes", "ca_file", "proxy",
    "unix_socket", "allow_unknown_params", "sleep", "on_attempt", "on_done", "transport", "app_info" }
  for _, option in ipairs(OPTIONS) do
    for _, form in ipairs(FORMS) do use(option, form) end
  end
  for i, key in ipairs { KEY .. " ", KEY .. "\r\nX: y", " " .. KEY, KEY .. "\0", { KEY }, KEY:rep(20) } do
    try("api_key " .. i, new, { api_key = key })
  end
  for _, name in ipairs { "api_key" .. KEY, KEY, KEY .. "\27[0m" } do
    try("an option by the name of the key", new, { [name] = 1 })
  end
  try("options that are the key", payment_records.new, KEY)
  try("a list of options", payment_records.new, { KEY })
end

local function wrong_call_options()
  local client = new()
  local OPTIONS = { "api_version", "stripe_account", "stripe_context", "idempotency_key", "timeout", "deadline",
    "max_retries", "allow_unknown_params", "on_done", KEY }
  for _, option in ipairs(OPTIONS) do
    for _, form in ipairs(FORMS) do
      try("call option", client.report_payment, client, samples.reference(), { [option] = form })
      try("start option", client.start, client, "report_payment", samples.reference(), { [option] = form })
    end
  end
  for _, method in ipairs { "start", "prepare", "curl" } do
    try(method .. " of an unknown call", client[method], client, KEY, {})
    try(method .. " of no call", client[method], client, { KEY })
  end
  try("describe", payment_records.describe, KEY)
  try("minor_units", payment_records.minor_units, KEY, "usd")
  try("minor_units", payment_records.minor_units, "1.00", KEY)
  for _, form in ipairs(FORMS) do
    try("encode", payment_records.encode, { [KEY] = print, a = form, b = { [1.5] = form } })
    try("encode", payment_records.encode, { a = { [form] = print } })
  end
  show(client)
end

-- Each parameter of each call, at any depth, with a value of a wrong type.
local function wrong_parameters()
  local client = new()
  local function visit(call, params, wrap)
    for _, param in ipairs(params) do
      local wrong = param.type == "object" and KEY or { { [KEY] = KEY } }
      try(call.name .. " " .. param.name, client[call.name], client,
        samples.arguments(call, wrap { [param.name] = wrong }))
      if param.params then visit(call, param.params, function(inner) return wrap { [param.name] = inner } end) end
    end
  end
  for _, call in ipairs(samples.calls) do
    visit(call, payment_records.describe(call.name), function(params) return params end)
    local params = samples.full[call.name]()
    params[KEY] = 1
    try(call.name .. " with an unknown one", client[call.name], client, samples.arguments(call, params))
    if call.id then
      for _, id in ipairs { KEY, KEY .. "/..", { KEY }, "x" .. KEY } do
        try("id", client[call.name], client, id, samples.full[call.name]())
        try("id", client.prepare, client, call.name, id, samples.full[call.name]())
      end
    end
  end
  client:close()
end

-- Answers and faults of a server that sends the key back wherever it can.
local function failures_of_the_network()
  local events = {}
  local options = { on_attempt = function(event)
    events[#events + 1] = event
    print(canary.stack())
  end }
  local client = new(options)
  for n = 1, tonumber(arg[3]) do
    try("answer " .. n, client.retrieve_payment_record, client, "case" .. n .. "x")
    try("answer " .. n, client.report_refund, client, "case" .. n .. "x", samples.full.report_refund())
    local call = client:start("retrieve_payment_record", "case" .. n .. "x", nil, {
      on_done = function(...) report("on_done", ...) print(canary.stack()) end,
    })
    report("a call", call)
    while client:step(0.1) > 0 do end -- luacheck: ignore 542
    report("a call that is done", call, call:result())
  end
  report("events", events)
  local canceled = client:start("retrieve_payment_record", "case1x")
  client:step()
  canceled:cancel("for the sake of " .. KEY)
  report("a canceled call", canceled:result())
  show(client)
  for _, base in ipairs { CLOSED_URL, TLS_URL } do
    local other = new { api_base = base }
    try("no connection", other.report_payment, other, samples.reference())
    show(other)
  end
end

local function carriers()
  local request_seen
  local carried = {
    function(request) error(request.headers.Authorization) end,
    function(request) error { request.headers.Authorization } end,
    function(request) return nil, request.headers.Authorization end,
    function(request) return { status = 401, headers = {}, body = request.headers.Authorization } end,
    function(request)
      request_seen = request
      return { status = 400, headers = { ["Request-Id"] = KEY, [KEY] = KEY },
        body = cjson.encode { error = { message = KEY, type = KEY, [KEY] = { KEY, [2] = { [KEY] = KEY } } } } }
    end,
  }
  for i = YIELDS_FROM_PCALL and 1 or 3, #carried do
    local client = new { transport = carried[i], on_attempt = function(event) report("event", event) end }
    try("transport " .. i, client.report_payment, client, samples.reference())
    report("its client", (canary.everything(client, { [request_seen or client] = true })))
  end
  local sleeper = new { api_base = URL, sleep = function()
    print(canary.stack())
    error("cannot sleep")
  end }
  try("sleep raises", sleeper.report_payment, sleeper, samples.reference())
  local rotating = new { api_key = function() return KEY .. " " end }
  try("a bad key of a function", rotating.report_payment, rotating, samples.reference())
  show(rotating)
end

local function requests_shown()
  local client = new { stripe_account = "acct_1", app_info = { name = "shop" } }
  for _, call in ipairs(samples.calls) do
    for _, method in ipairs { "prepare", "curl" } do
      try(method, client[method], client, call.name, samples.arguments(call, samples.full[call.name]()))
    end
  end
  local own = new { api_key = "sk_test_other" }
  try("a key for one call", own.prepare, own, "report_payment", samples.reference(), { api_key = KEY })
  show(client)
end

-- The sandbox keeps the requests it gets; the errors it answers with must not have the key.
local function the_sandbox()
  for _, wrong in ipairs { { amount_requested = {} }, { initiated_at = -1 }, { customer_presence = KEY } } do
    local box = sandbox.new()
    local client = new { transport = box:transport(), allow_unknown_params = true }
    local params = samples.reference()
    for name, value in pairs(wrong) do params[name] = value end
    params.payment_method_details.type = nil
    params.unknown = KEY
    try("sandbox", client.report_payment, client, params)
    try("sandbox", client.retrieve_payment_record, client, "pr_none")
  end
  local strict = new { transport = sandbox.new({ keys = { "sk_test_other" } }):transport() }
  try("a key that the sandbox does not know", strict.retrieve_payment_record, strict, "pr_1")
end

wrong_client_options()
wrong_call_options()
wrong_parameters()
failures_of_the_network()
carriers()
requests_shown()
the_sandbox()
print(("done: %d cases"):format(cases))
