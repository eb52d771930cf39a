--- Many states in many threads (RELIABILITY L-01): each has its own client, and none knows of the others.

local files = require "spec.support.files"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

teardown(servers.stop_all)

describe("64 states in 8 threads", function()
  it("each report their payments, twice over", function()
    local server = servers.start()
    local program = processes.build_program "threads.c"
    local output, status = files.capture(("%s spec/support/threads.lua %s 8 8 5 2>&1"):format(program, server.url))
    assert.equal(0, status, output)
    local printed, sent, count = {}, {}, 0
    for key in output:gmatch "([^\n]+)\n" do
      assert.is_nil(printed[key], key)
      printed[key] = true
    end
    for _, request in ipairs(server:requests()) do
      local key = request.header["idempotency-key"]
      assert.is_nil(sent[key], key)
      sent[key] = true
    end
    for key in pairs(printed) do
      assert.is_true(sent[key], key)
      count = count + 1
    end
    assert.equal(8 * 8 * 5 * 2, count)
    assert.is_true(#server:connections() >= 8 * 8 * 2, #server:connections())
  end)
end)
