/* SPDX-License-Identifier: MIT
 * What the C library's allocator has given out: a Lua library for soak.lua. */
#include <lauxlib.h>
#include <lua.h>

#include <malloc.h>

__attribute__((visibility("default"))) int luaopen_soak_heap(lua_State *L);

/* in_use() -> kB that were allocated and not freed. */
static int in_use(lua_State *L) {
  struct mallinfo2 info = mallinfo2();
  lua_pushnumber(L, (lua_Number)(info.uordblks + info.hblkhd) / 1024);
  return 1;
}

int luaopen_soak_heap(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, in_use);
  lua_setfield(L, -2, "in_use");
  return 1;
}
