/* SPDX-License-Identifier: MIT
 * payment_records.encode: any nested Lua table -> bracket-encoded form. */
#ifndef PR_LUA_ENCODE_H
#define PR_LUA_ENCODE_H

#include "compat.h"
#include "form.h"

#pragma GCC visibility push(hidden)

/* Lua: encode(table) -> body | nil, message. Raises when the argument is not a table. */
int lua_encode(lua_State *L);

/* Pushes an empty userdata that frees its form when it is collected; used for scratch memory that
 * must survive errors. */
struct form *lua_push_form(lua_State *L);

/* The value at `index` as a message shows it. It lives as long as the userdata that is pushed. */
const char *lua_show(lua_State *L, int index);

/* Creates the metatable of such a userdata. */
void lua_encode_register(lua_State *L);

#pragma GCC visibility pop

#endif
