--- N-35, N-37: answers of success that are not what was asked for.

local RECORD = '{"id":"pr_1","object":"payment_record"}'

local function utf16(text)
  return "\255\254" .. text:gsub(".", "%0\0")
end

local bodies = {
  { "empty", "" },
  { "a blank", " " },
  { "null", "null" },
  { "true", "true" },
  { "a number", "1" },
  { "a text", '"pr_1"' },
  { "an empty array", "[]" },
  { "an array of records", "[" .. RECORD .. "]" },
  { "an empty object", "{}" },
  { "a page to log in on", "<html><form>Log in</form></html>" },
  { "a record without an id", '{"object":"payment_record"}' },
  { "a record with an empty id", '{"id":"","object":"payment_record"}' },
  { "a record whose id is a number", '{"id":7,"object":"payment_record"}' },
  { "a record whose id is null", '{"id":null,"object":"payment_record"}' },
  { "another kind of object", '{"id":"ch_1","object":"charge"}' },
  { "a list", '{"object":"list","data":[' .. RECORD .. '],"has_more":false}' },
  { "an error, with status 200", '{"error":{"type":"api_error","message":"No."}}' },
  { "half of a record", '{"id":"pr_1","object":"payment_record"' },
  { "a record and more", RECORD .. " and more" },
  { "two records", RECORD .. "\n" .. RECORD },
  { "a record with a comma too many", '{"id":"pr_1",}' },
  { "a record with a zero byte behind it", RECORD .. "\0" },
  { "a record with a byte order mark", "\239\187\191" .. RECORD },
  { "a record in UTF-16", utf16(RECORD) },
  { "nested too deep", '{"id":"pr_1","object":"payment_record","x":' .. ("["):rep(2000) .. ("]"):rep(2000) .. "}" },
  { "with a number that is none", '{"id":"pr_1","object":"payment_record","created":NaN}' },
}

local family = { title = "a success whose body is" }
for i, body in ipairs(bodies) do family[i] = { body[1], { body = body[2] } } end

local function with_key(key)
  return { headers = { ["Idempotency-Key"] = key } }
end

return {
  family,
  {
    title = "a success that belongs to another request:",
    { "its record is another", { body = '{"id":"pr_another","object":"payment_record"}' },
      modes = { { "GET", 1, "cold", "once" }, { "GET", 1, "cold", "always" }, { "GET", 50, "warm", "once" } } },
    { "its idempotency key is another", with_key "another", get = false },
    { "its idempotency key is long", with_key(("k"):rep(300)), get = false },
  },
  {
    title = "a success with status",
    { "204", { raw = "HTTP/1.1 204 No Content\r\n\r\n" } },
    { "205", { raw = "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n" } },
    { "206, and a part of the record", { status = 206, body = '{"id":"pr_1","obj' } },
    { "202, and nothing", { status = 202, body = "" } },
  },
}
