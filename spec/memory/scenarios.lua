--- What is done while memory runs out (sweep.c). Each scenario is a table:
--
-- * `setup()` returns the scenario's state, with memory; by default a client
-- * `run(state)` is done again and again, with less memory missing each time; it may raise, for lack of memory only
-- * `after(state)`, when memory is back, sees to it that all ends well; by default it steps until nothing is unfinished
-- * `arms`: memory begins to run out where `run` calls memory.arm(), not from its beginning
-- * `loads`: it may leave more in the registry than before
--

-- LuaJIT's compiler of traces crashes out of memory, with or without this module.
local jit = rawget(_G, "jit")
if jit then jit.off() end

for _, group in ipairs { "local", "calls", "transports", "armed" } do require("spec.memory.scenarios." .. group) end

return require("spec.memory.actions").scenarios
