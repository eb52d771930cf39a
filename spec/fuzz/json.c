/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 100, NUMBER_BYTES = 400 };

static void skip_blanks(struct json *json) {
  while (json->next < json->end && is_one_of(*json->next, " \t\r\n"))
    json->next++;
}

static bool take_mark(struct json *json, char mark) {
  if (json->next == json->end || *json->next != mark)
    return false;
  json->next++;
  return true;
}

static bool take_word_of(struct json *json, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(json->end - json->next) < length || memcmp(json->next, word, length) != 0)
    return false;
  json->next += length;
  return true;
}

/* --- strings ------------------------------------------------------------------------------- */

static bool read_hex(struct json *json, unsigned *code) {
  *code = 0;
  for (int i = 0; i < 4; i++) {
    const char digits[] = "0123456789abcdef";
    char c = json->next < json->end ? *json->next++ : ' ';
    const char *digit = strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
    if (!digit || !*digit)
      return false;
    *code = *code << 4 | (unsigned)(digit - digits);
  }
  return true;
}

static void add_code(luaL_Buffer *text, unsigned code) {
  if (code < 0x80) {
    luaL_addchar(text, (char)code);
  } else if (code < 0x800) {
    luaL_addchar(text, (char)(0xC0 | code >> 6));
    luaL_addchar(text, (char)(0x80 | (code & 0x3F)));
  } else {
    if (code >= 0x10000)
      luaL_addchar(text, (char)(0xF0 | code >> 18));
    luaL_addchar(text, (char)(code >= 0x10000 ? 0x80 | (code >> 12 & 0x3F) : 0xE0 | code >> 12));
    luaL_addchar(text, (char)(0x80 | (code >> 6 & 0x3F)));
    luaL_addchar(text, (char)(0x80 | (code & 0x3F)));
  }
}

static bool read_unicode(struct json *json, luaL_Buffer *text) {
  unsigned code, low;
  if (!read_hex(json, &code))
    return false;
  bool high = code >= 0xD800 && code <= 0xDBFF;
  if (high && take_word_of(json, "\\u")) {
    if (!read_hex(json, &low))
      return false;
    high = low < 0xDC00 || low > 0xDFFF;
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  json->lone_surrogate = json->lone_surrogate || high || (code >= 0xDC00 && code <= 0xDFFF);
  add_code(text, json->lone_surrogate ? '?' : code);
  return true;
}

static bool read_escape(struct json *json, luaL_Buffer *text) {
  static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  char c = json->next < json->end ? *json->next++ : ' ';
  const char *letter = memchr(letters, c, sizeof letters - 1);
  if (c == 'u')
    return read_unicode(json, text);
  if (letter)
    luaL_addchar(text, meanings[letter - letters]);
  return letter != NULL;
}

/* Pushes a string in any case: the buffer needs its end. */
static bool push_string(lua_State *L, struct json *json) {
  luaL_Buffer text;
  bool right = take_mark(json, '"'), ended = false;
  luaL_buffinit(L, &text);
  while (right && !ended) {
    char c = json->next < json->end ? *json->next++ : '\0';
    ended = c == '"';
    if (c == '\\')
      right = read_escape(json, &text);
    else if ((unsigned char)c < ' ')
      right = false;
    else if (!ended)
      luaL_addchar(&text, c);
  }
  luaL_pushresult(&text);
  return right;
}

/* --- numbers ------------------------------------------------------------------------------- */

static size_t take_digits(struct json *json) {
  const char *first = json->next;
  while (json->next < json->end && *json->next >= '0' && *json->next <= '9')
    json->next++;
  return (size_t)(json->next - first);
}

/* Goes past a number. */
static bool take_number(struct json *json) {
  (void)take_mark(json, '-');
  if (!take_mark(json, '0') && take_digits(json) == 0)
    return false;
  if (take_mark(json, '.') && take_digits(json) == 0)
    return false;
  if (!take_mark(json, 'e') && !take_mark(json, 'E'))
    return true;
  if (!take_mark(json, '-'))
    (void)take_mark(json, '+');
  return take_digits(json) > 0;
}

static bool push_number(lua_State *L, struct json *json) {
  char text[NUMBER_BYTES + 1] = "";
  const char *first = json->next;
  if (!take_number(json) || json->next - first > NUMBER_BYTES)
    return false;
  memcpy(text, first, (size_t)(json->next - first));
  double number = strtod(text, NULL);
  if (fmod(number, 1) == 0 && fabs(number) < 9007199254740992.0)
    lua_pushinteger(L, (lua_Integer)number);
  else
    lua_pushnumber(L, number);
  return true;
}

/* --- values -------------------------------------------------------------------------------- */

static bool push_value(lua_State *L, struct json *json);

static bool read_member(lua_State *L, struct json *json) {
  skip_blanks(json);
  if (!push_string(L, json))
    return false;
  skip_blanks(json);
  if (!take_mark(json, ':') || !push_value(L, json))
    return false;
  lua_rawset(L, -3);
  return true;
}

static bool push_object(lua_State *L, struct json *json) {
  lua_newtable(L);
  skip_blanks(json);
  if (take_mark(json, '}'))
    return true;
  do {
    if (!read_member(L, json))
      return false;
    skip_blanks(json);
  } while (take_mark(json, ','));
  return take_mark(json, '}');
}

static bool push_array(lua_State *L, struct json *json) {
  lua_Integer count = 0;
  lua_newtable(L);
  skip_blanks(json);
  if (take_mark(json, ']'))
    return true;
  do {
    if (!push_value(L, json))
      return false;
    lua_rawseti(L, -2, ++count);
    skip_blanks(json);
  } while (take_mark(json, ','));
  return take_mark(json, ']');
}

static bool push_word(lua_State *L, struct json *json) {
  lua_pushnil(L);
  if (take_word_of(json, "null"))
    return true;
  lua_pop(L, 1);
  bool yes = take_word_of(json, "true");
  lua_pushboolean(L, yes);
  return yes || take_word_of(json, "false");
}

static bool push_value(lua_State *L, struct json *json) {
  skip_blanks(json);
  if (json->next == json->end || json->depth == DEEPEST)
    return false;
  luaL_checkstack(L, 8, NULL);
  bool right;
  json->depth++;
  switch (*json->next) {
  case '"': right = push_string(L, json); break;
  case '{': json->next++, right = push_object(L, json); break;
  case '[': json->next++, right = push_array(L, json); break;
  case 't':
  case 'f':
  case 'n': right = push_word(L, json); break;
  default: right = push_number(L, json); break;
  }
  json->deepest = json->depth > json->deepest ? json->depth : json->deepest;
  json->depth--;
  return right;
}

bool json_push(lua_State *L, struct json *json, const char *text, size_t length) {
  int top = lua_gettop(L);
  *json = (struct json){.next = text, .end = text + length};
  bool right = push_value(L, json);
  skip_blanks(json);
  if (!right || json->next < json->end)
    lua_settop(L, top);
  return lua_gettop(L) > top;
}

static int count_fields(lua_State *L, int table) {
  int count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    count++;
  return count;
}

static bool tables_are_equal(lua_State *L, int left, int right) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  if (count_fields(L, left) != count_fields(L, right))
    return false;
  for (lua_pushnil(L); lua_next(L, left); lua_settop(L, top + 1)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, right);
    if (!json_equal(L, top + 2, top + 3)) {
      lua_settop(L, top);
      return false;
    }
  }
  return true;
}

bool json_equal(lua_State *L, int left, int right) {
  int type = lua_type(L, left);
  if (type != lua_type(L, right) || lua_isinteger(L, left) != lua_isinteger(L, right))
    return false;
  return type == LUA_TTABLE ? tables_are_equal(L, left, right) : lua_rawequal(L, left, right);
}
