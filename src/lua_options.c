/* SPDX-License-Identifier: MIT */
#include "lua_options.h"

#include "base_url.h"
#include "buffer.h"
#include "lua_encode.h"
#include "lua_raise.h"
#include "lua_walk.h"
#include "nearest.h"
#include "payment_records.h"

#include <string.h>

/* What the expectations below say. */
#define LONGEST_TIME 1e6 /* seconds */
#define LARGEST_NUMBER (1LL << 30)

enum kind {
  KIND_TEXT,
  KIND_HEADER,  /* text that becomes a header's value */
  KIND_KEY,     /* the same, or a function that the Lua layer asks for it */
  KIND_SECONDS, /* above 0 */
  KIND_COUNT,   /* 0 and above */
  KIND_SIZE,    /* 1 and above */
  KIND_BOOLEAN,
  KIND_FUNCTION,
  KIND_SLEEP, /* a function, or false */
  KIND_TABLE,
  KIND_ANY
};

enum scope { SCOPE_CLIENT = 1, SCOPE_CALL = 2, SCOPE_BOTH = 3 };

#define AT(FIELD) offsetof(struct options, FIELD)
#define NOWHERE ((size_t)-1) /* read by somebody else */

static const struct option {
  const char *name;
  enum kind kind;
  unsigned scope;
  size_t offset;
} table[] = {
    {"api_key", KIND_KEY, SCOPE_BOTH, AT(api_key)},
    {"api_base", KIND_TEXT, SCOPE_CLIENT, AT(api_base)},
    {"api_version", KIND_HEADER, SCOPE_BOTH, AT(api_version)},
    {"stripe_account", KIND_HEADER, SCOPE_BOTH, AT(stripe_account)},
    {"stripe_context", KIND_HEADER, SCOPE_BOTH, AT(stripe_context)},
    {"idempotency_key", KIND_HEADER, SCOPE_CALL, AT(idempotency_key)},
    {"timeout", KIND_SECONDS, SCOPE_BOTH, AT(timeout)},
    {"connect_timeout", KIND_SECONDS, SCOPE_CLIENT, AT(connect_timeout)},
    {"deadline", KIND_SECONDS, SCOPE_BOTH, AT(deadline)},
    {"max_retries", KIND_COUNT, SCOPE_BOTH, AT(max_retries)},
    {"max_in_flight", KIND_SIZE, SCOPE_CLIENT, AT(max_in_flight)},
    {"max_response_bytes", KIND_SIZE, SCOPE_CLIENT, AT(max_response_bytes)},
    {"ca_file", KIND_TEXT, SCOPE_CLIENT, AT(ca_file)},
    {"proxy", KIND_TEXT, SCOPE_CLIENT, AT(proxy)},
    {"unix_socket", KIND_TEXT, SCOPE_CLIENT, AT(unix_socket)},
    {"allow_unknown_params", KIND_BOOLEAN, SCOPE_BOTH, AT(allow_unknown_params)},
    {"null", KIND_ANY, SCOPE_CLIENT, NOWHERE},
    {"sleep", KIND_SLEEP, SCOPE_CLIENT, NOWHERE},
    {"on_attempt", KIND_FUNCTION, SCOPE_CLIENT, NOWHERE},
    {"on_done", KIND_FUNCTION, SCOPE_CALL, NOWHERE},
    {"transport", KIND_FUNCTION, SCOPE_CLIENT, NOWHERE},
    {"app_info", KIND_TABLE, SCOPE_CLIENT, NOWHERE},
};

enum { COUNT = sizeof table / sizeof table[0] };

static const struct {
  int lua_type;
  const char *expectation;
} kinds[] = {
    [KIND_TEXT] = {LUA_TSTRING, "a string without a zero byte"},
    [KIND_HEADER] = {LUA_TSTRING, "a string without a zero byte"},
    [KIND_KEY] = {LUA_TSTRING, "a string, or a function that returns one"},
    [KIND_SECONDS] = {LUA_TNUMBER, "a number of seconds above 0, at most 1000000"},
    [KIND_COUNT] = {LUA_TNUMBER, "a whole number from 0 to 1073741824"},
    [KIND_SIZE] = {LUA_TNUMBER, "a whole number from 1 to 1073741824"},
    [KIND_BOOLEAN] = {LUA_TBOOLEAN, "true or false"},
    [KIND_FUNCTION] = {LUA_TFUNCTION, "a function"},
    [KIND_SLEEP] = {LUA_TFUNCTION, "a function, or false to wait in this thread"},
    [KIND_TABLE] = {LUA_TTABLE, "a table"},
};

static const struct option *find(const char *name, unsigned scope) {
  for (size_t i = 0; i < COUNT; i++)
    if ((table[i].scope & scope) && strcmp(table[i].name, name) == 0)
      return &table[i];
  return NULL;
}

bool lua_options_is_call_option(const char *name) {
  return find(name, SCOPE_CALL) != NULL;
}

/* Raises, and shows the value on top of the stack, unless the option is a secret. */
static int value_error(lua_State *L, const struct option *option, const char *expectation) {
  if (option->kind == KIND_KEY)
    return lua_raise(L, "option %s: expected %s", option->name, expectation);
  return lua_raise(L, "option %s: expected %s, got %s", option->name, expectation, lua_show(L, -1));
}

/* The name is at `index`. */
static int unknown_error(lua_State *L, int index, unsigned scope) {
  struct nearest nearest = nearest_to(lua_tostring(L, index));
  if (find(lua_tostring(L, index), SCOPE_BOTH))
    return lua_raise(L,
                     scope == SCOPE_CALL
                         ? "option %s: belongs to payment_records.new, not to a call"
                         : "option %s: belongs to a call, not to payment_records.new",
                     lua_tostring(L, index));
  if (scope == SCOPE_CALL && endpoints_have_param(lua_tostring(L, index)))
    return lua_raise(
        L, "unknown option %s; it is a parameter: give it in the table before the options",
        lua_show(L, index));
  const char *name = lua_show(L, index);
  for (size_t i = 0; i < COUNT; i++)
    if (table[i].scope & scope)
      nearest_offer(&nearest, table[i].name);
  if (nearest.best)
    return lua_raise(L, "unknown option %s (did you mean \"%s\"?)", name, nearest.best);
  return lua_raise(L, "unknown option %s", name);
}

/* A call's own key is a string: the function of a client is asked by the Lua layer. */
static void check_type(lua_State *L, const struct option *option, unsigned scope) {
  int type = lua_type(L, -1);
  if (option->kind == KIND_KEY && scope == SCOPE_CALL && type != LUA_TSTRING)
    value_error(L, option, "a string");
  bool right = option->kind == KIND_ANY || type == kinds[option->kind].lua_type ||
               (option->kind == KIND_KEY && type == LUA_TFUNCTION) ||
               (option->kind == KIND_SLEEP && type == LUA_TBOOLEAN && !lua_toboolean(L, -1));
  if (!right)
    value_error(L, option, kinds[option->kind].expectation);
}

static void store_text(lua_State *L, const struct option *option, void *place) {
  struct text *text = place;
  if (lua_type(L, -1) != LUA_TSTRING)
    return;
  text->data = lua_tolstring(L, -1, &text->length);
  /* In a header's value a zero byte is a fault of the data, found with the others. */
  if (option->kind == KIND_TEXT && strlen(text->data) != text->length)
    value_error(L, option, kinds[option->kind].expectation);
}

static void store_number(lua_State *L, const struct option *option, void *place) {
  double number = lua_tonumber(L, -1);
  long long integer;
  if (option->kind == KIND_SECONDS) {
    if (!(number > 0) || number > LONGEST_TIME)
      value_error(L, option, kinds[option->kind].expectation);
    *(double *)place = number;
    return;
  }
  if (!walk_to_integer(L, -1, &integer) || integer < (option->kind == KIND_SIZE) ||
      integer > LARGEST_NUMBER)
    value_error(L, option, kinds[option->kind].expectation);
  *(long long *)place = integer;
}

/* The value of the option is on top of the stack. */
static void read_value(lua_State *L, const struct option *option, unsigned scope,
                       struct options *options) {
  check_type(L, option, scope);
  if (option->offset == NOWHERE)
    return;
  void *place = (char *)options + option->offset;
  if (option->kind <= KIND_KEY)
    store_text(L, option, place);
  else if (option->kind == KIND_BOOLEAN)
    *(bool *)place = lua_toboolean(L, -1) != 0;
  else
    store_number(L, option, place);
}

static void read_table(lua_State *L, int index, unsigned scope, struct options *options) {
  index = lua_absindex(L, index);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      lua_raise(L, "expected a table of named options, got a key that is a %s",
                luaL_typename(L, -2));
    const struct option *option = find(lua_tostring(L, -2), scope);
    if (!option)
      unknown_error(L, -2, scope);
    else
      read_value(L, option, scope, options);
    lua_pop(L, 1);
  }
}

bool lua_options_exposes_key(const struct options *options) {
  const char *key = options->api_key.data;
  return key && strstr(key, "_live_") &&
         base_url_check(options->api_base.data, options->api_base.length) != BASE_URL_SECURE;
}

static void check_base(lua_State *L, const struct options *options) {
  switch (base_url_check(options->api_base.data, options->api_base.length)) {
  case BASE_URL_INVALID:
    /* Not shown: it may hold a user and a password. */
    lua_raise(L, "option api_base: expected https://host or https://host:port and nothing more");
    break;
  case BASE_URL_NOT_LOOPBACK:
    lua_raise(L,
              "option api_base: http:// is accepted for 127.0.0.1, [::1] and localhost only, got "
              "\"%s\"; use https://",
              options->api_base.data);
    break;
  case BASE_URL_PLAIN:
    if (lua_options_exposes_key(options))
      lua_raise(L, "option api_base: a live key is sent over https:// only, got \"%s\"",
                options->api_base.data);
    break;
  case BASE_URL_SECURE: break;
  }
}

static struct text *text_of(struct options *options, size_t i) {
  return table[i].kind <= KIND_KEY ? (void *)((char *)options + table[i].offset) : NULL;
}

/* Makes the texts the options' own: whatever runs from here on may change the table, or let go of
 * it. All are appended first, each with its NUL, since the buffer may move while it grows. */
static bool own_texts(struct options *options) {
  struct buffer *own = &options->own;
  for (size_t i = 0; i < COUNT; i++) {
    const struct text *text = text_of(options, i);
    if (text && text->data)
      buffer_append(own, text->data, text->length + 1);
  }
  if (own->failed)
    return false;
  const char *next = buffer_text(own);
  for (size_t i = 0; i < COUNT; i++) {
    struct text *text = text_of(options, i);
    if (!text || !text->data)
      continue;
    text->data = next;
    next += text->length + 1;
  }
  return true;
}

void lua_options_read_client(lua_State *L, int index, struct options *options) {
  static const struct options defaults = {
      .api_base = {PR_API_BASE, sizeof PR_API_BASE - 1},
      .api_version = {PR_API_VERSION, sizeof PR_API_VERSION - 1},
      .timeout = 80,
      .connect_timeout = 30,
      .max_retries = 2,
      .max_in_flight = 64,
      .max_response_bytes = 4194304,
  };
  *options = defaults;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushliteral(L, "transport");
  lua_rawget(L, index);
  options->has_transport = lua_isfunction(L, -1);
  lua_pop(L, 1);
  read_table(L, index, SCOPE_CLIENT, options);
  if (!own_texts(options))
    lua_raise(L, "not enough memory");
  check_base(L, options);
  const char *bad = lua_options_bad_header(options);
  if (bad)
    lua_raise(L, "option %s: expected " HEADER_EXPECTATION, bad);
}

void lua_options_read_call(lua_State *L, int index, struct options *options) {
  if (lua_isnoneornil(L, index))
    return;
  if (!lua_istable(L, index))
    lua_raise(L, "expected a table of options, got %s", luaL_typename(L, index));
  read_table(L, index, SCOPE_CALL, options);
}

static bool is_header_value(struct text text) {
  for (size_t i = 0; i < text.length; i++)
    if (text.data[i] <= ' ' || text.data[i] > '~')
      return false;
  return text.length >= 1 && text.length <= PR_MAX_HEADER_VALUE;
}

const char *lua_options_bad_header(const struct options *options) {
  for (size_t i = 0; i < COUNT; i++) {
    if (table[i].kind != KIND_HEADER && table[i].kind != KIND_KEY)
      continue;
    const struct text *text = (const void *)((const char *)options + table[i].offset);
    if (text->data && !is_header_value(*text))
      return table[i].name;
  }
  return NULL;
}

bool lua_options_have_key(const struct options *options, const char *text, size_t length) {
  struct text key = options->api_key;
  return key.length >= SHORTEST_KEY && memmem(text, length, key.data, key.length);
}

const char *lua_options_misplaced_key(const struct options *options) {
  for (size_t i = 0; i < COUNT; i++) {
    if (table[i].kind != KIND_HEADER)
      continue;
    const struct text *text = (const void *)((const char *)options + table[i].offset);
    if (text->data && lua_options_have_key(options, text->data, text->length))
      return table[i].name;
  }
  return NULL;
}

void lua_options_free(struct options *options) {
  buffer_free(&options->own);
  *options = (struct options){.has_transport = false};
}

const struct endpoint *lua_options_check_endpoint(lua_State *L, int index) {
  const char *name = lua_tostring(L, index);
  if (!name)
    lua_raise(L, "expected the name of a call, got %s", luaL_typename(L, index));
  const struct endpoint *endpoint = endpoint_find(name);
  const char *nearest = endpoint ? NULL : endpoint_nearest(name);
  if (nearest)
    lua_raise(L, "unknown call %s (did you mean \"%s\"?)", lua_show(L, index), nearest);
  else if (!endpoint)
    lua_raise(L, "unknown call %s", lua_show(L, index));
  return endpoint;
}
