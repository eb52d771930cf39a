/* SPDX-License-Identifier: MIT */
#include "lua_error.h"

#include "lua_encode.h"
#include "lua_engine.h"
#include "lua_fields.h"
#include "lua_raise.h"
#include "lua_redact.h"
#include "lua_response.h"
#include "utf8.h"

#define ERROR_TYPE "payment_records.error"

enum { SAMPLE_BYTES = 500, LINE_BYTES = 1024 };

static const char *type_by_status(long status) {
  static const struct {
    long first, last;
    const char *type;
  } types[] = {
      {401, 401, "authentication_error"},  {403, 403, "permission_error"},
      {429, 429, "rate_limit_error"},      {409, 409, "api_error"},
      {400, 499, "invalid_request_error"}, {500, 599, "api_error"},
  };
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (status >= types[i].first && status <= types[i].last)
      return types[i].type;
  return "response_error";
}

static bool has_text(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  bool has = lua_type(L, -1) == LUA_TSTRING;
  lua_pop(L, 1);
  return has;
}

const char *lua_error_type(lua_State *L, const struct answer *answer) {
  static const char *const types[] = {
      [FAULT_CONNECT] = "connection_error", [FAULT_SETUP] = "connection_error",
      [FAULT_BROKEN] = "connection_error",  [FAULT_TIMEOUT] = "timeout_error",
      [FAULT_TOO_LARGE] = "response_error", [FAULT_CANCELED] = "canceled_error",
  };
  if (answer->fault != FAULT_NONE)
    return types[answer->fault];
  if (!lua_istable(L, -1) || !has_text(L, "type"))
    return type_by_status(answer->status);
  lua_getfield(L, -1, "type");
  const char *type = lua_tostring(L, -1);
  lua_pop(L, 1);
  return type;
}

/* Pushes what happened, of an answer without a message of its own. */
static void push_message(lua_State *L, const struct answer *answer) {
  if (answer->fault != FAULT_NONE)
    lua_pushstring(L, answer->message);
  else if (answer->status == 0)
    lua_pushliteral(L,
                    "the transport returned a response without a status, a whole number, or with "
                    "a body that is no string");
  else if (answer->status >= 200 && answer->status <= 299)
    lua_pushfstring(
        L, "the answer (status %d) is not the object that was asked for, or another request's",
        (int)answer->status);
  else if (answer->status >= 300 && answer->status <= 399)
    lua_pushfstring(L, "the server redirects (status %d); redirects are not followed",
                    (int)answer->status);
  else
    lua_pushfstring(L, "the server answered with status %d and without an error of Stripe's",
                    (int)answer->status);
}

/* Redacted before it is cut, so that no part of a key is left at the end. */
static void set_sample(lua_State *L, const struct call *call, const struct answer *answer) {
  size_t length;
  lua_redact_push(L, call, answer->body, answer->body_length);
  const char *text = lua_tolstring(L, -1, &length);
  lua_pushlstring(L, text, utf8_cut(text, length, SAMPLE_BYTES));
  lua_remove(L, -2);
  lua_setfield(L, -2, "body");
}

/* The table on top lacks a message: say what happened, and show the beginning of the body. */
static void describe_answer(lua_State *L, const struct call *call, const struct answer *answer) {
  push_message(L, answer);
  lua_redact_value(L, call);
  lua_setfield(L, -2, "message");
  if (answer->body_length > 0 && answer->fault == FAULT_NONE)
    set_sample(L, call, answer);
}

static void set_common(lua_State *L, const struct call *call, enum outcome outcome,
                       bool retryable) {
  set_text(L, "outcome", outcome_name(outcome));
  set_boolean(L, "retryable", retryable);
  set_integer(L, "attempts", call->attempts);
  if (*call->idempotency_key)
    set_text(L, "idempotency_key", call->idempotency_key);
  luaL_setmetatable(L, ERROR_TYPE);
}

void lua_error_of_answer(lua_State *L, const struct call *call, const struct answer *answer,
                         const struct verdict *verdict) {
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  if (!has_text(L, "message"))
    describe_answer(L, call, answer);
  set_text(L, "type", lua_error_type(L, answer));
  if (answer->curl_code)
    set_integer(L, "curl_code", answer->curl_code);
  lua_response_set_answer(L, call, answer);
  set_common(L, call, verdict->outcome, verdict->retryable);
}

void lua_error_of_validation(lua_State *L, const struct buffer *message, size_t path_length) {
  lua_newtable(L);
  set_text(L, "type", "validation_error");
  set_bytes(L, "message", buffer_text(message), message->length);
  if (path_length > 0)
    set_bytes(L, "param", buffer_text(message), path_length);
  set_text(L, "outcome", outcome_name(OUTCOME_NOT_SENT));
  set_boolean(L, "retryable", 0);
  set_integer(L, "attempts", 0);
  luaL_setmetatable(L, ERROR_TYPE);
}

/* Whatever was sent by now, the answer may still come: unknown. */
void lua_error_of_unfinished(lua_State *L, const struct call *call) {
  lua_newtable(L);
  set_text(L, "type", "canceled_error");
  set_text(L, "message", "the call is not done: step the client until call:done()");
  set_common(L, call, engine_may_be_sent(call) ? OUTCOME_UNKNOWN : OUTCOME_NOT_SENT, true);
}

static void append_field(lua_State *L, struct buffer *line, const char *name,
                         const char *separator) {
  lua_pushstring(L, name);
  lua_rawget(L, 1);
  if (lua_isstring(L, -1)) {
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    buffer_append_text(line, separator);
    buffer_append(line, text, length);
  }
  lua_pop(L, 1);
}

static void cut(struct buffer *line, size_t length) {
  buffer_truncate(line, utf8_cut(line->data, line->length, length));
}

/* Server-made text goes to terminals and logs: no control characters. */
static void make_safe(struct buffer *line) {
  cut(line, LINE_BYTES);
  for (size_t i = 0, control; i < line->length; i += control ? control : 1) {
    control = utf8_control(line->data + i, line->length - i);
    memset(line->data + i, ' ', control);
  }
}

/* "type: message (outcome …, status …, …)" */
static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct form *scratch = lua_push_form(L);
  struct buffer *line = &scratch->body, *tail = &scratch->key;
  append_field(L, line, "type", "");
  append_field(L, line, "message", ": ");
  make_safe(line);
  append_field(L, tail, "outcome", " (outcome ");
  append_field(L, tail, "status", ", status ");
  append_field(L, tail, "code", ", code ");
  append_field(L, tail, "request_id", ", request ");
  append_field(L, tail, "idempotency_key", ", idempotency key ");
  buffer_append_text(tail, ")");
  make_safe(tail);
  if (line->failed || tail->failed)
    return lua_raise(L, "not enough memory");
  lua_pushlstring(L, buffer_text(line), line->length);
  lua_pushlstring(L, buffer_text(tail), tail->length);
  form_free(scratch); /* a state that is being closed does not collect what is new */
  lua_concat(L, 2);
  return 1;
}

/* Makes an operand of ".." a text, if it is an error. */
static void read_operand(lua_State *L, int index) {
  bool is_error = false;
  if (lua_getmetatable(L, index)) {
    luaL_getmetatable(L, ERROR_TYPE);
    is_error = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
  }
  if (is_error && luaL_callmeta(L, index, "__tostring"))
    lua_replace(L, index);
  else if (!lua_isstring(L, index))
    lua_raise(L, "attempt to concatenate a %s value", luaL_typename(L, index));
}

/* Who writes `"failed: " .. err` must not get another error for that. */
static int error_concat(lua_State *L) {
  read_operand(L, 1);
  read_operand(L, 2);
  lua_concat(L, 2);
  return 1;
}

void lua_error_register(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__tostring", error_tostring}, {"__concat", error_concat}, {NULL, NULL}};
  luaL_newmetatable(L, ERROR_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  set_text(L, "__name", ERROR_TYPE);
  set_text(L, "__metatable", ERROR_TYPE);
  lua_pop(L, 1);
}
