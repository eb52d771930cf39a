/* SPDX-License-Identifier: MIT
 * The retry rules of src/ as a Lua library, for the specs beside: spec/retry/rules.lua links it
 * with the objects that the module is made of. */
#include "../../src/compat.h"
#include "../../src/curl_faults.h"
#include "../../src/headers.h"
#include "../../src/random.h"
#include "../../src/retry.h"

#include <string.h>

/* Takes the lines of an answer's head, each ended by a line feed. */
static struct headers read_head(const char *head) {
  struct headers headers = {.count = 0};
  headers_clear(&headers);
  for (const char *end; (end = strchr(head, '\n')) != NULL; head = end + 1)
    headers_receive(&headers, head, (size_t)(end + 1 - head));
  return headers;
}

static enum fault fault_of(const char *cause, int code, bool sent) {
  if (cause)
    return *cause == 'l' ? FAULT_TOO_LARGE : FAULT_CANCELED;
  return code == 0 ? FAULT_NONE : curl_fault((CURLcode)code, sent);
}

static bool flag(lua_State *L, int index) {
  return lua_toboolean(L, index) != 0;
}

/* decide(code, cause, sent, status, head, problem, usable, stripe, post, doubt, refused)
 * -> outcome, retry, retryable, base. `cause`: "large", "canceled" or nil. */
static int rules_decide(lua_State *L) {
  const char *cause = lua_tostring(L, 2), *problem = luaL_optstring(L, 6, "");
  struct headers headers = read_head(luaL_checkstring(L, 5));
  struct attempt_end end = {.sent = flag(L, 3),
                            .status = (long)lua_tointeger(L, 4),
                            .should_retry = headers.should_retry,
                            .replayed = headers.replayed,
                            .lock_timeout = strcmp(problem, "lock_timeout") == 0,
                            .idempotency_error = strcmp(problem, "idempotency_error") == 0,
                            .usable = flag(L, 7),
                            .from_stripe = flag(L, 8),
                            .post = flag(L, 9),
                            .doubt = flag(L, 10),
                            .refused = flag(L, 11)};
  end.fault = fault_of(cause, (int)lua_tointeger(L, 1), end.sent);
  headers_free(&headers);
  struct verdict verdict = retry_decide(&end);
  lua_pushstring(L, outcome_name(verdict.outcome));
  lua_pushboolean(L, verdict.retry);
  lua_pushboolean(L, verdict.retryable);
  lua_pushnumber(L, verdict.base);
  return 4;
}

/* delay(base, retry[, head[, fraction]]) -> seconds; without a fraction it is random. */
static int rules_delay(lua_State *L) {
  struct headers headers = read_head(luaL_optstring(L, 3, ""));
  double fraction = lua_isnoneornil(L, 4) ? random_fraction() : lua_tonumber(L, 4);
  headers_free(&headers);
  lua_pushnumber(L, retry_delay(luaL_checknumber(L, 1), (int)lua_tointeger(L, 2), fraction,
                                headers.retry_after));
  return 1;
}

/* key() -> an idempotency key. */
static int rules_key(lua_State *L) {
  char key[RANDOM_KEY_SIZE];
  if (!random_key(key))
    return luaL_error(L, "no random bits");
  lua_pushstring(L, key);
  return 1;
}

int luaopen_rules(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"decide", rules_decide}, {"delay", rules_delay}, {"key", rules_key}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
