/* SPDX-License-Identifier: MIT
 * What the two walks over a Lua table share: the one along the parameter tables (lua_params) and
 * the one over any table (lua_encode). Both read the table raw, never change it, and write a form.
 */
#ifndef PR_LUA_WALK_H
#define PR_LUA_WALK_H

#include "compat.h"
#include "form.h"

#pragma GCC visibility push(hidden)

/* Slots of Lua's stack that a level of nesting takes beside its fields or keys, and room. */
enum { WALK_SLOTS = 8 };

/* Names of a table that are sorted on the stack: as many as metadata may have. */
enum { WALK_FEW_NAMES = 50 };

struct walk {
  lua_State *L;
  struct form *form; /* its path is below */
  struct form_segment path[PR_MAX_DEPTH];
  struct buffer *message; /* of the fault found, "path: what is wrong" */
  size_t path_length;     /* how much of the message is the path */
  int value;              /* stack index of what is looked at */
  int null;           /* stack index of the value that stands for null; 0: only cjson.null does */
  bool allow_unknown; /* parameters and enum values that the tables do not have */
};

/* Functions that return bool return false after they have described the fault in walk->message. */

/* The value at `index` as an exact integer. False for strings, fractions, NaN, and floats above
 * 2^53, whose neighbours they cannot be told from. Describes nothing. */
bool walk_to_integer(lua_State *L, int index, long long *integer);

/* Whether the value at `index` stands for null. */
bool walk_is_null(const struct walk *walk, int index);

/* Begins the message with the place the walk is at. */
bool walk_fault(struct walk *walk, const char *text);

/* "path: expected …, got …" of the value that is looked at. */
bool walk_expected(struct walk *walk, const char *expectation);

/* Appends the value at `index` as a message shows it: 10.5, "text" (cut, with ? for control
 * characters), a function. */
void walk_describe_value(lua_State *L, int index, struct buffer *text);

/* Appends ` (did you mean "…"?)` to the message, unless there is no suggestion. */
void walk_suggest(struct buffer *text, const char *suggestion);

/* Goes down to a name of the parameter tables, a key or a place in a list, or faults because it is
 * too deep. */
bool walk_enter_name(struct walk *walk, const char *name, size_t length);
bool walk_enter_index(struct walk *walk, long long index);

/* Writes the string that is looked at, which must be UTF-8 without NUL; *characters is its length.
 */
bool walk_write_string(struct walk *walk, long *characters);

enum table_shape { SHAPE_EMPTY, SHAPE_SEQUENCE, SHAPE_NAMES, SHAPE_INVALID };

/* What the table that is looked at is; *count is the number of its keys. SHAPE_INVALID: it has
 * holes, mixed keys, or keys that are neither strings nor sequence indexes, and the fault is
 * described. */
enum table_shape walk_shape(struct walk *walk, size_t *count);

struct table_key {
  const char *name;
  size_t length;
  int value;       /* stack index, of few names */
  long characters; /* known when it is visited */
};

/* Called when the walk is at the place of a name, and looks at its value. */
typedef bool walk_visitor(struct walk *walk, const struct table_key *key, const void *context);

/* Both visit the names of the table that is looked at, sorted by bytes, until a visit returns
 * false.
 */

/* False, and nothing is visited, when the table has more than WALK_FEW_NAMES keys, or other ones
 * than strings. *right: what the last visit returned; true when there was none. */
bool walk_few_names(struct walk *walk, walk_visitor *visit, const void *context, bool *right);

/* Of a table of SHAPE_NAMES with so many. */
bool walk_many_names(struct walk *walk, size_t count, walk_visitor *visit, const void *context);

/* Writes the value that is looked at, whatever it is. */
bool walk_encode_value(struct walk *walk);

#pragma GCC visibility pop

#endif
