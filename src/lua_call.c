/* SPDX-License-Identifier: MIT */
#include "lua_call.h"

#include "clock.h"
#include "lua_callback.h"
#include "lua_engine.h"
#include "lua_error.h"
#include "lua_record.h"
#include "lua_redact.h"
#include "lua_request.h"
#include "lua_response.h"
#include "random.h"

#include <string.h>

enum { SPARE_CAPACITY = 4096 }; /* bytes of a buffer that is kept for the next call */

/* Hands a buffer on to the next call, unless that has one or this one is large. */
static void recycle(struct buffer *spare, struct buffer *buffer) {
  if (!buffer->data || spare->data || buffer->capacity > SPARE_CAPACITY || buffer->failed)
    return;
  wipe(buffer->data, buffer->length);
  *spare = *buffer;
  spare->length = 0;
  *buffer = (struct buffer){.data = NULL};
}

static void take_spare(struct buffer *buffer, struct buffer *spare) {
  *buffer = *spare;
  *spare = (struct buffer){.data = NULL};
}

static void take_buffers(struct call *call, struct call_buffers *spare) {
  take_spare(&call->url, &spare->url);
  take_spare(&call->headers, &spare->headers);
  take_spare(&call->form.body, &spare->body);
  take_spare(&call->form.key, &spare->key);
}

static void recycle_buffers(struct call *call, struct call_buffers *spare) {
  recycle(&spare->url, &call->url);
  recycle(&spare->headers, &call->headers);
  recycle(&spare->body, &call->form.body);
  recycle(&spare->key, &call->form.key);
}

void lua_call_free_request(struct call *call) {
  if (call->client && !call->client->closed)
    recycle_buffers(call, &call->client->spare);
  buffer_free(&call->url);
  buffer_free(&call->headers);
  buffer_free(&call->message);
  form_free(&call->form);
  headers_free(&call->transport_headers);
}

/* Safe to run twice, and after the client was collected. */
static int collect_call(lua_State *L) {
  struct call *call = luaL_checkudata(L, 1, CALL_TYPE);
  if (call->client)
    engine_forget(call);
  lua_call_free_request(call);
  call->client = NULL;
  return 0;
}

struct call *lua_check_call(lua_State *L, int index) {
  return luaL_checkudata(L, index, CALL_TYPE);
}

/* Pushes the userdata, with its metatable and a store that has room for the result, before anything
 * that the metatable's __gc would have to free. */
static struct call *push_new_call(lua_State *L) {
  struct call *call = compat_newuserdata(L, sizeof *call);
  memset(call, 0, sizeof *call);
  ring_init(&call->link);
  call->state = CALL_DONE;
  luaL_setmetatable(L, CALL_TYPE);
  lua_createtable(L, STORED_OWNER, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, STORED_OWNER);
  compat_setstore(L, -2);
  return call;
}

/* A call that was given back, or a new one. */
static struct call *push_empty_call(lua_State *L, struct client *client,
                                    const struct endpoint *endpoint) {
  compat_getstore(L, 1);
  lua_rawgeti(L, -1, KEPT_UNSEEN);
  struct call *call = lua_touserdata(L, -1);
  if (call) {
    lua_pushnil(L);
    lua_rawseti(L, -3, KEPT_UNSEEN);
    memset(call, 0, sizeof *call);
    ring_init(&call->link);
  } else {
    lua_pop(L, 1);
    call = push_new_call(L);
  }
  lua_remove(L, -2);
  call->client = client;
  call->endpoint = endpoint;
  call->state = CALL_DONE;
  call->anchor = LUA_NOREF;
  take_buffers(call, &client->spare);
  return call;
}

/* Clears what the store at the top of the stack keeps of the last call. */
static void clear_result(lua_State *L) {
  for (int place = STORED_RECORD; place < STORED_OWNER; place++) {
    lua_pushnil(L);
    lua_rawseti(L, -2, place);
  }
}

void lua_call_give_back(lua_State *L, int index) {
  const struct call *call = lua_touserdata(L, index);
  if (ring_first(&call->link)) /* for lack of memory its on_done was not called yet */
    return;
  compat_getstore(L, index);
  clear_result(L);
  compat_getstore(L, 1);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, KEPT_UNSEEN); /* a place that is there already: needs no memory */
  lua_pop(L, 2);
}

/* Puts the three values on top into the store of the call under them. */
static void store_result(lua_State *L, int call_index) {
  call_index = lua_absindex(L, call_index);
  compat_getstore(L, call_index);
  lua_insert(L, -4);
  lua_rawseti(L, -4, STORED_RESPONSE);
  lua_rawseti(L, -3, STORED_ERROR);
  lua_rawseti(L, -2, STORED_RECORD);
  lua_pop(L, 1);
}

/* Keeps what is called when the call, on top of the stack, is done. */
static void keep_on_done(lua_State *L, const struct arguments *arguments, struct call *call) {
  if (!lua_istable(L, arguments->options))
    return;
  compat_getstore(L, -1);
  lua_pushliteral(L, "on_done");
  lua_rawget(L, arguments->options);
  call->has_on_done = lua_isfunction(L, -1);
  lua_rawseti(L, -2, STORED_ON_DONE);
  lua_pop(L, 1);
}

struct call *lua_call_push(lua_State *L, struct client *client, const struct endpoint *endpoint,
                           int first, bool *refused) {
  struct arguments arguments = lua_request_arguments(L, endpoint, first);
  struct call *call = push_empty_call(L, client, endpoint);
  keep_on_done(L, &arguments, call);
  lua_check_still_open(L, client); /* or its options are gone */
  *refused = !lua_request_build(L, &arguments, call);
  lua_check_still_open(L, client);
  if (!*refused)
    return call;
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_response_push(L, call, NULL);
  lua_response_set_error(L);
  store_result(L, -4);
  return call;
}

/* Where libcurl sent the request more than once, the first was lost, and may have taken effect. */
static struct attempt_end end_of(const struct call *call, const struct answer *answer) {
  return (struct attempt_end){
      .fault = answer->fault,
      .post = endpoint_is_post(call->endpoint),
      .sent = answer->sends > 0,
      .doubt = call->doubt || answer->sends > 1,
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

enum { CLIENT = 1, CALL = 2, STORE = 3, EVENT = 4 }; /* stack indexes while settling */

/* Tells the response on top what a callback has raised before there was one. */
static void set_callback_error(lua_State *L) {
  compat_getstore(L, CALL);
  lua_rawgeti(L, -1, STORED_CALLBACK_ERROR);
  lua_remove(L, -2);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    lua_setfield(L, -2, "callback_error");
}

/* With the record, or the error table or nil, on top: makes the result. */
static void make_result(lua_State *L, const struct call *call, const struct verdict *verdict) {
  if (verdict->outcome == OUTCOME_DONE) {
    lua_pushnil(L);
  } else {
    lua_error_of_answer(L, call, call->answer, verdict);
    lua_pushnil(L);
    lua_insert(L, -2);
  }
  lua_response_push(L, call, call->answer);
  if (verdict->outcome != OUTCOME_DONE)
    lua_response_set_error(L);
  set_callback_error(L);
  store_result(L, CALL);
}

/* A GET that was lost counts as refused: Stripe may have seen it. */
static void remember(struct call *call, enum outcome outcome) {
  call->earlier_attempts = call->attempts;
  call->doubt = call->doubt || outcome == OUTCOME_UNKNOWN;
  call->refused = call->refused || outcome == OUTCOME_REJECTED;
}

/* What on_attempt is told of an error; NULL: there is none. */
static const char *event_type(lua_State *L, const struct call *call,
                              const struct verdict *verdict) {
  return verdict->outcome == OUTCOME_DONE ? NULL : lua_error_type(L, call->answer);
}

int lua_call_settle(lua_State *L) {
  struct call *call = lua_touserdata(L, CALL);
  luaL_checkstack(L, 20, NULL);
  compat_getstore(L, CLIENT);
  struct attempt_end end = end_of(call, call->answer);
  lua_record_read(L, STORE, call, &end);
  struct verdict verdict = retry_decide(&end);
  double wait = wait_before_retry(call, &verdict, call->answer);
  call->attempts = call->earlier_attempts + call->answer->sends;
  if (verdict.outcome != OUTCOME_DONE)
    lua_redact_value(L, call);
  lua_callback_push_event(L, CLIENT, call, event_type(L, call, &verdict), wait);
  lua_insert(L, EVENT);
  if (wait < 0)
    make_result(L, call, &verdict);
  remember(call, verdict.outcome);
  call->request.fresh = end.fault != FAULT_NONE;
  engine_leave(L, CLIENT, call, wait);
  call->settling = false;
  lua_settop(L, EVENT);
  lua_callback_on_attempt(L, CLIENT, CALL);
  return 0;
}

int lua_call_push_result(lua_State *L, int index) {
  compat_getstore(L, index);
  int store = lua_gettop(L);
  lua_rawgeti(L, store, STORED_RECORD);
  lua_rawgeti(L, store, STORED_ERROR);
  lua_rawgeti(L, store, STORED_RESPONSE);
  return 3;
}

/* Lua: call:done() -> boolean. */
static int call_done(lua_State *L) {
  lua_pushboolean(L, lua_check_call(L, 1)->state == CALL_DONE);
  return 1;
}

/* Lua: call:result() -> record, nil, response | nil, error, response. Who has waited may have it
 * before on_done is called: nobody looks at the response for what that raises. */
static int call_result(lua_State *L) {
  struct call *call = lua_check_call(L, 1);
  if (call->state == CALL_DONE) {
    call->awaited = false;
    return lua_call_push_result(L, 1);
  }
  engine_notice_fork(call->client);
  lua_pushnil(L);
  lua_error_of_unfinished(L, call);
  return 2;
}

/* Lua: call:cancel([reason]). Ends the call as canceled, with a true outcome; does nothing when it
 * is done. */
static int call_cancel(lua_State *L) {
  struct call *call = lua_check_call(L, 1);
  const char *reason = luaL_optstring(L, 2, "the call was canceled by the program");
  if (call->state == CALL_DONE)
    return 0;
  compat_getstore(L, 1);
  lua_rawgeti(L, -1, STORED_OWNER);
  return engine_cancel(L, lua_gettop(L), call, reason) ? 0 : lua_error(L);
}

/* Lua: call:give_up(reason). For the Lua layer: raises it, and what is known of the call, which is
 * dropped; does nothing when it is done. */
static int call_give_up(lua_State *L) {
  struct call *call = lua_check_call(L, 1);
  if (call->state == CALL_DONE || call->settling)
    return 0;
  compat_getstore(L, 1);
  lua_rawgeti(L, -1, STORED_OWNER);
  lua_replace(L, 1);
  lua_settop(L, 2);
  engine_give_up(L, 1, call);
  return lua_error(L);
}

/* Lua: call:when_done(function(call)). For the Lua layer: called once, when the call is done, which
 * it must not be yet. */
static int call_when_done(lua_State *L) {
  struct call *call = lua_check_call(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_argcheck(L, call->state != CALL_DONE, 1, "the call is done");
  compat_getstore(L, 1);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, STORED_WAKE);
  call->has_on_done = true;
  return 0;
}

void lua_call_register(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_call}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"done", call_done},           {"result", call_result},
                                     {"cancel", call_cancel},       {"give_up", call_give_up},
                                     {"when_done", call_when_done}, {NULL, NULL}};
  luaL_newmetatable(L, CALL_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, CALL_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
