/* SPDX-License-Identifier: MIT
 * Text as the API takes it: UTF-8 (RFC 3629) without NUL. */
#ifndef PR_UTF8_H
#define PR_UTF8_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

enum { UTF8_INVALID = -1, UTF8_HAS_NUL = -2 };

/* Bytes of the character at `text`, of which so many are left (at least one), or one of the faults
 * above. */
int utf8_character(const char *text, size_t left);

/* Bytes of the control character at `text` (C0, DEL or C1), of which so many are left (at least
 * one); 0 when there is none. */
size_t utf8_control(const char *text, size_t left);

/* How many bytes of the text to keep so that they are at most so many, and end between two
 * characters.
 */
size_t utf8_cut(const char *text, size_t length, size_t most);

/* The number of characters, or one of the faults. */
long utf8_length(const char *text, size_t length);

#pragma GCC visibility pop

#endif
