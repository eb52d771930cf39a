/* SPDX-License-Identifier: MIT
 * The clock that waits and deadlines are measured by: it never jumps. */
#ifndef PR_CLOCK_H
#define PR_CLOCK_H

#include <math.h>
#include <stdbool.h>
#include <time.h>

#pragma GCC visibility push(hidden)

static inline double clock_read(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Seconds since some moment in the past. */
static inline double clock_seconds(void) {
  return clock_read(CLOCK_MONOTONIC);
}

/* The same, by a clock that goes on while the machine sleeps, which on Linux the other does not. */
static inline double clock_seconds_slept(void) {
#ifdef CLOCK_BOOTTIME
  return clock_read(CLOCK_BOOTTIME);
#else
  return clock_seconds();
#endif
}

/* Whether there is time left until `end`; HUGE_VAL never comes, and costs no look at the clock. */
static inline bool clock_has_left(double end) {
  return isinf(end) || clock_seconds() < end;
}

#pragma GCC visibility pop

#endif
