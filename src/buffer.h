/* SPDX-License-Identifier: MIT
 * A growing byte buffer. Failure to grow is sticky: append freely, ask buffer_failed() once at the
 * end. */
#ifndef PR_BUFFER_H
#define PR_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

struct buffer {
  char *data; /* NULL while nothing was ever appended; otherwise followed by a NUL */
  size_t length;
  size_t capacity;
  bool failed;
};

void buffer_append(struct buffer *buffer, const char *data, size_t length);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_integer(struct buffer *buffer, long long value);

/* The contents as C text: "" when empty. Valid until the next append. */
const char *buffer_text(const struct buffer *buffer);

/* Forgets the contents and the failure, keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* Shortens to `length` bytes, which must be at most the present length. */
void buffer_truncate(struct buffer *buffer, size_t length);

/* Clears the contents byte by byte (they may hold a secret), then frees. May be called twice. */
void buffer_free(struct buffer *buffer);

/* Overwrites memory in a way the compiler may not remove. */
void wipe(void *memory, size_t length);

#pragma GCC visibility pop

#endif
