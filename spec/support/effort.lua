--- How much of the long tests runs here: all of it on Lua 5.4; elsewhere, and with AddressSanitizer or valgrind, one
--- part in so many, since it is the same C code.
-- SPDX-License-Identifier: MIT

local EVERY = _VERSION == "Lua 5.4" and not os.getenv "WATCHED" and 1 or 8

return { EVERY = EVERY }
