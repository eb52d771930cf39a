/* SPDX-License-Identifier: MIT */
#include "form.h"

#include "utf8.h"

#include <stdint.h>

enum { LIST = -1 };

/* RFC 3986, section 2.3. */
static const unsigned char unreserved[256] = {
    ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1,
    ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, ['A'] = 1, ['B'] = 1,
    ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1,
    ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1,
    ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1,
    ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1,
    ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
    ['y'] = 1, ['z'] = 1};

enum { ENCODED_SIZE = 3 }; /* bytes that one byte becomes at most: %2F */

/* Room for so many encoded bytes and `more`; NULL when there is none. */
static char *reserve(struct buffer *buffer, size_t length, size_t more) {
  if (length > (SIZE_MAX - more) / ENCODED_SIZE)
    buffer->failed = true;
  return buffer->failed ? NULL : buffer_reserve(buffer, length * ENCODED_SIZE + more);
}

static char *encode_byte(char *out, unsigned char byte) {
  static const char hex[] = "0123456789ABCDEF";
  *out++ = '%';
  *out++ = hex[byte >> 4];
  *out++ = hex[byte & 15];
  return out;
}

/* Writes text, percent-encoded, and returns where it ends, or where a fault is. */
static char *encode(char *out, const char *text, size_t length, long *characters) {
  *characters = (long)length;
  for (const char *end = text + length; text < end;) {
    while (unreserved[(unsigned char)*text]) /* the NUL at the end is not */
      *out++ = *text++;
    if (text == end)
      break;
    int bytes = utf8_character(text, (size_t)(end - text));
    if (bytes < 0) {
      *characters = bytes;
      break;
    }
    *characters -= bytes - 1;
    for (; bytes > 0; bytes--)
      out = encode_byte(out, (unsigned char)*text++);
  }
  return out;
}

void form_begin(struct form *form) {
  buffer_clear(&form->body);
  buffer_clear(&form->key);
  form->depth = 0;
  form->too_long = false;
}

void form_free(struct form *form) {
  buffer_free(&form->body);
  buffer_free(&form->key);
}

static bool enter(struct form *form, struct form_segment segment) {
  if (form->depth == PR_MAX_DEPTH)
    return false;
  segment.prefix = form->key.length;
  form->path[form->depth++] = segment;
  return true;
}

static inline char *copy(char *out, const char *text, size_t length) {
  memcpy(out, text, length);
  return out + length;
}

/* Room for a key segment and its brackets, of which the first is written; NULL when there is none.
 */
static inline char *begin_segment(struct form *form, size_t length) {
  char *out = reserve(&form->key, length, 2);
  if (out && form->depth > 1)
    *out++ = '[';
  return out;
}

static inline void end_segment(struct form *form, char *out) {
  if (form->depth > 1)
    *out++ = ']';
  buffer_end_at(&form->key, out);
}

bool form_enter_name(struct form *form, const char *name, size_t length) {
  if (!enter(form, (struct form_segment){.name = name, .length = length}))
    return false;
  char *out = begin_segment(form, length);
  if (out) /* else the failure is asked for at the end */
    end_segment(form, copy(out, name, length));
  return true;
}

bool form_enter_key(struct form *form, const char *name, size_t length, long *characters) {
  *characters = 0;
  if (!enter(form, (struct form_segment){.name = name, .length = length}))
    return false;
  char *out = begin_segment(form, length);
  if (out)
    end_segment(form, encode(out, name, length, characters));
  return true;
}

static void append_index(struct buffer *buffer, long long index) {
  buffer_append(buffer, "[", 1);
  if (index != LIST)
    buffer_append_integer(buffer, index);
  buffer_append(buffer, "]", 1);
}

bool form_enter_index(struct form *form, long long index) {
  if (!enter(form, (struct form_segment){.index = index}))
    return false;
  append_index(&form->key, index);
  return true;
}

void form_leave(struct form *form) {
  buffer_truncate(&form->key, form->path[--form->depth].prefix);
}

/* A value gets no shorter when it is encoded. */
static bool has_room(struct form *form, size_t length) {
  if (form->limit > 0 && form->body.length + length > form->limit)
    form->too_long = true;
  return !form->too_long;
}

/* Begins a pair of the place we are at; the value may be so long. NULL: there is no memory. */
static char *begin_pair(struct form *form, size_t length) {
  const struct buffer *key = &form->key;
  char *out = has_room(form, length) ? reserve(&form->body, length, key->length + 2) : NULL;
  if (!out)
    return NULL;
  if (form->body.length > 0)
    *out++ = '&';
  out = copy(out, buffer_text(key), key->length);
  *out++ = '=';
  return out;
}

void form_write(struct form *form, const char *value, size_t length, long *characters) {
  char *out = begin_pair(form, length);
  if (out)
    buffer_end_at(&form->body, encode(out, value, length, characters));
  else
    *characters = utf8_length(value, length);
}

void form_write_nothing(struct form *form) {
  char *out = begin_pair(form, 0);
  if (out)
    buffer_end_at(&form->body, out);
}

void form_write_integer(struct form *form, long long value) {
  char *out = begin_pair(form, 0);
  if (!out)
    return;
  buffer_end_at(&form->body, out);
  buffer_append_integer(&form->body, value);
}

void form_describe_path(const struct form *form, struct buffer *text) {
  for (size_t i = 0; i < form->depth; i++) {
    const struct form_segment *segment = &form->path[i];
    if (!segment->name) {
      append_index(text, segment->index);
      continue;
    }
    if (i > 0)
      buffer_append(text, "[", 1);
    buffer_append_shown(text, segment->name, segment->length);
    if (i > 0)
      buffer_append(text, "]", 1);
  }
}
