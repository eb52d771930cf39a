/* SPDX-License-Identifier: MIT
 * Letters and digits of ASCII, which HTTP is written in: <ctype.h> would ask the locale. */
#ifndef PR_ASCII_H
#define PR_ASCII_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

static inline char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool ascii_is_letter(char c) {
  return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static inline bool ascii_is_digit(char c) {
  return c >= '0' && c <= '9';
}

#pragma GCC visibility pop

#endif
