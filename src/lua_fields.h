/* SPDX-License-Identifier: MIT
 * Sets a field of the table on top of the stack. Raises when memory is short. */
#ifndef PR_LUA_FIELDS_H
#define PR_LUA_FIELDS_H

#include "compat.h"

#pragma GCC visibility push(hidden)

static inline void set_text(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static inline void set_bytes(lua_State *L, const char *name, const char *text, size_t length) {
  lua_pushlstring(L, text, length);
  lua_setfield(L, -2, name);
}

static inline void set_integer(lua_State *L, const char *name, long long integer) {
  lua_pushinteger(L, (lua_Integer)integer);
  lua_setfield(L, -2, name);
}

static inline void set_number(lua_State *L, const char *name, double number) {
  lua_pushnumber(L, number);
  lua_setfield(L, -2, name);
}

static inline void set_boolean(lua_State *L, const char *name, int boolean) {
  lua_pushboolean(L, boolean);
  lua_setfield(L, -2, name);
}

#pragma GCC visibility pop

#endif
