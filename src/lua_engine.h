/* SPDX-License-Identifier: MIT
 * The engine: moves the calls of a client, in the order ready -> on the wire -> (waiting -> ready)
 * -> done. Blocking, cooperative and asynchronous use differ only in who waits between two steps.
 */
#ifndef PR_LUA_ENGINE_H
#define PR_LUA_ENGINE_H

#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* `client` is everywhere the stack index of the client. */

/* Takes in the new call on top of the stack. */
void engine_enqueue(lua_State *L, int client, struct call *call);

/* Takes a call whose attempt has ended off the wire: done, or, if `wait` is not negative, waiting.
 */
void engine_leave(lua_State *L, int client, struct call *call, double wait);

/* Drops a call, with whatever it has in flight, without a word to anybody: for the collector. */
void engine_forget(struct call *call);

/* Pushes the userdata of a call that is not done. */
void engine_push_call(lua_State *L, int client, const struct call *call);

/* Moves everything that can move, after waiting at most `seconds` (negative: as long as it takes).
 */
void engine_step(lua_State *L, int client, double seconds);

/* Waits until the call is done. */
void engine_run(lua_State *L, int client, const struct call *call);

/* Seconds until engine_step() has something to do even if nothing arrives; negative: never. */
double engine_timeout(const struct client *client);

/* The next call that the user's transport is to carry, put on its way; NULL: none now. */
struct call *engine_take(lua_State *L, int client);

/* Ends all calls that are not done, for a reason. */
void engine_cancel_all(lua_State *L, int client, const char *reason);

#pragma GCC visibility pop

#endif
