-- A program for reentrancy_spec.lua: uses the client from finalizers, while it is at work, in a process of its own,
-- where the heap is small and the collector comes round often.
--     lua spec/support/finalizers.lua new | names | own_key | prepare | take | step URL | close URL | start URL
--     lua spec/support/finalizers.lua raise WAYS URL: WAYS is "blocking", "sleeping" or "carried"
-- Prints how often a finalizer ran, and how many calls or requests were wrong.

local core = require "payment_records.core"
local effort = require "spec.support.effort"
local finalized = require "spec.support.finalized"
local payment_records = require "payment_records"
local samples = require "spec.support.samples"

local mode, url = arg[1], arg[#arg]

-- Calls f each time the collector runs, until it is disarmed; the collector runs all the time.
local function armed(f)
  local disarmed = false
  local function arm()
    finalized(function()
      if disarmed then return end
      f()
      arm()
    end)
  end
  collectgarbage("setpause", 50)
  collectgarbage("setstepmul", 1000)
  arm()
  return function() disarmed = true end
end

local function payment(value)
  local params = samples.reference()
  params.amount_requested.value = value
  params.metadata = {}
  for i = 1, 30 do params.metadata["k" .. i] = ("v%d_%d"):format(i, value):rep(3) end
  return params
end

local ran, wrong = 0, 0

local function empty(t, pattern)
  for name in pairs(t) do
    if name:find(pattern) then t[name] = nil end
  end
end

-- Clients whose options are taken away while they are made: by `require`, which looks for lua-cjson.
local function make_clients()
  local real, options = require, nil
  rawset(_G, "require", function(name)
    ran = ran + 1
    local lengths = { #options.api_key, #options.api_base }
    empty(options, "")
    collectgarbage()
    collectgarbage()
    local others = {} -- in the place of what was collected
    for i = 1, 200 do others[i] = ("%04d"):format(i) .. ("x"):rep(lengths[i % 2 + 1] - 4) end
    return real(name), others
  end)
  for i = 1, 20 do
    local name = ("y"):rep(40) .. i -- nothing here holds the whole address
    options = { api_key = samples.KEY .. ("k"):rep(50), api_base = "https://" .. name .. ".example" }
    local shown = "payment_records.client (https://" .. name .. ".example)"
    local client = core.new(options)
    if tostring(client) ~= shown then wrong = wrong + 1 end
    client:close()
  end
  rawset(_G, "require", real)
end

-- A table of many names, of which a finalizer removes the last ones while they are written.
local function encode_names()
  local names, left
  local disarm = armed(function()
    if not names then return end
    left = left - 1
    if left > 0 then return end
    ran = ran + 1
    empty(names, "^z")
    names = nil
  end)
  for first = 1, 12 do
    local given = {}
    for i = 1, 1500 do
      given["a" .. i .. ("y"):rep(50)], given["z" .. i .. ("y"):rep(50)] = first, first
    end
    names, left = given, first
    local body, message = payment_records.encode(given)
    names = nil
    if not body and not message:find "^z" then wrong = wrong + 1 end
  end
  disarm()
end

-- A client that is closed before a request with a key of its own is written.
local function use_own_keys()
  local client
  local disarm = armed(function()
    if not client then return end
    ran = ran + 1
    client:close()
    client = nil
  end)
  local options = { api_key = samples.KEY }
  for _ = 1, 3000 / effort.EVERY do
    local made = core.new { api_key = function() end, transport = function() end }
    client = made
    local prepared, request = pcall(made.prepare, made, "retrieve_payment_record", "pr_1", nil, options)
    client = nil
    if prepared and not request then wrong = wrong + 1 end
    made:close()
  end
  disarm()
end

local function prepare_requests()
  local client = payment_records.new { api_key = samples.KEY }
  local disarm = armed(function()
    ran = ran + 1
    client:prepare("report_payment", payment(666))
  end)
  for i = 1, 300 / effort.EVERY do
    local request = assert(client:prepare("report_payment", payment(1000 + i)))
    local _, pairs_written = request.body:gsub("&metadata", "")
    if not request.body:find("value]=" .. 1000 + i, 1, true) or pairs_written ~= 30 then wrong = wrong + 1 end
  end
  disarm()
end

-- A client whose requests go to a transport, and which is closed while one of them is made.
local function take_requests()
  local client
  local disarm = armed(function()
    if not client then return end
    ran = ran + 1
    client:close()
  end)
  for i = 1, 3000 do
    if ran >= 10 then break end
    local _ = ("x"):rep(i * 97 % 10007) -- else the collector may fall into step with this loop, and miss the moment
    local made = payment_records.new { api_key = samples.KEY, transport = function() return {} end }
    local call = made:start("report_payment", payment(1000 + i))
    client = made
    pcall(made.core.take, made.core) -- raises where it was closed before
    client = nil
    made:close()
    if not call:done() then wrong = wrong + 1 end
  end
  disarm()
end

local uses = {
  step = function(client) pcall(client.step, client, 0) end,
  close = function(client) client:close() end,
  start = function(client) pcall(client.start, client, "report_payment", payment(666)) end,
}

local function make_calls(use)
  local client
  local function again()
    client = payment_records.new { api_key = samples.KEY, api_base = url, max_retries = 0 }
  end
  again()
  local disarm = armed(function()
    ran = ran + 1
    if ran <= 100 then use(client) end -- calls that are started must not outrun those that end
  end)
  for i = 1, 50 do
    local started, call = pcall(client.start, client, "report_payment", payment(1000 + i))
    for _ = 1, 5000 do
      if not started or call:done() or not pcall(client.step, client, 0.01) then break end
    end
    if started and not call:done() then wrong = wrong + 1 end
    if mode == "close" then again() end
  end
  disarm()
  client:close()
end

-- Finalizers that raise, which before 5.4 comes out of whatever allocates, while reports are made. Prints, in place of
-- what is wrong, of how many reports the caller learned what became of them; "carried": how many were sent besides.
local function raise_within_calls()
  if jit then jit.off() end -- it does not bear a finalizer that raises
  local raising, sent, known = false, 0, 0
  local options = { api_key = samples.KEY, api_base = url, max_retries = 0 }
  if arg[2] == "sleeping" then options.sleep = function() end end
  if arg[2] == "carried" then
    options.transport = function()
      sent = sent + 1
      return { status = 200, headers = { ["Request-Id"] = "req_1" }, body = '{"id":"pr_1","object":"payment_record"}' }
    end
  end
  local client = payment_records.new(options)
  collectgarbage("setpause", 100)
  collectgarbage("setstepmul", 200)
  -- Counts at once: when what it has called has returned, 5.1's pcall collects, and fails of a finalizer, too.
  local function report(params)
    local record, err = client:report_payment(params)
    if record or err then known = known + 1 end
  end
  local function raise()
    if not raising then return end
    ran, raising = ran + 1, false
    error "a finalizer's"
  end
  for i = 1, _VERSION == "Lua 5.4" and 300 or 5000 do -- 5.4 passes nothing on
    if ran >= 50 then break end
    for _ = 1, 3 do finalized(raise) end
    local params = payment(i)
    local _ = ("x"):rep(i * 97 % 10007) -- else the collector may always come round between two calls
    raising = true
    pcall(report, params)
    raising = false
  end
  wrong = arg[2] == "carried" and sent - known or known
end

local programs = {
  raise = raise_within_calls,
  new = make_clients, names = encode_names, own_key = use_own_keys, prepare = prepare_requests, take = take_requests,
}
local run = programs[mode] or function() make_calls(uses[mode]) end
run()
print(ran > 0 and "ran" or "never ran", wrong)
