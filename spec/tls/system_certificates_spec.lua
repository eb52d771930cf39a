--- Whom a client without a ca_file trusts: what libcurl does by itself, the system's bundle of certificates and its
--- directory; and nobody more or less when it asks the directory first, which is what it does to be quick.

local cjson = require "cjson"
local files = require "spec.support.files"
local libcurl = require "spec.support.libcurl"
local processes = require "spec.support.processes"
local servers = require "spec.support.servers"

local OTHER = "build/certificates/self_signed.pem"
local CA = "build/certificates/ca.pem"

-- How many connections it takes to ask the directory by itself, before the bundle
local FIRST = libcurl.restores_trust and 0 or 1

-- A step that leaves no connection to be used again
local CLOSING = { headers = { Connection = "close" }, after = "close" }

-- Makes some calls one after another, and a command after each, then others together; writes how each ended.
local PROGRAM = [[
local cjson = require "cjson"
local payments = require "spec.support.payments"
local options = cjson.decode(os.getenv "OPTIONS")
local client = payments.client({ url = os.getenv "BASE" }, options.client)
local ends, calls = {}, {}
local function add(record, err, response)
  ends[#ends + 1] = record and record.id or ("%s %s %s"):format(err.outcome, err.curl_code, err.message)
  assert(#ends > 1 or options.attempts == nil or response.attempts == options.attempts)
end
for _ = 1, options.calls or 1 do
  add(client:report_payment(payments.PAYMENT))
  if options.between then os.execute(options.between) end
end
for i = 1, options.together or 0 do calls[i] = client:start("retrieve_payment_record", "pr_1") end
while client:step(1) > 0 do end
for _, call in ipairs(calls) do add(call:result()) end
client:close()
io.write(cjson.encode(ends))
]]

describe("the system's certificates", function()
  local directory, library
  local made = 0

  setup(function()
    library = processes.build("../tls/system_libcurl.c", "system_libcurl.so",
      "-shared -fPIC -ldl -Wl,--no-as-needed -lcurl")
  end)
  before_each(function()
    directory = files.temporary_directory()
    files.write(directory .. "/program.lua", PROGRAM)
  end)
  after_each(function()
    files.remove(directory)
    servers.stop_all()
  end)

  local function new_path()
    made = made + 1
    return directory .. "/" .. made
  end

  -- A file of certificates for the system's bundle
  local function bundle_of(...)
    local path = new_path()
    files.shell(("cat %s >%s"):format(table.concat({ ... }, " "), path))
    return path
  end

  -- A directory for the system's, with certificates that OpenSSL finds there
  local function directory_of(...)
    local path = new_path()
    files.shell("mkdir " .. path)
    for i, file in ipairs { ... } do
      files.shell(("cp %s %s/%d.pem && ln -s %d.pem %s/$(openssl x509 -hash -noout -in %s).0"):format(
        file, path, i, i, path, file))
    end
    return path
  end

  -- How the calls of a program ended, on a system with this bundle and directory. `variables`: further ones
  local function run(server, system, options, variables)
    local words = { ("SYSTEM_BUNDLE=%s SYSTEM_DIRECTORY=%s"):format(system.bundle, system.directory), variables }
    local output, status = files.capture(("%s BASE=%s OPTIONS='%s' LD_PRELOAD=$LD_PRELOAD:./%s %s %s/program.lua 2>&1")
      :format(table.concat(words, " "), server.url, cjson.encode(options or { calls = 1 }), library,
        processes.interpreter, directory))
    assert.equal(0, status, output)
    return cjson.decode(output)
  end

  local where_first = FIRST > 0 and it or pending
  where_first("are asked of the directory, where the bundle is not read", function()
    local server = servers.start { tls = true }
    local system = { bundle = "/nonexistent", directory = directory_of(OTHER, CA) }
    assert.same({ "pr_1", "pr_1" }, run(server, system, { calls = 2, attempts = 1 }))
    assert.equal(1, #server:connections())
  end)

  local elsewhere = {
    { "has others", function() return directory_of(OTHER) end },
    { "is empty", function() return directory_of() end },
    { "is not there", function() return "/nonexistent" end },
    { "has files without their hashes", function()
      local path = directory_of()
      files.shell(("cp %s %s/ca.pem"):format(CA, path))
      return path
    end },
    { "has what is no certificate under the hash", function()
      local path = directory_of(CA)
      files.write(path .. "/1.pem", "no certificate")
      return path
    end },
  }
  for _, case in ipairs(elsewhere) do
    it("are asked of the bundle, too, when the directory " .. case[1], function()
      local server = servers.start { tls = true, steps = { CLOSING } }
      local system = { bundle = bundle_of(OTHER, CA), directory = case[2]() }
      assert.same({ "pr_1", "pr_1", "pr_1" }, run(server, system, { calls = 3, attempts = 1 }))
      assert.same({ 3, 3 + FIRST }, { #server:requests(), #server:connections() }) -- it is not asked again
    end)
  end

  -- How many connections each of these takes at most: one may be refused, and then the directory is not asked again.
  for _, case in ipairs { { calls = 0, connections = 100 }, { calls = 1, connections = 52 } } do
    it(("are asked of the bundle for 50 calls in flight together, after %d"):format(case.calls), function()
      local server = servers.start { tls = true, steps = { CLOSING } }
      local system = { bundle = bundle_of(CA), directory = directory_of(OTHER) }
      local ends = run(server, system, { calls = case.calls, together = 50 })
      assert.equal(case.calls + 50, #ends)
      for _, result in ipairs(ends) do assert.equal("pr_1", result) end
      assert.equal(#ends, #server:requests())
      assert.is_true(#server:connections() <= case.connections, #server:connections())
    end)
  end

  it("are asked of the bundle in a proxy's tunnel", function()
    local server, proxy = servers.start { tls = true }, servers.proxy()
    local system = { bundle = bundle_of(CA), directory = directory_of(OTHER) }
    assert.same({ "pr_1", "pr_1" }, run(server, system, { calls = 2, attempts = 1, client = { proxy = proxy.url } }))
    assert.same({ 2, 1 + FIRST }, { #server:requests(), #proxy:requests() })
  end)

  -- Where libcurl has another TLS library, or is 8.21, it is left alone.
  local PLAIN = { "SYSTEM_BACKEND=GnuTLS/3.7.9", "SYSTEM_BACKEND='GnuTLS/3.7.9 (OpenSSL/3.0.1)'", "SYSTEM_RESTORES=1" }

  local refused = {
    { "nobody knows", "self_signed" }, { "an unknown issuer has signed", true, unknown = true },
    { "has expired", "expired" }, { "is not valid yet", "not_yet_valid" }, { "is another host's", "wrong_host" },
    { "may only be a client's", "client_purpose" }, { "is signed by one that may not sign", "signed_by_leaf" },
    { "comes without the one that signed it", "incomplete_chain" },
  }
  for _, case in ipairs(refused) do
    it("do not make a certificate good that " .. case[1] .. ", and the error is libcurl's own", function()
      local server = servers.start { tls = case[2] }
      local known = case.unknown and "build/certificates/wrong_host.pem" or CA
      local system = { bundle = bundle_of(known), directory = directory_of(known) }
      local plainly = run(server, system, nil, PLAIN[1])
      assert.truthy(plainly[1]:find "^not_sent 60 ", plainly[1])
      assert.equal(1, #server:connections())
      assert.same(plainly, run(server, system, { calls = 1, attempts = 0 }))
      assert.same({ 0, 2 + FIRST }, { #server:requests(), #server:connections() })
    end)
  end

  for _, variables in ipairs(PLAIN) do
    it("are asked as libcurl does by itself where that is all there is: " .. variables, function()
      local server = servers.start { tls = true }
      local nobody = { bundle = bundle_of(OTHER), directory = directory_of(OTHER) }
      local results = { run(server, nobody, nil, variables)[1]:match "^not_sent 60" }
      for _, system in ipairs { { bundle = bundle_of(CA), directory = directory_of(OTHER) },
        { bundle = bundle_of(OTHER), directory = directory_of(CA) } } do
        results[#results + 1] = run(server, system, nil, variables)[1]
      end
      assert.same({ "not_sent 60", "pr_1", "pr_1" }, results)
      assert.equal(3, #server:connections())
    end)

    it("count for nothing beside a ca_file: " .. variables, function()
      local server = servers.start { tls = true }
      local system = { bundle = bundle_of(CA), directory = directory_of(CA) }
      for _, more in ipairs { variables, "" } do
        local ends = run(server, system, { client = { ca_file = OTHER } }, more)
        assert.truthy(ends[1]:find "^not_sent 60 ", ends[1])
        assert.same({ "pr_1" }, run(server, { bundle = bundle_of(OTHER), directory = directory_of(OTHER) },
          { client = { ca_file = CA } }, more))
      end
      assert.same({ 2, 4 }, { #server:requests(), #server:connections() })
    end)
  end

  it("verify each connection: what was trusted before does not count", function()
    local server = servers.start { tls = true, steps = { CLOSING } }
    local system = { bundle = bundle_of(OTHER), directory = directory_of(CA) }
    local ends = run(server, system, { calls = 2, between = "rm -rf " .. system.directory })
    assert.equal("pr_1", ends[1])
    assert.truthy(ends[2]:find "^not_sent 60 ", ends[2])
  end)

  it("do not make a request unsent that was sent before a new connection was refused", function()
    local server = servers.start { tls = true, drop_on_reuse = true }
    local system = { bundle = bundle_of(OTHER), directory = directory_of(CA) }
    local ends = run(server, system, { calls = 2, between = "rm -rf " .. system.directory })
    assert.equal("pr_1", ends[1])
    assert.truthy(ends[2]:find "^unknown 60 ", ends[2])
    assert.equal(2, #server:requests())
  end)

  where_first("are asked of both within the time of one attempt", function()
    local slow = { when = "accept", tls = servers.tls(true, { delay = 1 }) }
    local server = servers.start { tls = true, steps = { slow } }
    local system = { bundle = bundle_of(CA), directory = directory_of(OTHER) }
    for _, options in ipairs { { timeout = 1.6 }, { connect_timeout = 1.6 }, { deadline = 1.6 } } do
      local result = run(server, system, { client = options })[1]
      -- On a busy machine our own clock may be first, which has no code of libcurl's.
      assert.truthy(result:find "^not_sent 28 " or result:find "^not_sent nil ", result)
    end
    assert.same({ "pr_1" }, run(server, system, { client = { timeout = 10, connect_timeout = 10 } }))
  end)
end)
