/* SPDX-License-Identifier: MIT
 * The body of an answer as a record, a list or an error (src/lua_record.c, src/lua_error.c) beside
 * a second reader of JSON. The input is the status, the call, then the body. */
#include "fuzz.h"
#include "json.h"

#include "../../src/lua_client.h"
#include "../../src/lua_error.h"
#include "../../src/lua_record.h"
#include "../../src/lua_redact.h"

#include <string.h>

#define ID "pr_1" /* that the call names, if it names one */
#define AUTHORIZATION "Authorization: Bearer sk_test_canary01" /* the key of oracle.lua */

struct unit {
  struct answer answer;
  bool anothers; /* it has the idempotency key of another request */
  const struct endpoint *endpoint;
};

enum { DEEPEST_ANSWER = 64 };
enum { UNIT = 1, STORE = 2, RESULT = 3, EXPECTED = 4 }; /* stack indexes */

/* The store of a client, as far as lua_record_read() looks into it. */
static void prepare(lua_State *L) {
  lua_newtable(L);
  lua_record_push_decoder(L);
  lua_rawseti(L, -2, KEPT_DECODE);
  lua_setfield(L, LUA_REGISTRYINDEX, "fuzz.store");
  fuzz_load(L, "oracle");
  lua_getfield(L, -1, "error");
  lua_setfield(L, LUA_REGISTRYINDEX, "fuzz.check_error");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "payment_records.core");
  fuzz_call(L, 1, 0);
  lua_settop(L, 0);
}

static bool is_success(const struct answer *answer) {
  return answer->status >= 200 && answer->status <= 299;
}

/* --- what must come of it ------------------------------------------------------------------ */

/* Whether the table at `index` has an id that is not empty. */
static bool has_id(lua_State *L, int index) {
  if (!lua_istable(L, index))
    return false;
  lua_getfield(L, index, "id");
  const char *id = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  lua_pop(L, 1);
  return *id != '\0';
}

static const char *text_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
  return text;
}

/* Whether all fields of the table on top are the places 1 to *count, with a record in each. */
static bool holds_records(lua_State *L, lua_Integer *count) {
  int table = lua_gettop(L);
  bool right = true;
  *count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    ++*count;
  for (lua_Integer i = 1; i <= *count && right; i++) {
    lua_rawgeti(L, table, i);
    right = has_id(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  return right;
}

static bool is_list(lua_State *L, int index) {
  lua_Integer count = 0;
  const char *object = text_field(L, index, "object");
  lua_getfield(L, index, "has_more");
  bool says = lua_isboolean(L, -1), more = lua_toboolean(L, -1);
  lua_getfield(L, index, "data");
  bool right = says && lua_istable(L, -1) && holds_records(L, &count) && (count > 0 || !more);
  lua_pop(L, 2);
  return right && object && strcmp(object, "list") == 0;
}

/* A zero byte ends no id. */
static bool has_this_id(lua_State *L, int index) {
  lua_getfield(L, index, "id");
  lua_pushliteral(L, ID);
  bool equal = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return equal;
}

static bool is_asked_for(lua_State *L, int index, const struct endpoint *endpoint) {
  if (!lua_istable(L, index))
    return false;
  if (strcmp(endpoint->object, "list") == 0)
    return is_list(L, index);
  const char *object = text_field(L, index, "object");
  bool right = !endpoint_id_place(endpoint) || has_this_id(L, index);
  return right && has_id(L, index) && (!object || strcmp(object, endpoint->object) == 0);
}

/* However the body reads: what is an integer, and can be told from its neighbours, is one in Lua.
 * The table is on top. */
static void check_numbers(lua_State *L) {
  int table = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_istable(L, -1)) {
      check_numbers(L);
    } else if (lua_type(L, -1) == LUA_TNUMBER && !lua_isinteger(L, -1)) {
      double number = lua_tonumber(L, -1);
      CHECK(!(number > -9007199254740992.0 && number < 9007199254740992.0 &&
              number == (double)(long long)number),
            "the float %.1f", number);
    }
  }
}

static void check_success(lua_State *L, const struct answer *answer,
                          const struct endpoint *endpoint, bool usable) {
  struct json json;
  bool right = json_push(L, &json, answer->body, answer->body_length);
  if (!right)
    lua_pushnil(L);
  if (usable) {
    CHECK(is_asked_for(L, RESULT, endpoint), "an answer that is no %s was taken", endpoint->object);
    lua_pushvalue(L, RESULT);
    check_numbers(L);
    lua_pop(L, 1);
    CHECK(!right || json.lone_surrogate || json_equal(L, RESULT, EXPECTED),
          "the record is not what the answer says");
  } else {
    CHECK(lua_isnil(L, RESULT), "a %s of an answer that is no use", luaL_typename(L, RESULT));
    CHECK(!is_asked_for(L, EXPECTED, endpoint) || json.lone_surrogate ||
              json.deepest > DEEPEST_ANSWER,
          "a good answer was refused");
  }
}

/* Makes the error that the call ends with. */
static void check_refusal(lua_State *L, struct call *call, const struct answer *answer,
                          const struct attempt_end *end) {
  struct verdict verdict = retry_decide(end);
  CHECK(verdict.outcome != OUTCOME_DONE && verdict.outcome != OUTCOME_NOT_SENT, "status %ld: %s",
        answer->status, outcome_name(verdict.outcome));
  lua_redact_value(L, call);
  lua_error_of_answer(L, call, answer, &verdict);
  lua_getfield(L, LUA_REGISTRYINDEX, "fuzz.check_error");
  lua_insert(L, -2);
  fuzz_call(L, 1, 0);
}

/* Lua: read(unit, store). */
static int read_answer(lua_State *L) {
  const struct unit *unit = lua_touserdata(L, UNIT);
  const struct answer *answer = &unit->answer;
  const struct endpoint *endpoint = unit->endpoint;
  static char id[] = ID;
  struct client client = {.released = false};
  struct call call = {.client = &client,
                      .endpoint = endpoint,
                      .answer = answer,
                      .url = {.data = id, .length = strlen(ID)},
                      .id_length = endpoint_id_place(endpoint) ? strlen(ID) : 0,
                      .attempts = 1,
                      .idempotency_key = "order-7"};
  struct attempt_end end = {.post = endpoint_is_post(endpoint), .sent = true};
  end.status = answer->status;
  lua_record_read(L, STORE, &call, &end);
  CHECK(lua_gettop(L) == RESULT, "%d values on the stack", lua_gettop(L));
  CHECK(!end.usable || is_success(answer), "status %ld is a success", answer->status);
  CHECK(!unit->anothers || !(end.usable || end.from_stripe), "another request's answer was taken");
  if (is_success(answer) && !unit->anothers)
    check_success(L, answer, endpoint, end.usable);
  if (end.usable)
    return 0;
  lua_settop(L, RESULT);
  buffer_append(&call.headers, AUTHORIZATION, sizeof AUTHORIZATION);
  check_refusal(L, &call, answer, &end);
  buffer_free(&call.headers);
  return 0;
}

static long take_status(struct input *input) {
  static const long statuses[] = {200, 201, 299, 300, 302, 400, 401, 402, 403, 404,
                                  407, 409, 422, 424, 429, 500, 503, 199, 600, 0};
  return statuses[take_byte(input) % (sizeof statuses / sizeof *statuses)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input input = {data, size};
  lua_State *L = fuzz_state(prepare);
  struct headers headers = {.count = 0};
  struct answer answer = {.sends = 1, .status = take_status(&input), .headers = &headers};
  unsigned choice = take_byte(&input), calls = 1;
  while (endpoints[calls].name)
    calls++;
  headers_clear(&headers);
  if (choice & 0x40)
    headers_receive(&headers, "Request-Id: req_1", 17);
  bool anothers = choice & 0x80;
  if (anothers)
    headers_receive(&headers, "Idempotency-Key: order-8", 24);
  answer.body = take_rest(&input, &answer.body_length);
  struct unit unit = {answer, anothers, &endpoints[choice % calls]};
  lua_pushcfunction(L, read_answer);
  lua_pushlightuserdata(L, &unit);
  lua_getfield(L, LUA_REGISTRYINDEX, "fuzz.store");
  fuzz_call(L, 2, 0);
  headers_free(&headers);
  return 0;
}
