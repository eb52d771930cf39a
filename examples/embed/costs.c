/* SPDX-License-Identifier: MIT */
#include "costs.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void costs_reserve(struct costs *costs, size_t steps) {
  for (size_t i = 0; i < OCCASIONS; i++) {
    costs->count[i] = 0;
    costs->of[i] = calloc(steps, sizeof *costs->of[i]);
    if (!costs->of[i])
      abort();
  }
}

static double microseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

struct cost costs_before(void) {
  struct cost now;
  now.processor = microseconds(CLOCK_THREAD_CPUTIME_ID);
  now.elapsed = microseconds(CLOCK_MONOTONIC);
  return now;
}

struct cost costs_after(void) {
  struct cost now;
  now.elapsed = microseconds(CLOCK_MONOTONIC);
  now.processor = microseconds(CLOCK_THREAD_CPUTIME_ID);
  return now;
}

void costs_add(struct costs *costs, enum occasion occasion, struct cost before, struct cost after) {
  costs->of[occasion][costs->count[occasion]++] =
      (struct cost){after.elapsed - before.elapsed, after.processor - before.processor};
}

static int by_elapsed(const void *a, const void *b) {
  double x = ((const struct cost *)a)->elapsed, y = ((const struct cost *)b)->elapsed;
  return (x > y) - (x < y);
}

static int by_processor(const void *a, const void *b) {
  double x = ((const struct cost *)a)->processor, y = ((const struct cost *)b)->processor;
  return (x > y) - (x < y);
}

/* Where among sorted costs the least stands that so many percent of them do not exceed. */
static size_t percentile(size_t count, size_t percent) {
  return (count * percent + 99) / 100 - 1;
}

static void print_row(struct cost *costs, size_t count) {
  size_t median = percentile(count, 50), high = percentile(count, 99), last = count - 1;
  qsort(costs, count, sizeof *costs, by_elapsed);
  printf(" %8.1f %8.1f %8.1f", costs[median].elapsed, costs[high].elapsed, costs[last].elapsed);
  qsort(costs, count, sizeof *costs, by_processor);
  printf(" %9.1f %8.1f %8.1f", costs[median].processor, costs[high].processor,
         costs[last].processor);
}

void costs_print(struct costs *costs) {
  static const char *const names[OCCASIONS] = {
      [CONNECTING] = "connections are being made",
      [WORKING] = "calls start or end",
      [WAITING] = "calls in flight, none ends",
      [IDLE] = "no call unfinished",
  };
  printf("%-35s %26s %27s\n", "step, microseconds", "elapsed ----------------",
         "of a processor ----------");
  printf("%-28s %6s %8s %8s %8s %9s %8s %8s\n", "", "ticks", "p50", "p99", "max", "p50", "p99",
         "max");
  for (size_t i = 0; i < OCCASIONS; i++) {
    printf("%-28s %6zu", names[i], costs->count[i]);
    if (costs->count[i] > 0)
      print_row(costs->of[i], costs->count[i]);
    putchar('\n');
  }
}

void costs_free(struct costs *costs) {
  for (size_t i = 0; i < OCCASIONS; i++)
    free(costs->of[i]);
}
