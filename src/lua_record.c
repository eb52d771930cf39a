/* SPDX-License-Identifier: MIT */
#include "lua_record.h"

#include <math.h>
#include <string.h>

enum {
  DECODE_DEPTH = 64,
  MOST_DECODINGS = 5, /* of one body */
  DECODED_SIZE = 4    /* bytes that a byte of JSON may well become */
};

/* 2^53: from here on a float may stand for an integer that it is not. */
#define FIRST_INEXACT 9007199254740992.0

/* The table of cjson's functions is on top. */
static void configure(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  if (strcmp(name, "decode_max_depth") == 0)
    lua_pushinteger(L, DECODE_DEPTH);
  else
    lua_pushboolean(L, 0);
  lua_call(L, 1, 0);
}

/* cjson.new(): settings that other users of the module neither see nor change. */
void lua_record_push_decoder(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "new");
  lua_call(L, 0, 1);
  configure(L, "decode_invalid_numbers");
  configure(L, "decode_max_depth");
  lua_getfield(L, -1, "decode");
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void tidy_table(lua_State *L, int null);

/* lua-cjson gives every number as a float. */
static bool is_integral(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 503
  double number = lua_tonumber(L, index);
  return !lua_isinteger(L, index) && fabs(number) < FIRST_INEXACT && floor(number) == number;
#else
  (void)L, (void)index;
  return false;
#endif
}

/* One field, with its key and value on top; leaves the key. */
static void tidy_field(lua_State *L, int table, int null) {
  int type = lua_type(L, -1);
  bool integral = type == LUA_TNUMBER && is_integral(L, -1);
  lua_Integer integer = integral ? (lua_Integer)lua_tonumber(L, -1) : 0;
  if (type == LUA_TTABLE)
    tidy_table(L, null);
  lua_pop(L, 1);
  if (!integral && type != LUA_TLIGHTUSERDATA) /* that is cjson.null */
    return;
  lua_pushvalue(L, -1);
  if (integral)
    lua_pushinteger(L, integer);
  else
    lua_pushvalue(L, null);
  lua_rawset(L, table);
}

/* The table on top: integers become Lua integers, null becomes the value at stack index `null`.
 * Only fields that exist are assigned, which a traversal allows. */
static void tidy_table(lua_State *L, int null) {
  int table = lua_gettop(L);
  luaL_checkstack(L, 6, "answer nested too deep");
  lua_pushnil(L);
  while (lua_next(L, table))
    tidy_field(L, table, null);
}

/* Raises unless there is memory for so much. lua-cjson loses its buffer when memory runs out while
 * it decodes, and as long as it is short each step would try again: so it is asked for before, once
 * that has happened. */
static void check_memory(lua_State *L, size_t size) {
  void *user;
  lua_Alloc allocate = lua_getallocf(L, &user);
  void *block = allocate(user, NULL, 0, size);
  if (block) {
    allocate(user, block, size, 0);
    return;
  }
  lua_newuserdata(L, size); /* collects garbage first */
  lua_pop(L, 1);
}

/* Pushes what lua-cjson makes of the body, or its error. When memory is short it raises, which says
 * nothing about the answer: the next step reads it again. */
static bool decode(lua_State *L, int store, const struct call *call) {
  const struct answer *answer = call->answer;
  lua_rawgeti(L, store, KEPT_DECODE);
  lua_pushlstring(L, answer->body, answer->body_length);
  int status = lua_pcall(L, 1, 1, 0);
  call->client->short_of_memory = status == LUA_ERRMEM;
  if (status == LUA_ERRMEM)
    lua_error(L);
  return status == 0;
}

/* Pushes the decoded body, or nil when it is not a JSON object or array. What seems to be no JSON
 * is decoded again: a finalizer may have raised, which before Lua 5.4 comes out wherever something
 * is allocated. */
static void push_decoded(lua_State *L, int store, const struct call *call) {
  const struct answer *answer = call->answer;
  if (call->client->short_of_memory)
    check_memory(L, answer->body_length * DECODED_SIZE + 1);
  /* lua-cjson takes a zero byte for the end of the text. */
  bool whole = !memchr(answer->body, 0, answer->body_length), decoded = false;
  for (int i = 0; whole && !decoded && i < MOST_DECODINGS; i++) {
    decoded = decode(L, store, call);
    if (decoded && lua_istable(L, -1))
      return;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
}

/* Tidies the table on top, if it is one, once it has been judged: what stands for null then could
 * pass for a text. */
static void tidy(lua_State *L, int store) {
  if (!lua_istable(L, -1))
    return;
  lua_rawgeti(L, store, KEPT_NULL);
  lua_insert(L, -2);
  tidy_table(L, lua_gettop(L) - 1);
  lua_remove(L, -2);
}

/* The text of a field of the table on top, or NULL, and its length (which may be NULL). It lives as
 * long as the table. */
static const char *field_text(lua_State *L, const char *name, size_t *length) {
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, length) : NULL;
  lua_pop(L, 1);
  return text;
}

static bool field_is(lua_State *L, const char *name, const char *text) {
  const char *value = field_text(L, name, NULL);
  return value && strcmp(value, text) == 0;
}

static bool has_id(lua_State *L) {
  const char *id = lua_istable(L, -1) ? field_text(L, "id", NULL) : NULL;
  return id && *id;
}

/* Whether the table on top is a sequence of tables with an id; *count: how many there are. All are
 * counted, since the length of one with holes may leave some out. */
static bool are_records(lua_State *L, size_t *count) {
  bool right = true;
  *count = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    ++*count;
    right = right && has_id(L);
    lua_pop(L, 1);
  }
  return right && *count == lua_rawlen(L, -1);
}

/* A page says whether it is the last, and one that promises more has an element to go on from. */
static bool is_usable_list(lua_State *L) {
  size_t count = 0;
  lua_getfield(L, -1, "has_more");
  bool says = lua_isboolean(L, -1), more = lua_toboolean(L, -1) != 0;
  lua_getfield(L, -2, "data");
  bool right = says && lua_istable(L, -1) && are_records(L, &count) && (count > 0 || !more);
  lua_pop(L, 2);
  return right && field_is(L, "object", "list");
}

static bool equals(const struct buffer *buffer, size_t start, size_t length, const char *text,
                   size_t text_length) {
  return text_length == length && memcmp(buffer->data + start, text, length) == 0;
}

/* Whether the answer repeats the idempotency key of another request: a proxy or a cache has mixed
 * them up. */
static bool is_anothers(const struct call *call) {
  const struct headers *headers = call->answer->headers;
  const char *key = call->idempotency_key;
  size_t length = headers->idempotency_key_length;
  return *key && length > 0 &&
         !equals(&headers->lines, headers->idempotency_key, length, key, strlen(key));
}

/* Whether the record on top is the one that the call names. stripe-mock makes up the id of the
 * record in its answers to reports: those must do, or nobody could test against it. */
static bool has_right_id(lua_State *L, const struct call *call) {
  size_t length = 0;
  const char *id = field_text(L, "id", &length); /* may have a zero byte */
  return id && *id &&
         (call->id_length == 0 || call->answer->headers->from_mock ||
          equals(&call->url, call->id, call->id_length, id, length));
}

/* Whether the table on top is what the call asks for. Every field but these may be absent. */
static bool is_usable(lua_State *L, const struct call *call) {
  const char *expected = call->endpoint->object;
  if (strcmp(expected, "list") == 0)
    return is_usable_list(L);
  const char *object = field_text(L, "object", NULL);
  return has_right_id(L, call) && (!object || strcmp(object, expected) == 0);
}

/* An answer of another form, {"error": "…", "error_description": "…"}, becomes a table as well. */
static void push_error_fields(lua_State *L) {
  lua_getfield(L, -1, "error");
  if (lua_type(L, -1) != LUA_TSTRING)
    return;
  lua_newtable(L);
  lua_insert(L, -2);
  lua_setfield(L, -2, "code");
  lua_getfield(L, -2, "error_description");
  lua_setfield(L, -2, "message");
}

/* Turns the decoded body on top, of an answer that is no success, into an error table or nil. A
 * proxy or a firewall may answer in JSON, too: Stripe's errors have a type, or the answer a
 * Request-Id. */
static void read_error(lua_State *L, const struct answer *answer, struct attempt_end *end) {
  end->from_stripe = answer->headers->request_id_length > 0;
  if (lua_istable(L, -1)) {
    push_error_fields(L);
    lua_replace(L, -2);
  }
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
    return;
  }
  end->from_stripe = end->from_stripe || field_text(L, "type", NULL);
  end->lock_timeout = field_is(L, "code", "lock_timeout");
  end->idempotency_error = field_is(L, "type", "idempotency_error");
}

/* Not inlined, so that bench/callgrind.lua sees what it costs. */
__attribute__((noinline)) void lua_record_read(lua_State *L, int store, const struct call *call,
                                               struct attempt_end *end) {
  const struct answer *answer = call->answer;
  if (answer->fault == FAULT_NONE && is_anothers(call)) {
    end->fault = FAULT_BROKEN; /* whatever it says, it says nothing of this call */
    end->should_retry = SHOULD_RETRY_ABSENT;
  }
  if (end->fault != FAULT_NONE) {
    lua_pushnil(L);
    return;
  }
  push_decoded(L, store, call);
  if (answer->status < 200 || answer->status > 299) {
    read_error(L, answer, end);
  } else {
    end->usable = lua_istable(L, -1) && is_usable(L, call);
    if (!end->usable) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
  }
  tidy(L, store);
}
