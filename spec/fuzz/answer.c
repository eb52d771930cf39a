/* SPDX-License-Identifier: MIT
 * Whatever a server sends: the input goes over a real socket into libcurl and the engine, and every
 * call ends with one result that is true. The input says which call and how the server behaves,
 * then come its answers, one after each byte 0xFF. The rest is in answer.lua. */
#include "fuzz.h"
#include "world.h"

#include <string.h>

enum {
  ANSWERS_AT_ONCE = 1, /* before it has read a request */
  STAYS_OPEN = 2,      /* after its last answer it waits; else it closes */
  CLOSES_EACH = 4,     /* after every answer */
  SENDS_PIECES = 8,
  REPEATS_END = 16, /* of an answer, many times over */
};

enum { REPEATED = 64, REPEATS = 4096, PIECES = 16 };

static struct script {
  unsigned behaviour;
  const char *next, *end; /* of the answers; next NULL: there are no more */
  char marker[16];        /* in the request of the call that is made */
  bool was_read;
} script;

static void send_answer(struct connection *connection) {
  size_t left = (size_t)(script.end - script.next);
  const char *mark = memchr(script.next, 0xFF, left);
  size_t length = mark ? (size_t)(mark - script.next) : left;
  buffer_append(&connection->sending, script.next, length);
  if (script.behaviour & REPEATS_END && length >= REPEATED)
    for (int i = 0; i < REPEATS; i++)
      buffer_append(&connection->sending, script.next + length - REPEATED, REPEATED);
  script.next = mark ? mark + 1 : NULL;
  if (script.behaviour & SENDS_PIECES)
    connection->piece = connection->sending.length / PIECES + 1;
  connection->ending =
      script.next ? (script.behaviour & CLOSES_EACH) != 0 : (script.behaviour & STAYS_OPEN) == 0;
}

static void serve(struct connection *connection, void *user) {
  struct buffer *received = &connection->received;
  (void)user;
  if (received->length > 0)
    script.was_read = script.was_read || memmem(received->data, received->length, script.marker,
                                                strlen(script.marker));
  size_t length = received->length > 0 ? world_request_length(received->data, received->length) : 0;
  bool asked = length > 0, early = connection->fresh && script.behaviour & ANSWERS_AT_ONCE;
  if (asked)
    buffer_clear(received);
  if ((asked || early) && script.next)
    send_answer(connection);
  else if (asked && !(script.behaviour & STAYS_OPEN))
    connection->ending = true;
}

/* Lua: expect(marker): of the call that is made next. */
static int script_expect(lua_State *L) {
  (void)strncpy(script.marker, luaL_checkstring(L, 1), sizeof script.marker - 1);
  script.was_read = false;
  return 0;
}

/* Lua: was_read() -> whether the server has read that call's request. */
static int script_was_read(lua_State *L) {
  lua_pushboolean(L, script.was_read);
  return 1;
}

static void prepare(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"expect", script_expect}, {"was_read", script_was_read}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushstring(L, world_path());
  lua_setfield(L, -2, "path");
  lua_setglobal(L, "fuzz");
  fuzz_load(L, "answer");
  lua_setfield(L, LUA_REGISTRYINDEX, "fuzz.run");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input input = {data, size};
  unsigned choice = take_byte(&input);
  script = (struct script){.behaviour = take_byte(&input)};
  size_t length;
  script.next = take_rest(&input, &length);
  script.end = script.next + length;
  lua_State *L = fuzz_state(prepare);
  world_begin(choice, serve, NULL);
  lua_getfield(L, LUA_REGISTRYINDEX, "fuzz.run");
  lua_pushinteger(L, choice);
  fuzz_call(L, 1, 0);
  world_end();
  return 0;
}
