/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include "utf8.h"

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

char *buffer_reserve_growing(struct buffer *buffer, size_t length) {
  if (!buffer->failed && length < SIZE_MAX - buffer->length)
    buffer->failed = !grow(buffer, buffer->length + length + 1); /* one for the NUL */
  else
    buffer->failed = true;
  return buffer->failed ? NULL : buffer->data + buffer->length;
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

/* sk_test_…, rk_live_…, sk_org_… */
static bool has_secret(const char *text, size_t length) {
  static const char *const marks[] = {"k_test_", "k_live_", "k_org_"};
  for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
    if (memmem(text, length, marks[i], strlen(marks[i])))
      return true;
  return false;
}

void buffer_append_shown(struct buffer *buffer, const char *text, size_t length) {
  if (has_secret(text, length)) {
    buffer_append_text(buffer, "[api key]");
    return;
  }
  for (size_t i = 0, control; i < length; i += control ? control : 1) {
    control = utf8_control(text + i, length - i);
    buffer_append(buffer, control ? "?" : &text[i], 1);
  }
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
