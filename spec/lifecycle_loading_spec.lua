--- The module loaded again, and twice (RELIABILITY L-13). Each case runs in a process of its own.

local files = require "spec.support.files"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

teardown(servers.stop_all)

-- What every program begins with: a server's URL, a client of a core, and one of the whole module.
local PRELUDE = [[
  local URL, COPY = %q, %q
  local PAYMENT = require("spec.support.payments").PAYMENT
  local OPTIONS = { api_key = "sk_test_123", api_base = URL, max_retries = 0 }

  local function unload()
    for name in pairs(package.loaded) do
      if name:find "^payment_records" then package.loaded[name] = nil end
    end
  end
  local function load_copy() return assert(package.loadlib(COPY, "luaopen_payment_records_core"))() end
  local function report(client)
    local record, err = client:report_payment(PAYMENT)
    assert(record, tostring(err))
  end
  local function finish(client)
    for _ = 1, 500 do
      if client:step(0.02) == 0 then return end
    end
    error "calls are not done"
  end
  local function collect() collectgarbage() collectgarbage() end
]]

-- The file of the core that is loaded; 5.1 has no package.searchpath.
local function core_path()
  for pattern in package.cpath:gmatch "[^;]+" do
    local path = pattern:gsub("%?", "payment_records/core")
    if files.read(path) then return path end
  end
end

-- Runs a program, which says nothing when all is well.
local function run(body)
  local server = servers.playing { { delay = 0.05 } }
  local directory = files.temporary_directory()
  local copy = directory .. "/another.so"
  files.write(copy, assert(files.read(core_path())))
  files.write(directory .. "/program.lua", PRELUDE:format(server.url, copy) .. body)
  local output, status = files.capture(("%s %s/program.lua 2>&1"):format(processes.interpreter, directory))
  files.remove(directory)
  assert.equal("", output)
  assert.equal(0, status)
end

describe("a module that is unloaded and required again", function()
  it("works, and so do the clients and calls of before", function()
    run [[
      local first = require "payment_records"
      local old = first.new(OPTIONS)
      report(old)
      local call = old:start("report_payment", PAYMENT)
      old:step()
      unload()
      local second = require "payment_records"
      assert(first ~= second)
      local new = second.new(OPTIONS)
      report(new)
      finish(old)
      assert(call:result().id == "pr_1")
      report(old)
      old:close()
      report(new)]]
  end)

  it("a hundred times over, with clients collected and clients left", function()
    run [[
      local left = {}
      for i = 1, 100 do
        local client = require("payment_records").new(OPTIONS)
        local call = client:start("report_payment", PAYMENT)
        client:step()
        if i % 10 == 0 then left[#left + 1] = client end
        unload()
        client, call = nil, nil
        if i % 7 == 0 then collect() end
      end
      for _, client in ipairs(left) do
        finish(client)
        report(client)
      end]]
  end)

  it("works under a strict table of globals", function()
    run [[
      local function refuse(_, name) error("global " .. name) end
      setmetatable(_G, { __index = refuse, __newindex = refuse })
      local client = require("payment_records").new(OPTIONS)
      report(client)
      unload()
      report(require("payment_records").new(OPTIONS))
      report(client)]]
  end)
end)

describe("a core of another version in the same Lua state", function()
  it("is refused: each would take the other's objects for its own", function()
    run [[
      unload()
      debug.getregistry()["payment_records.build"] = "0.0.1 8 8"
      local loaded, message = pcall(require, "payment_records.core")
      assert(not loaded and message:find "another version of the C core is loaded", message)]]
  end)
end)

describe("two copies of the core in one process", function()
  it("work side by side, to the end of the process", function()
    run [[
      local one = require("payment_records.core").new(OPTIONS)
      report(one)
      local two = load_copy().new(OPTIONS)
      report(two)
      report(one)
      one:start("report_payment", PAYMENT)
      two:start("report_payment", PAYMENT)
      one:step()
      two:step()]]
  end)

  it("do not bring each other down when the objects of one are collected", function()
    run [[
      local core, copy = require "payment_records.core", nil
      local client = core.new(OPTIONS)
      local call = client:start("report_payment", PAYMENT)
      client:step()
      copy = load_copy()
      client, call, core = nil, nil, nil
      unload()
      collect()
      local other = copy.new(OPTIONS)
      report(other)
      other = nil
      copy = nil
      collect()
      report(require("payment_records").new(OPTIONS))]]
  end)

  it("take the objects of each other, or refuse them", function()
    run [[
      local core, copy = require "payment_records.core", load_copy()
      local one, two = core.new(OPTIONS), copy.new(OPTIONS)
      local calls = { one:start("report_payment", PAYMENT), two:start("report_payment", PAYMENT) }
      for _, name in ipairs { "report_payment", "retrieve_payment_record" } do
        for _, pair in ipairs { { one, two }, { two, one } } do
          local ended, record, err = pcall(pair[1][name], pair[2], name == "report_payment" and PAYMENT or "pr_1")
          if ended then
            assert(record, tostring(err))
          else
            assert(tostring(record):find "client", record)
          end
        end
      end
      for _, pair in ipairs { { one, calls[2] }, { two, calls[1] } } do
        pcall(pair[1].deliver, pair[1], pair[2], { status = 200, body = "{}" })
        pcall(pair[1].take, pair[1], pair[2])
      end
      finish(one)
      finish(two)
      for _, call in ipairs(calls) do assert(call:result().id == "pr_1") end]]
  end)
end)
