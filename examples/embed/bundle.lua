-- Writes Lua files as C: an array of bytes each, and a table of them by module name.
--
--     lua bundle.lua payment_records=lua/payment_records/init.lua shop=shop.lua >modules.c
--
-- SPDX-License-Identifier: MIT

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

-- Not a string literal: C promises no more than 4095 bytes of one. A line of C for every line of Lua.
local function bytes(text)
  return (text:gsub(".", function(byte) return byte:byte() .. (byte == "\n" and ",\n" or ",") end))
end

print '#include "modules.h"\n'
local rows = {}
for i, argument in ipairs(arg) do
  local name, path = argument:match "^(.-)=(.*)$"
  print(("static const unsigned char text_%d[] = {%s};\n"):format(i, bytes(read(path))))
  rows[i] = ('    {"%s", text_%d, sizeof text_%d},\n'):format(name, i, i)
end
print("const struct module bundled_modules[] = {\n" .. table.concat(rows) .. "    {0, 0, 0}};")
