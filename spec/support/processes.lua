--- Processes, descriptors and signals for the life-cycle specs: builds process.c for the Lua that runs, and loads it.

local cjson = require "cjson"
local files = require "spec.support.files"

local interpreter = os.getenv "LUA" or arg[-1] or "lua"
local name = interpreter:match "[^/]+$"
local directory = "build/" .. name .. "/spec"

---Compiles a C file of spec/support for the Lua that runs. Several specs may do so at the same time.
---@param source string its name, without the directory
---@param target string
---@param flags string further flags
---@return string path of what was built
local function build(source, target, flags)
  local path = directory .. "/" .. target
  local output, status = files.capture(([[
    mkdir -p %s && new=%s.$$ && ${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -O1 -o $new spec/support/%s \
      $(pkg-config --cflags %s) %s 2>&1 && mv $new %s]]):format(directory, path, source, name, flags, path))
  assert(status == 0, output)
  return path
end

local processes = assert(package.loadlib(build("process.c", "process.so", "-shared -fPIC"), "luaopen_process"))()

processes.build = build
processes.interpreter = interpreter

---Compiles a C program of spec/support that embeds the Lua that runs.
---@param source string
---@return string path
function processes.build_program(source)
  local libraries = ("-pthread -Wl,-E $(pkg-config --libs %s)"):format(name)
  return build(source, (source:gsub("%.c$", "")), libraries)
end

---Starts `body` in a child process, which ends when it returns.
---@param body fun(): any
---@return fun(): any, integer wait waits for the child; returns what `body` returned or raised there, and its status
function processes.start(body)
  local result_directory = files.temporary_directory()
  local path = result_directory .. "/result"
  local pid = processes.fork()
  if pid == 0 then
    local ended, result = pcall(body)
    files.write(path, cjson.encode { ended and result or tostring(result) })
    processes.exit(0)
  end
  return function()
    local status = processes.wait(pid)
    local text = files.read(path)
    files.remove(result_directory)
    return text and cjson.decode(text)[1], status
  end
end

---Runs `body` in a child process.
---@param body fun(): any
---@return any result what it returned or raised there; nil when the process did not get so far
---@return integer status
function processes.in_child(body)
  return processes.start(body)()
end

return processes
