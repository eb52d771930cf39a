/* SPDX-License-Identifier: MIT
 * A program for lifecycle_threads_spec.lua and `make tsan`: many Lua states in many threads.
 *     threads SCRIPT SERVERS THREADS STATES ROUNDS
 * Each thread has so many states at a time. Each state runs the script with SERVERS, which returns
 * a function; that is called in turn, ROUNDS times, and what it returns is printed. Then all is
 * closed, and done once more. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 64 };

static const char *script, *servers;
static int states, rounds;

static void must(lua_State *L, int status) {
  if (status == 0)
    return;
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  _Exit(1); /* the other threads are at work */
}

static lua_State *open_state(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  must(L, luaL_loadfile(L, script));
  lua_pushstring(L, servers);
  must(L, lua_pcall(L, 1, 1, 0));
  return L;
}

static void make_call(lua_State *L) {
  lua_pushvalue(L, -1);
  must(L, lua_pcall(L, 0, 1, 0));
  printf("%s\n", lua_tostring(L, -1));
  lua_pop(L, 1);
}

static void use_states(void) {
  lua_State *all[MOST];
  for (int i = 0; i < states; i++)
    all[i] = open_state();
  for (int round = 0; round < rounds; round++)
    for (int i = 0; i < states; i++)
      make_call(all[i]);
  for (int i = 0; i < states; i++)
    lua_close(all[i]);
}

static void *run(void *unused) {
  use_states();
  use_states();
  return unused;
}

int main(int count, char **arguments) {
  pthread_t threads[MOST];
  if (count != 6)
    return 2;
  script = arguments[1];
  servers = arguments[2];
  int most = (int)strtol(arguments[3], NULL, 10);
  states = (int)strtol(arguments[4], NULL, 10);
  rounds = (int)strtol(arguments[5], NULL, 10);
  if (most > MOST || states > MOST)
    return 2;
  for (int i = 0; i < most; i++)
    pthread_create(&threads[i], NULL, run, NULL);
  for (int i = 0; i < most; i++)
    pthread_join(threads[i], NULL);
  return 0;
}
