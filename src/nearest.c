/* SPDX-License-Identifier: MIT */
#include "nearest.h"

#include <string.h>

enum { LONGEST = 48 }; /* longer names are not compared */

static size_t least(size_t a, size_t b, size_t c) {
  size_t least = a < b ? a : b;
  return least < c ? least : c;
}

/* Damerau-Levenshtein distance (optimal string alignment): inserting, removing, replacing a
 * character, or swapping two neighbours, costs one each. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length) {
  size_t rows[3][LONGEST + 1];
  size_t *before = rows[0], *above = rows[1], *row = rows[2];
  memset(rows, 0, sizeof rows);
  for (size_t j = 0; j <= b_length; j++)
    above[j] = j;
  for (size_t i = 1; i <= a_length; i++) {
    row[0] = i;
    for (size_t j = 1; j <= b_length; j++) {
      size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = least(above[j] + 1, row[j - 1] + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = least(row[j], before[j - 2] + 1, row[j]);
    }
    size_t *spare = before;
    before = above;
    above = row;
    row = spare;
  }
  return above[b_length];
}

/* A third of the name may be wrong, and never more than three characters. */
struct nearest nearest_to(const char *name) {
  size_t limit = strlen(name) / 3 + 1;
  return (struct nearest){.name = name, .distance = limit < 3 ? limit + 1 : 4};
}

void nearest_offer(struct nearest *nearest, const char *candidate) {
  size_t name_length = strlen(nearest->name), length = strlen(candidate);
  if (name_length > LONGEST || length > LONGEST)
    return;
  size_t found = distance(nearest->name, name_length, candidate, length);
  if (found >= nearest->distance)
    return;
  nearest->distance = found;
  nearest->best = candidate;
}
