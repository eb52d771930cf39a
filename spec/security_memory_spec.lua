--- S-02: the API key in the memory of the process. What the module itself copies is wiped when the client is closed;
--- what libcurl copies is measured, and wiped where the program asks the allocator for it.

local files = require "spec.support.files"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

-- glibc overwrites what is freed, if it does not keep it for the next allocation of the thread.
local OVERWRITING = "GLIBC_TUNABLES=glibc.malloc.perturb=90:glibc.malloc.tcache_count=0"

describe("the API key in memory", function()
  local library

  setup(function()
    library = processes.build("../security/memory.c", "memory.so", "-shared -fPIC -lcurl")
  end)
  teardown(servers.stop_all)

  -- The number of copies at each point of spec/security/key_in_memory.lua.
  local function counts(server, wipe_curl, environment)
    local output, status = files.capture(('%s "$LUA" spec/security/key_in_memory.lua %s %s "%s" "%s" %s 2>&1'):format(
      environment or "", library, server.url, server.url:find "^https" and server.ca_file or "",
      server.unix_socket or "", wipe_curl and "yes" or "no"))
    assert(status == 0, output)
    local found = {}
    for point, count in output:gmatch "(%a+)=(%d+)\n" do found[point] = tonumber(count) end
    return found
  end

  local SERVERS = {
    ["http"] = function() return servers.start() end,
    ["https"] = function() return servers.start { tls = true } end,
  }

  for scheme, start in pairs(SERVERS) do
    it("is there while the client is open, and in no copy of ours once it is closed: " .. scheme, function()
      local found = counts(start(), true)
      assert.equal(0, found.start) -- the search finds not itself
      assert.is_true(found.new >= 1) -- but it finds
      assert.is_true(found.used >= 1)
      assert.same({ 0, 0 }, { found.closed, found.collected })
    end)
  end

  for _, http2 in ipairs { true, false } do
    local version = http2 and "HTTP/2" or "HTTP/1.1"
    it("is in no copy at all where malloc overwrites what is freed: " .. version, function()
      local found = counts(servers.nginx(http2), false, OVERWRITING)
      assert.is_true(found.used >= 1)
      assert.same({ 0, 0 }, { found.closed, found.collected })
    end)
  end
end)
