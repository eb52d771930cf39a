-- Runs within nginx: applies a payment, unless this request is one that fails. A record that is asked for comes after a
-- while, so that requests for many are under way at the same time.

local FAULTY = 0.01 -- share of the requests

local ledger = require "soak.server.ledger"
local totals = ledger.totals
local key = ngx.var.http_idempotency_key
ngx.req.read_body()
local reference = (ngx.req.get_body_data() or ""):match "metadata%[reference%]=(%d+)"

local function count(name)
  totals[name] = totals[name] + 1
end

-- The same key again is the same payment; the same payment under another key is one too many.
local function apply()
  if ledger.applied[key] then return end
  ledger.applied[key] = true
  count "effects"
  if ledger.keys[reference] then count "doubles" end
  ledger.keys[reference] = key
end

local RECORD = '{"id":"pr_%s","object":"payment_record","metadata":{"reference":"%s"}}'

local function answer(status, text)
  ngx.status = status
  ngx.header["Content-Length"] = #text
  ngx.header["Request-Id"] = "req_" .. key
  ngx.print(text)
end

if ngx.req.get_method() == "GET" then
  ngx.sleep(0.2)
  return ngx.print(RECORD:format(ngx.var.uri:match "pr_(.*)", ""))
end

local ERROR = '{"error":{"type":"api_error","message":"this one fails"}}'

local function cut()
  ngx.header["Content-Length"] = 1000
  ngx.print(RECORD:sub(1, 20))
  ngx.flush(true)
  ngx.exit(ngx.ERROR)
end

local faults = {
  function() ngx.exit(444) end, -- nginx closes the connection
  function() apply() ngx.exit(444) end,
  function() answer(500, ERROR) end,
  function() apply() answer(502, "<html>bad gateway</html>") end,
  function() ngx.header["Retry-After"] = 0 answer(429, ERROR) end,
  cut,
  function() apply() cut() end,
  function() ngx.sleep(2) ngx.exit(444) end, -- longer than the client waits
  function() apply() ngx.sleep(2) answer(200, RECORD:format(key, reference)) end,
}

count "requests"
if math.random() < FAULTY then
  count "faults"
  faults[math.random(#faults)]()
else
  apply()
  answer(200, RECORD:format(key, reference))
end
