/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 512 };

void wipe(void *memory, size_t length) {
  memset(memory, 0, length);
  __asm__ volatile("" : : "r"(memory) : "memory"); /* the compiler must take it for read */
}

/* Not realloc: the old block may hold a secret and is wiped before it goes back to the heap. */
static bool grow(struct buffer *buffer, size_t needed) {
  size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
  while (capacity < needed) {
    if (capacity > SIZE_MAX / 2)
      return false;
    capacity *= 2;
  }
  char *data = malloc(capacity);
  if (!data)
    return false;
  if (buffer->data) {
    memcpy(data, buffer->data, buffer->length);
    wipe(buffer->data, buffer->capacity);
    free(buffer->data);
  }
  buffer->data = data;
  buffer->capacity = capacity;
  return true;
}

void buffer_append_growing(struct buffer *buffer, const char *data, size_t length) {
  if (buffer->failed)
    return;
  if (length >= SIZE_MAX - buffer->length) {
    buffer->failed = true;
    return;
  }
  size_t needed = buffer->length + length + 1; /* one for the NUL */
  if (needed > buffer->capacity && !grow(buffer, needed)) {
    buffer->failed = true;
    return;
  }
  if (length > 0)
    memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
  buffer->data[buffer->length] = '\0';
}

void buffer_append_text(struct buffer *buffer, const char *text) {
  buffer_append(buffer, text, strlen(text));
}

/* Our own digits: printf depends on the locale's grouping, and Lua's tostring on its version. */
void buffer_append_integer(struct buffer *buffer, long long value) {
  char digits[24];
  char *end = digits + sizeof digits, *begin = end;
  unsigned long long rest =
      value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;
  do {
    *--begin = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (value < 0)
    *--begin = '-';
  buffer_append(buffer, begin, (size_t)(end - begin));
}

const char *buffer_text(const struct buffer *buffer) {
  return buffer->data ? buffer->data : "";
}

void buffer_clear(struct buffer *buffer) {
  buffer->failed = false;
  buffer_truncate(buffer, 0);
}

void buffer_truncate(struct buffer *buffer, size_t length) {
  buffer->length = length;
  if (buffer->data)
    buffer->data[length] = '\0';
}

void buffer_free(struct buffer *buffer) {
  if (buffer->data)
    wipe(buffer->data, buffer->capacity);
  free(buffer->data);
  *buffer = (struct buffer){0};
}
