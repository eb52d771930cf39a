/* SPDX-License-Identifier: MIT
 * Randomness from the operating system. No state is kept, so a fork shares none. */
#ifndef PR_RANDOM_H
#define PR_RANDOM_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

enum { RANDOM_KEY_SIZE = 37 };

/* 128 random bits as text in the form of a UUID, for an idempotency key. False if there are none.
 */
bool random_key(char key[RANDOM_KEY_SIZE]);

/* A number in [0, 1); 0.5 if the system has no randomness. */
double random_fraction(void);

#pragma GCC visibility pop

#endif
