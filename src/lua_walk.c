/* SPDX-License-Identifier: MIT */
#include "lua_walk.h"

#include "utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 40 }; /* of a string in a message */

#define LARGEST_EXACT 9007199254740992.0 /* 2^53 */

bool walk_to_integer(lua_State *L, int index, long long *integer) {
  if (lua_type(L, index) != LUA_TNUMBER)
    return false;
  if (compat_isinteger(L, index)) {
    *integer = (long long)lua_tointeger(L, index);
    return true;
  }
  double number = lua_tonumber(L, index);
  if (!(fabs(number) <= LARGEST_EXACT) || floor(number) != number)
    return false;
  *integer = (long long)number;
  return true;
}

/* What lua-cjson, and most of its like, use for null. */
static bool is_null_pointer(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index);
}

bool walk_is_null(const struct walk *walk, int index) {
  if (is_null_pointer(walk->L, index))
    return true;
  return walk->null && lua_rawequal(walk->L, walk->null, index);
}

bool walk_fault(struct walk *walk, const char *text) {
  buffer_clear(walk->message);
  form_describe_path(walk->form, walk->message);
  walk->path_length = walk->message->length;
  if (walk->path_length > 0)
    buffer_append_text(walk->message, ": ");
  buffer_append_text(walk->message, text);
  return false;
}

static void describe_string(lua_State *L, int index, struct buffer *text) {
  size_t length;
  const char *bytes = lua_tolstring(L, index, &length);
  buffer_append_text(text, "\"");
  buffer_append_shown(text, bytes, utf8_cut(bytes, length, SHOWN_BYTES));
  buffer_append_text(text, length > SHOWN_BYTES ? "\"…" : "\"");
}

/* With so many digits that it does not pass for another number: 19.99 * 100 is not 1999. */
static void describe_number(lua_State *L, int index, struct buffer *text) {
  long long integer;
  char digits[32];
  double number = lua_tonumber(L, index);
  if (walk_to_integer(L, index, &integer)) {
    buffer_append_integer(text, integer);
    return;
  }
  snprintf(digits, sizeof digits, "%.14g", number);
  if (strtod(digits, NULL) < number || strtod(digits, NULL) > number)
    snprintf(digits, sizeof digits, "%.17g", number);
  buffer_append_text(text, digits);
}

void walk_describe_value(lua_State *L, int index, struct buffer *text) {
  int type = lua_type(L, index);
  if (type == LUA_TSTRING) {
    describe_string(L, index, text);
  } else if (type == LUA_TNUMBER) {
    describe_number(L, index, text);
  } else if (type == LUA_TBOOLEAN) {
    buffer_append_text(text, lua_toboolean(L, index) ? "true" : "false");
  } else if (is_null_pointer(L, index)) {
    buffer_append_text(text, "null");
  } else {
    if (type != LUA_TNIL)
      buffer_append_text(text, "a ");
    buffer_append_text(text, lua_typename(L, type));
  }
}

bool walk_expected(struct walk *walk, const char *expectation) {
  walk_fault(walk, "expected ");
  buffer_append_text(walk->message, expectation);
  buffer_append_text(walk->message, ", got ");
  walk_describe_value(walk->L, walk->value, walk->message);
  return false;
}

void walk_suggest(struct buffer *text, const char *suggestion) {
  if (!suggestion)
    return;
  buffer_append_text(text, " (did you mean \"");
  buffer_append_text(text, suggestion);
  buffer_append_text(text, "\"?)");
}

static bool too_deep(struct walk *walk) {
  return walk_fault(walk, "nested more than 16 tables deep, or a table that contains itself");
}

bool walk_enter_name(struct walk *walk, const char *name, size_t length) {
  return form_enter_name(walk->form, name, length) || too_deep(walk);
}

static bool enter_key(struct walk *walk, const char *name, size_t length, long *characters) {
  return form_enter_key(walk->form, name, length, characters) || too_deep(walk);
}

bool walk_enter_index(struct walk *walk, long long index) {
  return form_enter_index(walk->form, index) || too_deep(walk);
}

/* As form.h tells by `characters`. */
static bool check_text(struct walk *walk, long characters) {
  if (characters == UTF8_HAS_NUL)
    return walk_fault(walk, "expected text, got a string with a zero byte");
  if (characters == UTF8_INVALID)
    return walk_fault(walk, "expected UTF-8 text, got other bytes");
  return true;
}

bool walk_write_string(struct walk *walk, long *characters) {
  size_t length;
  const char *text = lua_tolstring(walk->L, walk->value, &length);
  form_write(walk->form, text, length, characters);
  return check_text(walk, *characters);
}

enum table_shape walk_shape(struct walk *walk, size_t *count) {
  lua_State *L = walk->L;
  const int table = walk->value;
  size_t names = 0, places = 0;
  long long place, last = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      names++;
    } else if (walk_to_integer(L, -1, &place) && place >= 1) {
      places++;
      last = place > last ? place : last;
    } else {
      walk->value = lua_gettop(L);
      walk_expected(walk, "keys that are strings or the indexes of a sequence");
      lua_pop(L, 1);
      return SHAPE_INVALID;
    }
  }
  *count = names + places;
  if (names > 0 && places > 0) {
    walk_fault(walk, "expected either names or a sequence, got a table with both");
    return SHAPE_INVALID;
  }
  if ((long long)places != last) {
    walk_fault(walk, "expected a sequence, got a table with holes");
    return SHAPE_INVALID;
  }
  return names > 0 ? SHAPE_NAMES : places > 0 ? SHAPE_SEQUENCE : SHAPE_EMPTY;
}

static int compare_keys(const void *a, const void *b) {
  const struct table_key *left = a, *right = b;
  size_t shorter = left->length < right->length ? left->length : right->length;
  int order = memcmp(left->name, right->name, shorter);
  return order ? order : (left->length > right->length) - (left->length < right->length);
}

static bool visit_name(struct walk *walk, struct table_key *key, walk_visitor *visit,
                       const void *context) {
  if (!enter_key(walk, key->name, key->length, &key->characters))
    return false;
  /* An empty name would be written as a place in a list: [] */
  bool right = check_text(walk, key->characters) &&
               (key->length > 0 || walk_fault(walk, "expected a name that is not empty")) &&
               visit(walk, key, context);
  form_leave(walk->form);
  return right;
}

/* The keys stay on the stack, each below its value. False, with nothing left there, when one is no
 * string, or when there are too many. */
static bool take_few(lua_State *L, int table, struct table_key *keys, size_t *count) {
  int top = lua_gettop(L);
  *count = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (*count == WALK_FEW_NAMES || lua_type(L, -2) != LUA_TSTRING) {
      lua_settop(L, top);
      return false;
    }
    struct table_key *key = &keys[(*count)++];
    key->name = lua_tolstring(L, -2, &key->length);
    key->value = top + 2 * (int)*count;
    lua_pushvalue(L, -2);
  }
  return true;
}

bool walk_few_names(struct walk *walk, walk_visitor *visit, const void *context, bool *right) {
  lua_State *L = walk->L;
  struct table_key keys[WALK_FEW_NAMES];
  size_t count;
  int top = lua_gettop(L);
  luaL_checkstack(L, 2 * WALK_FEW_NAMES + WALK_SLOTS, "table nested too deep");
  if (!take_few(L, walk->value, keys, &count))
    return false;
  qsort(keys, count, sizeof *keys, compare_keys);
  *right = true;
  for (size_t i = 0; i < count && *right; i++) {
    walk->value = keys[i].value;
    *right = visit_name(walk, &keys[i], visit, context);
  }
  lua_settop(L, top);
  return true;
}

/* Takes up to `count` string keys of a table, and returns how many there were. They are kept in the
 * table on top, since a finalizer may remove them while they are visited. */
static size_t take_many(lua_State *L, int table, struct table_key *keys, size_t count) {
  size_t found = 0;
  int kept = lua_gettop(L);
  lua_pushnil(L);
  while (found < count && lua_next(L, table) && lua_type(L, -2) == LUA_TSTRING) {
    struct table_key *key = &keys[found++];
    key->name = lua_tolstring(L, -2, &key->length);
    lua_pushvalue(L, -2);
    lua_rawseti(L, kept, (int)found);
    lua_pop(L, 1);
  }
  lua_settop(L, kept);
  return found;
}

bool walk_many_names(struct walk *walk, size_t count, walk_visitor *visit, const void *context) {
  lua_State *L = walk->L;
  int table = walk->value, top = lua_gettop(L);
  bool right = true;
  luaL_checkstack(L, WALK_SLOTS, "table nested too deep");
  struct table_key *keys = lua_newuserdata(L, count * sizeof *keys);
  lua_createtable(L, (int)count, 0);
  count = take_many(L, table, keys, count);
  qsort(keys, count, sizeof *keys, compare_keys);
  for (size_t i = 0; i < count && right; i++) {
    lua_pushlstring(L, keys[i].name, keys[i].length);
    lua_rawget(L, table);
    walk->value = lua_gettop(L);
    right = visit_name(walk, &keys[i], visit, context);
    lua_settop(L, walk->value - 1);
  }
  lua_settop(L, top);
  return right;
}
