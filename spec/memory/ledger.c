/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "server.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CALLS = 128, MESSAGE_BYTES = 400 };

enum state {
  BEGUN,   /* somebody waits for it, or is about to start it */
  STARTED, /* start() has returned it */
  RAISED,
  ENDED
};

struct entry {
  char key[96];
  enum state state;
  char result[16];   /* "ok", or the outcome of the error */
  unsigned requests; /* that the server had read when it ended */
  unsigned told;     /* calls of on_done */
};

static struct entry entries[MOST_CALLS];
static size_t count;
static struct fault_plan planned;
static bool was_armed;
static char message[MESSAGE_BYTES];

void ledger_reset(struct fault_plan plan) {
  count = 0;
  planned = plan;
  was_armed = false;
  message[0] = '\0';
}

/* Keeps the first one. */
static void complain(const char *key, const char *text, const char *detail) {
  if (!*message)
    snprintf(message, sizeof message, "call %.90s: %.100s%.100s", key, text, detail);
}

static struct entry *find(const char *key) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(entries[i].key, key) == 0)
      return &entries[i];
  if (count == MOST_CALLS)
    abort();
  struct entry *entry = &entries[count++];
  *entry = (struct entry){.state = BEGUN};
  snprintf(entry->key, sizeof entry->key, "%s", key);
  return entry;
}

static void freeze(struct entry *entry, enum state state) {
  entry->state = state;
  entry->requests = server_seen(entry->key)->requests;
}

void ledger_stop(void) {
  server_move();
  for (size_t i = 0; i < count; i++)
    if (entries[i].state == BEGUN)
      freeze(&entries[i], RAISED);
}

/* --- the rules -------------------------------------------------------------------------------- */

static void check_result(const struct entry *entry, const struct seen *seen) {
  if (strcmp(entry->result, "ok") == 0 && seen->successes == 0)
    complain(entry->key, "gave a record, but was never answered so", "");
  if (strcmp(entry->result, "not_sent") == 0 && seen->requests > 0)
    complain(entry->key, "ended as not_sent, but was read by the server", "");
  if (strcmp(entry->result, "rejected") == 0 && seen->post &&
      (seen->requests == 0 || seen->effects > 0))
    complain(entry->key, "ended as rejected, but may have taken effect, or was not sent", "");
}

static void check_entry(const struct entry *entry, bool told_all) {
  const struct seen *seen = server_seen(entry->key);
  if (entry->state == ENDED)
    check_result(entry, seen);
  if ((entry->state == ENDED || entry->state == RAISED) && seen->requests != entry->requests)
    complain(entry->key, "was sent after it had ended or raised", "");
  if (entry->state == STARTED && told_all)
    complain(entry->key, "was started and never ended", "");
  if (entry->told > 1)
    complain(entry->key, "had its on_done called twice", "");
}

const char *ledger_fault(bool told_all) {
  server_move();
  for (size_t i = 0; i < count; i++)
    check_entry(&entries[i], told_all);
  return *message ? message : NULL;
}

/* --- what scenarios call ------------------------------------------------------------------------
 */

/* begin(key): a call is about to be made. */
static int begin(lua_State *L) {
  find(luaL_checkstring(L, 1));
  return 0;
}

/* started(key): start() has returned it. */
static int started(lua_State *L) {
  find(luaL_checkstring(L, 1))->state = STARTED;
  return 0;
}

/* raised(key): who waited for it got an error. */
static int raised(lua_State *L) {
  struct entry *entry = find(luaL_checkstring(L, 1));
  server_move();
  if (entry->state == STARTED)
    freeze(entry, RAISED);
  return 0;
}

/* told(key): its on_done was called. */
static int told(lua_State *L) {
  find(luaL_checkstring(L, 1))->told++;
  return 0;
}

static const char *text_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  lua_pop(L, 1);
  return text;
}

static void check_record(lua_State *L, const struct entry *entry) {
  const char *id = text_field(L, 2, "id");
  bool right = strcmp(text_field(L, 2, "object"), "list") == 0 || strcmp(id, entry->key) == 0;
  if (!right)
    complain(entry->key, "gave the record of another call: ", id);
}

static void check_error(lua_State *L, const struct entry *entry) {
  const char *outcome = entry->result;
  if (!*text_field(L, 3, "type") || !*text_field(L, 3, "message"))
    complain(entry->key, "gave an error without type or message", "");
  if (strcmp(outcome, "not_sent") != 0 && strcmp(outcome, "rejected") != 0 &&
      strcmp(outcome, "unknown") != 0)
    complain(entry->key, "gave an error of outcome ", outcome);
}

/* finish(key, record, error): it has ended. Done without its memory failing. */
static int finish(lua_State *L) {
  bool armed = faults_suspend();
  struct entry *entry = find(luaL_checkstring(L, 1));
  server_move();
  if (entry->state == ENDED)
    complain(entry->key, "ended twice", "");
  freeze(entry, ENDED);
  const char *result = lua_istable(L, 2)   ? "ok"
                       : lua_istable(L, 3) ? text_field(L, 3, "outcome")
                                           : "";
  snprintf(entry->result, sizeof entry->result, "%s", result);
  if (lua_istable(L, 2))
    check_record(L, entry);
  else if (lua_istable(L, 3))
    check_error(L, entry);
  else
    complain(entry->key, "ended without a record or an error", "");
  if (armed)
    faults_resume();
  return 0;
}

/* arm(): memory runs out from here on, once in a point. */
static int arm(lua_State *L) {
  (void)L;
  if (!was_armed)
    faults_arm(planned);
  was_armed = true;
  return 0;
}

/* is_read(key) -> whether the server has read the call. */
static int is_read(lua_State *L) {
  server_move();
  lua_pushboolean(L, server_seen(luaL_checkstring(L, 1))->requests > 0);
  return 1;
}

/* wait(descriptor, seconds): until it is readable, as an event loop does, while the server moves.
 */
static int wait(lua_State *L) {
  struct pollfd watched = {.fd = (int)luaL_checkinteger(L, 1), .events = POLLIN};
  int left = (int)(luaL_checknumber(L, 2) * 1000);
  do {
    server_move();
  } while (poll(&watched, 1, 1) == 0 && left-- > 0);
  return 0;
}

void ledger_register(lua_State *L, const char *certificates) {
  static const luaL_Reg functions[] = {{"begin", begin},   {"started", started}, {"told", told},
                                       {"raised", raised}, {"finish", finish},   {"arm", arm},
                                       {"wait", wait},     {"is_read", is_read}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushfstring(L, "%s/ca.pem", certificates);
  lua_setfield(L, -2, "ca_file");
  lua_pushstring(L, server_url());
  lua_setfield(L, -2, "url");
  lua_setglobal(L, "memory");
}
