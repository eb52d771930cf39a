--- N-43, N-70: a proxy that was chosen, on the way to a server that does all right.

local function answer(text, after)
  return { raw = text, after = after or "close" }
end

local TUNNEL = "HTTP/1.1 200 Connected\r\n\r\n"

return {
  {
    title = "a proxy's tunnel", kind = "connection", proxied = "tls", over = { "tls" }, expect = "not_sent",
    blind = true,
    { "is not there: the proxy is down", nil, faulty = { listener = "refuse" } },
    { "is not there: the proxy does not answer", nil, faulty = { listener = "black_hole" }, stalls = true },
    { "is reset as it comes", { when = "accept", fault = "reset" } },
    { "is closed as it comes", { when = "accept", fault = "close" } },
    { "is refused with 407", { status = 407, body = "", headers = { ["Proxy-Authenticate"] = "Basic" } },
      final = true },
    { "is refused with 403", { status = 403, body = "no" } },
    { "is refused with 502", { status = 502, body = "<html>" } },
    { "is refused with 503", { status = 503, body = "" } },
    { "is refused with 200, and no tunnel", answer(TUNNEL) },
    { "is reset when it is asked for", { fault = "reset" } },
    { "is closed when it is asked for", { fault = "close" } },
    { "is never granted", { fault = "stall" }, stalls = true },
    { "is cut in the answer", answer "HTTP/1.1 200 Conn" },
    { "is answered with garbage", answer "garbage\r\n\r\n" },
    { "is granted, and then nothing comes", answer(TUNNEL, "stall"), stalls = true },
    { "is granted, and then reset", answer(TUNNEL, "reset") },
    { "is granted, and then speaks no TLS", answer(TUNNEL .. "SSH-2.0-OpenSSH_9.2\r\n") },
  },
  {
    title = "a proxy of plain HTTP", kind = "connection", proxied = "plain", blind = true,
    { "is down", nil, faulty = { listener = "refuse" }, expect = "not_sent" },
    { "takes the request, and closes", { fault = "close" } },
    { "takes the request, and resets", { fault = "reset" } },
    { "takes the request, and is silent", { fault = "stall" }, stalls = true },
    { "answers 502", { status = 502, body = "<html>" } },
    { "answers 504", { status = 504, body = "<html>" } },
  },
  {
    title = "a proxy that does all right", kind = "connection", expect = "ok", final = false,
    modes = { { "POST", 1, "cold", "always" }, { "GET", 1, "cold", "always" }, { "POST", 50, "cold", "always" } },
    { "has a tunnel", {}, proxied = "tls", over = { "tls" } },
    { "sends the request on", {}, proxied = "plain" },
  },
}
