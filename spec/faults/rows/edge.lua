--- N-40 to N-52: answers that are no success, and not Stripe's: of somebody on the way.

-- An answer of a proxy, a firewall, a load balancer.
local function page(status, headers, body)
  return { status = status, headers = headers or {}, body = body or "<html>No</html>" }
end

local function status_line(text)
  return { raw = "HTTP/1.1 " .. text .. "\r\nContent-Length: 0\r\n\r\n" }
end

local families = {
  {
    title = "an answer of somebody on the way,", final = true,
    { "400", page(400) },
    { "401", page(401, { ["WWW-Authenticate"] = "Negotiate" }) },
    { "403", page(403) },
    { "403 in JSON", page(403, nil, '{"error":"blocked"}') },
    { "404", page(404) },
    { "405", page(405) },
    { "406", page(406) },
    { "407", page(407, { ["Proxy-Authenticate"] = "Basic" }) },
    { "411", page(411) },
    { "413", page(413) },
    { "414", page(414) },
    { "418", page(418) },
    { "451", page(451) },
    { "304", { raw = "HTTP/1.1 304 Not Modified\r\n\r\n" } },
    { "199", { raw = "HTTP/1.1 199 Odd\r\n\r\n" }, final = false, stalls = true },
    { "600", page(600) },
    { "999", page(999) },
  },
  {
    title = "an answer of somebody on the way that is worth another attempt,",
    { "408", page(408) },
    { "408, and the connection is closed", { status = 408, body = "", headers = {}, after = "close" } },
    { "425", page(425) },
    { "429", page(429) },
    { "409", page(409) },
  },
  {
    title = "a strange status line,", expect = { "unknown" }, once = { "ok", "unknown" }, blind = true,
    { "status 0", status_line "0 Zero" },
    { "status 000", status_line "000 Zero" },
    { "status 099", status_line "099 Odd" },
    { "status -200", status_line "-200 Odd" },
    { "status 20", status_line "20 Odd" },
  },
}

local edge = { title = "a status of the edge," }
for _, status in ipairs { 501, 502, 503, 504, 505, 511, 520, 521, 522, 523, 524, 525, 526, 527, 599 } do
  edge[#edge + 1] = { tostring(status), page(status) }
end
families[#families + 1] = edge

-- What is redirected goes nowhere: cases.start gives the URL of a server to which nobody may come.
local redirects = { title = "a redirect,", final = true }
for _, status in ipairs { 300, 301, 302, 303, 305, 307, 308 } do
  redirects[#redirects + 1] = { ("%d to another port"):format(status),
    page(status, { Location = "%OTHER%/v1/payment_records/pr_1" }) }
end
for _, target in ipairs {
  { "to itself", "/v1/payment_records/report_payment" }, { "to another host", "https://localhost.invalid/" },
  { "to a file", "file:///etc/hostname" }, { "to nowhere", "" }, { "to something that is no URL", "http://[" },
} do
  redirects[#redirects + 1] = { "307 " .. target[1], page(307, { Location = target[2] }) }
end
families[#families + 1] = redirects

return families
