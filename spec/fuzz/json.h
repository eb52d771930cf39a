/* SPDX-License-Identifier: MIT
 * A second reader of JSON, strict as RFC 8259 has it, beside which records are held. */
#ifndef PR_JSON_H
#define PR_JSON_H

#include "fuzz.h"

struct json {
  const char *next, *end;
  int depth, deepest;
  bool lone_surrogate; /* \ud800 without its other half is somewhere: readers may refuse that */
};

/* Pushes the text as a record has it: integers of less than 2^53 as Lua integers, fields that are
 * null absent, of equal names the last. False, with nothing pushed, when it is no JSON. */
bool json_push(lua_State *L, struct json *json, const char *text, size_t length);

/* Whether the values at two stack indexes are the same, through all tables. */
bool json_equal(lua_State *L, int left, int right);

#endif
