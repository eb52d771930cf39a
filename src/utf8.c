/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* RFC 3629, section 4: the sequences by their first byte, and what the second one may be (which is
 * what excludes overlong forms, surrogates and code points above U+10FFFF). */
static const struct {
  unsigned char first, last, second_low, second_high, length;
} sequences[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

/* Bytes of the sequence at `text` (not ASCII); 0 when it is none. */
static size_t sequence_length(const unsigned char *text, size_t left) {
  for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
    if (text[0] < sequences[i].first || text[0] > sequences[i].last)
      continue;
    size_t length = sequences[i].length;
    if (left < length || text[1] < sequences[i].second_low || text[1] > sequences[i].second_high)
      return 0;
    for (size_t j = 2; j < length; j++)
      if ((text[j] & 0xC0) != 0x80)
        return 0;
    return length;
  }
  return 0;
}

/* Bytes at the beginning that are ASCII and not zero, eight at a time: most text is nothing else.
 */
static size_t ascii_prefix(const char *text, size_t length) {
  const uint64_t ones = 0x0101010101010101U, tops = 0x8080808080808080U;
  size_t i = 0;
  for (uint64_t word; i + sizeof word <= length; i += sizeof word) {
    memcpy(&word, text + i, sizeof word);
    if ((word | (word - ones)) & tops) /* not ASCII, or maybe a zero */
      break;
  }
  return i;
}

long utf8_length(const char *text, size_t length) {
  const unsigned char *bytes = (const unsigned char *)text;
  size_t start = ascii_prefix(text, length);
  long count = (long)start;
  for (size_t i = start; i < length; count++) {
    if (bytes[i] == 0)
      return UTF8_HAS_NUL;
    size_t step = bytes[i] < 0x80 ? 1 : sequence_length(bytes + i, length - i);
    if (step == 0)
      return UTF8_INVALID;
    i += step;
  }
  return count;
}
