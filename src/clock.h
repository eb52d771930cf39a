/* SPDX-License-Identifier: MIT
 * The clock that waits and deadlines are measured by: it never jumps. */
#ifndef PR_CLOCK_H
#define PR_CLOCK_H

#include <math.h>
#include <stdbool.h>
#include <time.h>

#pragma GCC visibility push(hidden)

/* Seconds since some moment in the past. */
static inline double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether there is time left until `end`; HUGE_VAL never comes, and costs no look at the clock. */
static inline bool clock_has_left(double end) {
  return isinf(end) || clock_seconds() < end;
}

#pragma GCC visibility pop

#endif
