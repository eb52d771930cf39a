/* SPDX-License-Identifier: MIT */
#include "model.h"

#include "../../src/buffer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  MOST_NODES = 300,
  MOST_ENTRIES = 24,   /* of one table */
  MOST_TEXT = 1 << 17, /* bytes of all texts that are not of the input */
  MOST_VISITS = 300,   /* a table may be in the tree many times */
  DEEPEST = 16,        /* what the form takes */
  DEEPEST_MODEL = 24,  /* that the input may ask for */
  NUMBER_BYTES = 32
};

enum kind { TEXT, INTEGER, FLOAT, BOOLEAN, NOTHING, FOREIGN, TABLE };
enum key_kind { NAME, PLACE, ODD };

struct text {
  const char *data;
  size_t length;
};

struct key {
  enum key_kind kind;
  struct text name;
  lua_Integer number; /* a place, or which of the odd keys */
  bool as_float;      /* t[1.0] is t[1] */
};

struct entry {
  struct key key;
  struct node *value;
};

struct node {
  enum kind kind;
  bool has_metatable;
  struct text text;
  lua_Integer integer; /* also: a boolean, or which foreign value */
  lua_Number number;
  struct entry entries[MOST_ENTRIES];
  size_t count;
};

static struct node nodes[MOST_NODES];
static size_t node_count;
static char own_text[MOST_TEXT];
static size_t own_length;

#define FIXED(TEXT) \
  { (TEXT), sizeof(TEXT) - 1 }
#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof *(ARRAY))

/* --- the input's words --------------------------------------------------------------------- */

static const struct text nasty[] = {
    FIXED(""),
    FIXED("["),
    FIXED("]"),
    FIXED("[]"),
    FIXED("a]&b[c=1"),
    FIXED("&"),
    FIXED("="),
    FIXED("%5B"),
    FIXED("+"),
    FIXED(" "),
    FIXED("\0"),
    FIXED("a\0b"),
    FIXED("\n\r"),
    FIXED("\x7F"),
    FIXED("0"),
    FIXED("1"),
    FIXED("-1"),
    FIXED("\xC3\xA9"),
    FIXED("\xE2\x82\xAC"),
    FIXED("\xF0\x9F\x98\x80"),
    FIXED("\xC3"),
    FIXED("\xC0\x80"),
    FIXED("\xED\xA0\x80"),
    FIXED("\xF4\x90\x80\x80"),
    FIXED("\xEF\xBB\xBF"),
    FIXED("\xC2\x85"),
    FIXED("12345678\xFF"),
};

static struct text repeated(char byte, size_t length) {
  if (length > MOST_TEXT - own_length)
    length = MOST_TEXT - own_length;
  struct text text = {own_text + own_length, length};
  memset(own_text + own_length, byte, length);
  own_length += length;
  return text;
}

static struct text make_text(struct input *input) {
  struct text text;
  unsigned choice = take_byte(input);
  if (choice < COUNT(nasty))
    return nasty[choice];
  if (choice < 40)
    return repeated((char)take_byte(input), (size_t)take_byte(input) * (choice < 30 ? 10 : 1));
  text.data = take_text(input, &text.length);
  return text;
}

static lua_Integer make_integer(struct input *input) {
  static const lua_Integer limits[] = {
      0, 1, -1, LUA_MAXINTEGER, LUA_MININTEGER, 1LL << 53, (1LL << 53) + 1, 1000, 1LL << 32};
  unsigned choice = take_byte(input);
  return choice < COUNT(limits) ? limits[choice] : (lua_Integer)take_word(input);
}

static lua_Number make_float(struct input *input) {
  static const lua_Number limits[] = {0.0,
                                      -0.0,
                                      1.0,
                                      -1.0,
                                      0.5,
                                      9007199254740991.0,
                                      9007199254740992.0,
                                      9007199254740994.0,
                                      -9007199254740992.0,
                                      1e15,
                                      1e300,
                                      1e-300,
                                      (lua_Number)NAN,
                                      (lua_Number)INFINITY,
                                      -(lua_Number)INFINITY};
  unsigned choice = take_byte(input);
  if (choice < COUNT(limits))
    return limits[choice];
  if (choice & 1)
    return (lua_Number)(int64_t)take_word(input) / 2;
  lua_Number number;
  uint64_t bits = take_word(input);
  memcpy(&number, &bits, sizeof number);
  return number;
}

static struct node *make_node(struct input *input, int depth);

static bool same_text(struct text a, struct text b) {
  return a.length == b.length && a.data && b.data && memcmp(a.data, b.data, a.length) == 0;
}

static bool same_key(const struct key *a, const struct key *b) {
  return a->kind == b->kind &&
         (a->kind == NAME ? same_text(a->name, b->name) : a->number == b->number);
}

enum style { NAMES, SEQUENCE, MANY_NAMES, ANY_KEYS };

static struct key make_key(struct input *input, enum style style, lua_Integer next) {
  if (style == NAMES)
    return (struct key){.kind = NAME, .name = make_text(input)};
  if (style == SEQUENCE)
    return (struct key){.kind = PLACE, .number = next};
  if (style == MANY_NAMES) {
    struct text name = repeated((char)('a' + next % 26), (size_t)(1 + next / 26));
    return (struct key){.kind = NAME, .name = name};
  }
  unsigned choice = take_byte(input);
  if (choice % 4 == 0)
    return (struct key){.kind = ODD, .number = choice / 4 % 6};
  if (choice % 4 == 1)
    return (struct key){.kind = NAME, .name = make_text(input)};
  return (struct key){.kind = PLACE, .number = 1 + choice / 4 % 8, .as_float = choice % 4 == 3};
}

static void add_entry(struct node *table, struct key key, struct node *value) {
  for (size_t i = 0; i < table->count; i++)
    if (same_key(&table->entries[i].key, &key))
      return;
  table->entries[table->count++] = (struct entry){key, value};
}

static void fill_table(struct node *table, struct input *input, int depth) {
  unsigned choice = take_byte(input);
  enum style style = choice % 4;
  size_t count = style == MANY_NAMES ? choice / 4 % MOST_ENTRIES : choice / 16 % 8;
  table->has_metatable = choice % 16 >= 12;
  for (size_t i = 0; i < count; i++) {
    struct key key = make_key(input, style, (lua_Integer)i + 1);
    struct node *value = make_node(input, depth + 1);
    if (value)
      add_entry(table, key, value);
  }
}

/* A table that was made before: then it is there twice, or within itself. */
static struct node *earlier_table(unsigned choice) {
  struct node *node = &nodes[choice % node_count];
  return node->kind == TABLE ? node : NULL;
}

static struct node *new_node(enum kind kind) {
  struct node *node = &nodes[node_count++];
  node->kind = kind;
  node->count = 0;
  node->has_metatable = false;
  return node;
}

static struct node *make_node(struct input *input, int depth) {
  static const enum kind kinds[] = {TEXT,    TEXT,    TEXT,  INTEGER, FLOAT, BOOLEAN,
                                    NOTHING, FOREIGN, TABLE, TABLE,   TABLE, TABLE};
  unsigned choice = take_byte(input);
  enum kind kind = kinds[choice % COUNT(kinds)];
  if (node_count == MOST_NODES || (kind == TABLE && depth == DEEPEST_MODEL))
    return NULL;
  if (kind == TABLE && choice >= 240)
    return earlier_table(take_byte(input));
  struct node *node = new_node(kind);
  switch (kind) {
  case TEXT: node->text = make_text(input); break;
  case INTEGER: node->integer = make_integer(input); break;
  case FLOAT: node->number = make_float(input); break;
  case BOOLEAN: node->integer = choice & 1; break;
  case FOREIGN: node->integer = choice / 16 % 4; break;
  case TABLE: fill_table(node, input, depth); break;
  case NOTHING: break;
  }
  return node;
}

const struct node *model_make(struct input *input) {
  node_count = own_length = 0;
  struct node *root = new_node(TABLE);
  fill_table(root, input, 0);
  return root;
}

/* --- as Lua values ------------------------------------------------------------------------- */

static int fail_when_run(lua_State *L) {
  return luaL_error(L, "a metamethod was run");
}

static void push_metatable(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__index", fail_when_run},     {"__newindex", fail_when_run},
      {"__pairs", fail_when_run},     {"__len", fail_when_run},
      {"__tostring", fail_when_run},  {"__call", fail_when_run},
      {"__metatable", fail_when_run}, {NULL, NULL}};
  if (luaL_newmetatable(L, "fuzz.metatable"))
    luaL_setfuncs(L, metamethods, 0);
}

static void push_foreign(lua_State *L, lua_Integer which) {
  static int somewhere;
  if (which == 0)
    lua_pushcfunction(L, fail_when_run);
  else if (which == 1)
    lua_newthread(L);
  else if (which == 2)
    lua_pushlightuserdata(L, &somewhere);
  else
    lua_newuserdatauv(L, 0, 0);
}

static void push_key(lua_State *L, const struct key *key) {
  static const lua_Number odd_numbers[] = {1.5, -1, 0, 1e300};
  if (key->kind == NAME)
    lua_pushlstring(L, key->name.data, key->name.length);
  else if (key->kind == PLACE && key->as_float)
    lua_pushnumber(L, (lua_Number)key->number);
  else if (key->kind == PLACE)
    lua_pushinteger(L, key->number);
  else if (key->number < (lua_Integer)COUNT(odd_numbers))
    lua_pushnumber(L, odd_numbers[key->number]);
  else if (key->number == COUNT(odd_numbers))
    lua_pushboolean(L, 0);
  else
    lua_pushinteger(L, LUA_MININTEGER);
}

/* Where the tables made so far are, by their place among the nodes. */
enum { MADE = 1 };

static void push_node(lua_State *L, const struct node *node, bool backwards);

static void push_entry(lua_State *L, const struct entry *entry, bool backwards) {
  push_key(L, &entry->key);
  push_node(L, entry->value, backwards);
  lua_rawset(L, -3);
}

/* Entries that come and go leave the table's insides different. */
static void make_detour(lua_State *L, size_t count) {
  for (size_t pass = 0; pass < 2; pass++)
    for (size_t i = 0; i < count; i++) {
      lua_pushfstring(L, "detour %d", (int)i);
      pass == 0 ? lua_pushboolean(L, 1) : lua_pushnil(L);
      lua_rawset(L, -3);
    }
}

static void push_table(lua_State *L, const struct node *table, bool backwards) {
  luaL_checkstack(L, 10, NULL);
  lua_rawgeti(L, MADE, table - nodes + 1);
  if (lua_istable(L, -1))
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawseti(L, MADE, table - nodes + 1);
  if (backwards)
    make_detour(L, table->count);
  for (size_t i = 0; i < table->count; i++)
    push_entry(L, &table->entries[backwards ? table->count - 1 - i : i], backwards);
  if (table->has_metatable) {
    push_metatable(L);
    lua_setmetatable(L, -2);
  }
}

static void push_node(lua_State *L, const struct node *node, bool backwards) {
  switch (node->kind) {
  case TEXT: lua_pushlstring(L, node->text.data, node->text.length); break;
  case INTEGER: lua_pushinteger(L, node->integer); break;
  case FLOAT: lua_pushnumber(L, node->number); break;
  case BOOLEAN: lua_pushboolean(L, (int)node->integer); break;
  case NOTHING: lua_pushlightuserdata(L, NULL); break;
  case FOREIGN: push_foreign(L, node->integer); break;
  case TABLE: push_table(L, node, backwards); break;
  }
}

void model_push(lua_State *L, const struct node *root, bool backwards) {
  lua_newtable(L);
  lua_insert(L, MADE);
  push_node(L, root, backwards);
  lua_remove(L, MADE);
}

/* --- what must come of it ------------------------------------------------------------------ */

struct segment {
  struct text name; /* data NULL: a place in a list */
  long long index;  /* counted from 0; -1: written as [] */
};

/* A walk over the tree, beside a reader of the body if there is one. */
struct trip {
  struct segment path[DEEPEST];
  size_t depth, visits;
  const char *next, *end; /* of the body; NULL: there is none */
  bool first;             /* no pair was read yet */
};

/* Whether it is UTF-8 without NUL: code point by code point. */
static bool is_text(struct text text) {
  static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  for (size_t i = 0; i < text.length;) {
    unsigned lead = (unsigned char)text.data[i], length = 1;
    while (lead & 0x80U >> length && length < 5)
      length++;
    if (lead == 0 || (lead >= 0x80 && (!(lead & 0x40) || length > 4)))
      return false;
    if (lead < 0x80) {
      i++;
      continue;
    }
    unsigned code = lead & 0x7FU >> length;
    for (size_t j = i + 1; j < i + length; j++) {
      if (j == text.length || ((unsigned char)text.data[j] & 0xC0) != 0x80)
        return false;
      code = code << 6 | ((unsigned char)text.data[j] & 0x3F);
    }
    if (code < smallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      return false;
    i += length;
  }
  return true;
}

static bool is_plain(unsigned char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9') || is_one_of((char)byte, "-._~");
}

static unsigned hex_digit(const char *text) {
  const char digits[] = "0123456789ABCDEF", *digit = *text ? strchr(digits, *text) : NULL;
  CHECK(digit, "\"%.10s\" after a percent sign", text);
  return (unsigned)(digit - digits);
}

/* Reads a byte that is no structure; percent-encoded if, and only if, it must be. */
static unsigned char read_byte(struct trip *trip) {
  CHECK(trip->next < trip->end, "the body ends too early");
  unsigned char byte = (unsigned char)*trip->next++;
  if (byte != '%') {
    CHECK(is_plain(byte), "byte %d stands in the body as it is", byte);
    return byte;
  }
  CHECK(trip->end - trip->next >= 2, "a percent sign at the end");
  byte = (unsigned char)(hex_digit(trip->next) << 4 | hex_digit(trip->next + 1));
  CHECK(!is_plain(byte), "byte %d is encoded without need", byte);
  trip->next += 2;
  return byte;
}

static void expect_text(struct trip *trip, struct text text) {
  for (size_t i = 0; i < text.length; i++) {
    unsigned char byte = read_byte(trip);
    CHECK(byte == (unsigned char)text.data[i], "byte %d instead of %d", byte,
          (unsigned char)text.data[i]);
  }
}

static void expect_mark(struct trip *trip, char mark) {
  CHECK(trip->next < trip->end && *trip->next == mark, "no %c in its place", mark);
  trip->next++;
}

static void expect_place(struct trip *trip, long long index) {
  char number[NUMBER_BYTES] = "";
  if (index >= 0)
    (void)snprintf(number, sizeof number, "%lld", index);
  expect_text(trip, (struct text){number, strlen(number)});
}

static void expect_segment(struct trip *trip, const struct segment *segment, bool first) {
  if (!first)
    expect_mark(trip, '[');
  if (segment->name.data)
    expect_text(trip, segment->name);
  else
    expect_place(trip, segment->index);
  if (!first)
    expect_mark(trip, ']');
}

/* Finds the pair of the place we are at next in the body. */
static bool expect_pair(struct trip *trip, struct text value) {
  if (!trip->next)
    return true;
  if (!trip->first)
    expect_mark(trip, '&');
  trip->first = false;
  for (size_t i = 0; i < trip->depth; i++)
    expect_segment(trip, &trip->path[i], i == 0);
  expect_mark(trip, '=');
  expect_text(trip, value);
  return true;
}

static bool expect_plain(struct trip *trip, const char *value) {
  return expect_pair(trip, (struct text){value, strlen(value)});
}

static bool expect_integer(struct trip *trip, long long integer) {
  char number[NUMBER_BYTES];
  (void)snprintf(number, sizeof number, "%lld", integer);
  return expect_plain(trip, number);
}

/* Only whole numbers that can be told from their neighbours. */
static bool expect_float(struct trip *trip, double value) {
  char number[NUMBER_BYTES];
  if (!(fabs(value) <= 9007199254740992.0) || fmod(value, 1) != 0)
    return false;
  (void)snprintf(number, sizeof number, "%.0f", value + 0.0); /* -0 + 0 is 0 */
  return expect_plain(trip, number);
}

/* Functions that return bool return false at the first fault, with the path to it in the trip. */
static bool visit(struct trip *trip, const struct node *node);

static bool visit_entry(struct trip *trip, struct segment segment, const struct node *value) {
  if (trip->depth == DEEPEST || trip->visits > MOST_VISITS)
    return false;
  trip->path[trip->depth++] = segment;
  if (segment.name.data && (!is_text(segment.name) || segment.name.length == 0))
    return false;
  if (!visit(trip, value))
    return false;
  trip->depth--;
  return true;
}

static const struct entry *place(const struct node *table, lua_Integer number) {
  for (size_t i = 0; i < table->count; i++)
    if (table->entries[i].key.number == number)
      return &table->entries[i];
  return NULL;
}

static bool visit_sequence(struct trip *trip, const struct node *table) {
  bool indexed = false;
  for (size_t i = 0; i < table->count; i++) {
    indexed = indexed || table->entries[i].value->kind == TABLE;
    if (!place(table, (lua_Integer)i + 1))
      return false;
  }
  for (size_t i = 0; i < table->count; i++) {
    struct segment segment = {.index = indexed ? (long long)i : -1};
    if (!visit_entry(trip, segment, place(table, (lua_Integer)i + 1)->value))
      return false;
  }
  return true;
}

static int compare(const void *left, const void *right) {
  const struct entry *const *a = left, *const *b = right;
  struct text x = (*a)->key.name, y = (*b)->key.name;
  int order = memcmp(x.data, y.data, x.length < y.length ? x.length : y.length);
  return order ? order : x.length < y.length ? -1 : 1;
}

static bool visit_names(struct trip *trip, const struct node *table) {
  const struct entry *sorted[MOST_ENTRIES] = {NULL};
  for (size_t i = 0; i < table->count; i++)
    sorted[i] = &table->entries[i];
  qsort(sorted, table->count, sizeof(struct entry *), compare);
  for (size_t i = 0; i < table->count; i++)
    if (!visit_entry(trip, (struct segment){.name = sorted[i]->key.name}, sorted[i]->value))
      return false;
  return true;
}

static bool visit_table(struct trip *trip, const struct node *table) {
  size_t count[] = {[NAME] = 0, [PLACE] = 0, [ODD] = 0};
  for (size_t i = 0; i < table->count; i++)
    count[table->entries[i].key.kind]++;
  if (count[ODD] > 0 || (count[NAME] > 0 && count[PLACE] > 0))
    return false;
  if (count[PLACE] > 0)
    return trip->depth > 0 && visit_sequence(trip, table);
  return visit_names(trip, table);
}

static bool visit(struct trip *trip, const struct node *node) {
  trip->visits++;
  switch (node->kind) {
  case TEXT: return is_text(node->text) && expect_pair(trip, node->text);
  case INTEGER: return expect_integer(trip, node->integer);
  case FLOAT: return expect_float(trip, node->number);
  case BOOLEAN: return expect_plain(trip, node->integer ? "true" : "false");
  case NOTHING: return expect_pair(trip, (struct text){"", 0});
  case FOREIGN: return false;
  case TABLE: return visit_table(trip, node);
  }
  return false;
}

void model_check_body(const struct node *root, const char *body, size_t length) {
  struct trip trip = {.next = body, .end = body + length, .first = true};
  CHECK(visit(&trip, root), "what cannot be encoded was, after %zu values", trip.visits);
  CHECK(trip.next == trip.end, "pairs that are in no table: %.60s", trip.next);
}

static bool is_like_a_key(struct text name) {
  return memmem(name.data, name.length, "k_test_", 7) ||
         memmem(name.data, name.length, "k_live_", 7) ||
         memmem(name.data, name.length, "k_org_", 6);
}

static void describe_name(struct buffer *text, struct text name) {
  if (is_like_a_key(name)) {
    buffer_append_text(text, "[api key]");
    return;
  }
  for (size_t i = 0; i < name.length; i++) {
    const unsigned char *byte = (const unsigned char *)name.data + i;
    bool c1 = i + 1 < name.length && byte[0] == 0xC2 && byte[1] >= 0x80 && byte[1] < 0xA0;
    buffer_append(text, c1 || *byte < ' ' || *byte == 0x7F ? "?" : &name.data[i], 1);
    i += c1;
  }
}

/* As a person reads it: a[b][0][]. */
static void describe(struct buffer *text, const struct trip *trip) {
  for (size_t i = 0; i < trip->depth; i++) {
    const struct segment *segment = &trip->path[i];
    buffer_append_text(text, i == 0 ? "" : "[");
    if (segment->name.data)
      describe_name(text, segment->name);
    else if (segment->index >= 0)
      buffer_append_integer(text, segment->index);
    buffer_append_text(text, i == 0 ? "" : "]");
  }
}

void model_check_message(const struct node *root, const char *message, size_t length) {
  struct buffer path = {.length = 0};
  struct trip trip = {.depth = 0};
  CHECK(!visit(&trip, root), "refused without need: %s", message);
  describe(&path, &trip);
  CHECK(length > path.length && memcmp(message, buffer_text(&path), path.length) == 0 &&
            (path.length == 0 || message[path.length] == ':'),
        "\"%s\" does not begin with the path %s", message, buffer_text(&path));
  for (size_t i = 0; i < length; i++)
    CHECK((unsigned char)message[i] >= ' ' && message[i] != 0x7F, "byte %d in a message",
          message[i]);
  buffer_free(&path);
}

bool model_is_small(const struct node *root) {
  struct trip trip = {.depth = 0};
  (void)visit(&trip, root);
  return trip.visits <= MOST_VISITS;
}
