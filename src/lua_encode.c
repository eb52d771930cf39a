/* SPDX-License-Identifier: MIT */
#include "lua_encode.h"

#include "lua_raise.h"
#include "lua_walk.h"

#define FORM_TYPE "payment_records.form"

static bool encode_string(struct walk *walk) {
  long characters;
  return walk_write_string(walk, &characters);
}

static bool encode_number(struct walk *walk) {
  long long integer;
  if (!walk_to_integer(walk->L, walk->value, &integer))
    return walk_expected(walk, "an integer (send other numbers as strings)");
  form_write_integer(walk->form, integer);
  return true;
}

static bool encode_boolean(struct walk *walk) {
  long characters;
  bool value = lua_toboolean(walk->L, walk->value) != 0;
  form_write(walk->form, value ? "true" : "false", value ? 4 : 5, &characters);
  return true;
}

/* Whether one of the `count` elements of the sequence is a table: then all are indexed. */
static bool holds_tables(struct walk *walk, size_t count) {
  bool found = false;
  for (size_t i = 1; i <= count && !found; i++) {
    lua_rawgeti(walk->L, walk->value, (int)i);
    found = lua_istable(walk->L, -1);
    lua_pop(walk->L, 1);
  }
  return found;
}

static bool encode_sequence(struct walk *walk, size_t count) {
  bool indexed = holds_tables(walk, count), encoded = true;
  int table = walk->value;
  for (size_t i = 1; i <= count && encoded; i++) {
    if (!walk_enter_index(walk, indexed ? (long long)i - 1 : -1))
      return false;
    lua_rawgeti(walk->L, table, (int)i);
    walk->value = lua_gettop(walk->L);
    encoded = walk_encode_value(walk);
    lua_pop(walk->L, 1);
    form_leave(walk->form);
  }
  return encoded;
}

static bool encode_visited(struct walk *walk, const struct table_key *key, const void *context) {
  (void)key, (void)context;
  return walk_encode_value(walk);
}

static bool encode_table(struct walk *walk) {
  size_t count;
  bool encoded;
  if (walk_few_names(walk, encode_visited, NULL, &encoded))
    return encoded;
  switch (walk_shape(walk, &count)) {
  case SHAPE_EMPTY: return true;
  case SHAPE_SEQUENCE: return encode_sequence(walk, count);
  case SHAPE_NAMES: return walk_many_names(walk, count, encode_visited, NULL);
  default: return false;
  }
}

bool walk_encode_value(struct walk *walk) {
  lua_State *L = walk->L;
  if (walk_is_null(walk, walk->value)) {
    form_write_nothing(walk->form);
    return true;
  }
  switch (lua_type(L, walk->value)) {
  case LUA_TSTRING: return encode_string(walk);
  case LUA_TNUMBER: return encode_number(walk);
  case LUA_TBOOLEAN: return encode_boolean(walk);
  case LUA_TTABLE: return encode_table(walk);
  default: return walk_expected(walk, "a string, a number, a boolean or a table");
  }
}

static int collect_form(lua_State *L) {
  form_free(luaL_checkudata(L, 1, FORM_TYPE));
  return 0;
}

struct form *lua_push_form(lua_State *L) {
  struct form *form = lua_newuserdata(L, sizeof *form);
  *form = (struct form){.depth = 0};
  luaL_setmetatable(L, FORM_TYPE);
  return form;
}

const char *lua_show(lua_State *L, int index) {
  index = lua_absindex(L, index);
  struct buffer *shown = &lua_push_form(L)->body;
  walk_describe_value(L, index, shown);
  return buffer_text(shown);
}

void lua_encode_register(lua_State *L) {
  luaL_newmetatable(L, FORM_TYPE);
  lua_pushcfunction(L, collect_form);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

/* The message has a form's buffer of its own, so that it too is freed when something raises. */
int lua_encode(lua_State *L) {
  if (!lua_istable(L, 1))
    return lua_raise(L, "encode: expected a table, got %s", luaL_typename(L, 1));
  lua_settop(L, 1);
  struct walk walk = {.L = L, .form = lua_push_form(L)};
  walk.message = &lua_push_form(L)->body;
  walk.form->path = walk.path;
  form_begin(walk.form);
  walk.value = 1;
  bool encoded = lua_rawlen(L, 1) > 0
                     ? walk_fault(&walk, "expected a table of names, got a sequence")
                     : encode_table(&walk);
  if (walk.form->body.failed || walk.form->key.failed || walk.message->failed)
    return lua_raise(L, "not enough memory");
  if (!encoded)
    lua_pushnil(L);
  const struct buffer *result = encoded ? &walk.form->body : walk.message;
  lua_pushlstring(L, buffer_text(result), result->length);
  form_free(walk.form); /* a state that is being closed does not collect what is new */
  buffer_free(walk.message);
  return encoded ? 1 : 2;
}
