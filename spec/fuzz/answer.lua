--- Makes calls to the server of answer.c, which answers with what the input says, and looks at their results.
-- SPDX-License-Identifier: MIT

local fuzz = fuzz -- luacheck: globals fuzz

local core = require "payment_records.core"
local oracle = dofile "spec/fuzz/oracle.lua"

-- More than any call takes: each attempt, and each wait, ends by the time.
local MOST_STEPS = 20000

local PAYMENT = {
  amount_requested = { currency = "usd", value = 1000 },
  initiated_at = 1730253453,
  payment_method_details = { type = "custom", custom = { type = "cpmt_1" } },
}

local calls = {
  { object = "payment_record", start = function(client, marker, options)
    options.idempotency_key = marker
    return client:start("report_payment", PAYMENT, options)
  end },
  { object = "payment_record", start = function(client, marker, options)
    return client:start("retrieve_payment_record", marker, nil, options)
  end },
  { object = "list", start = function(client, marker, options)
    return client:start("list_payment_records", { starting_after = marker }, options)
  end },
  { object = "payment_attempt_record", start = function(client, marker, options)
    return client:start("retrieve_payment_attempt_record", marker, nil, options)
  end },
}

local function run_one(client, kind, number)
  local marker, told, taken = "call-" .. number, 0, nil
  fuzz.expect(marker)
  local call = kind.start(client, marker, { on_done = function(...)
    told = told + 1
    taken = table.pack(...)
  end })
  local steps = 0
  while client:step(60) > 0 do
    steps = steps + 1
    if steps > MOST_STEPS then error "the call does not end" end
  end
  if told ~= 1 or not call:done() then error("on_done was called " .. told .. " times") end
  local record, err, response = call:result()
  if record ~= taken[1] or err ~= taken[2] or response ~= taken[3] then error "on_done got another result" end
  oracle.result(kind.object, record, err, response)
  if not err and not (response.status >= 200 and response.status <= 299 and response.attempts > 0) then
    error "a success that no answer says"
  end
  if err and err.outcome == "not_sent" and fuzz.was_read() then error "not_sent, but the server has read it" end
end

--- `choice`: which call, how often it may be tried again, and how many are made.
return function(choice)
  local client = core.new {
    api_key = oracle.KEY, api_base = "http://localhost", unix_socket = fuzz.path,
    max_retries = choice >> 2 & 1, max_response_bytes = 65536,
  }
  for number = 1, 1 + (choice >> 3 & 1) do run_one(client, calls[1 + (choice & 3)], number) end
  client:close()
end
