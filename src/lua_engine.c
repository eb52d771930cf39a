/* SPDX-License-Identifier: MIT */
#include "lua_engine.h"

#include "clock.h"
#include "forks.h"
#include "lua_call.h"
#include "lua_raise.h"

#include <math.h>
#include <poll.h>

/* Seconds that libcurl is given to end an attempt by its own clock, which says better what took so
 * long; but it does not watch transfers that wait for a connection. */
#define GRACE 0.05

/* Stripe may forget a key after 24 hours: what has taken effect would do so again. */
#define KEY_LIFE (23 * 3600.0)

/* Calls that are sent between two steps: some 1 ms of work. When a thousand handlers of an nginx
 * worker report at the same moment, the steps send the others, which leave it time for the rest of
 * the world. */
enum { MOST_STARTED_NOW = 16 };

/* Steps that may fail while somebody waits for a call. What they raise is not its end: memory was
 * short for a moment, or a finalizer raised, which before Lua 5.4 comes out wherever something is
 * allocated. Another step does it again. */
enum { MOST_FAILURES = 100 };

static struct client *client_at(lua_State *L, int index) {
  return lua_touserdata(L, index);
}

static struct call *call_of(struct timer *timer) {
  return (struct call *)(void *)((char *)timer - offsetof(struct call, timer));
}

/* Anchors have a table of their own: on some Luas a rehash that fails for lack of memory loses
 * integer keys where there are others. */
static void push_anchors(lua_State *L, int client) {
  compat_getstore(L, client);
  lua_rawgeti(L, -1, KEPT_ANCHORS);
  lua_remove(L, -2);
}

void engine_push_call(lua_State *L, int client, const struct call *call) {
  push_anchors(L, client);
  lua_rawgeti(L, -1, call->anchor);
  lua_remove(L, -2);
}

void engine_check_idle(lua_State *L, const struct client *client) {
  if (client->busy > 0)
    lua_raise(
        L, "the client is at work: a callback may start and cancel calls, but not wait for them");
}

static void make_ready(struct call *call) {
  struct client *client = call->client;
  call->state = CALL_READY;
  ring_insert(&client->ready, &call->link);
  if (call->deadline > 0)
    timers_set(&client->timers, &call->timer, call->deadline);
  else
    timers_clear(&client->timers, &call->timer);
}

/* If the call will be in doubt, it will be since now. */
static void note_doubt_since(struct call *call) {
  if (!call->doubt)
    call->doubt_since = clock_seconds_slept();
}

/* Another process may send the calls: since they were made, or since their last attempt. */
static void doubt(const struct ring_link *ring, bool on_wire) {
  for (struct ring_link *link = ring->next; link != ring; link = link->next) {
    struct call *call = (void *)link;
    call->doubt = call->doubt || on_wire || call->state != CALL_ON_WIRE;
  }
}

/* The child has all calls, too. It ends those on the wire without sending them. */
void engine_notice_fork(struct client *client) {
  const unsigned process = forks_process(), forks = forks_made();
  const bool is_child = client->process != process;
  if (!is_child && client->forks == forks)
    return;
  client->process = process;
  client->forks = forks;
  if (is_child && client->transport)
    transport_renew(client->transport);
  doubt(&client->ready, is_child);
  doubt(&client->started, is_child);
}

/* Keeps the call on top of the stack from the collector. */
static void anchor(lua_State *L, int client_index, struct call *call) {
  push_anchors(L, client_index);
  lua_pushvalue(L, -2);
  call->anchor = luaL_ref(L, -2);
  lua_pop(L, 1);
}

void engine_wake_host(const struct client *client) {
  if (client->transport && client->busy == 0)
    transport_wake(client->transport);
}

void engine_enqueue(lua_State *L, int client_index, struct call *call, bool refused) {
  struct client *client = call->client;
  engine_notice_fork(client);
  if (!refused) {
    if (!timers_reserve(&client->timers, client->unfinished + 1))
      lua_raise(L, "not enough memory");
    anchor(L, client_index, call);
    note_doubt_since(call);
    client->unfinished++;
    make_ready(call);
  } else if (call->has_on_done) {
    anchor(L, client_index, call);
    ring_insert(&client->untold, &call->link);
  }
  engine_wake_host(client);
}

static void drop_anchor(lua_State *L, int client_index, struct call *call) {
  push_anchors(L, client_index);
  luaL_unref(L, -1, call->anchor);
  lua_pop(L, 1);
  call->anchor = LUA_NOREF;
}

static void leave_wire(struct client *client, struct call *call) {
  ring_remove(&call->link);
  timers_clear(&client->timers, &call->timer);
  if (call->state == CALL_ON_WIRE)
    client->on_wire--;
  if (call->exchange && client->transport)
    transport_release(client->transport, call->exchange);
  call->exchange = NULL;
}

void engine_leave(lua_State *L, int client_index, struct call *call, double wait) {
  struct client *client = call->client;
  leave_wire(client, call);
  if (wait >= 0) {
    call->state = CALL_WAITING;
    call->retries++;
    ring_insert(&client->started, &call->link);
    timers_set(&client->timers, &call->timer, clock_seconds() + wait);
    return;
  }
  call->state = CALL_DONE;
  client->unfinished--;
  lua_call_free_request(call);
  if (call->has_on_done)
    ring_insert(&client->untold, &call->link);
  else
    drop_anchor(L, client_index, call);
}

void engine_forget(struct call *call) {
  ring_remove(&call->link);
  if (call->state == CALL_DONE)
    return;
  leave_wire(call->client, call);
  call->client->unfinished--;
  call->state = CALL_DONE;
}

/* Needs no memory. */
static void drop(lua_State *L, int client_index, struct call *call) {
  engine_forget(call);
  drop_anchor(L, client_index, call);
}

/* Calls the function at a place of the client's store with the client and the call, for so many
 * results. Protected, so that `busy` is taken back whatever happens. */
static bool run_busy(lua_State *L, int client_index, const struct call *call, int place,
                     int results) {
  struct client *client = client_at(L, client_index);
  luaL_checkstack(L, 8, NULL);
  compat_getstore(L, client_index);
  lua_rawgeti(L, -1, place);
  lua_replace(L, -2);
  lua_pushvalue(L, client_index);
  engine_push_call(L, client_index, call);
  client->busy++;
  bool succeeded = lua_pcall(L, 2, results, 0) == 0;
  client->busy--;
  engine_notice_fork(client); /* the child may return here */
  return succeeded;
}

/* Calls on_done of the calls that are done by now; those that it ends in turn are for the next
 * time. */
static bool tell(lua_State *L, int client_index) {
  struct client *client = client_at(L, client_index);
  const struct ring_link *last = client->untold.previous;
  for (struct call *call; (call = ring_first(&client->untold)) != NULL;) {
    const struct ring_link *link = &call->link;
    bool succeeded = run_busy(L, client_index, call, KEPT_TELL, 0);
    if (!succeeded && !call->told)
      return false;
    ring_remove(&call->link);
    drop_anchor(L, client_index, call);
    if (!succeeded || link == last)
      return succeeded;
  }
  return true;
}

static bool finish_close(lua_State *L, int client_index);

/* Does what had to wait until no attempt's end is looked at. */
static bool catch_up(lua_State *L, int client_index) {
  const struct client *client = client_at(L, client_index);
  if (client->busy > 0)
    return true;
  return tell(L, client_index) && (!client->closed || finish_close(L, client_index));
}

bool engine_settle(lua_State *L, int client_index, struct call *call, const struct answer *answer) {
  call->answer = answer;
  call->settling = true;
  bool settled = run_busy(L, client_index, call, KEPT_SETTLE, 0);
  call->settling = false;
  call->answer = NULL;
  return settled && catch_up(L, client_index);
}

bool engine_push_request(lua_State *L, int client_index, struct call *call) {
  call->settling = true;
  bool made = run_busy(L, client_index, call, KEPT_REQUEST, 1);
  call->settling = false;
  return made;
}

/* How often the attempt that is under way has been sent so far. */
static unsigned sends_so_far(const struct call *call) {
  if (call->exchange)
    return transport_sends(call->exchange);
  return call->state == CALL_ON_WIRE ? 1 : 0; /* in the hands of the user's transport */
}

static bool end_attempt(lua_State *L, int client_index, struct call *call, enum fault fault,
                        const char *message) {
  struct answer answer = {.fault = fault, .message = message, .sends = sends_so_far(call)};
  return engine_settle(L, client_index, call, &answer);
}

bool engine_cancel(lua_State *L, int client_index, struct call *call, const char *reason) {
  if (call->state == CALL_DONE || call->settling)
    return true;
  engine_notice_fork(call->client);
  engine_wake_host(call->client);
  return end_attempt(L, client_index, call, FAULT_CANCELED, reason);
}

void engine_begin_attempt(struct call *call) {
  call->attempt_started = clock_seconds();
  note_doubt_since(call);
  double left = call->deadline > 0 ? call->deadline - call->attempt_started : call->timeout;
  call->request.url = buffer_text(&call->url);
  call->request.in_doubt = call->doubt;
  call->request.last_repeat = *call->idempotency_key ? call->doubt_since + KEY_LIFE : HUGE_VAL;
  call->request.timeout = left < call->timeout ? left : call->timeout;
  call->request.connect_timeout = left < call->connect_timeout ? left : call->connect_timeout;
}

void engine_set_on_wire(struct call *call) {
  struct client *client = call->client;
  ring_remove(&call->link);
  ring_insert(&client->started, &call->link);
  call->state = CALL_ON_WIRE;
  client->on_wire++;
  timers_set(&client->timers, &call->timer, call->attempt_started + call->request.timeout + GRACE);
}

static bool start_attempt(lua_State *L, int client_index, struct call *call, double end) {
  engine_begin_attempt(call);
  call->exchange = transport_start(call->client->transport, &call->request, call, end);
  if (!call->exchange)
    return end_attempt(L, client_index, call, FAULT_CONNECT,
                       "not enough memory or descriptors to send the request");
  engine_set_on_wire(call);
  return true;
}

static bool has_room(const struct client *client) {
  return client->on_wire < (size_t)client->options.max_in_flight;
}

/* Takes the answer of an exchange that has finished. It is released only after that, so nothing is
 * lost when memory is short: the next step does it again. */
static bool settle(lua_State *L, int client_index, struct call *call) {
  struct answer answer;
  transport_answer(call->exchange, &answer);
  return engine_settle(L, client_index, call, &answer);
}

/* An attempt whose answer is there has not run out of time, however late it is looked at. */
static bool fire(lua_State *L, int client_index, struct call *call) {
  if (call->exchange && transport_has_finished(call->exchange))
    return settle(L, client_index, call);
  if (call->state == CALL_WAITING) {
    ring_remove(&call->link);
    make_ready(call);
    return true;
  }
  if (call->state == CALL_READY)
    return end_attempt(L, client_index, call, FAULT_TIMEOUT,
                       "the deadline passed while the call waited for its turn");
  return end_attempt(L, client_index, call, FAULT_TIMEOUT,
                     "the attempt took longer than the options timeout and deadline allow");
}

static bool is_key_old(const struct call *call) {
  return *call->idempotency_key && call->doubt &&
         clock_seconds_slept() >= call->doubt_since + KEY_LIFE;
}

bool engine_end_late(lua_State *L, int client_index, struct call *call, bool *late) {
  *late = true;
  if (is_key_old(call))
    return end_attempt(L, client_index, call, FAULT_SETUP,
                       "the idempotency key is too old for another attempt: look for the payment");
  *late = call->deadline > 0 && clock_seconds() >= call->deadline;
  return !*late || fire(L, client_index, call);
}

/* Whether a step may begin something more: the first thing at any rate, or it would never end with
 * a budget of nothing; then as long as there is time. */
static bool may_begin(struct client *client, double end) {
  bool first = !client->has_begun;
  client->has_begun = true;
  return first || clock_has_left(end);
}

static bool has_done_enough(const struct client *client, double end) {
  return client->has_begun && !clock_has_left(end);
}

/* One that comes too late ends without being sent. */
static bool start_ready(lua_State *L, int client_index, double end) {
  struct client *client = client_at(L, client_index);
  while (client->transport && has_room(client) && ring_first(&client->ready) &&
         may_begin(client, end)) {
    struct call *call = ring_first(&client->ready);
    bool late;
    if (!engine_end_late(L, client_index, call, &late) ||
        (!late && !start_attempt(L, client_index, call, end)))
      return false;
  }
  return true;
}

/* Every timer that fires is set to a later time, or cleared. However late it is, one may fire: a
 * step that always had other things to do would keep no deadline. */
static bool fire_timers(lua_State *L, int client_index, double end) {
  struct client *client = client_at(L, client_index);
  for (;;) {
    const double now = clock_seconds();
    struct timer *timer = timers_first(&client->timers);
    if (!timer || timer->due > now)
      return true;
    if (!fire(L, client_index, call_of(timer)))
      return false;
    if (now >= end)
      return true;
  }
}

static bool settle_finished(lua_State *L, int client_index, double end) {
  struct client *client = client_at(L, client_index);
  for (struct call *call; client->transport &&
                          (call = transport_finished(client->transport)) != NULL &&
                          may_begin(client, end);) {
    if (!settle(L, client_index, call))
      return false;
  }
  return true;
}

/* Negative: never. */
static double sooner(double a, double b) {
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

double engine_timeout(const struct client *client) {
  bool can_start = client->transport && ring_first(&client->ready) && has_room(client);
  if (can_start || ring_first(&client->untold))
    return 0;
  double timeout = client->transport ? transport_timeout(client->transport) : -1;
  const struct timer *timer = timers_first(&client->timers);
  if (!timer)
    return timeout;
  double left = timer->due - clock_seconds();
  return sooner(timeout, left > 0 ? left : 0);
}

/* With nothing of libcurl's to watch, only the time passes. */
static void wait_for_time(double seconds) {
  if (seconds > 0)
    poll(NULL, 0, seconds < 3600 ? (int)(seconds * 1000 + 0.999) : 3600 * 1000);
}

/* Timers come last: an answer may have arrived in time though the host comes late. */
static bool use_wire(lua_State *L, int client_index, double seconds, double end) {
  struct client *client = client_at(L, client_index);
  double wait = client->unfinished == 0 ? 0 : sooner(seconds, engine_timeout(client));
  client->has_begun = true;
  if (client->transport)
    transport_step(client->transport, wait, end);
  else
    wait_for_time(wait);
  return settle_finished(L, client_index, end) && fire_timers(L, client_index, end);
}

/* What is there already comes first: so much makes room for the calls that are ready. When all that
 * took the time, the wire is left to the next step, which looks at it first: answers and deadlines
 * must not wait until all calls have been settled and started. */
static bool take_step(lua_State *L, int client_index, double seconds, double end) {
  struct client *client = client_at(L, client_index);
  if (!catch_up(L, client_index))
    return false;
  if (client->wire_first) {
    client->wire_first = false;
    return use_wire(L, client_index, seconds, end) && start_ready(L, client_index, end);
  }
  if (!settle_finished(L, client_index, end) || !start_ready(L, client_index, end))
    return false;
  client->wire_first = has_done_enough(client, end);
  return client->wire_first || use_wire(L, client_index, seconds, end);
}

bool engine_step(lua_State *L, int client_index, double seconds, double budget) {
  struct client *client = client_at(L, client_index);
  engine_notice_fork(client);
  double end = isinf(budget) ? budget : clock_seconds() + budget;
  client->has_begun = false;
  client->started_now = 0;
  bool taken = take_step(L, client_index, seconds, end);
  client->out_of_time = !clock_has_left(end);
  return taken;
}

bool engine_start_now(lua_State *L, int client_index, struct call *call) {
  struct client *client = call->client;
  if (!client->transport || client->out_of_time || client->started_now >= MOST_STARTED_NOW ||
      !has_room(client) || ring_first(&client->ready) != call)
    return true;
  client->started_now++;
  if (start_attempt(L, client_index, call, HUGE_VAL))
    return true;
  drop(L, client_index, call);
  return false;
}

bool engine_may_be_sent(const struct call *call) {
  return call->attempts > 0 || call->doubt || call->state == CALL_ON_WIRE;
}

void engine_give_up(lua_State *L, int client_index, struct call *call) {
  const char *outcome = outcome_name(engine_may_be_sent(call) ? OUTCOME_UNKNOWN : OUTCOME_NOT_SENT);
  const char *reason = lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1);
  drop(L, client_index, call);
  if (*call->idempotency_key)
    lua_pushfstring(L, "%s (outcome %s, idempotency key %s)", reason, outcome,
                    call->idempotency_key);
}

bool engine_run(lua_State *L, int client_index, struct call *call) {
  const int top = lua_gettop(L);
  for (int failures = 0; call->state != CALL_DONE;) {
    if (engine_step(L, client_index, -1, HUGE_VAL))
      continue;
    if (++failures == MOST_FAILURES) {
      engine_give_up(L, client_index, call);
      return false;
    }
    lua_settop(L, top);
  }
  if (!catch_up(L, client_index)) /* it may have been refused */
    lua_settop(L, top);           /* the next step does it again */
  return true;
}

struct call *engine_next_to_carry(const struct client *client, struct call *only, bool beyond) {
  if (!has_room(client) && !(only && beyond))
    return NULL;
  if (only)
    return only->state == CALL_READY && only->client == client ? only : NULL;
  return ring_first(&client->ready);
}

static bool cancel_ring(lua_State *L, int client_index, const struct ring_link *ring) {
  for (struct call *call; (call = ring_first(ring)) != NULL;)
    if (!engine_cancel(L, client_index, call, "the client was closed before the call was done"))
      return false;
  return true;
}

/* Busy while it cancels, so that closing does not begin anew within each cancellation. A closed
 * client takes in no new call: once all are told there are no more. */
static bool finish_close(lua_State *L, int client_index) {
  struct client *client = client_at(L, client_index);
  client->busy++;
  bool canceled = cancel_ring(L, client_index, &client->started) &&
                  cancel_ring(L, client_index, &client->ready);
  client->busy--;
  if (!canceled || !tell(L, client_index))
    return false;
  lua_client_release(client);
  return true;
}

bool engine_close(lua_State *L, int client_index) {
  struct client *client = client_at(L, client_index);
  client->closed = true;
  return client->busy > 0 || finish_close(L, client_index);
}
