/* SPDX-License-Identifier: MIT
 * One call: its attempts, and its result. */
#ifndef PR_LUA_CALL_H
#define PR_LUA_CALL_H

#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* Pushes a new call of the client at stack index 1, whose arguments begin at `first`. When its data
 * are refused it is done, with the error as its result, and *refused is true; otherwise it is for
 * engine_enqueue(). Raises when the program is wrong. */
struct call *lua_call_push(lua_State *L, struct client *client, const struct endpoint *endpoint,
                           int first, bool *refused);

/* Lua: settle(client, call), with call->answer set: takes the end of an attempt. The call is done
 * then, or waits for its next attempt. When it raises, for lack of memory, nothing has changed. */
int lua_call_settle(lua_State *L);

/* Pushes the result of a call that is done, whose userdata is at `index`: record, nil, response or
 * nil, error, response. Returns 3. */
int lua_call_push_result(lua_State *L, int index);

/* Keeps a call that is done, and that the user has not seen, for the next one of the client at
 * stack index 1, since to make one anew is costly. Does not raise. */
void lua_call_give_back(lua_State *L, int index);

/* Frees the request of a call that is done: its headers hold the key. */
void lua_call_free_request(struct call *call);

/* The call at `index`. Raises when it is something else. */
struct call *lua_check_call(lua_State *L, int index);

/* Creates the metatable of calls. */
void lua_call_register(lua_State *L);

#pragma GCC visibility pop

#endif
