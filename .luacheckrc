-- The code runs on Lua 5.1 to 5.4 and LuaJIT: any of their globals may be asked for.
std = "max"
max_line_length = 120
exclude_files = { "build/", "lua_modules/", ".luarocks/" }

-- ngx is looked for at run time, and is absent outside nginx.
files["lua/"].read_globals = { "ngx" }
files["spec/"].std = "+busted"
files["examples/"].std = "+ngx_lua"
files["examples/luanti/"].read_globals = { "core" }
files["spec/soak/server/"].std = "+ngx_lua"
