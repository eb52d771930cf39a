--- What must hold of every result, whatever a server said.
-- SPDX-License-Identifier: MIT

local oracle = { KEY = "sk_test_canary01" }

local OUTCOMES = { not_sent = true, rejected = true, unknown = true }

-- The two parts of an error's line are cut at 1024 bytes each.
local LONGEST_LINE = 2048

--- The text, in a form that a report can show.
local function shown(text)
  return ("%q"):format(text:sub(1, 200))
end

--- One line without control characters, be they bytes or, as UTF-8, C1, and without the key.
function oracle.line(text)
  if text:find "%c" or text:find "\194[\128-\159]" then error("control characters in " .. shown(text)) end
  if #text > LONGEST_LINE then error("a line of " .. #text .. " bytes") end
  if text:find(oracle.KEY, 1, true) then error("the key in " .. shown(text)) end
end

--- Neither in names nor in values, however deep.
function oracle.no_key(value)
  if type(value) == "string" and value:find(oracle.KEY, 1, true) then error("the key in " .. shown(value)) end
  if type(value) ~= "table" then return end
  for name, field in next, value do
    oracle.no_key(name)
    oracle.no_key(field)
  end
end

local function expect(right, message, value)
  if not right then error(message .. ", got " .. tostring(value), 2) end
end

function oracle.error(err)
  expect(type(err) == "table", "an error is a table", err)
  expect(type(err.type) == "string", "type is text", err.type)
  expect(type(err.message) == "string", "message is text", err.message)
  expect(OUTCOMES[err.outcome], "outcome is one of three", err.outcome)
  expect(type(err.retryable) == "boolean", "retryable is true or false", err.retryable)
  expect(math.type(err.attempts) == "integer", "attempts is an integer", err.attempts)
  oracle.line(tostring(err))
  oracle.no_key(err)
end

local function is_record(record)
  return type(record) == "table" and type(record.id) == "string" and record.id ~= ""
end

--- `object`: what the call asks for.
function oracle.record(record, object)
  if object ~= "list" then
    expect(is_record(record), "a record has an id", record)
    expect(type(record.object) ~= "string" or record.object == object, "the record is a " .. object, record.object)
    return
  end
  expect(record.object == "list" and type(record.data) == "table", "a list has data", record.object)
  local count = 0
  for _ in next, record.data do count = count + 1 end
  for i = 1, count do expect(is_record(record.data[i]), "a list is one of records", i) end
  expect(count > 0 or not record.has_more, "there is something to go on from", record.has_more)
end

--- The result of a call that is done: a record, or an error; and a response.
function oracle.result(object, record, err, response)
  expect((record == nil) ~= (err == nil), "a record or an error", err)
  expect(type(response) == "table", "a response", response)
  oracle.no_key(response.headers)
  if err ~= nil then oracle.error(err) else oracle.record(record, object) end
end

return oracle
