/* SPDX-License-Identifier: MIT */
#include "lua_redact.h"

#include <string.h>

enum { SHORTEST_KEY = 8 }; /* what is shorter is no secret, and would garble the text */

/* The key is the end of the first header line. */
static const char *api_key(const struct call *call, size_t *length) {
  const char *line = buffer_text(&call->headers), *space = strrchr(line, ' ');
  *length = space ? strlen(space + 1) : 0;
  return *length >= SHORTEST_KEY ? space + 1 : NULL;
}

bool lua_redact_is_needed(const struct call *call, const char *text, size_t length) {
  size_t key_length;
  const char *key = api_key(call, &key_length);
  return key && memmem(text, length, key, key_length);
}

void lua_redact_push(lua_State *L, const struct call *call, const char *text, size_t length) {
  size_t key_length;
  const char *key = api_key(call, &key_length), *end = text + length;
  const char *found = key ? memmem(text, length, key, key_length) : NULL;
  luaL_Buffer shown;
  if (!found) {
    lua_pushlstring(L, text, length);
    return;
  }
  luaL_buffinit(L, &shown);
  for (; found; found = memmem(text, (size_t)(end - text), key, key_length)) {
    luaL_addlstring(&shown, text, (size_t)(found - text));
    luaL_addstring(&shown, "[api key]");
    text = found + key_length;
  }
  luaL_addlstring(&shown, text, (size_t)(end - text));
  luaL_pushresult(&shown);
}

static void redact_fields(lua_State *L, const struct call *call) {
  luaL_checkstack(L, 8, "error nested too deep");
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_redact_value(L, call);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

void lua_redact_value(lua_State *L, const struct call *call) {
  if (lua_istable(L, -1)) {
    redact_fields(L, call);
  } else if (lua_type(L, -1) == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    lua_redact_push(L, call, text, length);
    lua_remove(L, -2);
  }
}
