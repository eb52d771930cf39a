/* SPDX-License-Identifier: MIT */
#include "lua_call.h"

#include "clock.h"
#include "lua_engine.h"
#include "lua_error.h"
#include "lua_record.h"
#include "lua_request.h"
#include "lua_response.h"
#include "random.h"

#include <string.h>

enum { RECORD = 1, ERROR = 2, RESPONSE = 3 }; /* places in the store of a call */

/* Frees what a call holds. Safe to run twice, and after its client was collected. */
static void release_call(struct call *call) {
  if (call->client)
    engine_forget(call);
  buffer_free(&call->url);
  buffer_free(&call->headers);
  buffer_free(&call->body);
}

static int collect_call(lua_State *L) {
  struct call *call = luaL_checkudata(L, 1, CALL_TYPE);
  release_call(call);
  call->client = NULL;
  return 0;
}

struct call *lua_check_call(lua_State *L, int index) {
  return luaL_checkudata(L, index, CALL_TYPE);
}

/* The userdata, with its metatable and a store that has room for the result, before anything that
 * the metatable's __gc would have to free. */
static struct call *push_empty_call(lua_State *L, struct client *client,
                                    const struct endpoint *endpoint) {
  struct call *call = compat_newuserdata(L, sizeof *call);
  memset(call, 0, sizeof *call);
  ring_init(&call->link);
  call->client = client;
  call->endpoint = endpoint;
  call->state = CALL_DONE;
  call->anchor = LUA_NOREF;
  luaL_setmetatable(L, CALL_TYPE);
  lua_createtable(L, RESPONSE, 1);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "client");
  compat_setstore(L, -2);
  return call;
}

/* Puts the three values on top into the store of the call under them. */
static void store_result(lua_State *L, int call_index) {
  call_index = lua_absindex(L, call_index);
  compat_getstore(L, call_index);
  lua_insert(L, -4);
  lua_rawseti(L, -4, RESPONSE);
  lua_rawseti(L, -3, ERROR);
  lua_rawseti(L, -2, RECORD);
  lua_pop(L, 1);
}

struct call *lua_call_push(lua_State *L, const struct endpoint *endpoint, int first) {
  struct client *client = lua_check_open_client(L, 1);
  struct arguments arguments = lua_request_arguments(L, endpoint, first);
  struct call *call = push_empty_call(L, client, endpoint);
  size_t path_length;
  if (lua_request_build(L, &arguments, call, &path_length)) {
    engine_enqueue(L, 1, call);
    return call;
  }
  lua_pushnil(L);
  lua_error_of_validation(L, &client->message, path_length);
  lua_response_push(L, call, NULL);
  store_result(L, -4);
  return call;
}

static struct attempt_end end_of(const struct call *call, const struct answer *answer) {
  return (struct attempt_end){
      .fault = answer->fault,
      .post = endpoint_is_post(call->endpoint),
      .sent = answer->sends > 0,
      .doubt = call->doubt,
      .refused = call->refused,
      .status = answer->status,
      .replayed = answer->headers && answer->headers->replayed,
      .should_retry = answer->headers ? answer->headers->should_retry : SHOULD_RETRY_ABSENT,
  };
}

/* Seconds to wait before the next attempt; negative: there is none, because none is left, or
 * because it would come too late for the deadline. */
static double wait_before_retry(const struct call *call, const struct verdict *verdict,
                                const struct answer *answer) {
  if (!verdict->retry || call->retries >= call->max_retries)
    return -1;
  double retry_after = answer->headers ? answer->headers->retry_after : -1;
  double delay = retry_delay(verdict->base, call->retries, random_fraction(), retry_after);
  double left = call->deadline > 0 ? call->deadline - clock_seconds() : delay + 1;
  bool late = delay >= left || (call->deadline > 0 && retry_after > left);
  return late ? -1 : delay;
}

/* Calls on_attempt with the event on top of the stack. What it raises must not cost the caller the
 * result: it becomes response.callback_error. */
static void call_back(lua_State *L, int client_index, struct client *client, int call_index) {
  compat_getstore(L, client_index);
  lua_getfield(L, -1, "on_attempt");
  lua_pushvalue(L, -3);
  client->in_callback = true;
  int failed = lua_pcall(L, 1, 0, 0);
  client->in_callback = false;
  if (failed) {
    compat_getstore(L, call_index);
    lua_insert(L, -2);
    lua_setfield(L, -2, "callback_error");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void report_attempt(lua_State *L, int client_index, struct call *call, int call_index,
                           const struct answer *answer, double wait) {
  compat_getstore(L, client_index);
  lua_getfield(L, -1, "on_attempt");
  bool wanted = lua_isfunction(L, -1) && call->state == CALL_ON_WIRE;
  lua_pop(L, 2);
  if (!wanted)
    return;
  lua_response_push_event(L, call, answer, wait);
  call_back(L, client_index, call->client, call_index);
  lua_pop(L, 1);
}

static void copy_callback_error(lua_State *L, int call_index, int response_index) {
  compat_getstore(L, call_index);
  lua_getfield(L, -1, "callback_error");
  lua_setfield(L, response_index, "callback_error");
  lua_pop(L, 1);
}

/* With the record, or the error table or nil, on top: makes the result and ends the call. */
static void finish(lua_State *L, struct call *call, int call_index, const struct answer *answer,
                   const struct verdict *verdict) {
  if (verdict->outcome == OUTCOME_DONE) {
    lua_pushnil(L);
  } else {
    lua_error_of_answer(L, call, answer, verdict);
    lua_pushnil(L);
    lua_insert(L, -2);
  }
  lua_response_push(L, call, answer);
  copy_callback_error(L, call_index, lua_gettop(L));
  store_result(L, call_index);
}

static void remember(struct call *call, const struct attempt_end *end, enum outcome outcome) {
  call->earlier_attempts = call->attempts;
  call->doubt = call->doubt || outcome == OUTCOME_UNKNOWN;
  call->refused = call->refused || (end->fault == FAULT_NONE && outcome == OUTCOME_REJECTED);
}

void lua_call_settle(lua_State *L, int client, struct call *call, const struct answer *answer) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 16, NULL);
  engine_push_call(L, client, call);
  int call_index = lua_gettop(L);
  compat_getstore(L, client);
  struct attempt_end end = end_of(call, answer);
  lua_record_read(L, call_index + 1, call->endpoint, answer, &end);
  struct verdict verdict = retry_decide(&end);
  call->attempts = call->earlier_attempts + answer->sends;
  double wait = wait_before_retry(call, &verdict, answer);
  report_attempt(L, client, call, call_index, answer, wait);
  if (call->state == CALL_DONE) { /* the callback canceled it, or closed the client */
    lua_settop(L, top);
    return;
  }
  if (wait < 0)
    finish(L, call, call_index, answer, &verdict);
  remember(call, &end, verdict.outcome);
  engine_leave(L, client, call, wait);
  lua_settop(L, top);
}

static unsigned sends_so_far(const struct call *call) {
  if (call->exchange)
    return transport_sends(call->exchange);
  return call->state == CALL_ON_WIRE ? 1 : 0; /* in the hands of the user's transport */
}

void lua_call_cancel(lua_State *L, int client, struct call *call, const char *reason) {
  struct answer answer = {.fault = FAULT_CANCELED, .message = reason, .sends = sends_so_far(call)};
  if (call->state != CALL_DONE)
    lua_call_settle(L, client, call, &answer);
}

int lua_call_push_result(lua_State *L, int index) {
  compat_getstore(L, index);
  int store = lua_gettop(L);
  lua_rawgeti(L, store, RECORD);
  lua_rawgeti(L, store, ERROR);
  lua_rawgeti(L, store, RESPONSE);
  return 3;
}

/* Lua: call:done() -> boolean. */
static int call_done(lua_State *L) {
  lua_pushboolean(L, lua_check_call(L, 1)->state == CALL_DONE);
  return 1;
}

/* Lua: call:result() -> record, nil, response | nil, error, response. */
static int call_result(lua_State *L) {
  const struct call *call = lua_check_call(L, 1);
  if (call->state == CALL_DONE)
    return lua_call_push_result(L, 1);
  lua_pushnil(L);
  lua_error_of_unfinished(L, call);
  return 2;
}

/* Lua: call:cancel(). Ends the call as canceled, with a true outcome; does nothing when it is done.
 */
static int call_cancel(lua_State *L) {
  struct call *call = lua_check_call(L, 1);
  if (call->state == CALL_DONE)
    return 0;
  compat_getstore(L, 1);
  lua_getfield(L, -1, "client");
  lua_call_cancel(L, lua_gettop(L), call, "the call was canceled by the program");
  return 0;
}

void lua_call_register(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_call}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"done", call_done}, {"result", call_result}, {"cancel", call_cancel}, {NULL, NULL}};
  luaL_newmetatable(L, CALL_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, CALL_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
