/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNITS_PER_STATE = 1000 };

int luaopen_payment_records_core(lua_State *L);

unsigned take_byte(struct input *input) {
  if (input->left == 0)
    return 0;
  input->left--;
  return *input->data++;
}

uint64_t take_word(struct input *input) {
  uint64_t word = 0;
  for (int i = 0; i < 8; i++)
    word = word << 8 | take_byte(input);
  return word;
}

static const char *take(struct input *input, size_t length) {
  const uint8_t *text = input->data;
  input->data += length;
  input->left -= length;
  return (const char *)text;
}

const char *take_text(struct input *input, size_t *length) {
  size_t wanted = take_byte(input);
  *length = wanted < input->left ? wanted : input->left;
  return take(input, *length);
}

const char *take_rest(struct input *input, size_t *length) {
  *length = input->left;
  return take(input, *length);
}

void fuzz_name_failure(const char *file, int line, const char *condition) {
  (void)fprintf(stderr, "\n%s:%d: not so: %s: ", file, line, condition);
}

void fuzz_fail(void) {
  (void)fputc('\n', stderr);
  abort();
}

static lua_State *state;

static void close_state(void) {
  if (state)
    lua_close(state);
  state = NULL;
}

static lua_State *open_state(void (*prepare)(lua_State *L)) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_payment_records_core);
  lua_setfield(L, -2, "payment_records.core");
  CHECK(!luaL_dostring(L, "package.path = 'lua/?.lua;lua/?/init.lua;' .. package.path"),
        "package.path");
  lua_settop(L, 0);
  if (prepare)
    prepare(L);
  return L;
}

lua_State *fuzz_state(void (*prepare)(lua_State *L)) {
  static unsigned units;
  if (units == 0)
    CHECK(atexit(close_state) == 0, "atexit");
  if (units++ % UNITS_PER_STATE == 0) {
    close_state();
    state = open_state(prepare);
  }
  lua_settop(state, 0);
  return state;
}

static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

void fuzz_call(lua_State *L, int count, int results) {
  int base = lua_gettop(L) - count;
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, base);
  int status = lua_pcall(L, count, results, base);
  CHECK(status == LUA_OK, "%s", lua_tostring(L, -1));
  lua_remove(L, base);
}

void fuzz_load(lua_State *L, const char *name) {
  lua_pushfstring(L, "spec/fuzz/%s.lua", name);
  CHECK(luaL_loadfile(L, lua_tostring(L, -1)) == LUA_OK, "%s", lua_tostring(L, -1));
  lua_remove(L, -2);
  fuzz_call(L, 0, 1);
}
