--- The retry rules of the module under test, called without a client: builds rules.c with the module's own objects.

local processes = require "spec.support.processes"

local objects = {}
for name in ("retry headers buffer curl_faults random"):gmatch "%S+" do
  objects[#objects + 1] = ("build/%s/obj/%s.o"):format(processes.interpreter:match "[^/]+$", name)
end

local library = processes.build("../retry/rules.c", "rules.so",
  "-shared -fPIC $(pkg-config --cflags libcurl) " .. table.concat(objects, " ") .. " $(pkg-config --libs libcurl)")

return assert(package.loadlib(library, "luaopen_rules"))()
