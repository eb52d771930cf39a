/* SPDX-License-Identifier: MIT
 * Error tables: what a call gives instead of a record. */
#ifndef PR_LUA_ERROR_H
#define PR_LUA_ERROR_H

#include "answer.h"
#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* Turns what is on top of the stack, Stripe's own error table (redacted) or nil, into the error of
 * the call.
 */
void lua_error_of_answer(lua_State *L, const struct call *call, const struct answer *answer,
                         const struct verdict *verdict);

/* Pushes the error of a request that was refused before sending: `message` begins with the path. */
void lua_error_of_validation(lua_State *L, const struct buffer *message, size_t path_length);

/* Pushes the error of asking for the result of a call that is not done. */
void lua_error_of_unfinished(lua_State *L, const struct call *call);

/* Creates the metatable of error tables. */
void lua_error_register(lua_State *L);

/* The type of the error that an answer is; Stripe's error table or nil is on top of the stack. The
 * text lives as long as that table. */
const char *lua_error_type(lua_State *L, const struct answer *answer);

#pragma GCC visibility pop

#endif
