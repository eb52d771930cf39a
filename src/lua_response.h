/* SPDX-License-Identifier: MIT
 * What is told of a call beside its record: the response table, and the event of an attempt. */
#ifndef PR_LUA_RESPONSE_H
#define PR_LUA_RESPONSE_H

#include "answer.h"
#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* Pushes { status, request_id, idempotency_key, attempts, elapsed, replayed, headers } of the
 * answer that ended the call; NULL: nothing was sent. */
void lua_response_push(lua_State *L, const struct call *call, const struct answer *answer);

/* Gives the response on top the error under it, as the field "error"; it prints as that then. (On
 * LuaJIT assert() raises the last of its arguments, which is the response.) */
void lua_response_set_error(lua_State *L);

/* Sets what the table on top tells of an answer: status, request_id. */
void lua_response_set_answer(lua_State *L, const struct call *call, const struct answer *answer);

/* Pushes the argument of on_attempt, of a call that is being settled. `error_type`: NULL when all
 * is well. `wait`: seconds before the next attempt; negative: none follows. */
void lua_response_push_event(lua_State *L, const struct call *call, const char *error_type,
                             double wait);

/* Fills `headers` from the table of names and values at `index`; a value may be a sequence. */
void lua_response_read_headers(lua_State *L, int index, struct headers *headers);

#pragma GCC visibility pop

#endif
