/* SPDX-License-Identifier: MIT */
#include "costs.h"

#include <stdio.h>
#include <stdlib.h>

void costs_reserve(struct costs *costs, size_t steps) {
  for (size_t i = 0; i < OCCASIONS; i++) {
    costs->count[i] = 0;
    costs->of[i] = calloc(steps, sizeof *costs->of[i]);
    if (!costs->of[i])
      abort();
  }
}

void costs_add(struct costs *costs, enum occasion occasion, double microseconds) {
  costs->of[occasion][costs->count[occasion]++] = microseconds;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The least cost that so many percent of the steps do not exceed; the costs are sorted. */
static double percentile(const double *costs, size_t count, size_t percent) {
  return costs[(count * percent + 99) / 100 - 1];
}

void costs_print(struct costs *costs) {
  static const char *const names[OCCASIONS] = {
      [CONNECTING] = "connections are being made",
      [WORKING] = "calls start or end",
      [WAITING] = "calls in flight, none ends",
      [IDLE] = "no call unfinished",
  };
  printf("%-28s %6s %8s %8s %8s %8s\n", "step, microseconds", "ticks", "p50", "p90", "p99", "max");
  for (size_t i = 0; i < OCCASIONS; i++) {
    size_t count = costs->count[i];
    printf("%-28s %6zu", names[i], count);
    if (count > 0) {
      qsort(costs->of[i], count, sizeof *costs->of[i], compare);
      printf(" %8.1f %8.1f %8.1f %8.1f", percentile(costs->of[i], count, 50),
             percentile(costs->of[i], count, 90), percentile(costs->of[i], count, 99),
             costs->of[i][count - 1]);
    }
    putchar('\n');
  }
}

void costs_free(struct costs *costs) {
  for (size_t i = 0; i < OCCASIONS; i++)
    free(costs->of[i]);
}
