/* SPDX-License-Identifier: MIT */
#include "lua_client.h"

#include "lua_call.h"
#include "lua_engine.h"
#include "lua_fields.h"
#include "lua_record.h"
#include "lua_request.h"
#include "lua_response.h"
#include "lua_walk.h"
#include "payment_records.h"

#include <string.h>

static struct client *check_client(lua_State *L, int index) {
  return luaL_checkudata(L, index, CLIENT_TYPE);
}

struct client *lua_check_open_client(lua_State *L, int index) {
  struct client *client = check_client(L, index);
  if (client->closed)
    luaL_error(L, "the client is closed");
  return client;
}

/* The calls outlive their client: they must not reach for it, nor for what it had in flight. */
static void orphan_calls(const struct ring_link *ring) {
  for (struct call *call; (call = ring_first(ring)) != NULL;) {
    ring_remove(&call->link);
    call->exchange = NULL;
    call->client = NULL;
    call->state = CALL_DONE;
  }
}

/* Frees what a client holds and wipes its key. Safe to run twice. */
static void release_client(struct client *client) {
  client->closed = true;
  orphan_calls(&client->ready);
  orphan_calls(&client->on_wire);
  orphan_calls(&client->waiting);
  if (client->transport)
    transport_free(client->transport);
  client->transport = NULL;
  lua_options_free(&client->options);
  form_free(&client->form);
  buffer_free(&client->message);
  buffer_free(&client->user_agent);
  headers_free(&client->carried);
}

static int collect_client(lua_State *L) {
  release_client(check_client(L, 1));
  return 0;
}

/* Lua: client:close(). Calls in flight end as canceled, each with a true outcome. May be called
 * twice. */
static int client_close(lua_State *L) {
  struct client *client = check_client(L, 1);
  if (client->closed)
    return 0;
  client->closed = true;
  engine_cancel_all(L, 1, "the client was closed before the call was done");
  release_client(client);
  return 0;
}

static struct client *push_empty_client(lua_State *L) {
  struct client *client = compat_newuserdata(L, sizeof *client);
  memset(client, 0, sizeof *client);
  ring_init(&client->ready);
  ring_init(&client->on_wire);
  ring_init(&client->waiting);
  headers_clear(&client->carried);
  luaL_setmetatable(L, CLIENT_TYPE);
  lua_newtable(L);
  compat_setstore(L, -2);
  return client;
}

/* Copies what stays a Lua value from the options at index 1 to the client's store. */
static void fill_store(lua_State *L, int client_index) {
  compat_getstore(L, client_index);
  lua_record_push_decoder(L);
  lua_setfield(L, -2, "decode");
  lua_getfield(L, 1, "null");
  lua_setfield(L, -2, "null");
  lua_getfield(L, 1, "on_attempt");
  lua_setfield(L, -2, "on_attempt");
  lua_pop(L, 1);
}

/* Appends a field of app_info, which is on top of the stack, if it is there. */
static void append_app_info(lua_State *L, struct buffer *agent, const char *name,
                            const char *before, const char *after) {
  lua_getfield(L, -1, name);
  const char *text = lua_tostring(L, -1);
  for (const char *c = text; c && *c; c++)
    if (*c < ' ' || *c > '~')
      luaL_error(L, "option app_info.%s: expected printable ASCII", name);
  if (text) {
    buffer_append_text(agent, before);
    buffer_append_text(agent, text);
    buffer_append_text(agent, after);
  }
  lua_pop(L, 1);
}

/* "PaymentRecordsLua/0.1.0 name/version (url)" */
static void write_user_agent(lua_State *L, struct buffer *agent) {
  buffer_append_text(agent, "PaymentRecordsLua/" PR_VERSION);
  lua_getfield(L, 1, "app_info");
  if (lua_istable(L, -1)) {
    append_app_info(L, agent, "name", " ", "");
    append_app_info(L, agent, "version", "/", "");
    append_app_info(L, agent, "url", " (", ")");
  }
  lua_pop(L, 1);
}

static void open_transport(lua_State *L, struct client *client) {
  const struct options *options = &client->options;
  struct transport_options settings = {.ca_file = options->ca_file.data,
                                       .proxy = options->proxy.data,
                                       .unix_socket = options->unix_socket.data,
                                       .plain = options->api_base.data[4] == ':'};
  client->transport = transport_new(&settings);
  if (!client->transport)
    luaL_error(L, "not enough memory or descriptors for a client");
}

int lua_client_new(lua_State *L) {
  struct options options;
  lua_settop(L, 1);
  lua_options_read_client(L, 1, &options);
  lua_getfield(L, 1, "api_key");
  if (lua_isnil(L, -1))
    return luaL_error(
        L, "no API key: give the option api_key, a string or a function that returns one");
  struct client *client = push_empty_client(L);
  int index = lua_gettop(L);
  client->options = options;
  if (!lua_options_own(&client->options))
    return luaL_error(L, "not enough memory");
  fill_store(L, index);
  write_user_agent(L, &client->user_agent);
  if (!options.carried)
    open_transport(L, client);
  lua_settop(L, index);
  return 1;
}

/* Lua: client:NAME([id, ]params[, options]) -> record, nil, response | nil, error, response.
 * The upvalue is the place of the call in the endpoint table. */
static int client_call(lua_State *L) {
  const struct endpoint *endpoint = &endpoints[lua_tointeger(L, lua_upvalueindex(1))];
  const struct call *call = lua_call_push(L, endpoint, 2);
  int index = lua_gettop(L);
  engine_run(L, 1, call);
  return lua_call_push_result(L, index);
}

/* Lua: client:start(name, [id, ]params[, options]) -> call. Nothing is sent before the next step.
 */
static int client_start(lua_State *L) {
  lua_check_open_client(L, 1);
  const struct endpoint *endpoint = lua_options_check_endpoint(L, 2);
  lua_remove(L, 2);
  lua_call_push(L, endpoint, 2);
  return 1;
}

/* Lua: client:step([seconds]) -> number of unfinished calls. Without seconds nothing is waited for.
 */
static int client_step(lua_State *L) {
  const struct client *client = lua_check_open_client(L, 1);
  double seconds = luaL_optnumber(L, 2, 0);
  engine_step(L, 1, seconds > 0 ? seconds : 0);
  lua_pushinteger(L, (lua_Integer)client->unfinished);
  return 1;
}

/* Lua: client:timeout() -> seconds until a step has something to do of itself | nil. */
static int client_timeout(lua_State *L) {
  double seconds = engine_timeout(lua_check_open_client(L, 1));
  if (seconds < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, seconds);
  return 1;
}

/* Lua: client:prepare(name, …) -> request | nil, error. Sends nothing. */
static int client_prepare(lua_State *L) {
  client_start(L);
  int index = lua_gettop(L);
  struct call *call = lua_check_call(L, index);
  if (call->state == CALL_DONE) {
    lua_call_push_result(L, index);
    lua_pop(L, 1);
    return 2;
  }
  call->request.timeout = call->timeout;
  call->request.connect_timeout = call->connect_timeout;
  lua_request_push(L, call, false);
  engine_leave(L, 1, call, -1);
  return 1;
}

/* Lua: client:take() -> call, request | nil. For a transport of the user's: what to send next. */
static int client_take(lua_State *L) {
  const struct call *call = check_client(L, 1)->closed ? NULL : engine_take(L, 1);
  if (!call) {
    lua_pushnil(L);
    return 1;
  }
  engine_push_call(L, 1, call);
  lua_request_push(L, call, true);
  return 2;
}

static void read_response(lua_State *L, struct client *client, struct answer *answer) {
  size_t length = 0;
  long long status = 0;
  lua_getfield(L, 3, "status");
  walk_to_integer(L, -1, &status);
  lua_getfield(L, 3, "headers");
  lua_response_read_headers(L, lua_gettop(L), &client->carried);
  lua_getfield(L, 3, "body");
  const char *body = lua_tolstring(L, -1, &length);
  *answer = (struct answer){.sends = 1,
                            .status = (long)status,
                            .headers = &client->carried,
                            .body = body ? body : "",
                            .body_length = length};
  if (length > (size_t)client->options.max_response_bytes) {
    answer->fault = FAULT_TOO_LARGE;
    answer->message = "the answer is larger than max_response_bytes allows";
  }
}

/* Lua: client:deliver(call, response | nil[, message]). What the user's transport returned. */
static int client_deliver(lua_State *L) {
  struct client *client = check_client(L, 1);
  struct call *call = lua_check_call(L, 2);
  struct answer answer;
  lua_settop(L, 4);
  if (call->state != CALL_ON_WIRE || call->client != client)
    return 0; /* canceled meanwhile, or the client was closed */
  if (lua_istable(L, 3)) {
    read_response(L, client, &answer);
  } else {
    const char *message = lua_tostring(L, 4);
    answer = (struct answer){.fault = FAULT_BROKEN, .sends = 1};
    answer.message = message ? message : "the transport returned no response";
  }
  lua_call_settle(L, 1, call, &answer);
  return 0;
}

static int client_tostring(lua_State *L) {
  const struct client *client = check_client(L, 1);
  lua_pushfstring(L, CLIENT_TYPE " (%s)",
                  client->closed ? "closed" : client->options.api_base.data);
  return 1;
}

void lua_client_register(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_client},
                                         {"__close", client_close},
                                         {"__tostring", client_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {{"start", client_start},     {"step", client_step},
                                     {"timeout", client_timeout}, {"prepare", client_prepare},
                                     {"take", client_take},       {"deliver", client_deliver},
                                     {"close", client_close},     {NULL, NULL}};
  luaL_newmetatable(L, CLIENT_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_client_push_calls(L);
  lua_setfield(L, -2, "__index");
  set_text(L, "__metatable", CLIENT_TYPE);
  lua_pop(L, 1);
}

void lua_client_push_calls(lua_State *L) {
  for (int i = 0; endpoints[i].name; i++) {
    lua_pushinteger(L, i);
    lua_pushcclosure(L, client_call, 1);
    lua_setfield(L, -2, endpoints[i].name);
  }
}
