/* SPDX-License-Identifier: MIT
 * Options and ids: what is accepted makes a request with one line per header and nothing between
 * the lines, for the server that was named and the path of the call, as libcurl's own reader of
 * URLs sees them. What is right is accepted. */
#include "fuzz.h"

#include "../../src/lua_call.h"
#include "../../src/lua_request.h"

#include <curl/curl.h>
#include <string.h>

enum { API_KEY, API_VERSION, ACCOUNT, CONTEXT, IDEMPOTENCY_KEY, HEADERS };
enum { AGENT_NAME, AGENT_VERSION, AGENT_URL, AGENT_PARTS };

static const char *const header_options[] = {"api_key", "api_version", "stripe_account",
                                             "stripe_context", "idempotency_key"};
static const char *const agent_names[] = {"name", "version", "url"};

struct unit {
  struct text base, id, client[HEADERS], call[HEADERS], agent[AGENT_PARTS];
  bool number_id;
  const struct endpoint *endpoint;
  char many[4096]; /* texts of one byte many times over */
  size_t used;
};

/* --- the input ----------------------------------------------------------------------------- */

#define FIXED(TEXT) \
  { (TEXT), sizeof(TEXT) - 1 }
#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof *(ARRAY))

/* Live keys in two parts: nothing that looks like one stands in a file. */
static const struct text keys[] = {FIXED("sk_test_canary01"),
                                   FIXED("sk_"
                                         "live_canary01"),
                                   FIXED("rk_"
                                         "live_canary01"),
                                   FIXED("sk_test_canary 1"), FIXED("")};

static const struct text bases[] = {
    FIXED("https://api.stripe.com"),
    FIXED("https://api.stripe.com/"),
    FIXED("http://localhost"),
    FIXED("http://127.0.0.1:12111"),
    FIXED("http://[::1]:1/"),
    FIXED("http://127.1"),
    FIXED("https://a@b"),
    FIXED("http://localhost.evil"),
    FIXED("https://a/../b"),
};

static const struct text ids[] = {
    FIXED("pr_123"), FIXED("../charges"), FIXED(".."),  FIXED("a?b=c"),
    FIXED("a#b"),    FIXED("%2e%2e"),     FIXED("a/b"), FIXED("")};

static const struct text values[] = {FIXED("order-7"), FIXED("a\r\nX: y"), FIXED("a\0b"),
                                     FIXED(" "),       FIXED("a\nb"),      FIXED("acct_1")};

/* One of the table, a byte many times over, some text of the input, or none. */
static struct text make_text(struct unit *unit, struct input *input, const struct text *table,
                             size_t count) {
  struct text text = {NULL, 0};
  unsigned choice = take_byte(input);
  if (choice < count)
    return table[choice];
  if (choice < 64)
    return text;
  if (choice >= 80) {
    text.data = take_text(input, &text.length);
    return text;
  }
  text.length = 240 + choice % 32;
  text.data = memset(unit->many + unit->used, (int)take_byte(input), text.length);
  unit->used += text.length;
  return text;
}

static void make_unit(struct unit *unit, struct input *input) {
  static const char *const calls[] = {"retrieve_payment_record", "list_payment_records",
                                      "report_payment_attempt_informational",
                                      "retrieve_payment_attempt_record"};
  unsigned choice = take_byte(input);
  unit->used = 0;
  unit->endpoint = endpoint_find(calls[choice % COUNT(calls)]);
  unit->number_id = choice >= 250;
  unit->base = make_text(unit, input, bases, COUNT(bases));
  unit->id = make_text(unit, input, ids, COUNT(ids));
  for (int i = 0; i < HEADERS; i++) {
    unit->client[i] = make_text(unit, input, i ? values : keys, i ? COUNT(values) : COUNT(keys));
    unit->call[i] = make_text(unit, input, i ? values : keys, i ? COUNT(values) : COUNT(keys));
  }
  unit->client[IDEMPOTENCY_KEY].data = NULL; /* an option of calls only */
  for (int i = 0; i < AGENT_PARTS; i++)
    unit->agent[i] = make_text(unit, input, values, COUNT(values));
}

/* --- what is right ------------------------------------------------------------------------- */

static bool all_within(struct text text, unsigned char first, unsigned char last) {
  for (size_t i = 0; i < text.length; i++)
    if ((unsigned char)text.data[i] < first || (unsigned char)text.data[i] > last)
      return false;
  return true;
}

static bool are_values(const struct text *headers) {
  for (int i = 0; i < HEADERS; i++)
    if (headers[i].data &&
        (headers[i].length == 0 || headers[i].length > 255 || !all_within(headers[i], 0x21, 0x7E)))
      return false;
  return true;
}

static bool contains(struct text text, struct text part) {
  return text.data && part.data && memmem(text.data, text.length, part.data, part.length);
}

static struct text chosen(const struct unit *unit, int header) {
  return unit->call[header].data ? unit->call[header] : unit->client[header];
}

static bool is_live(struct text key) {
  struct text mark = FIXED("_live_");
  return contains(key, mark);
}

/* Whether the key, which is a secret, is in the id or in another header. */
static bool is_misplaced(const struct unit *unit, struct text key) {
  bool found = endpoint_id_place(unit->endpoint) && contains(unit->id, key);
  for (int i = API_KEY + 1; i < HEADERS; i++)
    found = found || contains(chosen(unit, i), key);
  return key.length >= 8 && found;
}

static bool is_id(struct text id) {
  for (size_t i = 0; i < id.length; i++)
    if (!is_one_of(id.data[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"))
      return false;
  return id.length >= 1 && id.length <= 255;
}

static bool are_agent_parts(const struct unit *unit) {
  for (int i = 0; i < AGENT_PARTS; i++)
    if (unit->agent[i].length > 255 || !all_within(unit->agent[i], ' ', '~'))
      return false;
  return true;
}

/* https, and a plain name of letters and digits: there can be no doubt of it. */
static bool is_plain_base(struct text base) {
  char url[256] = "";
  if (!base.data)
    return true;
  if (base.length >= sizeof url || base.length < 9 || memcmp(base.data, "https://", 8) != 0)
    return false;
  memcpy(url, base.data + 8, base.length - 8);
  size_t host = strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789");
  return host > 0 && host == base.length - 8;
}

/* --- what was accepted --------------------------------------------------------------------- */

static struct text url_part(CURLU *url, CURLUPart part, char **own) {
  *own = NULL;
  if (curl_url_get(url, part, own, 0) != CURLUE_OK)
    return (struct text){NULL, 0};
  return (struct text){*own, strlen(*own)};
}

static bool part_is(CURLU *url, CURLUPart part, const char *expected) {
  char *own;
  struct text text = url_part(url, part, &own);
  bool right = expected ? text.data && strcmp(text.data, expected) == 0 : !text.data;
  curl_free(own);
  return right;
}

static void check_path(CURLU *url, const struct unit *unit) {
  char *own;
  struct buffer expected = {.length = 0};
  struct text path = url_part(url, CURLUPART_PATH, &own);
  const char *place = endpoint_id_place(unit->endpoint), *template = unit->endpoint->path;
  buffer_append(&expected, template, place ? (size_t)(place - template) : strlen(template));
  if (place) {
    buffer_append(&expected, unit->id.data, unit->id.length);
    buffer_append_text(&expected, place + strlen("{id}"));
  }
  CHECK(path.data && strcmp(path.data, buffer_text(&expected)) == 0, "the path %s, expected %s",
        path.data, buffer_text(&expected));
  buffer_free(&expected);
  curl_free(own);
}

/* To libcurl the URL must be the server that the option names, or the machine itself. */
static void check_url(const struct unit *unit, const char *text, struct text key) {
  CURLU *url = curl_url();
  CHECK(curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK, "libcurl refuses %s", text);
  CHECK(part_is(url, CURLUPART_USER, NULL) && part_is(url, CURLUPART_PASSWORD, NULL) &&
            part_is(url, CURLUPART_FRAGMENT, NULL) && part_is(url, CURLUPART_QUERY, NULL) &&
            part_is(url, CURLUPART_ZONEID, NULL),
        "a part too many in %s", text);
  if (!part_is(url, CURLUPART_SCHEME, "https")) {
    CHECK(part_is(url, CURLUPART_SCHEME, "http"), "the scheme of %s", text);
    CHECK(part_is(url, CURLUPART_HOST, "localhost") || part_is(url, CURLUPART_HOST, "127.0.0.1") ||
              part_is(url, CURLUPART_HOST, "[::1]"),
          "plain http to %s", text);
    CHECK(!is_live(key), "a live key to %s", text);
  }
  check_path(url, unit);
  curl_url_cleanup(url);
}

static void expect_value(struct text value, const char *prefix, struct text expected) {
  size_t before = strlen(prefix);
  CHECK(expected.data && value.length == before + expected.length &&
            memcmp(value.data, prefix, before) == 0 &&
            memcmp(value.data + before, expected.data, expected.length) == 0,
        "the value %.*s", (int)value.length, value.data);
}

static void add(struct buffer *line, const char *before, struct text part, const char *after) {
  if (!part.data)
    return;
  buffer_append_text(line, before);
  buffer_append(line, part.data, part.length);
  buffer_append_text(line, after);
}

static void expect_agent(const struct unit *unit, struct text value) {
  struct buffer agent = {.length = 0};
  buffer_append_text(&agent, "PaymentRecordsLua/" PR_VERSION);
  add(&agent, " ", unit->agent[AGENT_NAME], "");
  add(&agent, "/", unit->agent[AGENT_VERSION], "");
  add(&agent, " (", unit->agent[AGENT_URL], ")");
  expect_value(value, "", (struct text){agent.data, agent.length});
  buffer_free(&agent);
}

static void expect_key(const struct unit *unit, struct text value) {
  if (unit->call[IDEMPOTENCY_KEY].data)
    expect_value(value, "", unit->call[IDEMPOTENCY_KEY]);
  else
    CHECK(value.length == 36 && all_within(value, '-', 'f'), "the key %s", value.data);
}

/* Checks the value of a header, and returns which it is. */
static unsigned check_header(const struct unit *unit, struct text name, struct text value) {
  static const char *const names[] = {"Authorization",  "Stripe-Version",  "Stripe-Account",
                                      "Stripe-Context", "Idempotency-Key", "User-Agent",
                                      "Content-Type"};
  unsigned which = 0;
  while (which < COUNT(names) &&
         (strlen(names[which]) != name.length || memcmp(names[which], name.data, name.length) != 0))
    which++;
  CHECK(which < COUNT(names), "the header %s", name.data);
  struct text version = FIXED(PR_API_VERSION), form = FIXED("application/x-www-form-urlencoded");
  struct text given = which < HEADERS ? chosen(unit, (int)which) : (struct text){NULL, 0};
  if (which == IDEMPOTENCY_KEY)
    expect_key(unit, value);
  else if (which == API_VERSION)
    expect_value(value, "", given.data ? given : version);
  else if (which < HEADERS)
    expect_value(value, which == API_KEY ? "Bearer " : "", given);
  else if (which == HEADERS)
    expect_agent(unit, value);
  else
    expect_value(value, "", form);
  return 1U << which;
}

static void check_headers(const struct unit *unit, const struct buffer *headers) {
  unsigned seen = 0, expected = 1U << API_KEY | 1U << API_VERSION | 1U << HEADERS;
  for (size_t offset = 0; offset < headers->length;) {
    struct text line = {headers->data + offset, strlen(headers->data + offset)};
    const char *colon = strstr(line.data, ": ");
    CHECK(colon && all_within(line, ' ', '~'), "the line %s", line.data);
    size_t length = (size_t)(colon - line.data);
    unsigned which = check_header(unit, (struct text){line.data, length},
                                  (struct text){colon + 2, line.length - length - 2});
    CHECK(!(seen & which), "twice: %s", line.data);
    seen |= which;
    offset += line.length + 1;
  }
  if (endpoint_is_post(unit->endpoint))
    expected |= 1U << IDEMPOTENCY_KEY | 1U << (HEADERS + 1);
  expected |= chosen(unit, ACCOUNT).data ? 1U << ACCOUNT : 0;
  expected |= chosen(unit, CONTEXT).data ? 1U << CONTEXT : 0;
  CHECK(seen == expected, "headers %x, expected %x", seen, expected);
}

/* --- the runs ------------------------------------------------------------------------------ */

static void set_text(lua_State *L, const char *name, struct text text) {
  if (!text.data)
    return;
  lua_pushlstring(L, text.data, text.length);
  lua_setfield(L, -2, name);
}

static int carry_nothing(lua_State *L) {
  return luaL_error(L, "nothing is to be sent");
}

static void push_client_options(lua_State *L, const struct unit *unit) {
  lua_newtable(L);
  for (int i = 0; i < HEADERS; i++)
    set_text(L, header_options[i], unit->client[i]);
  set_text(L, "api_base", unit->base);
  lua_pushcfunction(L, carry_nothing);
  lua_setfield(L, -2, "transport");
  lua_newtable(L);
  for (int i = 0; i < AGENT_PARTS; i++)
    set_text(L, agent_names[i], unit->agent[i]);
  lua_setfield(L, -2, "app_info");
}

/* The request as users see it has everything but the key. */
static void check_shown(lua_State *L, const struct call *call) {
  lua_request_push(L, call, false);
  lua_getfield(L, -1, "headers");
  lua_getfield(L, -1, "Authorization");
  CHECK(strcmp(lua_tostring(L, -1), "Bearer $STRIPE_API_KEY") == 0, "%s", lua_tostring(L, -1));
  lua_pop(L, 3);
}

/* Lua: call(client, unit). */
static int make_call(lua_State *L) {
  const struct unit *unit = lua_touserdata(L, 2);
  struct text key = chosen(unit, API_KEY);
  bool has_id = endpoint_id_place(unit->endpoint) != NULL, refused;
  lua_settop(L, 1);
  if (has_id && unit->number_id)
    lua_pushinteger(L, 123);
  else if (has_id)
    lua_pushlstring(L, unit->id.data ? unit->id.data : "", unit->id.length);
  lua_newtable(L);
  lua_newtable(L);
  for (int i = 0; i < HEADERS; i++)
    set_text(L, header_options[i], unit->call[i]);
  struct client *client = lua_check_open_client(L, 1);
  struct call *call = lua_call_push(L, client, unit->endpoint, 2, &refused);
  bool plain = unit->base.data && unit->base.data[4] == ':';
  bool right = are_values(unit->call) && (!plain || !is_live(key)) && !is_misplaced(unit, key) &&
               (!has_id || (!unit->number_id && is_id(unit->id)));
  CHECK(refused == !right, "%s", refused ? "refused without need" : "what is wrong was accepted");
  if (refused)
    return 0;
  check_headers(unit, &call->headers);
  check_url(unit, buffer_text(&call->url), key);
  check_shown(L, call);
  return 0;
}

static int new_client(lua_State *L) {
  return lua_client_new(L);
}

/* Any other may be among the words of a message. */
static bool looks_like_key(struct text key) {
  struct text mark = FIXED("k_test_");
  return is_live(key) || contains(key, mark);
}

static void check_new_error(lua_State *L, const struct unit *unit) {
  struct text message, key = unit->client[API_KEY];
  message.data = lua_tolstring(L, -1, &message.length);
  bool right =
      key.data && are_values(unit->client) && are_agent_parts(unit) && is_plain_base(unit->base);
  CHECK(!right, "refused without need: %s", message.data);
  for (size_t i = 0; i < message.length; i++)
    CHECK((unsigned char)message.data[i] >= ' ' && message.data[i] != 0x7F, "byte %d in a message",
          message.data[i]);
  CHECK(!looks_like_key(key) || contains(unit->base, key) || !contains(message, key),
        "the key in a message");
}

static void prepare(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "payment_records.core");
  fuzz_call(L, 1, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input input = {data, size};
  struct unit unit;
  lua_State *L = fuzz_state(prepare);
  make_unit(&unit, &input);
  lua_pushcfunction(L, new_client);
  push_client_options(L, &unit);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    check_new_error(L, &unit);
    return 0;
  }
  CHECK(unit.client[API_KEY].data && are_values(unit.client) && are_agent_parts(&unit),
        "a client of options that are wrong");
  lua_pushcfunction(L, make_call);
  lua_insert(L, 1);
  lua_pushlightuserdata(L, &unit);
  fuzz_call(L, 2, 0);
  return 0;
}
