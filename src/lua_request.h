/* SPDX-License-Identifier: MIT
 * The arguments of a call -> the request that goes over the wire. */
#ifndef PR_LUA_REQUEST_H
#define PR_LUA_REQUEST_H

#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* Where the arguments of a call stand on the stack; id 0: the call has none. */
struct arguments {
  int client, id, params, options;
};

/* Finds the arguments of a call whose first one, after the client, is at `first`, and raises when
 * the program is wrong: no table of parameters where some are required. */
struct arguments lua_request_arguments(lua_State *L, const struct endpoint *endpoint, int first);

/* Fills in the request of a call, whose `client` and `endpoint` are set. After a fault in the data
 * it pushes the error and returns false. Raises when the program is wrong, or memory is short. */
bool lua_request_build(lua_State *L, const struct arguments *arguments, struct call *call);

/* Pushes { method, url, path, headers, body, timeout, connect_timeout }. Without `secret`, the
 * header Authorization has $STRIPE_API_KEY in place of the key. */
void lua_request_push(lua_State *L, const struct call *call, bool secret);

#pragma GCC visibility pop

#endif
