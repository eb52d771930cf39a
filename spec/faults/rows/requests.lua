--- N-18 to N-23, N-80, N-81: what happens while the request is on its way, and before there is an answer.

local LARGE = ("x"):rep(490)

-- A payment of some 160 kB, which no socket takes at once.
local function large(params)
  for i = 1, 49 do params.metadata["key" .. i] = ("\195\164"):rep(490) end
end

-- Pads the payment: the body becomes so many bytes longer.
local function padded(bytes)
  return function(params) params.padding = ("x"):rep(bytes) end
end

local UNCHECKED = { allow_unknown_params = true }
local EARLY = { when = "headers", ledger = "skip", after = "reset", headers = { ["Request-Id"] = "req_1" },
  body = '{"error":{"type":"invalid_request_error","message":"Too large."}}' }

local function early(fields)
  local step = {}
  for name, value in pairs(EARLY) do step[name] = value end
  for name, value in pairs(fields) do step[name] = value end
  return step
end

local REFUSED = { { "POST", 1, "cold", "always" }, { "POST", 1, "warm", "always" } }

return {
  {
    title = "a request", over = { "plain", "tls" },
    { "is read, and the connection closed", { fault = "close" }, over = { "plain", "tls", "unix", "tls on unix" } },
    { "is read, and the connection reset", { fault = "reset" }, over = { "plain", "tls", "unix" } },
    { "is read, and there is no answer", { fault = "stall" }, stalls = true, over = { "plain", "tls", "unix" } },
    { "is answered too late", { delay = 0.5 }, stalls = true },
    { "takes the server long, and the key is at work meanwhile", { work = 0.45 }, stalls = true,
      expect = { "unknown", "ok" } },
    { "is read, the connection closed, and takes effect later", { work = 0.2, fault = "close" } },
    { "loses its connection before its body was read", { when = "headers", fault = "reset" },
      modes = { { "POST", 1, "cold", "once" }, { "POST", 1, "cold", "always" }, { "POST", 1, "warm", "once" },
        { "POST", 1, "warm", "always" }, { "POST", 50, "cold", "always" } } },
  },
  {
    title = "a large request", params = large,
    modes = { { "POST", 1, "cold", "once" }, { "POST", 1, "cold", "always" }, { "POST", 1, "warm", "once" } },
    over = { "plain", "tls" },
    { "meets a reset while it is written", { when = "headers", fault = "reset" } },
    { "meets a server that closes while it is written", { when = "headers", fault = "close" } },
    { "meets a server that stops reading", { when = "headers", fault = "stall" }, stalls = true,
      server = { receive_buffer = 4096 } },
    { "meets a server that reads a byte at a time", { when = "headers", fault = "sip" }, stalls = true,
      server = { receive_buffer = 4096 } },
    { "is refused with 413 before it was read", early { status = 413 }, blind = true,
      expect = { "rejected", "unknown" }, once = { "rejected", "unknown", "ok" } },
    { "is refused with 400 before it was read", early { status = 400 }, blind = true,
      expect = { "rejected", "unknown" }, once = { "rejected", "unknown", "ok" } },
    { "is answered with 503 before it was read", early { status = 503, body = "" }, blind = true },
    { "arrives", {}, expect = "ok" },
    { "takes effect, and the answer is cut", { cut = "body" } },
  },
  {
    title = "the size of a request", expect = "ok", client = UNCHECKED,
    modes = { { "POST", 1, "cold", "always" }, { "POST", 1, "warm", "always" } },
    { "is 64 KiB", {}, params = padded(65536) },
    { "is a byte less", {}, params = padded(65535) },
    { "is a byte more", {}, params = padded(65537) },
    { "is almost 1 MiB", {}, params = padded(1048576 - 400) },
  },
  {
    title = "a request that is refused here", expect = "not_sent", final = true, modes = REFUSED, client = UNCHECKED,
    { "is larger than 1 MiB", {}, params = padded(1048577) },
    { "is larger than 16 MiB", {}, params = padded(16777216) },
    { "has 51 metadata keys", {}, client = {}, params = function(params)
      for i = 1, 51 do params.metadata["key" .. i] = "x" end
    end },
    { "has a metadata key of 41 bytes", {}, client = {}, params = function(params)
      params.metadata[("k"):rep(41)] = "x"
    end },
    { "has a metadata value of 501 characters", {}, client = {}, params = function(params)
      params.metadata.long = LARGE .. ("x"):rep(11)
    end },
  },
  {
    title = "a request at the limits", expect = "ok", modes = REFUSED,
    { "has 50 metadata keys", {}, params = function(params)
      for i = 1, 49 do params.metadata["key" .. i] = "x" end
    end },
    { "has a metadata key of 40 bytes", {}, params = function(params) params.metadata[("k"):rep(40)] = "x" end },
    { "has a metadata value of 500 characters", {}, params = function(params)
      params.metadata.long = LARGE .. ("x"):rep(10)
    end },
  },
}
