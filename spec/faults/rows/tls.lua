--- N-11 to N-16: TLS that cannot be trusted, breaks, or is not spoken.

local servers = require "spec.support.servers"

-- A step: new connections are served with this certificate, and what fault_server.py lists under tls.
local function serve(certificate, fields)
  return { when = "accept", tls = servers.tls(certificate, fields) }
end

local function broken(fields)
  return serve(true, fields)
end

local function alert(number)
  return "\21\3\3\0\2\2" .. string.char(number)
end

local MIXED = { "unknown", "not_sent" }

return {
  {
    title = "a certificate that", kind = "connection", over = { "tls" }, expect = "not_sent", final = true,
    blind = true,
    { "nobody signed", serve "self_signed" },
    { "has expired", serve "expired" },
    { "is not valid yet", serve "not_yet_valid" },
    { "is another host's", serve "wrong_host" },
    { "has a wildcard that does not match", serve "wildcard" },
    { "has names, but not this address", serve "name_only", server = { name = "127.0.0.1" } },
    { "has the name as its common name alone, and others as names", serve "common_name" },
    { "may only be a client's", serve "client_purpose" },
    { "is signed by one that may not sign", serve "signed_by_leaf" },
    { "comes without the one that signed it", serve "incomplete_chain" },
    { "has a key that is too weak", serve("weak", { ciphers = "DEFAULT:@SECLEVEL=0" }) },
  },
  {
    title = "a client that trusts", kind = "connection", over = { "tls" }, expect = "not_sent", once = "not_sent",
    blind = true, lasting = true, final = true,
    modes = { { "POST", 1, "cold", "always" }, { "GET", 1, "cold", "always" }, { "POST", 50, "cold", "always" } },
    { "another issuer", {}, client = { ca_file = "build/certificates/self_signed.pem" } },
    { "a file that is not there", {}, client = { ca_file = "build/certificates/none.pem" } },
    { "a file that is no certificate", {}, client = { ca_file = "Makefile" } },
  },
  {
    title = "TLS that", kind = "connection", over = { "tls" }, expect = "not_sent", blind = true,
    { "is 1.0", broken { version = "1.0" } },
    { "is 1.1", broken { version = "1.1" } },
    { "has no encryption", broken { version = "1.2", ciphers = "eNULL:@SECLEVEL=0" } },
    { "is closed after the ClientHello", broken { fault = "close" } },
    { "is reset after the ClientHello", broken { fault = "reset" } },
    { "stalls after the ClientHello", broken { fault = "stall" }, stalls = true },
    { "is cut in the ServerHello", broken { flight = 50, fault = "close" } },
    { "is cut in the certificate", broken { flight = 600, fault = "close" } },
    { "is reset in the certificate", broken { flight = 600, fault = "reset" } },
    { "stalls in the certificate", broken { flight = 600, fault = "stall" }, stalls = true },
    { "is plain HTTP", broken { reply = "HTTP/1.1 400 Bad Request\r\n\r\n", fault = "close" } },
    { "is another protocol", broken { reply = "SSH-2.0-OpenSSH_9.2\r\n", fault = "close" } },
    { "is answered by random bytes", broken { reply = "\22\3\3\0\5\200\1\2\3\4", fault = "close" } },
    { "ends with the alert handshake_failure", broken { reply = alert(40), fault = "close" } },
    { "ends with the alert protocol_version", broken { reply = alert(70), fault = "close" } },
    { "ends with the alert internal_error", broken { reply = alert(80), fault = "close" } },
    { "ends with the alert unrecognized_name", broken { reply = alert(112), fault = "close" } },
    { "asks for a certificate that there is not, in 1.2", broken { version = "1.2", ask = "required" } },
  },
  {
    title = "TLS 1.3 that", kind = "connection", over = { "tls" }, expect = MIXED,
    blind = true,
    { "asks for a certificate that there is not", broken { version = "1.3", ask = "required" } },
  },
  {
    title = "TLS that is all right and", kind = "connection", over = { "tls" }, expect = "ok",
    modes = { { "POST", 1, "cold", "always" }, { "GET", 1, "cold", "always" }, { "POST", 50, "cold", "always" } },
    { "is 1.2", broken { version = "1.2" } },
    { "is 1.3", broken { version = "1.3" } },
    { "asks for a certificate, if there is one", broken { ask = "optional" } },
  },
  {
    title = "an answer in TLS", over = { "tls" },
    { "is followed by bytes that are no TLS, in place of its body",
      { raw = "HTTP/1.1 200 OK\r\n", beneath_tls = true, after = "close" } },
    { "is an alert out of TLS", { raw = alert(80), beneath_tls = true, after = "close" } },
    { "is a record that does not decrypt",
      { raw = "\23\3\3\0\40" .. ("x"):rep(40), beneath_tls = true, after = "close" } },
    { "without a length is cut, and TLS ended as it should be",
      { cut = "body", content_length = false, close_notify = true } },
    { "without a length is whole, and TLS not ended", { content_length = false, close_notify = false },
      expect = { "ok", "unknown" } },
    -- One call of many may begin on the connection of another, whose end has not been read yet.
    { "with a length is whole, and TLS not ended", { after = "close", close_notify = false }, expect = "ok",
      blind = "many" },
  },
}
