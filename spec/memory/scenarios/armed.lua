--- M-05: memory runs out in the wrong place.

-- luacheck: read globals memory

local actions = require "spec.memory.actions"
local finalized = require "spec.support.finalized"

local PAYMENT = actions.PAYMENT

local function armed(name, keys, run, settings, after)
  actions.client_scenario("only " .. name, keys, run, settings, { arms = true, after = after })
end

armed("from the first answer on", { "200-a" }, actions.make_all, { on_attempt = function() memory.arm() end })
armed("once an attempt has failed", { "503_200-a" }, actions.make_all, { on_attempt = function() memory.arm() end })
armed("once a connection is lost", { "drop_200-a" }, actions.make_all, { on_attempt = function() memory.arm() end })
armed("while a refusal becomes an error", { "402-a", "402-b" }, function(state)
  actions.make(state, "402-a")
  actions.start(state, "402-b")
  actions.step_until_read(state, "402-b")
  memory.arm()
  actions.step_all(state)
end)
armed("while a record is read", { "200-a" }, function(state)
  actions.start(state, "200-a")
  actions.step_until_read(state, "200-a")
  memory.arm()
  actions.step_all(state)
end)
armed("while a long record is read, in each of 20 steps", { "long-a" }, function(state)
  actions.start(state, "long-a")
  actions.step_until_read(state, "long-a")
  memory.arm()
  for _ = 1, 20 do pcall(state.client.step, state.client, 0.001) end
end)
armed("in an on_done", { "200-a", "200-b" }, function(state)
  state.options["200-a"].on_done = function()
    memory.told "200-a"
    memory.arm()
    state.kept = { {}, {}, "x" .. #state.keys }
  end
  actions.start_all(state)
  actions.step_all(state)
end)
armed("while an error of on_done is kept", { "200-a", "200-b" }, function(state)
  state.options["200-a"].on_done = function()
    memory.told "200-a"
    memory.arm()
    error "boom"
  end
  actions.start_all(state)
  pcall(actions.step_all, state)
  pcall(actions.step_all, state)
end)
armed("while the api key is made", { "200-a" }, actions.make_all, { api_key = function()
  memory.arm()
  return "sk_test_" .. "function"
end })
armed("in the sleep", { "503_200-a" }, actions.in_coroutines, { sleep = function(seconds)
  memory.arm()
  coroutine.yield(seconds)
end }, actions.resume_and_settle)
armed("while the client closes", { "hold-a", "hold-b", "200-c" }, function(state)
  actions.start_all(state)
  state.client:step(0.001)
  memory.arm()
  actions.close_client(state)
end, nil, actions.close_again)
armed("while an error becomes text", { "402-a" }, function(state)
  memory.begin "402-a"
  local record, err = state.client:report_payment(PAYMENT, state.options["402-a"])
  memory.finish("402-a", record, err)
  memory.arm()
  assert(tostring(err):find "402")
end)
armed("in a finalizer that closes the client", { "hold-a", "200-b" }, function(state)
  actions.start_all(state)
  state.client:step(0.001)
  state.closed = true
  finalized(function()
    memory.arm()
    pcall(state.client.close, state.client)
  end)
  collectgarbage()
  collectgarbage()
end, nil, actions.close_again)
-- It starts no call: Lua 5.4 runs no finalizer of what is made while a state closes.
armed("in a finalizer as the state closes", { "hold-a", "200-b" }, function(state)
  actions.start_silently(state)
  state.guard = finalized(function()
    memory.arm()
    pcall(state.client.step, state.client)
    pcall(state.client.close, state.client)
  end)
end, nil, function() end)
