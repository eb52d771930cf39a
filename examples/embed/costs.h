/* SPDX-License-Identifier: MIT
 * What the steps of a loop have cost, by what happened in them. */
#ifndef COSTS_H
#define COSTS_H

#include <stddef.h>

enum occasion {
  CONNECTING, /* until as many calls have ended as may be in flight */
  WORKING,    /* calls were started, or ended */
  WAITING,    /* calls were in flight, and none ended */
  IDLE,       /* no call was unfinished */
  OCCASIONS
};

struct costs {
  double *of[OCCASIONS]; /* microseconds */
  size_t count[OCCASIONS];
};

/* Room for so many steps of each kind; exits when there is no memory. */
void costs_reserve(struct costs *costs, size_t steps);

void costs_add(struct costs *costs, enum occasion occasion, double microseconds);

/* Prints p50, p90, p99 and the largest of each kind. */
void costs_print(struct costs *costs);

void costs_free(struct costs *costs);

#endif
