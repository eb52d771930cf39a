/* SPDX-License-Identifier: MIT
 * Writes bracket-encoded forms (application/x-www-form-urlencoded with keys such as a[b][c]).
 *
 * The writer is told where in the tree it is (enter, leave) and what stands there (write). Brackets
 * of the structure are literal; in key segments and values every byte that RFC 3986 does not call
 * unreserved is percent-encoded, so no key or value can pass for structure. */
#ifndef PR_FORM_H
#define PR_FORM_H

#include "buffer.h"
#include "payment_records.h"

#pragma GCC visibility push(hidden)

struct form_segment {
  const char *name; /* NULL: a place in a list. Not copied: must live until form_leave() */
  size_t length;    /* of name */
  long long index;  /* of a place in a list, counted from 0; -1: written as [] */
  size_t prefix;    /* length of the encoded key before this segment */
};

struct form {
  struct buffer body;        /* pairs written so far, joined by & */
  struct buffer key;         /* the encoded key of the place we are at */
  struct form_segment *path; /* the caller's, PR_MAX_DEPTH of them: where we are */
  size_t depth;
  size_t limit;  /* bytes of the body that are too many; 0: there is no limit */
  bool too_long; /* a pair was left out for that reason */
};

/* Starts a new body, keeping the memory of the last one. */
void form_begin(struct form *form);
void form_free(struct form *form);

/* Text is checked as it is encoded: *characters is how many it has, or a fault of utf8.h. It must
 * be followed by a NUL, as Lua's strings and C's are. */

/* These return false, and enter nothing, when the tree is deeper than PR_MAX_DEPTH. A name is a key
 * of bytes that need no encoding. */
bool form_enter_name(struct form *form, const char *name, size_t length);
bool form_enter_key(struct form *form, const char *name, size_t length, long *characters);
bool form_enter_index(struct form *form, long long index);
void form_leave(struct form *form);

/* Writes one pair, for the place we are at. */
void form_write(struct form *form, const char *value, size_t length, long *characters);
void form_write_nothing(struct form *form);
void form_write_integer(struct form *form, long long value);

/* Appends the place we are at as a person reads it: amount_requested[value], items[0][price]. */
void form_describe_path(const struct form *form, struct buffer *text);

#pragma GCC visibility pop

#endif
