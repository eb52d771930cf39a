/* SPDX-License-Identifier: MIT
 * What the steps of a loop have cost, by what happened in them. */
#ifndef COSTS_H
#define COSTS_H

#include <stddef.h>

enum occasion {
  CONNECTING, /* until the first reports have ended, for each of which a connection is made */
  WORKING,    /* calls were started, or ended */
  WAITING,    /* calls were in flight, and none ended */
  IDLE,       /* no call was unfinished */
  OCCASIONS
};

/* Microseconds. Others who use the machine make a step longer, but it takes no more of a processor.
 */
struct cost {
  double elapsed;
  double processor;
};

struct costs {
  struct cost *of[OCCASIONS];
  size_t count[OCCASIONS];
};

/* Room for so many steps of each kind; exits when there is no memory. */
void costs_reserve(struct costs *costs, size_t steps);

/* What has passed since some moment: just before a step, and just after it. To ask what the
 * processor has done is a system call, which does not belong to the elapsed time. */
struct cost costs_before(void);
struct cost costs_after(void);

void costs_add(struct costs *costs, enum occasion occasion, struct cost before, struct cost after);

/* Prints p50, p99 and the largest of each kind. */
void costs_print(struct costs *costs);

void costs_free(struct costs *costs);

#endif
