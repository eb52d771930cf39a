--- Random values that are the same on every Lua and every machine for the same seed.

---@class spec.Random
local Random = {}
Random.__index = Random

-- The minimal standard generator of Park and Miller; its products stay below 2^53.
local MULTIPLIER, MODULUS = 16807, 2147483647

-- Every class of byte that a form has to carry, and what looks like structure or like an escape.
local PIECES = {
  "a", "Z", "0", "9", "word", "-", "_", ".", "~", "&", "=", "+", "%", "%41", "%zz", " ", "  ", "\n", "\r\n", "\t", "\1",
  "\127", "!", "*", "'", "(", ")", "#", "/", "?", ":", ";", ",", "@", "$", '"', "\\", "<", ">", "^", "`", "{", "|", "}",
  "é", "ß", "漢字", "🙂", "\226\128\168", "\239\187\191", "\239\191\191", "null", "true",
}
local BRACKETS = { "[", "]", "[]", "[0]", "a[b]", "][" }

---@param seed integer 1 to 2^31 - 2
---@return spec.Random
function Random.new(seed)
  return setmetatable({ state = seed }, Random)
end

---A fraction: at least 0, less than 1.
function Random:fraction()
  self.state = self.state * MULTIPLIER % MODULUS
  return (self.state - 1) / (MODULUS - 1)
end

---@return integer from least to most, both included; an integer in the sense of Lua 5.3, where there are such
function Random:integer(least, most)
  local value = least + math.floor(self:fraction() * (most - least + 1))
  return math.tointeger and math.tointeger(value) or value
end

---True once in `times` calls.
function Random:chance(times)
  return self:integer(1, times) == 1
end

function Random:one_of(values)
  return values[self:integer(1, #values)]
end

---@param length integer most pieces
---@param class string|nil "key": without brackets, and never only digits
---@return string not empty
function Random:text(length, class)
  local pieces = { class == "key" and "k" or nil }
  for _ = 1, self:integer(1, length) do
    local brackets = class ~= "key" and self:chance(8)
    pieces[#pieces + 1] = self:one_of(brackets and BRACKETS or PIECES)
  end
  return table.concat(pieces)
end

return Random
