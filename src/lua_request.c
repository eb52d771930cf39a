/* SPDX-License-Identifier: MIT */
#include "lua_request.h"

#include "ascii.h"
#include "clock.h"
#include "lua_call.h"
#include "lua_error.h"
#include "lua_fields.h"
#include "lua_params.h"
#include "lua_raise.h"
#include "lua_redact.h"
#include "payment_records.h"
#include "random.h"

#include <string.h>

struct arguments lua_request_arguments(lua_State *L, const struct endpoint *endpoint, int first) {
  struct arguments arguments = {.client = 1};
  if (endpoint_id_place(endpoint))
    arguments.id = first++;
  arguments.params = first;
  arguments.options = first + 1;
  lua_settop(L, arguments.options);
  bool optional = !endpoint_requires_params(endpoint) && lua_isnil(L, arguments.params);
  /* A table in the place of the id is told apart later, with a better message. */
  bool shifted = arguments.id && lua_istable(L, arguments.id);
  if (!lua_istable(L, arguments.params) && !optional && !shifted)
    lua_raise(L, "%s: expected a table of parameters as argument %d, got %s", endpoint->name,
              arguments.params - 1, luaL_typename(L, arguments.params));
  return arguments;
}

static bool is_id_byte(char c) {
  return ascii_is_letter(c) || ascii_is_digit(c) || c == '_' || c == '-';
}

/* Only such bytes: libcurl would resolve "../", and an empty id would make it another call. Not the
 * key: paths are for logs. */
static bool is_id(lua_State *L, int index, const struct options *options) {
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING)
    return false;
  const char *id = lua_tolstring(L, index, &length);
  for (size_t i = 0; i < length; i++)
    if (!is_id_byte(id[i]))
      return false;
  return length >= 1 && length <= PR_MAX_ID && !lua_options_have_key(options, id, length);
}

/* As a message may show it: no header has been written yet by which the key would be found. */
static void push_shown_id(lua_State *L, int index, const struct options *options) {
  size_t length = 0;
  const char *id = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &length) : "";
  if (lua_options_have_key(options, id, length))
    lua_pushliteral(L, "[api key]");
  else
    lua_pushvalue(L, index);
}

static bool check_id(struct walk *walk, const struct arguments *arguments,
                     const struct options *options) {
  if (!arguments->id || is_id(walk->L, arguments->id, options))
    return true;
  form_begin(walk->form);
  form_enter_name(walk->form, "id", 2);
  push_shown_id(walk->L, arguments->id, options);
  walk->value = lua_gettop(walk->L);
  walk_expected(walk,
                "the id of the record as the first argument: 1 to 255 letters, digits, _ or -");
  lua_pop(walk->L, 1);
  return false;
}

static bool option_fault(struct walk *walk, const char *option, const char *text) {
  form_begin(walk->form);
  form_enter_name(walk->form, option, strlen(option));
  return walk_fault(walk, text);
}

static bool check_options(struct walk *walk, const struct options *options) {
  const char *bad = lua_options_bad_header(options);
  if (bad)
    return option_fault(walk, bad, "expected " HEADER_EXPECTATION);
  if (!options->api_key.data)
    return option_fault(
        walk, "api_key",
        "expected a string from the client's function, or as an option of the call");
  if (lua_options_exposes_key(options))
    return option_fault(walk, "api_key", "a live key is sent over https:// only");
  const char *misplaced = lua_options_misplaced_key(options);
  if (misplaced)
    return option_fault(walk, misplaced, "may not have the API key in it, which is a secret");
  return true;
}

static bool write_params(struct walk *walk, const struct arguments *arguments,
                         const struct endpoint *endpoint) {
  form_begin(walk->form);
  walk->form->limit = PR_MAX_BODY;
  if (!lua_istable(walk->L, arguments->params))
    return true;
  walk->value = arguments->params;
  bool right = lua_params_write(walk, endpoint->params);
  if (right && (walk->form->too_long || walk->form->body.length > PR_MAX_BODY)) {
    form_begin(walk->form);
    return walk_fault(walk, "the parameters are longer than 1 MiB");
  }
  return right;
}

static void write_url(lua_State *L, const struct arguments *arguments, struct call *call,
                      const struct options *options) {
  const char *path = call->endpoint->path, *place = endpoint_id_place(call->endpoint);
  size_t base = options->api_base.length;
  if (options->api_base.data[base - 1] == '/')
    base--;
  buffer_append(&call->url, options->api_base.data, base);
  if (place) {
    buffer_append(&call->url, path, (size_t)(place - path));
    call->id = call->url.length;
    buffer_append_text(&call->url, lua_tostring(L, arguments->id));
    call->id_length = call->url.length - call->id;
    path = place + strlen("{id}");
  }
  buffer_append_text(&call->url, path);
}

/* The parameters of a GET go into the URL. */
static void move_to_query(struct call *call) {
  const struct buffer *query = &call->form.body;
  if (endpoint_is_post(call->endpoint) || query->length == 0)
    return;
  buffer_append_text(&call->url, "?");
  buffer_append(&call->url, query->data, query->length);
}

static void write_header(struct buffer *headers, const char *name, const char *prefix,
                         const char *value) {
  if (!value)
    return;
  buffer_append_text(headers, name);
  buffer_append_text(headers, ": ");
  buffer_append_text(headers, prefix);
  buffer_append(headers, value, strlen(value) + 1); /* each line is ended by a NUL */
}

/* The key comes first: lua_redact.c and lua_request_push() count on it. */
static void write_headers(struct call *call, const struct options *options) {
  struct buffer *headers = &call->headers;
  write_header(headers, "Authorization", "Bearer ", options->api_key.data);
  write_header(headers, "Stripe-Version", "", options->api_version.data);
  write_header(headers, "User-Agent", "", buffer_text(&call->client->user_agent));
  write_header(headers, "Stripe-Account", "", options->stripe_account.data);
  write_header(headers, "Stripe-Context", "", options->stripe_context.data);
  if (!endpoint_is_post(call->endpoint))
    return;
  write_header(headers, "Content-Type", "", "application/x-www-form-urlencoded");
  write_header(headers, "Idempotency-Key", "", call->idempotency_key);
}

/* Every POST has a key, however often we mean to send it: libcurl may repeat it by itself. */
static void choose_key(lua_State *L, struct call *call, const struct options *options) {
  if (!endpoint_is_post(call->endpoint))
    return;
  if (options->idempotency_key.data)
    memcpy(call->idempotency_key, options->idempotency_key.data,
           options->idempotency_key.length + 1);
  else if (!random_key(call->idempotency_key))
    lua_raise(L, "the system has no randomness for an idempotency key; give one as an option");
}

static void fill_in(struct call *call, const struct options *options) {
  call->timeout = options->timeout;
  call->connect_timeout = options->connect_timeout;
  call->max_retries = (int)options->max_retries;
  call->started = clock_seconds();
  call->deadline = options->deadline > 0 ? call->started + options->deadline : 0;
  call->request = (struct request){.method = call->endpoint->method,
                                   .headers = &call->headers,
                                   .body = &call->form.body,
                                   .timeout = call->timeout,
                                   .connect_timeout = call->connect_timeout,
                                   .max_response_bytes = (size_t)options->max_response_bytes};
}

/* All that the options say is copied before the parameters are walked: the walk allocates, that may
 * run a finalizer, and a finalizer may close the client or change the table of options. */
static bool write_request(struct walk *walk, const struct arguments *arguments, struct call *call) {
  struct options options = call->client->options;
  lua_options_read_call(walk->L, arguments->options, &options);
  walk->allow_unknown = options.allow_unknown_params;
  if (!check_id(walk, arguments, &options) || !check_options(walk, &options))
    return false;
  choose_key(walk->L, call, &options);
  write_url(walk->L, arguments, call, &options);
  write_headers(call, &options);
  fill_in(call, &options);
  if (!write_params(walk, arguments, call->endpoint))
    return false;
  move_to_query(call);
  return true;
}

bool lua_request_build(lua_State *L, const struct arguments *arguments, struct call *call) {
  struct walk walk = {.L = L, .form = &call->form, .message = &call->message};
  call->form.path = walk.path;
  compat_getstore(L, arguments->client);
  lua_rawgeti(L, -1, KEPT_NULL);
  /* `null = false` is for records; in a request false is false. */
  walk.null = lua_isnil(L, -1) || lua_isboolean(L, -1) ? 0 : lua_gettop(L);
  bool right = write_request(&walk, arguments, call);
  call->form.path = NULL;
  lua_pop(L, 2);
  if (call->url.failed || call->headers.failed || call->form.body.failed || call->form.key.failed ||
      call->message.failed)
    lua_raise(L, "not enough memory");
  if (!right) {
    lua_error_of_validation(L, &call->message, walk.path_length);
    lua_redact_value(L, call);
  }
  buffer_free(&call->message);
  if (!right)
    lua_call_free_request(call);
  return right;
}

static void push_headers(lua_State *L, const struct buffer *headers, bool secret) {
  lua_newtable(L);
  for (size_t offset = 0; offset < headers->length;) {
    const char *line = headers->data + offset, *colon = strchr(line, ':');
    lua_pushlstring(L, line, (size_t)(colon - line));
    lua_pushstring(L, offset == 0 && !secret ? "Bearer $STRIPE_API_KEY" : colon + 2);
    lua_rawset(L, -3);
    offset += strlen(line) + 1;
  }
}

void lua_request_push(lua_State *L, const struct call *call, bool secret) {
  const char *url = buffer_text(&call->url), *path = strchr(strstr(url, "//") + 2, '/');
  lua_createtable(L, 0, 7);
  set_text(L, "method", call->endpoint->method);
  set_text(L, "url", url);
  set_text(L, "path", path);
  push_headers(L, &call->headers, secret);
  lua_setfield(L, -2, "headers");
  if (endpoint_is_post(call->endpoint))
    set_bytes(L, "body", buffer_text(&call->form.body), call->form.body.length);
  set_number(L, "timeout", call->request.timeout);
  set_number(L, "connect_timeout", call->request.connect_timeout);
}
