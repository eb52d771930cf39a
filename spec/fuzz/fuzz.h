/* SPDX-License-Identifier: MIT
 * What the fuzz targets share: the input as a source of decisions, a Lua state with the module in
 * it, and how an oracle complains. */
#ifndef PR_FUZZ_H
#define PR_FUZZ_H

#include "../../src/compat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct input {
  const uint8_t *data;
  size_t left;
};

/* After the end of the input everything is 0, or empty. */
unsigned take_byte(struct input *input);
uint64_t take_word(struct input *input);

/* Text of a length that the next byte says, or of what is left. Not ended by a NUL. */
const char *take_text(struct input *input, size_t *length);

/* All that is left. */
const char *take_rest(struct input *input, size_t *length);

/* Ends the process, with a message, when the code under test did not do what it must. */
#define CHECK(condition, ...) \
  ((condition) ? (void)0 \
               : (fuzz_name_failure(__FILE__, __LINE__, #condition), \
                  (void)fprintf(stderr, __VA_ARGS__), fuzz_fail()))

void fuzz_name_failure(const char *file, int line, const char *condition);
__attribute__((noreturn)) void fuzz_fail(void);

/* Whether a byte, which is not NUL, is one of those in the text. */
static inline bool is_one_of(char byte, const char *bytes) {
  return byte && strchr(bytes, byte);
}

/* The state in which the targets run, with payment_records in reach of require and an empty stack.
 * It is closed and opened anew now and then, and closed at the end of the process, so that what is
 * left behind can be found; `prepare` (may be NULL) is called with each new one. */
lua_State *fuzz_state(void (*prepare)(lua_State *L));

/* Calls the function on the stack, with its `count` arguments. What it raises fails the oracle. */
void fuzz_call(lua_State *L, int count, int results);

/* Pushes what the chunk spec/fuzz/NAME.lua returns. */
void fuzz_load(lua_State *L, const char *name);

/* libFuzzer calls this with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
