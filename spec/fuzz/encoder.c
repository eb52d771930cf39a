/* SPDX-License-Identifier: MIT
 * payment_records.encode() of any table: the body, read back by other means, is the table pair for
 * pair; another order of insertion gives the same bytes; a refusal names the first fault. */
#include "model.h"

#include <string.h>

static void prepare(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "payment_records.core");
  fuzz_call(L, 1, 1);
  lua_getfield(L, -1, "encode");
  lua_setfield(L, LUA_REGISTRYINDEX, "fuzz.encode");
  lua_settop(L, 0);
}

/* Replaces the table on top by its body, or nil and a message. */
static void encode(lua_State *L) {
  int base = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "fuzz.encode");
  lua_insert(L, base);
  fuzz_call(L, 1, LUA_MULTRET);
  int results = lua_gettop(L) - base + 1;
  CHECK(results == (lua_isnil(L, base) ? 2 : 1), "%d results", results);
  CHECK(lua_type(L, -1) == LUA_TSTRING, "the last one is a %s", luaL_typename(L, -1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input input = {data, size};
  lua_State *L = fuzz_state(prepare);
  const struct node *root = model_make(&input);
  if (!model_is_small(root))
    return 0;
  model_push(L, root, false);
  lua_pushvalue(L, 1);
  encode(L);
  size_t length;
  const char *result = lua_tolstring(L, -1, &length);
  bool refused = lua_isnil(L, 2);
  if (refused)
    model_check_message(root, result, length);
  else
    model_check_body(root, result, length);

  int first = lua_gettop(L);
  lua_pushvalue(L, 1);
  encode(L);
  CHECK(lua_rawequal(L, first, -1), "the second time: %s", lua_tostring(L, -1));
  model_push(L, root, true);
  encode(L);
  CHECK(refused || lua_rawequal(L, first, -1), "in another order: %s", lua_tostring(L, -1));
  if (refused)
    model_check_message(root, lua_tostring(L, -1), lua_rawlen(L, -1));
  return 0;
}
