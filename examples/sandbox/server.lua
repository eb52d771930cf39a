--- The sandbox as an HTTP server: one box for the process, and a few control calls under /_sandbox/.
-- SPDX-License-Identifier: MIT
-- luacheck: std ngx_lua

local form = require "payment_records.sandbox.form"
local json = require "payment_records.sandbox.json"
local sandbox = require "payment_records.sandbox"

local box = sandbox.new()

local server = {}

local CLOSE_WITHOUT_ANSWER = 444

local function read_body()
  ngx.req.read_body()
  return ngx.req.get_body_data() or ""
end

local function send(status, headers, body)
  ngx.status = status
  for name, value in pairs(headers) do ngx.header[name] = value end
  ngx.header["Content-Length"] = #body
  ngx.print(body)
end

--- Answers a request to the API.
---@param delay number seconds between the arrival of a request and its execution
function server.answer(delay)
  local finish = box:receive {
    method = ngx.req.get_method(),
    path = ngx.var.request_uri,
    headers = ngx.req.get_headers(0),
    body = read_body(),
  }
  if delay > 0 then ngx.sleep(delay) end
  local response = finish()
  if not response then return ngx.exit(CLOSE_WITHOUT_ANSWER) end
  send(response.status, response.headers, response.body)
end

local BOOLEANS = { ["true"] = true, ["false"] = false }

local function fault_of_form(text)
  local fault, message = form.decode(text)
  if not fault then return nil, message end
  if fault.fault then return fault.fault end
  fault.status = tonumber(fault.status)
  if BOOLEANS[fault.executed] ~= nil then fault.executed = BOOLEANS[fault.executed] end
  return fault
end

local function fault_of_json(text)
  local found, cjson = pcall(require, "cjson.safe")
  if not found then return nil, "JSON needs lua-cjson here; send a form instead" end
  local fault, message = cjson.decode(text)
  if type(fault) == "table" and fault.fault then return fault.fault end
  return fault, message
end

local function fail_next()
  local body = read_body()
  local is_json = (ngx.var.content_type or ""):find("application/json", 1, true)
  local fault, message = (is_json and fault_of_json or fault_of_form)(body)
  if fault == nil then return 400, message end
  local accepted, refusal = pcall(box.fail_next, box, fault)
  if not accepted then return 400, refusal end
  return 204
end

local REQUESTS = {
  list_of = { "method", "path", "params", "idempotency_key", "request_id", "status", "replayed" },
}

local CONTROLS = {
  ["POST /_sandbox/fail_next"] = fail_next,
  ["POST /_sandbox/reset"] = function()
    box:reset()
    return 204
  end,
  ["GET /_sandbox/requests"] = function()
    return 200, json.encode(box:requests(), REQUESTS)
  end,
}

--- Answers a control call: what a test says to the sandbox beside the API.
function server.control()
  local control = CONTROLS[ngx.req.get_method() .. " " .. ngx.var.uri]
  local status, body = 404, "unknown control call"
  if control then status, body = control() end
  if status == 204 then return ngx.exit(204) end
  if status ~= 200 then body = json.encode { error = { message = body } } end
  send(status, { ["Content-Type"] = "application/json" }, body)
end

return server
