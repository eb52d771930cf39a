/* SPDX-License-Identifier: MIT */
#include "timers.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

bool timers_reserve(struct timers *timers, size_t count) {
  if (count <= timers->capacity)
    return true;
  size_t capacity = timers->capacity ? timers->capacity * 2 : FIRST_CAPACITY;
  capacity = capacity < count ? count : capacity;
  struct timer **heap = realloc(timers->heap, capacity * sizeof(struct timer *));
  if (!heap)
    return false;
  timers->heap = heap;
  timers->capacity = capacity;
  return true;
}

static void put(struct timers *timers, size_t place, struct timer *timer) {
  timers->heap[place - 1] = timer;
  timer->place = place;
}

static struct timer *at(const struct timers *timers, size_t place) {
  return timers->heap[place - 1];
}

/* Moves the timer towards the root while those above it are due later. */
static void rise(struct timers *timers, struct timer *timer) {
  size_t place = timer->place;
  for (; place > 1 && at(timers, place / 2)->due > timer->due; place /= 2)
    put(timers, place, at(timers, place / 2));
  put(timers, place, timer);
}

/* Moves the timer away from the root while one below it is due earlier. */
static void sink(struct timers *timers, struct timer *timer) {
  size_t place = timer->place;
  for (;;) {
    size_t child = place * 2;
    if (child < timers->count && at(timers, child + 1)->due < at(timers, child)->due)
      child++;
    if (child > timers->count || at(timers, child)->due >= timer->due)
      break;
    put(timers, place, at(timers, child));
    place = child;
  }
  put(timers, place, timer);
}

void timers_set(struct timers *timers, struct timer *timer, double due) {
  timer->due = due;
  if (timer->place == 0)
    put(timers, ++timers->count, timer);
  rise(timers, timer);
  sink(timers, timer);
}

void timers_clear(struct timers *timers, struct timer *timer) {
  if (timer->place == 0)
    return;
  struct timer *last = at(timers, timers->count);
  size_t place = timer->place;
  timers->count--;
  timer->place = 0;
  if (last == timer)
    return;
  put(timers, place, last);
  rise(timers, last);
  sink(timers, last);
}

struct timer *timers_first(const struct timers *timers) {
  return timers->count > 0 ? timers->heap[0] : NULL;
}

void timers_free(struct timers *timers) {
  free(timers->heap);
  *timers = (struct timers){NULL, 0, 0};
}
