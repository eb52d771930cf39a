/* SPDX-License-Identifier: MIT
 * Walks a Lua table along the parameter tables of a call: checks and encodes in one pass. */
#ifndef PR_LUA_PARAMS_H
#define PR_LUA_PARAMS_H

#include "endpoints.h"
#include "lua_walk.h"

#pragma GCC visibility push(hidden)

/* Checks the table that the walk looks at against the parameters of a call and writes it to
 * walk->form. False after the first fault, in the order of the reference, is described in
 * walk->message. */
bool lua_params_write(struct walk *walk, const struct param *params);

/* Lua: describe(name) -> the parameters of a call, in order: sequence of tables with name, type,
 * required, clearable, enum, max_length, minimum, maximum, params. Raises on an unknown name. */
int lua_params_describe(lua_State *L);

#pragma GCC visibility pop

#endif
