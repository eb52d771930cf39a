/* SPDX-License-Identifier: MIT */
#include "lua_walk.h"

#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  SHOWN_BYTES = 40, /* of a string in a message */
  FEW_KEYS = 50     /* of a table that are sorted on the stack: as many as metadata may have */
};

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
  buffer_append_shown(text, bytes, length > SHOWN_BYTES ? SHOWN_BYTES : length);
  buffer_append_text(text, length > SHOWN_BYTES ? "\"…" : "\"");
}

/* A copy is converted: lua_tolstring() would turn the number itself into a string. */
static void describe_number(lua_State *L, int index, struct buffer *text) {
  long long integer;
  if (walk_to_integer(L, index, &integer)) {
    buffer_append_integer(text, integer);
    return;
  }
  lua_pushvalue(L, index);
  buffer_append_text(text, lua_tostring(L, -1));
  lua_pop(L, 1);
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
  walk_describe_value(walk->L, -1, walk->message);
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

bool walk_enter_key(struct walk *walk, const char *name, size_t length) {
  return form_enter_key(walk->form, name, length) || too_deep(walk);
}

bool walk_enter_index(struct walk *walk, long long index) {
  return form_enter_index(walk->form, index) || too_deep(walk);
}

bool walk_check_text(struct walk *walk, const char *text, size_t length, long *characters) {
  *characters = utf8_length(text, length);
  if (*characters == UTF8_HAS_NUL)
    return walk_fault(walk, "expected text, got a string with a zero byte");
  if (*characters == UTF8_INVALID)
    return walk_fault(walk, "expected UTF-8 text, got other bytes");
  return true;
}

enum table_shape walk_shape(struct walk *walk, int index, size_t *count) {
  lua_State *L = walk->L;
  size_t names = 0, places = 0;
  long long place, last = 0;
  index = lua_absindex(L, index);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      names++;
    } else if (walk_to_integer(L, -1, &place) && place >= 1) {
      places++;
      last = place > last ? place : last;
    } else {
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

/* Takes up to `count` string keys of the table at `table`, and returns how many there were. Few
 * keys stay on the stack with their values, which need not be looked up again then. The others are
 * kept in the table on top, since a finalizer may remove them while they are visited. */
static size_t take_keys(lua_State *L, int table, struct table_key *keys, size_t count) {
  size_t found = 0;
  bool few = count <= FEW_KEYS;
  int kept = lua_gettop(L);
  lua_pushnil(L);
  while (found < count && lua_next(L, table) && lua_type(L, -2) == LUA_TSTRING) {
    struct table_key *key = &keys[found++];
    key->name = lua_tolstring(L, -2, &key->length);
    key->value = few ? lua_gettop(L) : 0;
    lua_pushvalue(L, -2);
    if (few)
      continue;
    lua_rawseti(L, kept, (int)found);
    lua_pop(L, 1);
  }
  return found;
}

static void push_value(lua_State *L, int table, const struct table_key *key) {
  if (key->value) {
    lua_pushvalue(L, key->value);
    return;
  }
  lua_pushlstring(L, key->name, key->length);
  lua_rawget(L, table);
}

static bool visit_name(struct walk *walk, int table, struct table_key *key, walk_visitor *visit,
                       const void *context) {
  if (!walk_enter_key(walk, key->name, key->length))
    return false;
  /* An empty name would be written as a place in a list: [] */
  bool right = walk_check_text(walk, key->name, key->length, &key->characters) &&
               (key->length > 0 || walk_fault(walk, "expected a name that is not empty"));
  push_value(walk->L, table, key);
  right = right && visit(walk, key, context);
  lua_pop(walk->L, 1);
  form_leave(walk->form);
  return right;
}

bool walk_each_name(struct walk *walk, size_t count, walk_visitor *visit, const void *context) {
  lua_State *L = walk->L;
  int table = lua_gettop(L);
  struct table_key few[FEW_KEYS], *keys = few;
  bool right = true;
  luaL_checkstack(L, 2 * FEW_KEYS + WALK_SLOTS, "table nested too deep");
  if (count > FEW_KEYS) {
    keys = lua_newuserdata(L, count * sizeof *keys);
    lua_createtable(L, (int)count, 0);
  }
  count = take_keys(L, table, keys, count);
  qsort(keys, count, sizeof *keys, compare_keys);
  for (size_t i = 0; i < count && right; i++)
    right = visit_name(walk, table, &keys[i], visit, context);
  lua_settop(L, table);
  return right;
}
