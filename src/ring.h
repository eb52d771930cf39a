/* SPDX-License-Identifier: MIT
 * Doubly linked rings through a head. An element begins with its ring_link, so a pointer to the one
 * is a pointer to the other. */
#ifndef PR_RING_H
#define PR_RING_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

struct ring_link {
  struct ring_link *previous, *next;
};

static inline void ring_init(struct ring_link *head) {
  head->next = head->previous = head;
}

static inline void ring_remove(struct ring_link *link) {
  link->previous->next = link->next;
  link->next->previous = link->previous;
  link->next = link->previous = link; /* so that a second removal does no harm */
}

/* Puts `link` before `place`: with the head as place, at the end. */
static inline void ring_insert(struct ring_link *place, struct ring_link *link) {
  link->previous = place->previous;
  link->next = place;
  place->previous->next = link;
  place->previous = link;
}

static inline size_t ring_size(const struct ring_link *head) {
  size_t size = 0;
  for (const struct ring_link *link = head->next; link != head; link = link->next)
    size++;
  return size;
}

/* The first element, or NULL. */
static inline void *ring_first(const struct ring_link *head) {
  return head->next == head ? NULL : head->next;
}

#pragma GCC visibility pop

#endif
