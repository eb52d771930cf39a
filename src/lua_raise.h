/* SPDX-License-Identifier: MIT
 * Errors of the program that uses the library. */
#ifndef PR_LUA_RAISE_H
#define PR_LUA_RAISE_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/* As luaL_error(), but the position is the one that called the library: the methods of its Lua
 * layer are of no interest to anybody. Where a protected call is the caller there is none. */
int lua_raise(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

#pragma GCC visibility pop

#endif
