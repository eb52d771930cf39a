/* SPDX-License-Identifier: MIT
 * Many timers, of which the first is always at hand: a binary heap. */
#ifndef PR_TIMERS_H
#define PR_TIMERS_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

struct timer {
  double due;
  size_t place; /* in the heap, counted from 1; 0: not set */
};

struct timers {
  struct timer **heap;
  size_t count, capacity;
};

/* Makes room for `count` timers, so that to set one cannot fail. False when memory is short. */
bool timers_reserve(struct timers *timers, size_t count);

/* Sets a timer, or moves one that is set. */
void timers_set(struct timers *timers, struct timer *timer, double due);

/* Does nothing to a timer that is not set. */
void timers_clear(struct timers *timers, struct timer *timer);

/* The timer that is due first, or NULL. */
struct timer *timers_first(const struct timers *timers);

void timers_free(struct timers *timers);

#pragma GCC visibility pop

#endif
