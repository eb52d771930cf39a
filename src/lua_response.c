/* SPDX-License-Identifier: MIT */
#include "lua_response.h"

#include "ascii.h"
#include "clock.h"
#include "lua_fields.h"
#include "lua_redact.h"

#include <string.h>

/* HTTP field names have no case: they are given in lower case, and repeated ones joined (RFC 9110,
 * 5.3). */
static void push_name(lua_State *L, const struct header *header) {
  char name[128];
  size_t length = 0;
  for (; length < header->name_length && length < sizeof name; length++) {
    name[length] = ascii_lower(header->name[length]);
  }
  lua_pushlstring(L, name, length);
}

/* Sets a header in the table of them on top. */
static void set_header(lua_State *L, const struct header *header) {
  push_name(L, header);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  bool repeated = !lua_isnil(L, -1);
  if (repeated)
    lua_pushliteral(L, ", ");
  else
    lua_pop(L, 1);
  lua_pushlstring(L, header->value, header->value_length);
  if (repeated)
    lua_concat(L, 3);
  lua_rawset(L, -3);
}

/* __index of a response: makes `headers` of the lines when it is first asked for, since few ask.
 * The upvalue is a userdata: LuaJIT would look for equal strings, and lines are long and alike. */
static int response_index(lua_State *L) {
  struct header header;
  const char *lines = lua_touserdata(L, lua_upvalueindex(1));
  size_t cursor = 0, length = lua_rawlen(L, lua_upvalueindex(1));
  lua_settop(L, 2);
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "headers") != 0)
    return 0;
  lua_newtable(L);
  while (headers_next(lines, length, &cursor, &header))
    set_header(L, &header);
  lua_pushvalue(L, -1);
  lua_setfield(L, 1, "headers");
  return 1;
}

/* Pushes them as a userdata, without the key. */
static void push_lines(lua_State *L, const struct call *call, const struct buffer *lines) {
  size_t length = lines->length;
  const char *text = buffer_text(lines);
  bool redacted = lua_redact_is_needed(call, text, length);
  if (redacted) {
    lua_redact_push(L, call, text, length);
    text = lua_tolstring(L, -1, &length);
  }
  char *kept = lua_newuserdata(L, length);
  memcpy(kept, text, length);
  if (redacted)
    lua_remove(L, -2);
}

/* Gives the response on top of the stack its header lines. */
static void set_lines(lua_State *L, const struct call *call, const struct buffer *lines) {
  lua_createtable(L, 0, 1);
  push_lines(L, call, lines);
  lua_pushcclosure(L, response_index, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

void lua_response_set_answer(lua_State *L, const struct call *call, const struct answer *answer) {
  const struct headers *headers = answer->headers;
  if (answer->status > 0)
    set_integer(L, "status", answer->status);
  if (!headers || headers->request_id_length == 0)
    return;
  lua_pushlstring(L, headers->lines.data + headers->request_id, headers->request_id_length);
  lua_redact_value(L, call);
  lua_setfield(L, -2, "request_id");
}

void lua_response_push(lua_State *L, const struct call *call, const struct answer *answer) {
  const struct headers *headers = answer ? answer->headers : NULL;
  lua_createtable(L, 0, 8);
  set_integer(L, "attempts", call->attempts);
  set_number(L, "elapsed", call->started > 0 ? clock_seconds() - call->started : 0);
  set_boolean(L, "replayed", headers && headers->replayed);
  if (*call->idempotency_key)
    set_text(L, "idempotency_key", call->idempotency_key);
  if (answer)
    lua_response_set_answer(L, call, answer);
  if (headers)
    set_lines(L, call, &headers->lines);
}

static int response_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "error");
  if (!luaL_callmeta(L, -1, "__tostring"))
    lua_pushliteral(L, "a response");
  return 1;
}

void lua_response_set_error(lua_State *L) {
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "error");
  if (!lua_getmetatable(L, -1))
    lua_newtable(L);
  lua_pushcfunction(L, response_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
}

/* The path alone: a query may hold what belongs in no log. */
static void set_path(lua_State *L, const struct call *call) {
  const char *path = strchr(strstr(buffer_text(&call->url), "//") + 2, '/');
  set_bytes(L, "path", path, strcspn(path, "?"));
}

void lua_response_push_event(lua_State *L, const struct call *call, const char *error_type,
                             double wait) {
  lua_createtable(L, 0, 10);
  set_text(L, "name", call->endpoint->name);
  set_text(L, "method", call->endpoint->method);
  set_path(L, call);
  set_integer(L, "attempt", call->retries + 1);
  set_number(L, "elapsed", clock_seconds() - call->attempt_started);
  if (*call->idempotency_key)
    set_text(L, "idempotency_key", call->idempotency_key);
  lua_response_set_answer(L, call, call->answer);
  if (error_type)
    set_text(L, "error_type", error_type);
  if (wait >= 0)
    set_number(L, "wait", wait);
}

/* Such a value would pass for other header lines. */
static bool has_control_bytes(struct header header) {
  for (size_t i = 0; i < header.value_length; i++)
    if ((unsigned char)header.value[i] < ' ' && header.value[i] != '\t')
      return true;
  return memchr(header.name, '\n', header.name_length) != NULL;
}

static void add_header(lua_State *L, struct headers *headers, int name, int value) {
  struct header header;
  header.name = lua_tolstring(L, name, &header.name_length);
  header.value = lua_tolstring(L, value, &header.value_length);
  if (header.value && !has_control_bytes(header))
    headers_add(headers, header);
}

void lua_response_read_headers(lua_State *L, int index, struct headers *headers) {
  headers_clear(headers);
  if (!lua_istable(L, index))
    return;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    bool named = lua_type(L, -2) == LUA_TSTRING;
    int name = lua_gettop(L) - 1, value = name + 1;
    if (named && !lua_istable(L, value))
      add_header(L, headers, name, value);
    for (int i = 1; named && lua_istable(L, value) && i <= (int)lua_rawlen(L, value); i++) {
      lua_rawgeti(L, value, i);
      add_header(L, headers, name, lua_gettop(L));
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}
