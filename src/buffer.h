/* SPDX-License-Identifier: MIT
 * A growing byte buffer. Failure to grow is sticky: append freely, ask buffer_failed() once at the
 * end. */
#ifndef PR_BUFFER_H
#define PR_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#pragma GCC visibility push(hidden)

struct buffer {
  char *data; /* NULL while nothing was ever appended; otherwise followed by a NUL */
  size_t length;
  size_t capacity;
  bool failed;
};

/* The way of buffer_append() when the buffer must grow. */
void buffer_append_growing(struct buffer *buffer, const char *data, size_t length);

static inline void buffer_append(struct buffer *buffer, const char *data, size_t length) {
  if (length >= buffer->capacity - buffer->length) { /* one byte more is needed for the NUL */
    buffer_append_growing(buffer, data, length);
    return;
  }
  memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
  buffer->data[buffer->length] = '\0';
}

void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_integer(struct buffer *buffer, long long value);

/* Appends text that a user wrote as a message may show it: without control characters, and with
 * "[api key]" in its place where it has a secret key of Stripe's. */
void buffer_append_shown(struct buffer *buffer, const char *text, size_t length);

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
