/* SPDX-License-Identifier: MIT */
#include "lua_client.h"

#include "forks.h"
#include "lua_call.h"
#include "lua_callback.h"
#include "lua_encode.h"
#include "lua_engine.h"
#include "lua_fields.h"
#include "lua_raise.h"
#include "lua_record.h"
#include "lua_request.h"
#include "lua_response.h"
#include "lua_walk.h"
#include "payment_records.h"

#include <stdatomic.h>
#include <string.h>

static struct client *check_client(lua_State *L, int index) {
  return luaL_checkudata(L, index, CLIENT_TYPE);
}

struct client *lua_check_open_client(lua_State *L, int index) {
  struct client *client = check_client(L, index);
  lua_check_still_open(L, client);
  return client;
}

void lua_check_still_open(lua_State *L, const struct client *client) {
  if (client->closed)
    lua_raise(L, "the client is closed");
}

/* Clients with a transport, in all states of the process, and how many of them call for the
 * collector. */
enum { FEW = 16 };
static atomic_uint holding, too_many = FEW;

/* The calls outlive their client: they must not reach for it, nor for what it had in flight. Their
 * requests are freed here: a call that was started while the state closes has no finalizer. */
static void orphan_calls(const struct ring_link *ring) {
  for (struct call *call; (call = ring_first(ring)) != NULL;) {
    ring_remove(&call->link);
    call->timer.place = 0;
    call->exchange = NULL;
    call->client = NULL;
    call->state = CALL_DONE;
    lua_call_free_request(call);
  }
}

static void close_transport(struct client *client) {
  if (!client->transport)
    return;
  transport_free(client->transport);
  client->transport = NULL;
  if (atomic_fetch_sub(&holding, 1) == 1)
    atomic_store(&too_many, FEW);
}

void lua_client_release(struct client *client) {
  client->closed = client->released = true;
  close_transport(client);
  orphan_calls(&client->ready);
  orphan_calls(&client->started);
  orphan_calls(&client->untold);
  timers_free(&client->timers);
  lua_options_free(&client->options);
  buffer_free(&client->user_agent);
  buffer_free(&client->spare.url);
  buffer_free(&client->spare.headers);
  buffer_free(&client->spare.body);
  buffer_free(&client->spare.key);
}

static int collect_client(lua_State *L) {
  lua_client_release(check_client(L, 1));
  return 0;
}

/* Lua: client:close(). Calls in flight end as canceled, each with a true outcome. May be called
 * twice. */
static int client_close(lua_State *L) {
  if (check_client(L, 1)->released || engine_close(L, 1))
    return 0;
  return lua_error(L);
}

static struct client *push_empty_client(lua_State *L) {
  struct client *client = compat_newuserdata(L, sizeof *client);
  memset(client, 0, sizeof *client);
  client->process = forks_process();
  client->forks = forks_made();
  ring_init(&client->ready);
  ring_init(&client->started);
  ring_init(&client->untold);
  luaL_setmetatable(L, CLIENT_TYPE);
  lua_createtable(L, KEPT_UNSEEN, 0);
  compat_setstore(L, -2);
  return client;
}

/* Pushes the value of an option, read raw. */
static void push_option(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, 1);
}

/* Lua: request(client, call) -> request, for engine_push_request(). */
static int push_request(lua_State *L) {
  lua_request_push(L, lua_touserdata(L, 2), true);
  return 1;
}

/* Copies what stays a Lua value from the options at index 1 to the client's store. */
static void fill_store(lua_State *L, int client_index) {
  compat_getstore(L, client_index);
  lua_record_push_decoder(L);
  lua_rawseti(L, -2, KEPT_DECODE);
  lua_pushcfunction(L, lua_call_settle);
  lua_rawseti(L, -2, KEPT_SETTLE);
  lua_pushcfunction(L, push_request);
  lua_rawseti(L, -2, KEPT_REQUEST);
  lua_pushcfunction(L, lua_callback_tell);
  lua_rawseti(L, -2, KEPT_TELL);
  push_option(L, "null");
  lua_rawseti(L, -2, KEPT_NULL);
  push_option(L, "on_attempt");
  lua_rawseti(L, -2, KEPT_ON_ATTEMPT);
  lua_newtable(L);
  lua_rawseti(L, -2, KEPT_RAISED);
  lua_newtable(L);
  lua_rawseti(L, -2, KEPT_ANCHORS);
  lua_pop(L, 1);
}

static const struct {
  const char *name, *before, *after;
} agent_parts[] = {{"name", " ", ""}, {"version", "/", ""}, {"url", " (", ")"}};

enum { AGENT_PARTS = sizeof agent_parts / sizeof agent_parts[0] };

/* A field of app_info: its name and its value are on top of the stack. */
static void check_agent_part(lua_State *L) {
  size_t length = 0, i = 0;
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
  while (i < AGENT_PARTS && strcmp(agent_parts[i].name, name) != 0)
    i++;
  if (i == AGENT_PARTS)
    lua_raise(L, "option app_info: expected name, version and url, got the field %s",
              lua_show(L, -2));
  for (i = 0; i < length; i++)
    if (text[i] < ' ' || text[i] > '~')
      text = NULL, length = 0;
  if (!text || length > PR_MAX_HEADER_VALUE)
    lua_raise(L, "option app_info.%s: expected printable ASCII, at most 255 characters, got %s",
              name, lua_show(L, -1));
}

/* "PaymentRecordsLua/0.1.0 name/version (url)" */
static void write_user_agent(lua_State *L, struct buffer *agent) {
  buffer_append_text(agent, "PaymentRecordsLua/" PR_VERSION);
  push_option(L, "app_info");
  if (lua_isnil(L, -1))
    return;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    check_agent_part(L);
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < AGENT_PARTS; i++) {
    lua_pushstring(L, agent_parts[i].name);
    lua_rawget(L, -2);
    if (lua_isstring(L, -1)) {
      buffer_append_text(agent, agent_parts[i].before);
      buffer_append_text(agent, lua_tostring(L, -1));
      buffer_append_text(agent, agent_parts[i].after);
    }
    lua_pop(L, 1);
  }
}

/* The collector knows of memory alone, and would leave dropped clients with their descriptors until
 * there are no others. */
static void collect_dropped(lua_State *L) {
  if (atomic_load(&holding) < atomic_load(&too_many))
    return;
  lua_gc(L, LUA_GCCOLLECT, 0);
  atomic_store(&too_many, 2 * atomic_load(&holding) + FEW);
}

static void open_transport(lua_State *L, struct client *client) {
  const struct options *options = &client->options;
  struct transport_options settings = {.ca_file = options->ca_file.data,
                                       .proxy = options->proxy.data,
                                       .unix_socket = options->unix_socket.data,
                                       .connections = (long)options->max_in_flight,
                                       .plain = options->api_base.data[4] == ':'};
  collect_dropped(L);
  client->transport = transport_new(&settings);
  if (!client->transport)
    lua_raise(L, "not enough memory or descriptors for a client");
  atomic_fetch_add(&holding, 1);
}

int lua_client_new(lua_State *L) {
  lua_settop(L, 1);
  struct client *client = push_empty_client(L);
  int index = lua_gettop(L);
  lua_options_read_client(L, 1, &client->options);
  push_option(L, "api_key");
  if (lua_isnil(L, -1))
    return lua_raise(
        L, "no API key: give the option api_key (a string, or a function that returns one)");
  fill_store(L, index);
  write_user_agent(L, &client->user_agent);
  if (client->user_agent.failed)
    return lua_raise(L, "not enough memory");
  if (!client->options.has_transport)
    open_transport(L, client);
  lua_settop(L, index);
  return 1;
}

/* Lua: client:NAME([id, ]params[, options]) -> record, nil, response | nil, error, response.
 * The upvalue is the place of the call in the endpoint table. */
static int client_call(lua_State *L) {
  const struct endpoint *endpoint = &endpoints[lua_tointeger(L, lua_upvalueindex(1))];
  struct client *client = lua_check_open_client(L, 1);
  bool refused;
  engine_check_idle(L, client);
  if (client->options.has_transport)
    return lua_raise(L, "the option transport works with require \"payment_records\" only");
  struct call *call = lua_call_push(L, client, endpoint, 2, &refused);
  int index = lua_gettop(L);
  call->awaited = true;
  engine_enqueue(L, 1, call, refused);
  bool ran = engine_run(L, 1, call);
  engine_wake_host(client);
  if (!ran)
    return lua_error(L);
  int count = lua_call_push_result(L, index);
  lua_call_give_back(L, index);
  return count;
}

/* Pushes the call named by argument 2, with its own arguments after it. */
static struct call *push_named_call(lua_State *L, bool *refused) {
  struct client *client = lua_check_open_client(L, 1);
  const struct endpoint *endpoint = lua_options_check_endpoint(L, 2);
  lua_remove(L, 2);
  return lua_call_push(L, client, endpoint, 2, refused);
}

/* Pushes a new call, taken in by the engine. */
static struct call *start_call(lua_State *L, bool awaited) {
  bool refused;
  struct call *call = push_named_call(L, &refused);
  call->awaited = awaited;
  engine_enqueue(L, 1, call, refused);
  return call;
}

/* Lua: client:start(name, [id, ]params[, options]) -> call. Nothing is sent before the next step.
 */
static int client_start(lua_State *L) {
  start_call(L, false);
  return 1;
}

/* Lua: client:begin(name, [id, ]params[, options]) -> call. For somebody who waits for it: it is
 * sent at once if it is its turn. */
static int client_begin(lua_State *L) {
  engine_check_idle(L, lua_check_open_client(L, 1));
  struct call *call = start_call(L, true);
  return engine_start_now(L, 1, call) ? 1 : lua_error(L);
}

/* Seconds that a step works when nothing else is said, so that its host can go on. */
#define SHORTEST_STEP 1e-4

/* Seconds of a step; none or nil: so many as `otherwise`. */
static double step_seconds(lua_State *L, int argument, const char *name, double otherwise) {
  if (lua_isnoneornil(L, argument))
    return otherwise;
  if (!lua_isnumber(L, argument))
    lua_raise(L, "step: expected %s, a number, got %s", name, luaL_typename(L, argument));
  return lua_tonumber(L, argument);
}

/* Waits at most as many seconds as argument 2 says (none: not at all), and works for those of
 * argument 3, by default no shorter than it may wait. Pushes the number of calls that are
 * unfinished, or whose on_done is due. */
static void step(lua_State *L, const struct client *client) {
  double seconds = step_seconds(L, 2, "seconds", 0);
  double budget = step_seconds(L, 3, "budget", seconds > SHORTEST_STEP ? seconds : SHORTEST_STEP);
  if (!engine_step(L, 1, seconds > 0 ? seconds : 0, budget > 0 ? budget : 0))
    lua_error(L);
  size_t unfinished = client->unfinished + ring_size(&client->untold);
  lua_pushinteger(L, (lua_Integer)unfinished);
}

/* Lua: client:advance([seconds[, budget]]) -> number of calls | nil, whether the budget was used
 * up. For who is not the host: one that waits on the descriptor learns of it. nil: nothing can
 * move, since a callback runs, or has closed the client. */
static int client_advance(lua_State *L) {
  const struct client *client = check_client(L, 1);
  if (client->closed || client->busy > 0)
    return 0;
  step(L, client);
  engine_wake_host(client);
  lua_pushboolean(L, client->out_of_time);
  return 2;
}

/* Lua: client:step([seconds[, budget[, begun]]]) -> number of calls. For the host. It raises
 * within a callback, and what a callback has raised, once, even if that was within close().
 * `begun`: the step has begun already, by giving calls to the user's transport, and a callback
 * may have closed the client since. */
static int client_step(lua_State *L) {
  const struct client *client = check_client(L, 1);
  bool begun = lua_toboolean(L, 4) != 0;
  lua_settop(L, 3);
  if (client->closed)
    lua_callback_raise(L, 1);
  if (client->released && begun) {
    lua_pushinteger(L, 0);
    return 1;
  }
  engine_check_idle(L, lua_check_open_client(L, 1));
  step(L, client);
  lua_callback_raise(L, 1);
  return 1;
}

/* Lua: client:raise(). Raises the oldest error of a callback that nothing has raised yet, if any.
 */
static int client_raise(lua_State *L) {
  check_client(L, 1);
  lua_callback_raise(L, 1);
  return 0;
}

/* Lua: client:pollfd() -> descriptor | nil: with a transport of the user's there is none. */
static int client_pollfd(lua_State *L) {
  struct client *client = lua_check_open_client(L, 1);
  engine_notice_fork(client);
  int descriptor = client->transport ? transport_descriptor(client->transport) : -1;
  if (client->transport && descriptor < 0)
    return lua_raise(L, "the system has no descriptor left for the client");
  if (descriptor < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, descriptor);
  return 1;
}

/* Lua: client:events() -> "r": what to wait for on that descriptor. */
static int client_events(lua_State *L) {
  lua_check_open_client(L, 1);
  lua_pushliteral(L, "r");
  return 1;
}

/* Lua: client:timeout([calls]) -> seconds until a step has something to do of itself | nil.
 * `calls`: for somebody who waits for a call; what a callback has raised, and what is ready for the
 * user's transport, is the host's. */
static int client_timeout(lua_State *L) {
  bool host = !lua_toboolean(L, 2);
  const struct client *client = host ? lua_check_open_client(L, 1) : check_client(L, 1);
  bool due = host && (client->raised > 0 || engine_next_to_carry(client, NULL, false));
  double seconds = due ? 0 : engine_timeout(client);
  if (seconds < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, seconds);
  return 1;
}

/* Lua: client:prepare(name, …) -> request | nil, error. Sends nothing. */
static int client_prepare(lua_State *L) {
  bool refused;
  struct call *call = push_named_call(L, &refused);
  if (refused) {
    lua_call_push_result(L, lua_gettop(L));
    lua_pop(L, 1);
    return 2;
  }
  lua_request_push(L, call, false);
  lua_call_free_request(call);
  return 1;
}

/* Within a callback nothing is sent. */
static bool can_take(const struct client *client) {
  return !client->closed && client->busy == 0;
}

/* Lua: client:take([call[, beyond]]) -> call, request, attempt | nil. For a transport of the
 * user's: what to send next; with a call, that one or none. `beyond`: even if the wire has no room
 * for it. */
static int client_take(lua_State *L) {
  struct client *client = check_client(L, 1);
  struct call *only = lua_isnoneornil(L, 2) ? NULL : lua_check_call(L, 2);
  struct call *call = NULL;
  engine_notice_fork(client);
  for (bool late = true; late;) {
    call = can_take(client) ? engine_next_to_carry(client, only, lua_toboolean(L, 3) != 0) : NULL;
    if (!call)
      return 0;
    if (!engine_end_late(L, 1, call, &late))
      return lua_error(L);
  }
  engine_push_call(L, 1, call);
  engine_begin_attempt(call);
  if (!engine_push_request(L, 1, call))
    return lua_error(L);
  if (client->closed) /* by a finalizer: the rest of it is due now */
    return engine_close(L, 1) ? 0 : lua_error(L);
  engine_set_on_wire(call); /* after all that may raise */
  lua_pushinteger(L, call->retries);
  return 3;
}

/* Pushes a field of the response at index 3, read raw: nothing else runs meanwhile. */
static void push_field(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, 3);
}

static void read_response(lua_State *L, struct call *call, struct answer *answer) {
  size_t length = 0;
  long long status = 0;
  push_field(L, "status");
  walk_to_integer(L, -1, &status);
  push_field(L, "headers");
  lua_response_read_headers(L, lua_gettop(L), &call->transport_headers);
  push_field(L, "body");
  const char *body = lua_tolstring(L, -1, &length);
  bool readable = body || lua_isnil(L, -1);
  *answer = (struct answer){.sends = 1,
                            .status = readable ? (long)status : 0,
                            .headers = &call->transport_headers,
                            .body = body ? body : "",
                            .body_length = length};
  if (call->transport_headers.lines.failed) {
    answer->fault = FAULT_BROKEN;
    answer->message = "not enough memory";
  } else if (length > call->request.max_response_bytes) {
    answer->fault = FAULT_TOO_LARGE;
    answer->message = "the answer is larger than max_response_bytes allows";
  }
}

/* Lua: client:deliver(call, response | nil, message | nil, attempt). What the user's transport
 * returned for that attempt. */
static int client_deliver(lua_State *L) {
  const struct client *client = check_client(L, 1);
  struct call *call = lua_check_call(L, 2);
  struct answer answer;
  lua_settop(L, 5);
  if (call->state != CALL_ON_WIRE || call->client != client || call->retries != lua_tointeger(L, 5))
    return 0; /* it took too long, or was canceled, or the client was closed */
  if (lua_istable(L, 3)) {
    read_response(L, call, &answer);
  } else {
    const char *message = lua_tostring(L, 4);
    answer = (struct answer){.fault = FAULT_BROKEN, .sends = 1};
    answer.message = message           ? message
                     : lua_isnil(L, 3) ? "the transport returned no response"
                                       : "the transport returned a response that is no table";
  }
  if (call->state != CALL_ON_WIRE || call->client != client)
    return 0; /* a finalizer has ended it */
  return engine_settle(L, 1, call, &answer) ? 0 : lua_error(L);
}

static int client_tostring(lua_State *L) {
  const struct client *client = check_client(L, 1);
  lua_pushfstring(L, CLIENT_TYPE " (%s)",
                  client->closed ? "closed" : client->options.api_base.data);
  return 1;
}

/* Adds a method for every call of the API to the table on top: it makes the call, and waits. */
static void push_calls(lua_State *L) {
  for (int i = 0; endpoints[i].name; i++) {
    lua_pushinteger(L, i);
    lua_pushcclosure(L, client_call, 1);
    lua_setfield(L, -2, endpoints[i].name);
  }
}

void lua_client_register(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_client},
                                         {"__close", client_close},
                                         {"__tostring", client_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {{"start", client_start},
                                     {"begin", client_begin},
                                     {"step", client_step},
                                     {"advance", client_advance},
                                     {"pollfd", client_pollfd},
                                     {"events", client_events},
                                     {"timeout", client_timeout},
                                     {"prepare", client_prepare},
                                     {"take", client_take},
                                     {"deliver", client_deliver},
                                     {"raise", client_raise},
                                     {"close", client_close},
                                     {NULL, NULL}};
  luaL_newmetatable(L, CLIENT_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  push_calls(L);
  lua_setfield(L, -2, "__index");
  set_text(L, "__metatable", CLIENT_TYPE);
  lua_pop(L, 1);
}
