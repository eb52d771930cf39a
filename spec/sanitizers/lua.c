/* SPDX-License-Identifier: MIT
 * The interpreter of `make asan`: as much of lua(1) as the specs ask for, with the sanitizers.
 *     lua [-e CODE] [SCRIPT [ARGUMENTS]]
 * It finds the core at CORE_PATH, before any other. So nothing has to be preloaded or set for it,
 * and the programs that the specs start, and those that embed Lua, are what they always are. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifndef CORE_PATH /* which the Makefile sets */
#define CORE_PATH "./?.so"
#endif

static void set_arguments(lua_State *L, int count, char **arguments, int script) {
  lua_newtable(L);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, arguments[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static void set_core_path(lua_State *L) {
  lua_getglobal(L, "package");
  lua_pushliteral(L, CORE_PATH ";");
  lua_getfield(L, -2, "cpath");
  lua_concat(L, 2);
  lua_setfield(L, -2, "cpath");
  lua_pop(L, 1);
}

static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

int main(int count, char **arguments) {
  bool code = count > 2 && strcmp(arguments[1], "-e") == 0;
  int script = code ? 2 : 1;
  if (count <= script)
    return 2;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  set_arguments(L, count, arguments, script);
  set_core_path(L);
  lua_pushcfunction(L, add_traceback);
  int status = code ? luaL_loadstring(L, arguments[script]) : luaL_loadfile(L, arguments[script]);
  luaL_checkstack(L, count, NULL);
  for (int i = script + 1; i < count; i++)
    lua_pushstring(L, arguments[i]);
  if (status == 0)
    status = lua_pcall(L, count - script - 1, 0, 1);
  if (status != 0)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status != 0;
}
