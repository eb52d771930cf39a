--- N-60 to N-66: what an HTTP/2 server can do wrong, as plays of h2_server.py; spec/faults/cases.lua tells of rows.

local DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, ALTSVC =
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local ACK, END_STREAM, END_HEADERS, PADDED = 1, 1, 4, 8
local NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, CALM, HTTP_1_1_REQUIRED = 0, 1, 2, 7, 8, 11, 13
local CODES = {
  [0] = "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
  "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
}
local MANY_CODES = { [INTERNAL_ERROR] = true, [REFUSED_STREAM] = true, [CALM] = true }
local INITIAL_WINDOW = 4 -- among the settings

-- Modes: BRIEF for faults that are much like another, MANY for one of each kind. What always fails is met by 25 calls
-- at once, not by 50: the handshakes of more keep a small machine longer than a deadline allows for.
local BRIEF = { { "POST", 1, "cold", "once", "after" }, { "POST", 1, "warm", "always", "before" } }
local LONE = {
  { "POST", 1, "cold", "once", "after" }, { "POST", 1, "warm", "once", "before" },
  { "POST", 1, "cold", "always", "after" }, { "POST", 1, "warm", "always", "before" },
  { "GET", 1, "warm", "once" }, { "GET", 1, "cold", "always" },
}
local MANY = {
  { "POST", 1, "cold", "once", "before" }, { "POST", 1, "warm", "once", "after" },
  { "POST", 1, "cold", "always", "before" }, { "POST", 1, "warm", "always", "after" },
  { "POST", 50, "warm", "once", "after" }, { "POST", 25, "cold", "always", "before" },
}

local HARMLESS = { { "POST", 1, "cold", "once", "after" }, { "POST", 1, "warm", "always", "after" } }

local CONNECTION = { { "POST", 1, "cold", "once" }, { "POST", 1, "cold", "always" } }
local CONNECTIONS = { CONNECTION[1], CONNECTION[2], { "POST", 50, "cold", "once" }, { "POST", 25, "cold", "always" } }

-- Payloads, in hex
local STATUS_200 = "88" -- HPACK: an index into the static table
local ZERO_4, ZERO_8 = ("00"):rep(4), ("00"):rep(8)

local function text(bytes)
  return ("%02x%s"):format(#bytes, (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)))
end

local function field(name, value)
  return "00" .. text(name) .. text(value)
end

---A row whose step is a play.
local function row(name, play, fields)
  local new = { name, { play = play } }
  for key, value in pairs(fields or {}) do new[key] = value end
  return new
end

local PLACES = { { "before the headers" }, { "after the headers", "headers" }, { "in the body", "headers", "half" } }

---Rows in which the actions come at each place of an answer. `first`: the modes of the first of them, and of the
---others `modes`, or LONE.
local function at_each_place(rows, name, actions, first, modes)
  for i, place in ipairs(PLACES) do
    local play = {}
    for j = 2, #place do play[#play + 1] = place[j] end
    for _, action in ipairs(actions) do play[#play + 1] = action end
    rows[#rows + 1] = row(name .. " " .. place[1], play, { modes = i == 1 and first or modes or LONE })
  end
  return rows
end

---A frame, and then the answer.
local function bad_frame(name, frame, fields)
  return row(name, { frame, { wait = 0.02 }, "headers", "body" }, fields)
end

local function bad_headers(name, block)
  return bad_frame(name, { frame = HEADERS, flags = END_HEADERS, payload = block })
end

local resets = { title = "RST_STREAM" }
for code = 0, HTTP_1_1_REQUIRED - 1 do
  at_each_place(resets, CODES[code], { { rst = code } }, MANY_CODES[code] and MANY or LONE, BRIEF)
end
for _, more in ipairs {
  -- libcurl asks again by itself, with HTTP/1.1, unless it has passed a part of the body on.
  row("HTTP_1_1_REQUIRED before the headers", { { rst = HTTP_1_1_REQUIRED } }, { expect = "ok", modes = MANY }),
  row("HTTP_1_1_REQUIRED after the headers", { "headers", { rst = HTTP_1_1_REQUIRED } }, {
    expect = "ok", modes = MANY,
  }),
  row("HTTP_1_1_REQUIRED in the body", { "headers", "half", { rst = HTTP_1_1_REQUIRED } }, {
    expect = { "ok", "unknown" }, modes = MANY,
  }),
  row("of a code that nobody knows", { { rst = 4096 } }, { modes = BRIEF }),
} do resets[#resets + 1] = more end

local goaways = {
  title = "GOAWAY", modes = LONE, blind = true,
  row("that covers nothing, and stays", { { goaway = NO_ERROR, last = 0 } }, { stalls = true }),
  row("PROTOCOL_ERROR that covers the stream, and stays", { { goaway = PROTOCOL_ERROR, last = "this" } }, {
    stalls = true,
  }),
  row("of what is to come, then closed", { { goaway = NO_ERROR }, { wait = 0.02 }, "close" }),
}
at_each_place(goaways, "that covers nothing, closed", { { goaway = NO_ERROR, last = 0 }, "close" }, MANY)
at_each_place(goaways, "that covers the stream, closed", { { goaway = NO_ERROR, last = "this" }, "close" }, MANY)
at_each_place(goaways, "ENHANCE_YOUR_CALM, reset", { { goaway = CALM, last = 0 }, "reset" }, MANY)

local ends = { title = "a connection is", modes = LONE, blind = true }
at_each_place(ends, "closed", { "close" }, MANY)
at_each_place(ends, "reset", { "reset" }, MANY)
for _, more in ipairs {
  row("closed in the header of a frame", { { raw = "00002a0104" }, "close" }),
  row("closed in the payload of a frame", { "headers", { raw = "00002a000000000001aabb" }, "close" }),
  row("closed in a header block", { { frame = HEADERS, payload = STATUS_200 }, "close" }),
} do ends[#ends + 1] = more end

local stalls = at_each_place({ title = "nothing comes", modes = LONE, stalls = true, blind = true,
  expect = { "unknown", "not_sent" }, once = "ok" }, "any more", { { wait = 60 } }, MANY)
stalls[#stalls + 1] = row("after half a header block", { { frame = HEADERS, payload = STATUS_200 } })

local opening = { { settings = { { INITIAL_WINDOW, 0 } } } }
for size = 1, 20 do
  opening[#opening + 1] = { wait = 0.002 }
  opening[#opening + 1] = { settings = { { INITIAL_WINDOW, size } } }
end
opening[#opening + 1] = { settings = { { INITIAL_WINDOW, 65535 } } }

return {
  resets, goaways, ends, stalls,
  {
    title = "an answer has", modes = LONE,
    row("no body", { { frame = HEADERS, flags = END_HEADERS + END_STREAM, payload = STATUS_200 } }),
    row("an empty body", { { frame = HEADERS, flags = END_HEADERS, payload = STATUS_200 },
      { frame = DATA, flags = END_STREAM } }),
    row("half a body, of no length, and ends well", { { frame = HEADERS, flags = END_HEADERS, payload = STATUS_200 },
      "half", { frame = DATA, flags = END_STREAM } }),
    row("less body than its length says", { "headers", "half", { frame = DATA, flags = END_STREAM } }),
    row("an interim status of HTTP/1.1", { { interim = 101 }, "headers", "body" }),
    { "more body than its length says", { content_length = 10 } },
    { "more headers than we take", { header_count = 2100 }, final = true },
    { "larger headers than libcurl takes", { header_bytes = 100000 } },
  },
  {
    title = "a header block has", modes = BRIEF,
    bad_headers("garbage", "ffffffffffff"),
    bad_headers("a field that is in no table", "fe"),
    bad_headers("a table larger than allowed", "3fe1ff7f" .. STATUS_200),
    bad_headers("a length beyond its end", "007f"),
    bad_headers("a Huffman code that ends wrongly", "00" .. "81ff" .. "8100"),
    bad_headers("no status", field("x-a", "1")),
    bad_headers("two statuses", STATUS_200 .. STATUS_200),
    bad_headers("a status that is no number", field(":status", "abc")),
    bad_headers("an upper-case name", STATUS_200 .. field("X-Upper", "1")),
    bad_headers("a pseudo-field of requests", STATUS_200 .. field(":path", "/")),
    bad_headers("its status last", field("x-a", "1") .. STATUS_200),
    bad_headers("a field of HTTP/1.1", STATUS_200 .. field("connection", "close")),
    bad_headers("a line break in a value", STATUS_200 .. field("x-a", "1\r\nx-b: 2")),
    row("no end, and goes on", { { frame = HEADERS, payload = STATUS_200 },
      { frame = CONTINUATION, payload = field("x-a", "1"), count = 20000 } }),
    row("another frame in its middle", { { frame = HEADERS, payload = STATUS_200 },
      { frame = PING, on = 0, payload = ZERO_8 }, { frame = CONTINUATION, flags = END_HEADERS } }),
  },
  {
    title = "a frame that breaks the rules:", modes = BRIEF,
    bad_frame("DATA before HEADERS", { frame = DATA, payload = "7b7d" }),
    bad_frame("DATA on stream 0", { frame = DATA, on = 0, payload = "7b7d" }),
    bad_frame("DATA on a stream that is not open", { frame = DATA, on = 1001, payload = "7b7d" }),
    bad_frame("DATA with more padding than payload", { frame = DATA, flags = PADDED, payload = "ff00" }),
    bad_frame("DATA larger than allowed", { frame = DATA, payload = ("00"):rep(20000) }),
    bad_frame("HEADERS on stream 0", { frame = HEADERS, flags = END_HEADERS, on = 0, payload = STATUS_200 }),
    bad_frame("HEADERS on the server's stream", { frame = HEADERS, flags = END_HEADERS, on = 2, payload = STATUS_200 }),
    bad_frame("CONTINUATION of nothing", { frame = CONTINUATION, flags = END_HEADERS, payload = STATUS_200 }),
    bad_frame("PUSH_PROMISE, which we refuse", { frame = PUSH_PROMISE, flags = END_HEADERS, payload = "00000002" }),
    bad_frame("RST_STREAM on stream 0", { frame = RST_STREAM, on = 0, payload = ZERO_4 }),
    bad_frame("RST_STREAM on a stream that is not open", { frame = RST_STREAM, on = 1001, payload = ZERO_4 }),
    bad_frame("RST_STREAM of a wrong size", { frame = RST_STREAM, payload = "00" }),
    bad_frame("a flood of SETTINGS", { frame = SETTINGS, on = 0, count = 20000 }),
    bad_frame("SETTINGS on a stream", { frame = SETTINGS }),
    bad_frame("SETTINGS of a wrong size", { frame = SETTINGS, on = 0, payload = "00" }),
    bad_frame("SETTINGS of too large a window", { frame = SETTINGS, on = 0, payload = "0004ffffffff" }),
    bad_frame("SETTINGS of too small frames", { frame = SETTINGS, on = 0, payload = "000500000001" }),
    bad_frame("SETTINGS with a wrong switch", { frame = SETTINGS, on = 0, payload = "000200000002" }),
    bad_frame("an acknowledgement with a payload", { frame = SETTINGS, flags = ACK, on = 0, payload = "000200000000" }),
    bad_frame("PING of a wrong size", { frame = PING, on = 0, payload = ZERO_4 }),
    bad_frame("PING on a stream", { frame = PING, payload = ZERO_8 }),
    bad_frame("GOAWAY on a stream", { frame = GOAWAY, payload = ZERO_8 }),
    bad_frame("WINDOW_UPDATE of nothing", { window = 0 }),
    bad_frame("WINDOW_UPDATE beyond the largest window", { window = 0x7fffffff }),
    bad_frame("WINDOW_UPDATE beyond the connection's largest", { window = 0x7fffffff, on = 0 }),
  },
  {
    title = "it does no harm that there is", expect = "ok", modes = HARMLESS,
    -- libcurl 8.5 may take it for an attack.
    row("a flood of PING", { { frame = PING, on = 0, payload = ZERO_8, count = 20000 }, "headers", "body" },
      { expect = { "ok", "unknown" } }),
    row("a flood of PRIORITY", { { frame = PRIORITY, payload = "0000000010", count = 20000 }, "headers", "body" }),
    row("a flood of WINDOW_UPDATE", { { frame = WINDOW_UPDATE, on = 0, payload = "00000001", count = 20000 },
      "headers", "body" }),
    row("a flood of empty DATA", { "headers", { frame = DATA, count = 20000 }, "body" }),
    row("a flood of interim answers", { { interim = 103, count = 500 }, "headers", "body" }),
    row("a frame of an unknown type", { { frame = 200, payload = "00", count = 10 }, "headers", "body" }),
    row("ALTSVC", { { frame = ALTSVC, on = 0, payload = "0000" }, "headers", "body" }),
    row("DATA byte by byte", { "headers", "bytes" }),
    row("padding", { "headers", { frame = DATA, flags = PADDED, payload = "0400000000" }, "body" }),
    row("a trailer", { "headers", "data", "trailers" }),
    row("a late answer", { { wait = 0.05 }, "headers", { wait = 0.05 }, "half", { wait = 0.05 }, "body" }),
    row("RST_STREAM NO_ERROR after the answer", { "headers", "body", { rst = NO_ERROR } }),
    row("RST_STREAM INTERNAL_ERROR instead of an end", { "headers", "data", { rst = INTERNAL_ERROR } },
      { expect = { "ok", "unknown" } }), -- to newer libcurls it is an error, though all has come
    row("RST_STREAM CANCEL after the answer", { "headers", "body", { rst = CANCEL } }),
    row("a graceful GOAWAY", { { goaway = NO_ERROR }, { wait = 0.02 }, { goaway = NO_ERROR, last = "this" },
      "headers", "body", { wait = 0.05 }, "close" }),
    row("GOAWAY in the middle of an answer that goes on", { "headers", "half", { goaway = NO_ERROR, last = "this" },
      "body" }),
    { "no length", { content_length = false } },
    { "a header of 50 KB", { header_bytes = 50000 } },
  },
  {
    title = "a new connection", kind = "connection", blind = true, modes = CONNECTION,
    expect = { "unknown", "not_sent" }, once = "ok",
    { "begins with garbage", { greeting = { { raw = "aabbccddeeff00112233" } } } },
    { "begins with an answer of HTTP/1.1", { greeting = { { raw = "485454502f312e3120343030200d0a0d0a" } } } },
    { "begins with another frame than SETTINGS", { greeting = { { frame = PING, on = 0, payload = ZERO_8 } } } },
    { "begins with no SETTINGS", { greeting = {} } },
    { "begins with GOAWAY", { greeting = { { settings = {} }, { goaway = NO_ERROR, last = 0 } } } },
    { "is closed at once", { greeting = { "close" } } },
    { "is reset at once", { greeting = { "reset" } } },
    { "is closed after its SETTINGS", { greeting = { { settings = {} }, "close" } } },
    { "has a window of 0 for ever", { greeting = { { settings = { { INITIAL_WINDOW, 0 } } } } }, stalls = true,
      expect = { "unknown", "not_sent", "ok" } },
    { "has a window of 0 for a while", { greeting = { { settings = { { INITIAL_WINDOW, 0 } } }, { wait = 0.1 },
      { settings = { { INITIAL_WINDOW, 65535 } } } } }, expect = "ok" },
    { "has a window that opens byte by byte", { greeting = opening }, expect = "ok" },
    { "takes no stream for a while", { greeting = { { streams = 0 }, { wait = 0.1 }, { streams = 100 } } },
      expect = { "ok", "unknown" }, modes = CONNECTIONS },
    { "takes few streams after a while", { greeting = { { streams = 100 }, { wait = 0.01 }, { streams = 2 } } },
      expect = "ok", modes = CONNECTIONS },
  },
}
