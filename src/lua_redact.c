/* SPDX-License-Identifier: MIT */
#include "lua_redact.h"

#include "ascii.h"
#include "utf8.h"

#include <string.h>

enum { LONGEST_TEXT = 1024 }; /* bytes of a text in an error: it may be logged */

/* The key is the end of the first header line. */
static const char *api_key(const struct call *call, size_t *length) {
  const char *line = buffer_text(&call->headers), *space = strrchr(line, ' ');
  *length = space ? strlen(space + 1) : 0;
  return *length >= SHORTEST_KEY ? space + 1 : NULL;
}

static bool is_same(const char *text, const char *other, size_t length) {
  size_t i = 0;
  while (i < length && ascii_lower(text[i]) == ascii_lower(other[i]))
    i++;
  return i == length;
}

/* The key, in whatever case: names of header fields change theirs on their way. It is found by its
 * first byte that is no letter, such as the underscore of "sk_". */
static const char *find_key(const char *text, size_t length, const char *key, size_t key_length) {
  size_t place = 0;
  const char *end = text + length;
  while (place < key_length && ascii_is_letter(key[place]))
    place++;
  for (; (size_t)(end - text) >= key_length; text++) {
    if (place < key_length) {
      const char *found = memchr(text + place, key[place], (size_t)(end - text) - key_length + 1);
      if (!found)
        return NULL;
      text = found - place;
    }
    if (is_same(text, key, key_length))
      return text;
  }
  return NULL;
}

bool lua_redact_is_needed(const struct call *call, const char *text, size_t length) {
  size_t key_length;
  const char *key = api_key(call, &key_length);
  return key && find_key(text, length, key, key_length);
}

void lua_redact_push(lua_State *L, const struct call *call, const char *text, size_t length) {
  size_t key_length;
  const char *key = api_key(call, &key_length), *end = text + length;
  const char *found = key ? find_key(text, length, key, key_length) : NULL;
  luaL_Buffer shown;
  if (!found) {
    lua_pushlstring(L, text, length);
    return;
  }
  luaL_buffinit(L, &shown);
  for (; found; found = find_key(text, (size_t)(end - text), key, key_length)) {
    luaL_addlstring(&shown, text, (size_t)(found - text));
    luaL_addstring(&shown, "[api key]");
    text = found + key_length;
  }
  luaL_addlstring(&shown, text, (size_t)(end - text));
  luaL_pushresult(&shown);
}

/* Whether the key of the field, under the value on top, has the API key in it. */
static bool is_named_after_key(lua_State *L, const struct call *call) {
  size_t length;
  if (lua_type(L, -2) != LUA_TSTRING)
    return false;
  const char *name = lua_tolstring(L, -2, &length);
  return lua_redact_is_needed(call, name, length);
}

static void redact_fields(lua_State *L, const struct call *call) {
  luaL_checkstack(L, 8, "error nested too deep");
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (is_named_after_key(L, call)) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
    lua_redact_value(L, call);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

/* Cuts the string on top. */
static void cut(lua_State *L) {
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (length <= LONGEST_TEXT)
    return;
  lua_pushlstring(L, text, utf8_cut(text, length, LONGEST_TEXT));
  lua_remove(L, -2);
}

void lua_redact_value(lua_State *L, const struct call *call) {
  if (lua_istable(L, -1)) {
    redact_fields(L, call);
  } else if (lua_type(L, -1) == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (lua_redact_is_needed(call, text, length)) {
      lua_redact_push(L, call, text, length);
      lua_remove(L, -2);
    }
    cut(L);
  }
}
