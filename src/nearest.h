/* SPDX-License-Identifier: MIT
 * "did you mean …?": of several names, the one that a mistyped name was probably meant to be. */
#ifndef PR_NEAREST_H
#define PR_NEAREST_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

struct nearest {
  const char *name;
  const char *best; /* NULL while nothing near enough was offered */
  size_t distance;
};

/* A search for what `name` was meant to be; each candidate is then offered to it. Both stay the
 * caller's. */
struct nearest nearest_to(const char *name);
void nearest_offer(struct nearest *nearest, const char *candidate);

#pragma GCC visibility pop

#endif
