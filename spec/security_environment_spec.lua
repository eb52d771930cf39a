--- S-14: what a hostile environment can do. network_connection_spec.lua has proxies, .netrc and .curlrc one by one.

local files = require "spec.support.files"
local payments = require "spec.support.payments"
local servers = require "spec.support.servers"

local PROGRAM = [[
local payments = require "spec.support.payments"
local client = payments.client { url = os.getenv "BASE", ca_file = os.getenv "CA" }
local record, err = client:report_payment(payments.PAYMENT)
io.write(record and record.id or err.type .. " " .. err.outcome)
]]

describe("in a hostile environment", function()
  local directory

  before_each(function() directory = files.temporary_directory() end)
  after_each(function() files.remove(directory) end)
  teardown(servers.stop_all)

  -- What the program prints. The words are what env takes: NAME=value, -u NAME.
  local function run(server, words, without_ca)
    files.write(directory .. "/program.lua", PROGRAM)
    local output, status = files.capture(('env %s BASE=%s %s "$LUA" %s/program.lua 2>&1'):format(
      table.concat(words, " "), server.url, without_ca and "" or "CA=" .. server.ca_file, directory))
    assert.equal(0, status, output)
    return output
  end

  local function all_proxies(url)
    local words = {}
    for _, scheme in ipairs { "http", "https", "all", "ftp", "socks" } do
      words[#words + 1] = ("%s_proxy=%s"):format(scheme, url)
      words[#words + 1] = ("%s_PROXY=%s"):format(scheme:upper(), url)
    end
    return words
  end

  for _, tls in ipairs { false, true } do
    local scheme = tls and "https" or "http"
    it("no proxy hears of a call, and no file of the user changes it: " .. scheme, function()
      local server, hostile = servers.start { tls = tls }, servers.start()
      local netrc = "machine localhost login evil password evil\ndefault login evil password evil\n"
      for _, name in ipairs { ".netrc", "_netrc", ".curlrc", "_curlrc" } do
        files.write(directory .. "/" .. name, name:find "netrc" and netrc
          or "proxy = " .. hostile.url .. "\ninsecure\nuser = evil:evil\nheader = \"X-Evil: 1\"\n")
      end
      local words = all_proxies(hostile.url)
      for _, word in ipairs { "HOME=" .. directory, "CURL_HOME=" .. directory, "XDG_CONFIG_HOME=" .. directory,
        "NETRC=" .. directory .. "/.netrc", "NO_PROXY=", "no_proxy=" } do
        words[#words + 1] = word
      end
      assert.equal("pr_1", run(server, words))
      assert.equal("pr_1", run(server, { "-u HOME", "-u USER", "-u PATH" }))
      local requests = server:requests()
      assert.equal(2, #requests)
      for _, request in ipairs(requests) do
        assert.equal("Bearer " .. payments.KEY, request.header.authorization)
        assert.is_nil(request.header["x-evil"])
      end
      assert.equal(0, #hostile:connections())
    end)
  end

  it("nobody else's certificates are trusted: variables of curl's tool and of OpenSSL have no say", function()
    local server = servers.start { tls = true }
    files.shell(("mkdir %s/hashed && cp %s %s/hashed/ca.pem && openssl rehash %s/hashed >/dev/null 2>&1"):format(
      directory, server.ca_file, directory, directory))
    for _, word in ipairs { "CURL_CA_BUNDLE=" .. server.ca_file, "SSL_CERT_FILE=" .. server.ca_file,
      "SSL_CERT_DIR=" .. directory .. "/hashed", "REQUESTS_CA_BUNDLE=" .. server.ca_file } do
      assert.equal("connection_error not_sent", run(server, { word }, true))
    end
    assert.equal(0, #server:requests())
    assert.equal("pr_1", run(server, { "SSL_CERT_FILE=/nonexistent", "SSL_CERT_DIR=/nonexistent" }))
  end)

  it("SSLKEYLOGFILE gives away what libcurl lets it, and never the API key itself", function()
    local server, log = servers.start { tls = true }, directory .. "/keys"
    assert.equal("pr_1", run(server, { "SSLKEYLOGFILE=" .. log }))
    local written = files.read(log)
    if written then assert.is_nil(written:find(payments.KEY, 1, true)) end
  end)
end)
