/* SPDX-License-Identifier: MIT
 * What a program may do with a client, in any order: the input is read as a list of operations and
 * of what the server does with each request. The operations are in sequence.lua. Here is the
 * server, which keeps a ledger: what it has seen of each payment, and what took effect. */
#include "fuzz.h"
#include "world.h"

#include "../../src/lua_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CALLS = 64 };

/* What the server knows of a call, by the reference in its body or path, "ref-1". */
struct entry {
  bool seen, applied;
  char key[PR_MAX_HEADER_VALUE + 1]; /* the idempotency key it came with */
  struct buffer body;
  char record[96];
};

static struct input input;
static struct entry ledger[MOST_CALLS];

/* --- what the server does with a request --------------------------------------------------- */

struct reply {
  int status; /* 0: none */
  const char *headers, *body;
  bool applies;
  enum { KEEPS, CLOSES, CUTS, DIES } then; /* CLOSES says so in the answer, DIES does not */
};

#define RECORD NULL /* that of the payment, or the one that is asked for */
#define REFUSAL(TYPE) "{\"error\":{\"type\":\"" TYPE "\",\"message\":\"no\"}}"

static const struct reply replies[] = {
    {200, "", RECORD, true, KEEPS},
    {200, "Request-Id: req_1\r\n", RECORD, true, CLOSES},
    {200, "", RECORD, true, DIES},
    {200, "", RECORD, true, CUTS},
    {200, "", "<html>", true, KEEPS},
    {200, "", "[]", true, KEEPS},
    {0, "", "", true, KEEPS}, /* silence */
    {0, "", "", true, DIES},
    {0, "", "", false, KEEPS},
    {0, "", "", false, DIES},
    {500, "", REFUSAL("api_error"), true, KEEPS},
    {500, "Stripe-Should-Retry: false\r\n", REFUSAL("api_error"), true, KEEPS},
    {503, "Retry-After: 3\r\n", "", false, KEEPS},
    {409, "", REFUSAL("api_error"), true, KEEPS},
    {429, "Retry-After: 1\r\n", REFUSAL("rate_limit_error"), false, KEEPS},
    {429, "", "", false, DIES},
    {401, "", REFUSAL("invalid_request_error"), false, KEEPS},
    {403, "", "<html>", false, KEEPS},
    {302, "Location: /\r\n", "", false, KEEPS},
    {400, "", REFUSAL("invalid_request_error"), false, KEEPS},
    {400, "Stripe-Should-Retry: true\r\n", REFUSAL("invalid_request_error"), false, KEEPS},
    {402, "", REFUSAL("card_error"), false, CLOSES},
};

static const struct reply replay = {200, "Idempotent-Replayed: true\r\n", RECORD, true, KEEPS};

static const char *record_of(struct entry *entry) {
  snprintf(entry->record, sizeof entry->record,
           "{\"id\":\"ref-%d\",\"object\":\"payment_record\",\"amount\":{\"value\":1000}}",
           (int)(entry - ledger));
  return entry->record;
}

/* What says that nothing was done is no answer to a request that was done before. */
static struct reply choose_reply(struct entry *entry, bool post) {
  struct reply reply = replies[take_byte(&input) % (sizeof replies / sizeof *replies)];
  bool refuses = reply.status >= 400 && reply.status <= 404 && reply.status != 401;
  if (post && entry->applied && refuses)
    reply = replay;
  if (!reply.body || (!post && reply.status == 200))
    reply.body = record_of(entry);
  return reply;
}

static struct entry *find_entry(const char *text, size_t length) {
  const char *reference = memmem(text, length, "ref-", 4);
  CHECK(reference, "a request without a reference: %.200s", text);
  unsigned long number = strtoul(reference + 4, NULL, 10);
  CHECK(number < MOST_CALLS, "the reference %lu", number);
  return &ledger[number];
}

/* All requests of a call come with the same key and the same bytes. */
static void take_payment(struct entry *entry, const char *key, size_t key_length, const char *body,
                         size_t length) {
  CHECK(key_length > 0 && key_length < sizeof entry->key, "a key of %zu bytes", key_length);
  if (!*entry->key) {
    memcpy(entry->key, key, key_length);
    buffer_append(&entry->body, body, length);
  }
  CHECK(strlen(entry->key) == key_length && memcmp(entry->key, key, key_length) == 0,
        "another key for the same payment");
  CHECK(entry->body.length == length && memcmp(buffer_text(&entry->body), body, length) == 0,
        "another body for the same payment");
}

static struct reply take_request(const char *text, size_t length) {
  struct entry *entry = find_entry(text, length);
  bool post = memcmp(text, "POST", 4) == 0;
  entry->seen = true;
  if (post) {
    const char *key = memmem(text, length, "\r\nIdempotency-Key: ", 19);
    const char *body = memmem(text, length, "\r\n\r\n", 4);
    CHECK(key && body, "a payment without a key");
    take_payment(entry, key + 19, strcspn(key + 19, "\r"), body + 4,
                 length - (size_t)(body + 4 - text));
  }
  struct reply reply = choose_reply(entry, post);
  entry->applied = entry->applied || (post && reply.applies);
  return reply;
}

static void write_reply(struct buffer *sending, const struct reply *reply) {
  char head[256];
  int length = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\n%s%sContent-Length: %zu\r\n\r\n",
                        reply->status, reply->headers,
                        reply->then == CLOSES ? "Connection: close\r\n" : "", strlen(reply->body));
  buffer_append(sending, head, (size_t)length);
  buffer_append(sending, reply->body, strlen(reply->body) / (reply->then == CUTS ? 2 : 1));
}

static void serve(struct connection *connection, void *user) {
  struct buffer *received = &connection->received;
  (void)user;
  size_t length = received->length ? world_request_length(received->data, received->length) : 0;
  if (length == 0)
    return;
  struct reply reply = take_request(received->data, length);
  buffer_clear(received);
  if (reply.status > 0)
    write_reply(&connection->sending, &reply);
  connection->ending = reply.then != KEEPS;
}

/* --- for sequence.lua ---------------------------------------------------------------------- */

/* Lua: byte() -> the next byte of the input. */
static int lua_byte(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)take_byte(&input));
  return 1;
}

/* Lua: carry(method, path, body, key) -> status, headers, body | nil. What a transport of the
 * user's would bring back. */
static int lua_carry(lua_State *L) {
  size_t length = 0;
  lua_settop(L, 4);
  bool post = strcmp(luaL_checkstring(L, 1), "POST") == 0;
  const char *text = post ? luaL_checklstring(L, 3, &length) : luaL_checklstring(L, 2, &length);
  struct entry *entry = find_entry(text, length);
  entry->seen = true;
  if (post)
    take_payment(entry, luaL_checkstring(L, 4), lua_rawlen(L, 4), text, length);
  struct reply reply = choose_reply(entry, post);
  entry->applied = entry->applied || (post && reply.applies);
  if (reply.status == 0 || reply.then == CUTS)
    return 0;
  lua_pushinteger(L, reply.status);
  lua_newtable(L);
  const char *colon = strstr(reply.headers, ": ");
  if (colon) {
    lua_pushlstring(L, reply.headers, (size_t)(colon - reply.headers));
    lua_pushlstring(L, colon + 2, strcspn(colon + 2, "\r"));
    lua_rawset(L, -3);
  }
  lua_pushstring(L, reply.body);
  return 3;
}

/* Lua: known(number) -> whether the server has seen the call, whether it took effect. */
static int lua_known(lua_State *L) {
  const struct entry *entry = &ledger[luaL_checkinteger(L, 1) % MOST_CALLS];
  lua_pushboolean(L, entry->seen);
  lua_pushboolean(L, entry->applied);
  return 2;
}

static int lua_pass(lua_State *L) {
  world_pass(luaL_checknumber(L, 1));
  return 0;
}

static int lua_now(lua_State *L) {
  lua_pushnumber(L, world_now());
  return 1;
}

static bool is_empty(const struct ring_link *ring) {
  return ring->next == ring;
}

/* Lua: check_released(core client): nothing of what it held is left. */
static int lua_check_released(lua_State *L) {
  const struct client *client = luaL_checkudata(L, 1, CLIENT_TYPE);
  CHECK(client->closed && client->released && !client->transport, "not released");
  CHECK(is_empty(&client->ready) && is_empty(&client->started) && is_empty(&client->untold),
        "calls are left");
  CHECK(client->unfinished == 0 && client->on_wire == 0 && client->busy == 0,
        "%zu unfinished, %zu on the wire, %u busy", client->unfinished, client->on_wire,
        client->busy);
  CHECK(!client->timers.heap && !client->options.own.data, "memory is left");
  return 0;
}

static void prepare(lua_State *L) {
  static const luaL_Reg functions[] = {{"byte", lua_byte},   {"carry", lua_carry},
                                       {"known", lua_known}, {"pass", lua_pass},
                                       {"now", lua_now},     {"check_released", lua_check_released},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushstring(L, world_path());
  lua_setfield(L, -2, "path");
  lua_pushinteger(L, MOST_CALLS);
  lua_setfield(L, -2, "most_calls");
  lua_setglobal(L, "fuzz");
  fuzz_load(L, "sequence");
  lua_setfield(L, LUA_REGISTRYINDEX, "fuzz.run");
}

static void clear_ledger(void) {
  for (int i = 0; i < MOST_CALLS; i++) {
    buffer_free(&ledger[i].body);
    ledger[i] = (struct entry){.seen = false};
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = fuzz_state(prepare);
  input = (struct input){data, size};
  clear_ledger();
  world_begin(size, serve, NULL);
  lua_getfield(L, LUA_REGISTRYINDEX, "fuzz.run");
  fuzz_call(L, 0, 0);
  world_end();
  return 0;
}
