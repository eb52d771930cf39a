/* SPDX-License-Identifier: MIT
 * One call: its attempts, and its result. */
#ifndef PR_LUA_CALL_H
#define PR_LUA_CALL_H

#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* Pushes a new call of the client at stack index 1, whose arguments begin at `first`. It is ready,
 * or done at once when its data are refused. Raises when the program is wrong. */
struct call *lua_call_push(lua_State *L, const struct endpoint *endpoint, int first);

/* Takes the end of an attempt: the call is done, or waits for its next attempt. `client` is the
 * stack index of its client. Nothing has changed when it raises (for lack of memory): call it
 * again. */
void lua_call_settle(lua_State *L, int client, struct call *call, const struct answer *answer);

/* Ends a call that is not done, for a reason of the caller's. */
void lua_call_cancel(lua_State *L, int client, struct call *call, const char *reason);

/* Pushes the result of a call that is done, whose userdata is at `index`: record, nil, response or
 * nil, error, response. Returns 3. */
int lua_call_push_result(lua_State *L, int index);

/* The call at `index`. Raises when it is something else. */
struct call *lua_check_call(lua_State *L, int index);

/* Creates the metatable of calls. */
void lua_call_register(lua_State *L);

#pragma GCC visibility pop

#endif
