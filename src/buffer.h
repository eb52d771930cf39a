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

/* The way of buffer_reserve() when the buffer must grow. */
char *buffer_reserve_growing(struct buffer *buffer, size_t length);

/* Where the next `length` bytes may be written, or NULL when there is no memory for them. */
static inline char *buffer_reserve(struct buffer *buffer, size_t length) {
  if (length >= buffer->capacity - buffer->length) /* one byte more is needed for the NUL */
    return buffer_reserve_growing(buffer, length);
  return buffer->data + buffer->length;
}

/* Ends what was written to reserved bytes: `end` is behind the last one. */
static inline void buffer_end_at(struct buffer *buffer, char *end) {
  *end = '\0';
  buffer->length = (size_t)(end - buffer->data);
}

static inline void buffer_append(struct buffer *buffer, const char *data, size_t length) {
  char *end = buffer_reserve(buffer, length);
  if (!end)
    return;
  if (length > 0) /* data may be NULL */
    memcpy(end, data, length);
  buffer_end_at(buffer, end + length);
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
