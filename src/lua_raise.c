/* SPDX-License-Identifier: MIT */
#include "lua_raise.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* Plain 5.1 counts a call that took its caller's place as a level of its own. */
static bool is_tail_call(const lua_Debug *frame) {
  return strcmp(frame->what, "tail") == 0;
}

/* Whether it is a function of the Lua layer. */
static bool is_ours(const lua_Debug *frame) {
  static const char *const files[] = {"client.lua", "init.lua", "pages.lua"};
  static const char directory[] = "payment_records/";
  const char *file = strstr(frame->source, directory);
  if (file)
    file += sizeof directory - 1;
  for (size_t i = 0; file && i < sizeof files / sizeof *files; i++)
    if (strcmp(file, files[i]) == 0)
      return true;
  return false;
}

static void push_position(lua_State *L) {
  lua_Debug frame;
  for (int level = 1; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (is_tail_call(&frame) || is_ours(&frame))
      continue;
    if (frame.currentline > 0) {
      lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
      return;
    }
    break;
  }
  lua_pushliteral(L, "");
}

int lua_raise(lua_State *L, const char *format, ...) {
  va_list arguments;
  push_position(L);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  return lua_error(L);
}
