/* SPDX-License-Identifier: MIT
 * The body of an answer -> a Lua table, and what it tells the retry rules. */
#ifndef PR_LUA_RECORD_H
#define PR_LUA_RECORD_H

#include "compat.h"
#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* With call->answer set: pushes the record or list of a good answer, Stripe's error table of a
 * refusal, or nil, and fills in what `end` has to say of the answer. `store` is the stack index of
 * the client's store. */
void lua_record_read(lua_State *L, int store, const struct call *call, struct attempt_end *end);

/* Pushes a decode function of lua-cjson's with settings of its own. Raises when there is none. */
void lua_record_push_decoder(lua_State *L);

#pragma GCC visibility pop

#endif
