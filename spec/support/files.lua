--- Files, directories and commands for the specs.

local files = {}

---Runs a command in sh. Returns whether it ended with status 0.
---@param command string
---@return boolean
function files.shell(command)
  local status = os.execute(command)
  return status == true or status == 0 -- 5.1 and LuaJIT return the status itself
end

---Runs a command in sh and collects what it prints. Its status comes from the shell, as the close
---of a pipe does not report it on 5.1.
---@param command string
---@return string output, integer status
function files.capture(command)
  local pipe = assert(io.popen("(" .. command .. "\n); echo \"status=$?\""))
  local text = pipe:read "*a"
  pipe:close()
  local output, status = text:match "^(.*)status=(%d+)\n$"
  return output, tonumber(status)
end

---@param path string
---@return string|nil content nil when there is no such file
function files.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local content = file:read "*a"
  file:close()
  return content
end

---@param path string
---@param content string
function files.write(path, content)
  local file = assert(io.open(path, "wb"))
  file:write(content)
  file:close()
end

---@return string path of a new, empty directory
function files.temporary_directory()
  return (files.capture "mktemp -d":gsub("\n$", ""))
end

---@return string path of the directory that the specs run in
function files.here()
  return (files.capture "pwd":gsub("\n$", ""))
end

---Removes a file, or a directory with all that is in it.
---@param path string
function files.remove(path)
  assert(#path > 1, "refusing to remove the root directory")
  files.shell(("rm -rf '%s'"):format(path))
end

return files
