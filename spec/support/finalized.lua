--- finalized(body) -> a value that runs `body` once it is finalized; 5.1 and LuaJIT finalize no tables.

---@param body fun()
---@return table|userdata
return function(body)
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = body
    return proxy
  end
  return setmetatable({}, { __gc = body })
end
