/* SPDX-License-Identifier: MIT */
#include "utf8.h"

/* RFC 3629, section 4: the sequences by their first byte, and what the second one may be (which is
 * what excludes overlong forms, surrogates and code points above U+10FFFF). */
static const struct {
  unsigned char first, last, second_low, second_high, length;
} sequences[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

static int sequence_length(const unsigned char *text, size_t left) {
  for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
    if (text[0] < sequences[i].first || text[0] > sequences[i].last)
      continue;
    size_t length = sequences[i].length;
    if (left < length || text[1] < sequences[i].second_low || text[1] > sequences[i].second_high)
      return UTF8_INVALID;
    for (size_t j = 2; j < length; j++)
      if ((text[j] & 0xC0) != 0x80)
        return UTF8_INVALID;
    return (int)length;
  }
  return UTF8_INVALID;
}

int utf8_character(const char *text, size_t left) {
  if (*text == '\0')
    return UTF8_HAS_NUL;
  return (unsigned char)*text < 0x80 ? 1 : sequence_length((const unsigned char *)text, left);
}

long utf8_length(const char *text, size_t length) {
  long count = 0;
  for (size_t i = 0; i < length; count++) {
    int bytes = utf8_character(text + i, length - i);
    if (bytes < 0)
      return bytes;
    i += (size_t)bytes;
  }
  return count;
}

size_t utf8_cut(const char *text, size_t length, size_t most) {
  if (length <= most)
    return length;
  while (most > 0 && ((unsigned char)text[most] & 0xC0) == 0x80)
    most--;
  return most;
}

size_t utf8_control(const char *text, size_t left) {
  const unsigned char *bytes = (const unsigned char *)text;
  if (bytes[0] < ' ' || bytes[0] == 0x7F)
    return 1;
  return left > 1 && bytes[0] == 0xC2 && bytes[1] >= 0x80 && bytes[1] <= 0x9F ? 2 : 0;
}
