/* SPDX-License-Identifier: MIT
 * Keeps the API key out of what users see and log, even when a server sends it back. */
#ifndef PR_LUA_REDACT_H
#define PR_LUA_REDACT_H

#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* Whether the text has the key of the call in it. */
bool lua_redact_is_needed(const struct call *call, const char *text, size_t length);

/* Pushes the text, with "[api key]" in place of the key of the call. */
void lua_redact_push(lua_State *L, const struct call *call, const char *text, size_t length);

/* Redacts the string on top, or all strings in the table on top, in place, and cuts those that are
 * longer than 1 KiB. A field whose name has the key in it is dropped. */
void lua_redact_value(lua_State *L, const struct call *call);

#pragma GCC visibility pop

#endif
