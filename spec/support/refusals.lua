--- Asserts that calls are refused before anything is sent.
-- SPDX-License-Identifier: MIT

local assert = require "luassert"
local samples = require "spec.support.samples"

local refusals = {}

--- A client whose transport must never be called.
---@return payment_records.Client client
---@return fun(message: string, name: string, ...: any) assert_refused makes the call and checks its error
---@return table[] requests what was sent all the same
function refusals.new()
  local client, requests = samples.scripted()

  local function assert_refused(message, name, ...)
    local record, err, response = client[name](client, ...)
    assert.is_nil(record)
    assert.equal(message, err.message)
    assert.equal("validation_error", err.type)
    assert.equal("not_sent", err.outcome)
    assert.is_false(err.retryable)
    assert.equal(0, err.attempts)
    assert.equal(message:match "^([^:]+): ", err.param)
    assert.equal(0, response.attempts)
    assert.equal(0, #requests)
  end

  return client, assert_refused, requests
end

return refusals
