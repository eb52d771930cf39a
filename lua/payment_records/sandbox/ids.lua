--- Identifiers that look random and are the same in every run, so that a test may print and compare them.
-- SPDX-License-Identifier: MIT

local ids = {}

local ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

--- Writes a number in base 62, lowest digit first, each digit turned by what came before it. The first digit in which
-- two numbers differ is turned by the same amount in both, hence they never give the same text.
local function scramble(number, length, seed)
  local characters, state = {}, seed
  for i = 1, length do
    local digit = number % 62
    number = math.floor(number / 62)
    local turned = (math.floor(state / 64) + digit) % 62
    characters[i] = ALPHABET:sub(turned + 1, turned + 1)
    state = ((state + digit * 7919) * 16807) % 2147483647
  end
  return table.concat(characters)
end

local function seed_of(prefix)
  local seed = 1730253453
  for i = 1, #prefix do seed = (seed + prefix:byte(i)) * 16807 % 2147483647 end
  return seed
end

--- A source of identifiers. It counts by prefix: the first record is the same however many requests came before.
---@return fun(prefix: string, length: integer): string
function ids.new()
  local counts = {}
  return function(prefix, length)
    counts[prefix] = (counts[prefix] or 0) + 1
    return prefix .. scramble(counts[prefix], length, seed_of(prefix))
  end
end

return ids
