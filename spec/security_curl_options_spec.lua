--- RELIABILITY 3.2 and S-13: the options that the module sets on libcurl's handles are these and no others, and no
--- option of ours turns off what keeps a connection safe.

local files = require "spec.support.files"
local libcurl = require "spec.support.libcurl"
local payment_records = require "payment_records"
local processes = require "spec.support.processes"
local samples = require "spec.support.samples"
local servers = require "spec.support.servers"

-- What is set on every handle, whatever the options of the client are. "set": a pointer of ours
local ALWAYS = {
  -- callbacks, which append and count
  WRITEFUNCTION = "set", WRITEDATA = "set", HEADERFUNCTION = "set", HEADERDATA = "set", PREREQFUNCTION = "set",
  PREREQDATA = "set", OPENSOCKETFUNCTION = "set", CLOSESOCKETFUNCTION = "set", CLOSESOCKETDATA = "set",
  ERRORBUFFER = "set", PRIVATE = "set",
  -- safety
  FOLLOWLOCATION = "0", SSL_VERIFYPEER = "1", SSL_VERIFYHOST = "2", SSLVERSION = "6", NETRC = "0", NOPROXY = "",
  SSL_SESSIONID_CACHE = "0",
  -- the connection; SSLVERSION 6 is TLS 1.2, HTTP_VERSION 4 is HTTP/2 over TLS
  NOSIGNAL = "1", TCP_KEEPALIVE = "1", MAXAGE_CONN = "60", MAXLIFETIME_CONN = "600", HTTP_VERSION = "4",
  UPLOAD_BUFFERSIZE = "16384",
  -- the request
  HTTPHEADER = "set",
}

-- What differs with the options; a table: each of these may be.
local DIFFERS = {
  PROTOCOLS_STR = { https = true, ["http,https"] = true },
  PIPEWAIT = { ["0"] = true, ["1"] = true },
  PROXY = true, CAINFO = true, CAPATH = { [libcurl.restores_trust and "/dev/null" or "NULL"] = true },
  UNIX_SOCKET_PATH = true,
  URL = true, TIMEOUT_MS = true, CONNECTTIMEOUT_MS = true,
  POST = { ["1"] = true }, HTTPGET = { ["1"] = true }, POSTFIELDSIZE_LARGE = true, POSTFIELDS = true,
  FRESH_CONNECT = { ["0"] = true, ["1"] = true }, FORBID_REUSE = { ["0"] = true, ["1"] = true }, REQUEST_TARGET = true,
  HEADER = { ["1"] = true }, -- of libcurl before 8.1.1
  QUICK_EXIT = { ["1"] = true }, -- of libcurl 7.87 and later
}

local PROGRAM = [[
local payment_records = require "payment_records"
local payments = require "spec.support.payments"
local client = payments.client({ url = arg[1], ca_file = arg[2] }, OPTIONS)
client:report_payment(payments.PAYMENT, { timeout = 3, deadline = 5, max_retries = 1, api_key = "sk_test_own",
  stripe_account = "acct_1", stripe_context = "ctx", api_version = "2026-09-30.endive", idempotency_key = "k",
  allow_unknown_params = true })
client:retrieve_payment_record "pr_1"
client:close()
]]

describe("libcurl's options", function()
  local logger

  setup(function()
    logger = processes.build("../security/setopt_log.c", "setopt_log.so", "-shared -fPIC -ldl -lcurl")
  end)
  teardown(servers.stop_all)

  -- The options that a client with these options of ours sets: a list of { name, value }.
  local function set_by(server, options)
    local directory = files.temporary_directory()
    files.write(directory .. "/program.lua", (PROGRAM:gsub("OPTIONS", function() return options or "nil" end)))
    local output, status = files.capture(('SETOPT_LOG=%s/log LD_PRELOAD=%s "$LUA" %s/program.lua %s %s 2>&1'):format(
      directory, logger, directory, server.url, server.ca_file))
    local log = files.read(directory .. "/log")
    files.remove(directory)
    assert(status == 0 and log, output)
    local pairs_set = {}
    for name, value in log:gmatch "([^\n ]+) ([^\n]*)\n" do pairs_set[#pairs_set + 1] = { name, value } end
    return pairs_set
  end

  local function check(pairs_set)
    local seen, multi = {}, {}
    for _, pair in ipairs(pairs_set) do
      local name, value = pair[1], pair[2]
      if name == "multi" then
        multi[#multi + 1] = value
      elseif ALWAYS[name] then
        assert.equal(name .. " " .. ALWAYS[name], name .. " " .. value)
      else
        local allowed = assert(DIFFERS[name], name .. " is set, and not in the list")
        assert(allowed == true or allowed[value], name .. " " .. value)
      end
      seen[name] = value
    end
    for name in pairs(ALWAYS) do assert.truthy(seen[name], name) end
    -- Callbacks, their data, how many connections are kept, whether they are shared, and whom closing it waits for
    assert.same(7, #multi)
    return seen
  end

  local OPTIONS = {
    "nil", "{ max_retries = 3, timeout = 1, connect_timeout = 1, deadline = 2 }", "{ max_in_flight = 1 }",
    "{ proxy = 'http://127.0.0.1:1' }", "{ proxy = 'socks5h://127.0.0.1:1' }", "{ unix_socket = '/nonexistent' }",
    "{ max_response_bytes = 1 }", "{ stripe_account = 'acct_1', app_info = { name = 'x' } }",
    "{ allow_unknown_params = true, null = false, on_attempt = function() end }",
    "{ api_key = function() return 'k' end }",
  }
  for _, scheme in ipairs { "http", "https" } do
    it("are those of the list over " .. scheme .. ", with each of " .. #OPTIONS .. " sets of ours", function()
      local server = servers.start { tls = scheme == "https" }
      for _, options in ipairs(OPTIONS) do
        local seen = check(set_by(server, options))
        assert.equal(scheme == "https" and "https" or "http,https", seen.PROTOCOLS_STR)
        assert.equal(options:match "proxy = '(.-)'" or "", seen.PROXY)
        assert.equal(scheme == "https" and server.ca_file or nil, seen.CAINFO)
      end
    end)
  end

  it("cannot be reached by an option of ours that would turn verification off", function()
    local client = samples.scripted()
    local NAMES = { "verify", "verify_peer", "verify_host", "verify_ssl", "ssl_verify", "verifypeer", "ssl_verifypeer",
      "ssl_verifyhost", "insecure", "tls_verify", "check_certificate", "skip_verify", "SSL_VERIFYPEER",
      "verify_ssl_certs",
      "tls", "ssl", "ssl_version", "tls_version", "min_tls", "ciphers", "ca_path", "ca_dir", "follow_redirects",
      "redirects", "max_redirects", "headers", "http_headers", "user_agent", "netrc", "cookies", "verbose", "debug",
      "protocols", "curl", "curl_options", "setopt" }
    for _, name in ipairs(NAMES) do
      for _, value in ipairs { false, true, 0 } do
        assert.error_matches(function()
          payment_records.new { api_key = samples.KEY, [name] = value }
        end, "unknown option \"" .. name .. '"')
        assert.error_matches(function() client:report_payment(samples.reference(), { [name] = value }) end,
          "unknown option \"" .. name .. '"')
      end
    end
    for _, ca_file in ipairs { false, 0, {} } do
      assert.has_error(function() payment_records.new { api_key = samples.KEY, ca_file = ca_file } end)
    end
  end)

  it("hold for a proxy, too: one whose certificate nobody knows is not spoken to", function()
    local server = servers.start { tls = true }
    for _, tls in ipairs { "good", "self_signed", "expired", "wrong_host", "old" } do
      local proxy = servers.start { tls = tls }
      local client = payment_records.new { api_key = samples.KEY, api_base = server.url, ca_file = server.ca_file,
        proxy = proxy.url, max_retries = 0 }
      local record, err = client:report_payment(samples.reference())
      assert.is_nil(record)
      assert.equal("not_sent", err.outcome)
      assert.same({ 1, 0, 0 }, { #proxy:connections(), #proxy:requests(), #server:connections() })
      client:close()
      proxy:stop()
    end
  end)

  it("leave no way around the certificate: an empty ca_file trusts nobody", function()
    local server = servers.start { tls = true }
    local directory = files.temporary_directory()
    files.write(directory .. "/empty.pem", "")
    for _, ca_file in ipairs { "", "/nonexistent", "/dev/null", directory, directory .. "/empty.pem" } do
      local client = payment_records.new { api_key = samples.KEY, api_base = server.url, ca_file = ca_file,
        max_retries = 0 }
      local record, err = client:report_payment(samples.reference())
      assert.is_nil(record, ca_file)
      assert.equal("not_sent", err.outcome)
      client:close()
    end
    files.remove(directory)
    assert.equal(0, #server:requests())
  end)
end)
