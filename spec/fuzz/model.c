/* SPDX-License-Identifier: MIT
 * The tree that the input describes, and the same as Lua values. */
#include "model.h"
#include "model_tree.h"

#include <math.h>
#include <string.h>

enum {
  MOST_NODES = 300,
  MOST_TEXT = 1 << 17, /* bytes of all texts that are not of the input */
  DEEPEST_MODEL = 24   /* that the input may ask for */
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
