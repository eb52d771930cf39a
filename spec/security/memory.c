/* SPDX-License-Identifier: MIT
 * A Lua library that looks for a key in the memory of its own process. The key is nowhere in this
 * file, nor in the process, but where key() has put it: its bytes are computed one by one. */
#include "../../src/compat.h"

#include <curl/curl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LENGTH = 40, TAIL = 16 };

static char key_byte(unsigned i) {
  return i < 8 ? "sk_test_"[i] : (char)((i % 2 ? 'a' : 'A') + (i * 11 + 5) % 26);
}

static void wipe(void *memory, size_t length) {
  memset(memory, 0, length);
  __asm__ volatile("" : : "r"(memory) : "memory");
}

/* key() -> the key */
static int memory_key(lua_State *L) {
  char key[KEY_LENGTH];
  for (unsigned i = 0; i < KEY_LENGTH; i++)
    key[i] = key_byte(i);
  lua_pushlstring(L, key, KEY_LENGTH);
  wipe(key, sizeof key);
  return 1;
}

/* The end of the key: the heap writes its own notes over the first bytes of what was freed. */
static int is_tail(const char *text) {
  for (unsigned i = 0; i < TAIL; i++)
    if (text[i] != key_byte(KEY_LENGTH - TAIL + i))
      return 0;
  return 1;
}

static long count_between(const char *begin, const char *end) {
  long count = 0;
  const char first = key_byte(KEY_LENGTH - TAIL);
  for (const char *text = begin; text + TAIL <= end; text++) {
    text = memchr(text, first, (size_t)(end - text - TAIL + 1));
    if (!text)
      break;
    count += is_tail(text);
  }
  return count;
}

/* Searches one line of /proc/self/maps, "begin-end rw-p …", when it may be written. It is read in
 * place: a copy would be found, too. */
static long count_in_mapping(const char *line) {
  char *rest;
  unsigned long begin = strtoul(line, &rest, 16), end = strtoul(rest + 1, &rest, 16);
  if (strncmp(rest, " rw", 3) != 0)
    return 0;
  return count_between((const char *)begin, (const char *)end); /* NOLINT: addresses */
}

/* count() -> how often the key is in the memory that this process may write. */
static int memory_count(lua_State *L) {
  char line[512];
  long count = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  if (!maps)
    return luaL_error(L, "/proc/self/maps cannot be read");
  while (fgets(line, sizeof line, maps))
    count += count_in_mapping(line);
  fclose(maps);
  lua_pushinteger(L, count);
  return 1;
}

static lua_Alloc lua_own_allocator;

/* Wipes what it frees, and what it moves away from. */
static void *wiping_allocator(void *user, void *block, size_t old_size, size_t new_size) {
  if (!block)
    return lua_own_allocator(user, NULL, old_size, new_size);
  void *moved = NULL;
  if (new_size > 0) {
    moved = lua_own_allocator(user, NULL, 0, new_size);
    if (!moved)
      return NULL;
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
  }
  wipe(block, old_size);
  lua_own_allocator(user, block, old_size, 0);
  return moved;
}

/* wipe_lua(): from now on what Lua frees is wiped, so that its copies of the key are not counted.
 */
static int memory_wipe_lua(lua_State *L) {
  void *user;
  lua_own_allocator = lua_getallocf(L, &user);
  lua_setallocf(L, wiping_allocator, user);
  return 0;
}

static void wiping_free(void *block) {
  if (block)
    wipe(block, malloc_usable_size(block));
  free(block);
}

static void *wiping_realloc(void *block, size_t size) {
  void *moved = malloc(size);
  if (moved && block) {
    size_t old_size = malloc_usable_size(block);
    memcpy(moved, block, old_size < size ? old_size : size);
    wiping_free(block);
  }
  return moved;
}

/* wipe_curl(): the same for libcurl, which must not have been initialised yet. */
static int memory_wipe_curl(lua_State *L) {
  CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc,
                                       strdup, calloc);
  lua_pushboolean(L, code == CURLE_OK);
  return 1;
}

int luaopen_memory(lua_State *L) {
  static const luaL_Reg functions[] = {{"key", memory_key},
                                       {"count", memory_count},
                                       {"wipe_lua", memory_wipe_lua},
                                       {"wipe_curl", memory_wipe_curl},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
