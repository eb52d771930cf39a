/* SPDX-License-Identifier: MIT
 * A game with Lua inside: a loop of 60 ticks a second that reports payments and never waits for
 * them. Lua, the C core of payment_records and all Lua files are linked into the program.
 *
 *   STRIPE_API_KEY=sk_test_... embed TICKS [IN_FLIGHT]
 *
 * At the end it prints how many payments were reported, and what a step cost per tick.
 *
 * What a program of your own takes from here: preload(), which makes the modules known, and the
 * loop, which steps once a tick. What is reported, and what becomes of the results, is in shop.lua.
 */
#include "costs.h"
#include "modules.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TICKS_PER_SECOND = 60, TEN_SECONDS = 600, LONGEST_END = 7200 }; /* ticks */

/* The modules in C. Declared here because luaopen functions have no header. */
int luaopen_payment_records_core(lua_State *L);
#ifdef WITH_CJSON
int luaopen_cjson(lua_State *L);
#endif

static const luaL_Reg c_modules[] = {
    {"payment_records.core", luaopen_payment_records_core},
#ifdef WITH_CJSON
    {"cjson", luaopen_cjson},
#endif
    {NULL, NULL},
};

/* --- modules ------------------------------------------------------------------------------ */

/* What `require` calls for a module in Lua; upvalue: its place in the table. */
static int load_bundled(lua_State *L) {
  const struct module *module = &bundled_modules[lua_tointeger(L, lua_upvalueindex(1))];
  lua_pushfstring(L, "=%s", module->name); /* how error messages name the file */
  if (luaL_loadbufferx(L, (const char *)module->text, module->length, lua_tostring(L, -1), "t"))
    return lua_error(L);
  lua_pushstring(L, module->name);
  lua_call(L, 1, 1);
  return 1;
}

/* `require` looks into package.preload first: no file is looked for, and nothing is loaded with
 * dlopen. */
static void preload(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  luaL_setfuncs(L, c_modules, 0);
  for (lua_Integer i = 0; bundled_modules[i].name; i++) {
    lua_pushinteger(L, i);
    lua_pushcclosure(L, load_bundled, 1);
    lua_setfield(L, -2, bundled_modules[i].name);
  }
  lua_pop(L, 1);
}

/* --- the functions of shop.lua ------------------------------------------------------------ */

struct game {
  lua_State *L;
  int shop; /* where the registry keeps the table of shop.lua */
  struct costs costs;
  lua_Integer in_flight; /* how many reports are kept in flight */
};

/* Pushes a function of shop.lua. */
static void push_function(const struct game *game, const char *name) {
  lua_rawgeti(game->L, LUA_REGISTRYINDEX, game->shop);
  lua_getfield(game->L, -1, name);
  lua_remove(game->L, -2);
}

/* Calls a function of shop.lua that takes and returns an integer. */
static lua_Integer call(const struct game *game, const char *name, lua_Integer argument) {
  push_function(game, name);
  lua_pushinteger(game->L, argument);
  lua_call(game->L, 1, 1);
  lua_Integer result = luaL_checkinteger(game->L, -1);
  lua_pop(game->L, 1);
  return result;
}

/* --- the loop ----------------------------------------------------------------------------- */

/* Where a game draws its picture, or waits for it to be shown. */
static void wait_for_next_tick(struct timespec *next) {
  next->tv_nsec += 1000000000L / TICKS_PER_SECOND;
  if (next->tv_nsec >= 1000000000L) {
    next->tv_nsec -= 1000000000L;
    next->tv_sec++;
  }
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) == EINTR)
    ;
}

static enum occasion occasion_of(const struct game *game, lua_Integer started, lua_Integer ended) {
  if (call(game, "unfinished_of_first", game->in_flight) > 0)
    return CONNECTING;
  return started > 0 || ended > 0 ? WORKING : WAITING;
}

/* One tick: `wanted` reports are to be in flight. Returns how many calls are unfinished. */
static lua_Integer tick(struct game *game, lua_Integer wanted) {
  lua_Integer started = call(game, "fill", wanted);
  push_function(game, "step");
  struct cost before = costs_before();
  lua_call(game->L, 0, 1);
  struct cost after = costs_after();
  lua_Integer unfinished = luaL_checkinteger(game->L, -1);
  lua_pop(game->L, 1);
  lua_Integer ended = call(game, "collect", 0);
  enum occasion occasion = unfinished + ended > 0 ? occasion_of(game, started, ended) : IDLE;
  costs_add(&game->costs, occasion, before, after);
  return unfinished;
}

/* First with reports in flight all the time, then until the last has ended, then without any. */
static void play(struct game *game, lua_Integer ticks) {
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (lua_Integer i = 0; i < ticks; i++) {
    tick(game, game->in_flight);
    wait_for_next_tick(&next);
  }
  for (int i = 0; i < LONGEST_END && tick(game, 0) > 0; i++)
    wait_for_next_tick(&next);
  for (lua_Integer i = 0; i < ticks / 4; i++) {
    tick(game, 0);
    wait_for_next_tick(&next);
  }
}

/* Ends the client and prints how it went. Returns whether every sale was reported, and once. */
static bool report(struct game *game) {
  lua_State *L = game->L;
  push_function(game, "close");
  lua_call(L, 0, 3);
  lua_Integer reported = lua_tointeger(L, -3), distinct = lua_tointeger(L, -2);
  lua_Integer refused = lua_tointeger(L, -1);
  lua_pop(L, 3);
  printf("%lld payments reported, %lld distinct, %lld refused\n\n", (long long)reported,
         (long long)distinct, (long long)refused);
  costs_print(&game->costs);
  return reported > 0 && reported == distinct && refused == 0;
}

/* Lua: (struct game, ticks) -> whether it went well. Protected by main. */
static int run(lua_State *L) {
  struct game *game = lua_touserdata(L, 1);
  lua_Integer ticks = luaL_checkinteger(L, 2);
  luaL_openlibs(L);
  preload(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "shop");
  lua_call(L, 1, 1);
  game->shop = luaL_ref(L, LUA_REGISTRYINDEX);
  costs_reserve(&game->costs, (size_t)(ticks + ticks / 4 + LONGEST_END));
  play(game, ticks);
  lua_pushboolean(L, report(game));
  return 1;
}

static lua_Integer positive(const char *text, lua_Integer otherwise) {
  lua_Integer number = text ? strtoll(text, NULL, 10) : otherwise;
  return number > 0 ? number : otherwise;
}

int main(int count, char **arguments) {
  lua_State *L = luaL_newstate();
  struct game game = {.L = L, .in_flight = positive(count > 2 ? arguments[2] : NULL, 64)};
  if (!L)
    return EXIT_FAILURE;
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &game);
  lua_pushinteger(L, positive(count > 1 ? arguments[1] : NULL, TEN_SECONDS));
  bool failed = lua_pcall(L, 2, 1, 0) != LUA_OK;
  if (failed)
    fprintf(stderr, "embed: %s\n", lua_tostring(L, -1));
  failed = failed || !lua_toboolean(L, -1);
  costs_free(&game.costs);
  lua_close(L);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
