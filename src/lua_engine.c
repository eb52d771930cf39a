/* SPDX-License-Identifier: MIT */
#include "lua_engine.h"

#include "clock.h"
#include "lua_call.h"

#include <poll.h>

static struct client *client_at(lua_State *L, int index) {
  return lua_touserdata(L, index);
}

void engine_push_call(lua_State *L, int client, const struct call *call) {
  compat_getstore(L, client);
  lua_rawgeti(L, -1, call->anchor);
  lua_remove(L, -2);
}

void engine_enqueue(lua_State *L, int client, struct call *call) {
  compat_getstore(L, client);
  lua_pushvalue(L, -2);
  call->anchor = luaL_ref(L, -2);
  lua_pop(L, 1);
  call->state = CALL_READY;
  ring_insert(&call->client->ready, &call->link);
  call->client->unfinished++;
}

/* Its place among the calls that wait, by time. */
static void insert_waiting(struct client *client, struct call *call) {
  struct ring_link *place = client->waiting.previous;
  while (place != &client->waiting && ((struct call *)(void *)place)->due > call->due)
    place = place->previous;
  ring_insert(place->next, &call->link);
}

static void leave_wire(struct client *client, struct call *call) {
  ring_remove(&call->link);
  if (call->state == CALL_ON_WIRE)
    client->on_wire_count--;
  if (call->exchange && client->transport)
    transport_release(client->transport, call->exchange);
  call->exchange = NULL;
}

void engine_leave(lua_State *L, int client_index, struct call *call, double wait) {
  struct client *client = call->client;
  leave_wire(client, call);
  if (wait >= 0) {
    call->state = CALL_WAITING;
    call->due = clock_seconds() + wait;
    call->retries++;
    insert_waiting(client, call);
    return;
  }
  call->state = CALL_DONE;
  client->unfinished--;
  compat_getstore(L, client_index);
  luaL_unref(L, -1, call->anchor);
  lua_pop(L, 1);
  call->anchor = LUA_NOREF;
}

void engine_forget(struct call *call) {
  if (call->state == CALL_DONE)
    return;
  leave_wire(call->client, call);
  call->client->unfinished--;
  call->state = CALL_DONE;
}

/* An attempt ends before it began. */
static void fail_attempt(lua_State *L, int client, struct call *call, enum fault fault,
                         const char *message) {
  struct answer answer = {.fault = fault, .message = message};
  lua_call_settle(L, client, call, &answer);
}

/* Puts a ready call on its way. False: its deadline has passed, and it is done. */
static bool begin_attempt(lua_State *L, int client_index, struct call *call) {
  struct client *client = call->client;
  double now = clock_seconds(), left = call->deadline > 0 ? call->deadline - now : call->timeout;
  if (left <= 0) {
    fail_attempt(L, client_index, call, FAULT_TIMEOUT,
                 "the deadline passed before the call was sent");
    return false;
  }
  call->request.url = buffer_text(&call->url);
  call->request.timeout = left < call->timeout ? left : call->timeout;
  call->request.connect_timeout = left < call->connect_timeout ? left : call->connect_timeout;
  call->attempt_started = now;
  ring_remove(&call->link);
  ring_insert(&client->on_wire, &call->link);
  call->state = CALL_ON_WIRE;
  client->on_wire_count++;
  return true;
}

static void start_attempt(lua_State *L, int client_index, struct call *call) {
  if (!begin_attempt(L, client_index, call))
    return;
  call->exchange = transport_start(call->client->transport, &call->request, call);
  if (!call->exchange)
    fail_attempt(L, client_index, call, FAULT_SETUP, "not enough memory to send the request");
}

static void wake_waiting(struct client *client) {
  double now = clock_seconds();
  for (struct call *call; (call = ring_first(&client->waiting)) != NULL && call->due <= now;) {
    ring_remove(&call->link);
    call->state = CALL_READY;
    ring_insert(&client->ready, &call->link);
  }
}

/* The next ready call, if the wire has room for it. */
static struct call *next_ready(struct client *client) {
  if (ring_first(&client->waiting))
    wake_waiting(client);
  bool room = client->on_wire_count < (size_t)client->options.max_in_flight;
  return room ? ring_first(&client->ready) : NULL;
}

static void start_ready(lua_State *L, int client_index) {
  struct client *client = client_at(L, client_index);
  for (struct call *call; client->transport && (call = next_ready(client)) != NULL;)
    start_attempt(L, client_index, call);
}

/* The finished exchange is released only after the call has taken its answer, so nothing is lost
 * when that raises for lack of memory: the next step does it again. */
static void settle_finished(lua_State *L, int client_index) {
  struct client *client = client_at(L, client_index);
  for (struct call *call;
       client->transport && (call = transport_finished(client->transport)) != NULL;) {
    struct answer answer;
    transport_answer(call->exchange, &answer);
    lua_call_settle(L, client_index, call, &answer);
  }
}

double engine_timeout(const struct client *client) {
  double timeout = client->transport ? transport_timeout(client->transport) : -1;
  const struct call *call = ring_first(&client->waiting);
  if (ring_first(&client->ready) && client->on_wire_count < (size_t)client->options.max_in_flight)
    return 0;
  if (!call)
    return timeout;
  double left = call->due - clock_seconds();
  left = left > 0 ? left : 0;
  return timeout < 0 || left < timeout ? left : timeout;
}

static double shorter(double a, double b) {
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* With nothing of libcurl's to watch, only the time passes. */
static void wait_for_time(double seconds) {
  if (seconds > 0)
    poll(NULL, 0, seconds < 3600 ? (int)(seconds * 1000 + 0.999) : 3600 * 1000);
}

void engine_step(lua_State *L, int client_index, double seconds) {
  struct client *client = client_at(L, client_index);
  if (client->in_callback)
    luaL_error(L, "the client is at work: a callback may not wait for it or step it");
  start_ready(L, client_index);
  if (client->unfinished == 0)
    return;
  double wait = shorter(seconds, engine_timeout(client));
  if (client->transport)
    transport_step(client->transport, wait);
  else
    wait_for_time(wait);
  settle_finished(L, client_index);
  start_ready(L, client_index);
}

void engine_run(lua_State *L, int client_index, const struct call *call) {
  if (call->state != CALL_DONE && client_at(L, client_index)->options.carried)
    luaL_error(L, "the option transport works with require \"payment_records\" only");
  while (call->state != CALL_DONE)
    engine_step(L, client_index, -1);
}

struct call *engine_take(lua_State *L, int client_index) {
  struct call *call = next_ready(client_at(L, client_index));
  while (call && !begin_attempt(L, client_index, call))
    call = next_ready(client_at(L, client_index));
  return call;
}

static void cancel_ring(lua_State *L, int client_index, const struct ring_link *ring,
                        const char *reason) {
  for (struct call *call; (call = ring_first(ring)) != NULL;)
    lua_call_cancel(L, client_index, call, reason);
}

void engine_cancel_all(lua_State *L, int client_index, const char *reason) {
  const struct client *client = client_at(L, client_index);
  cancel_ring(L, client_index, &client->on_wire, reason);
  cancel_ring(L, client_index, &client->waiting, reason);
  cancel_ring(L, client_index, &client->ready, reason);
}
