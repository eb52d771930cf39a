/* SPDX-License-Identifier: MIT */
#include "lua_callback.h"

#include "lua_response.h"

void lua_callback_push_event(lua_State *L, int client, const struct call *call,
                             const char *error_type, double wait) {
  compat_getstore(L, client);
  lua_rawgeti(L, -1, KEPT_ON_ATTEMPT);
  bool wanted =
      lua_isfunction(L, -1) && call->state == CALL_ON_WIRE && !call->client->in_on_attempt;
  lua_pop(L, 2);
  if (wanted)
    lua_response_push_event(L, call, error_type, wait);
  else
    lua_pushnil(L);
}

/* Keeps the error on top of the stack for the next client:step(). */
static void keep_for_step(lua_State *L, int client) {
  int error = lua_gettop(L);
  compat_getstore(L, client);
  lua_rawgeti(L, -1, KEPT_RAISED);
  lua_pushvalue(L, error);
  lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
  lua_settop(L, error);
  ((struct client *)lua_touserdata(L, client))->raised++;
}

/* Keeps the error on top of the stack for the response, which is there once the call is done. */
static void keep_for_response(lua_State *L, int call_index) {
  const struct call *call = lua_touserdata(L, call_index);
  int error = lua_gettop(L);
  compat_getstore(L, call_index);
  if (call->state == CALL_DONE) {
    lua_rawgeti(L, -1, STORED_RESPONSE);
    lua_pushliteral(L, "callback_error");
    lua_pushvalue(L, error);
    lua_rawset(L, -3);
  } else {
    lua_pushvalue(L, error);
    lua_rawseti(L, -2, STORED_CALLBACK_ERROR);
  }
  lua_settop(L, error);
}

/* Keeps the error on top of the stack where somebody will see it; pops it. */
static void keep_error(lua_State *L, int client, int call_index) {
  const struct call *call = lua_touserdata(L, call_index);
  if (lua_isnil(L, -1)) { /* error(nil): which could not be kept */
    lua_pop(L, 1);
    lua_pushliteral(L, "a callback raised nil");
  }
  if (call->awaited)
    keep_for_response(L, call_index);
  else
    keep_for_step(L, client);
  lua_pop(L, 1);
}

void lua_callback_on_attempt(lua_State *L, int client_index, int call_index) {
  struct client *client = lua_touserdata(L, client_index);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  compat_getstore(L, client_index);
  lua_rawgeti(L, -1, KEPT_ON_ATTEMPT);
  lua_replace(L, -2);
  lua_insert(L, -2);
  client->in_on_attempt = true;
  bool raised = lua_pcall(L, 1, 0, 0) != 0;
  client->in_on_attempt = false;
  if (raised)
    keep_error(L, client_index, call_index);
}

enum { CLIENT = 1, CALL = 2, STORE = 3 }; /* in lua_callback_tell() */

/* Calls the function below so many arguments; pops them all. */
static void call_back(lua_State *L, int arguments) {
  struct call *call = lua_touserdata(L, CALL);
  call->told = true;
  if (lua_pcall(L, arguments, 0, 0) != 0)
    keep_error(L, CLIENT, CALL);
}

int lua_callback_tell(lua_State *L) {
  luaL_checkstack(L, 12, NULL);
  compat_getstore(L, CALL);
  lua_rawgeti(L, STORE, STORED_ON_DONE);
  if (lua_isfunction(L, -1)) {
    lua_rawgeti(L, STORE, STORED_RECORD);
    lua_rawgeti(L, STORE, STORED_ERROR);
    lua_rawgeti(L, STORE, STORED_RESPONSE);
    call_back(L, 3);
  }
  lua_rawgeti(L, STORE, STORED_WAKE);
  if (lua_isfunction(L, -1)) {
    lua_pushvalue(L, CALL);
    call_back(L, 1);
  }
  return 0;
}

void lua_callback_raise(lua_State *L, int client_index) {
  struct client *client = lua_touserdata(L, client_index);
  if (client->raised == 0)
    return;
  compat_getstore(L, client_index);
  lua_rawgeti(L, -1, KEPT_RAISED);
  int raised = lua_gettop(L), count = (int)client->raised--;
  lua_rawgeti(L, raised, 1);
  for (int i = 1; i <= count; i++) { /* the others move up, the last one becomes nil */
    lua_rawgeti(L, raised, i + 1);
    lua_rawseti(L, raised, i);
  }
  lua_error(L);
}
