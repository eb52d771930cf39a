--- N-01 to N-10: what happens before a byte of the request is read.

local CLOSED_UNIX = "build/no-such-socket"

return {
  {
    title = "a connection", kind = "connection",
    { "is refused", nil, server = { listener = "refuse" }, expect = "not_sent", blind = true },
    { "is refused on a socket that nobody listens on", nil, server = { listener = "refuse" }, over = { "unix" },
      expect = "not_sent", blind = true },
    { "hangs, because the backlog is full", nil, server = { listener = "black_hole" }, expect = "not_sent",
      stalls = true, blind = true },
    { "is reset as it comes", { when = "accept", fault = "reset" }, over = { "plain", "unix" },
      expect = { "unknown", "not_sent" }, blind = true },
    { "is closed as it comes", { when = "accept", fault = "close" }, over = { "plain", "unix" }, blind = true },
    { "is accepted, and there is never a byte", { when = "accept", fault = "stall" }, stalls = true, blind = true,
      over = { "plain", "unix" } },
    { "is closed after some bytes of the request", { when = "accept", read = 10, fault = "close" }, blind = true },
    { "is reset after some bytes of the request", { when = "accept", read = 10, fault = "reset" }, blind = true },
    { "stalls after some bytes of the request", { when = "accept", read = 10, fault = "stall" }, blind = true,
      stalls = true },
    { "is answered before the request was read",
      { when = "accept", read = 1, raw = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", after = "close" },
      blind = true },
    { "is closed in the answer to a request that was not read",
      { when = "accept", read = 1, raw = "HTTP/1.1 503 Bu", after = "close" }, blind = true },
  },
  {
    title = "a host", kind = "connection", lasting = true, blind = true, expect = "not_sent",
    modes = { { "POST", 1, "cold", "always" }, { "GET", 1, "cold", "always" }, { "POST", 50, "cold", "always" } },
    { "has a name that does not resolve", elsewhere = "https://nonexistent.invalid" },
    { "cannot be reached by any network", elsewhere = "https://255.255.255.255" },
    { "has a socket that is not there", elsewhere = "http://127.0.0.1", client = { unix_socket = CLOSED_UNIX } },
    { "has a file where its socket should be", elsewhere = "http://127.0.0.1", client = { unix_socket = "Makefile" } },
  },
  {
    title = "a host that", expect = "ok", over = { "plain", "tls" },
    { "has two addresses, of which only the one of IPv4 answers", {}, server = { name = "localhost" } },
  },
  {
    title = "a request on a kept connection", expect = { "unknown", "not_sent" }, blind = "many",
    modes = {
      { "POST", 1, "warm", "always", "after" }, { "POST", 1, "warm", "always", "before" },
      { "GET", 1, "warm", "always" },
      { "POST", 50, "warm", "always", "after" },
    },
    { "is read and dropped; nobody listens any more", { close_listener = true, fault = "close" },
      over = { "plain", "tls" } },
    { "is read and reset; nobody listens any more", { close_listener = true, fault = "reset" } },
    { "is refused for the rate; nobody listens any more",
      { ledger = "skip", close_listener = true, status = 429, headers = { ["Request-Id"] = "req_1" }, body = "{}",
        after = "close" }, expect = "rejected",
      modes = { { "POST", 1, "warm", "always" }, { "POST", 1, "cold", "always" } } },
  },
}
