/* SPDX-License-Identifier: MIT
 * What becomes of an answer: it is dropped, or, in a program compiled with DECODES, kept and
 * decoded into a Lua table by lua-cjson, which is what any client in Lua that uses it has to pay
 * for. */
#ifndef BENCH_DECODER_H
#define BENCH_DECODER_H

#include "bare.h"

#ifdef DECODES

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <string.h>

struct answer {
  char bytes[LARGEST_BODY];
  size_t length;
};

static lua_State *decoder; /* with cjson.decode on its stack */

static inline void open_decoder(void) {
  decoder = luaL_newstate();
  if (!decoder)
    fail("Lua", "cannot start");
  luaL_openlibs(decoder);
  if (luaL_dostring(decoder, "return require('cjson').decode") != 0)
    fail("cjson", lua_tostring(decoder, -1));
}

static inline size_t keep(const char *data, size_t size, size_t count, void *context) {
  struct answer *answer = context;
  size_t length = size * count;
  if (length > sizeof answer->bytes - answer->length)
    return 0;
  memcpy(answer->bytes + answer->length, data, length);
  answer->length += length;
  return length;
}

static inline void set_answer(CURL *easy, struct answer *answer) {
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
}

static inline void take_answer(struct answer *answer) {
  lua_pushvalue(decoder, -1);
  lua_pushlstring(decoder, answer->bytes, answer->length);
  if (lua_pcall(decoder, 1, 1, 0) != 0 || !lua_istable(decoder, -1))
    fail("cjson", "did not decode the answer");
  lua_pop(decoder, 1);
  answer->length = 0;
}

static inline void close_decoder(void) {
  lua_close(decoder);
}

#else

struct answer {
  char nothing;
};

static inline void open_decoder(void) {}

static inline void set_answer(CURL *easy, struct answer *answer) {
  (void)easy, (void)answer;
}

static inline void take_answer(struct answer *answer) {
  (void)answer;
}

static inline void close_decoder(void) {}

#endif

#endif
