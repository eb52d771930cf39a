/* SPDX-License-Identifier: MIT
 * Checks one value against the type and the limits of its parameter, and writes it. */
#ifndef PR_LUA_CHECKS_H
#define PR_LUA_CHECKS_H

#include "lua_walk.h"
#include "params.h"

#pragma GCC visibility push(hidden)

/* The value is on top of the stack, and stays there; the walk is at its place. False after a fault
 * is described in walk->message. */
bool lua_check_value(struct walk *walk, const struct param *param);

#pragma GCC visibility pop

#endif
