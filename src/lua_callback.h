/* SPDX-License-Identifier: MIT
 * The user's callbacks: on_attempt and on_done. What they raise harms no call: for a call that
 * somebody waits for it becomes response.callback_error, for others client:step() raises it. */
#ifndef PR_LUA_CALLBACK_H
#define PR_LUA_CALLBACK_H

#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* Pushes the event of the attempt that is being settled, if somebody wants it; otherwise nil.
 * `error_type`: NULL when all is well. `wait`: seconds before the next attempt; negative: none. */
void lua_callback_push_event(lua_State *L, int client, const struct call *call,
                             const char *error_type, double wait);

/* Calls on_attempt with the event on top of the stack, unless that is nil. Pops it. */
void lua_callback_on_attempt(lua_State *L, int client, int call);

/* Lua: tell(client, call): calls on_done of a call that is done, and the function that the Lua
 * layer gave to be told. */
int lua_callback_tell(lua_State *L);

/* Raises the oldest error that a callback raised and that was not raised here before, if any. */
void lua_callback_raise(lua_State *L, int client);

#pragma GCC visibility pop

#endif
