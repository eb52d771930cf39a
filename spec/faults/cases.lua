--- What becomes of a row of a fault table: one case for each mode in which the fault can be met.
--
-- A family of rows is a table with a `title`, and with fields that its rows share; they may be given in a row as well:
--   [1], [2]   what happens; the step of the server (fault_server.py) that makes it happen
--   kind       "request" (the default): the fault comes with a request, and each call meets it;
--              "connection": it comes with a new connection; the server is mended once somebody has met it
--   expect     what becomes of a POST that meets it every time: "ok", "not_sent", "rejected", "unknown" (the default),
--              or a list of these
--   once       the same of one that meets it once: "ok" by default, or, if the fault is final, as `expect`
--   final      the call must not be made again
--   stalls     the fault is one of time: attempts have a short timeout
--   blind      the server cannot see, or not tell apart, the requests that libcurl counts; "many": of many calls
--   get        false: a GET does not meet it
--   over       a list of "plain" (the default alone), "tls", "unix", "tls on unix"
--   server, client   further options of the server and of the client
--   params     function(params): changes the payment
--   proxied    "plain" or "tls": the step is that of a proxy, on the way to such a server, which does all right;
--              `faulty` are further options of the proxy
--   elsewhere  a URL to call in place of the server's
--   lasting    the next call of the client must fail in the same way (so it is with `elsewhere`)
--   modes      a list, as of MODES, in place of those of the kind
-- SPDX-License-Identifier: MIT

local servers = require "spec.support.servers"

local cases = {}

-- method, calls at once, on a "cold" client or a "warm" one, which has connections; whether the fault comes "once" or
-- "always", and "after" the payment was made or "before" (it is not made then). A GET has no before and after.
-- `every`, `at`: one row of so many has this mode. "again": of requests that fail over TLS or Unix sockets, too.
local MODES = {
  request = {
    { "POST", 1, "cold", "once", "after" }, { "POST", 1, "cold", "once", "before" },
    { "POST", 1, "cold", "always", "after" }, { "POST", 1, "cold", "always", "before" },
    { "POST", 1, "warm", "once", "after" }, { "POST", 1, "warm", "once", "before" },
    { "POST", 1, "warm", "always", "after" }, { "POST", 1, "warm", "always", "before" },
    { "GET", 1, "cold", "once" }, { "GET", 1, "warm", "always" },
    { "POST", 50, "warm", "once", "after", every = 3, at = 0 },
    { "POST", 50, "cold", "always", "after", every = 3, at = 1 },
  },
  again = {
    { "POST", 1, "cold", "once", "after" }, { "POST", 1, "cold", "always", "before" },
    { "POST", 1, "warm", "once", "before" }, { "POST", 1, "warm", "always", "after" }, { "GET", 1, "warm", "once" },
  },
  connection = {
    { "POST", 1, "cold", "once" }, { "POST", 1, "cold", "always" },
    { "GET", 1, "cold", "once" }, { "GET", 1, "cold", "always" },
    { "POST", 50, "cold", "once" }, { "POST", 50, "cold", "always" },
  },
}

local OVER = {
  plain = {}, tls = { tls = true }, unix = { unix = true }, ["tls on unix"] = { unix = true, tls = true },
}

-- Seconds. The fault that never ends is to end at the deadline; the one that ends must be outlived on a busy machine.
local DEADLINES = { always = 0.6, once = 30 }
local RETRIES = { always = 2, once = 9 }
local SHORT_TIMEOUT = { always = 0.2, once = 0.3 }

local count = 0

local function merged(...)
  local all = {}
  for i = 1, select("#", ...) do
    for name, value in pairs((select(i, ...)) or {}) do all[name] = value end
  end
  return all
end

local function as_set(outcomes)
  local set = {}
  for _, outcome in ipairs(type(outcomes) == "table" and outcomes or { outcomes }) do set[outcome] = true end
  return set
end

-- A GET changes nothing, so that its outcome is never unknown.
local function expected(row, mode)
  local always = row.expect or "unknown"
  local outcomes = as_set(mode[4] == "always" and always or row.once or (row.final and always) or "ok")
  if row.kind == "connection" and mode[2] > 1 and mode[4] == "once" then outcomes.ok = true end -- one may meet it alone
  if mode[1] == "GET" then
    if outcomes.unknown then outcomes.unknown, outcomes.rejected = nil, true end
  end
  return outcomes
end

local function steps_of(row, mode)
  local step = row[2] or {}
  if mode[5] == "before" then step = merged(step, { ledger = "skip" }) end
  if mode[4] == "once" and row.kind ~= "connection" then return { step, {} } end
  return { step }
end

local function client_options(row, mode, often)
  local retried_ok = row.expect == "ok" -- such a fault is none: it is met in every attempt, and the call succeeds
  return merged({
    deadline = retried_ok and DEADLINES.once or DEADLINES[often], max_retries = RETRIES[often],
    timeout = row.stalls and SHORT_TIMEOUT[often] or nil, connect_timeout = row.stalls and SHORT_TIMEOUT[often] or nil,
    max_in_flight = mode[2],
  }, row.client)
end

local function new_case(row, mode, over)
  count = count + 1
  local often = mode[4]
  return {
    id = count,
    row = row,
    label = table.concat({ row[1], over, mode[1], mode[2], mode[3], often, mode[5] }, ", "),
    method = mode[1],
    calls = mode[2],
    is_warm = mode[3] == "warm",
    often = often,
    effect = mode[5],
    mends = often == "once" and row.kind == "connection",
    per_call = row.kind ~= "connection",
    expected = expected(row, mode),
    steps = steps_of(row, mode),
    server_options = merged(OVER[over], row.server, { ledger = true }),
    client_options = client_options(row, mode, often),
    failures = {},
  }
end

-- Where the row says what the ledger does there is no other before and after, nor where the call may succeed by it; a
-- GET may not meet the fault.
local function applies(row, mode, number)
  if mode[1] == "GET" and row.get == false then return false end
  if mode.every and number % mode.every ~= mode.at then return false end
  return not (mode[5] == "before" and (row[2] and row[2].ledger or as_set(row.expect or "unknown").ok))
end

local function modes_of(row, place)
  if row.modes then return row.modes end
  if row.kind == "connection" then return MODES.connection end
  return place == 1 and MODES.request or MODES.again
end

---The cases of a row.
---@param row table
---@param number integer of the row in its family
---@return table[]
function cases.of(row, number)
  local list = {}
  for place, over in ipairs(row.over or { "plain" }) do
    for _, mode in ipairs(modes_of(row, place)) do
      if applies(row, mode, number) then list[#list + 1] = new_case(row, mode, over) end
    end
  end
  return list
end

---The rows of a family, each with the fields that they share.
---@param family table
---@return table[]
function cases.rows(family)
  for _, row in ipairs(family) do setmetatable(row, { __index = function(_, name)
    return type(name) == "string" and family[name] or nil
  end }) end
  return family
end

-- Stands in the redirects for a server that nobody may come to.
local function with_other(step, other)
  local headers = step.headers
  if not headers or not headers.Location then return step end
  return merged(step, { headers = { Location = (headers.Location:gsub("%%OTHER%%", other.url)) } })
end

---Starts the servers of some cases, all in one process. Sets `server`, where payments are made, and `faulty`, which
---plays the steps: the same one, or a proxy before it.
---@param list table[]
---@param keys? string "without_keys": the ledger ignores them
---@return spec.Server other a server of its own, which redirects name: to stop it is to stop them all
function cases.start(list, keys)
  local all = {}
  for _, case in ipairs(list) do
    all[#all + 1] = keys and merged(case.server_options, { ledger = keys }) or case.server_options
    if case.row.proxied then all[#all + 1] = case.row.faulty or {} end
  end
  all[#all + 1] = {}
  local started, place = servers.start_together(all), 0
  local other = started[#started]
  for _, case in ipairs(list) do
    for i, step in ipairs(case.steps) do case.steps[i] = with_other(step, other) end
    place = place + 1
    case.server, case.faulty = started[place], started[place]
    if case.row.proxied then
      place = place + 1
      case.faulty = started[place]
    end
  end
  return other
end

return cases
