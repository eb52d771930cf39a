--- What the server has done, in the tables of its one worker: a look-up in a shared dictionary of nginx's was seen to
--- miss one key of a million that was there.
-- SPDX-License-Identifier: MIT

return {
  applied = {}, -- keys
  keys = {}, -- the key of each payment, by its reference
  totals = { requests = 0, faults = 0, effects = 0, doubles = 0 },
}
