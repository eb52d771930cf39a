/* SPDX-License-Identifier: MIT
 * Counts what a program asks of the C library's heap, for LD_PRELOAD (glibc):
 *
 *   LD_PRELOAD=count_allocations.so ALLOCATIONS=FILE PROGRAM ...
 *
 * At the end it writes the number of allocations, and their bytes, to FILE. To let a block grow or
 * shrink counts as one, with its new size. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* glibc's own entries, under the names that are not replaced. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t nmemb, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static atomic_ullong allocations, bytes;

static void count(size_t size) {
  atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
}

#define REPLACES __attribute__((visibility("default")))

REPLACES void *malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}

REPLACES void *calloc(size_t nmemb, size_t size) {
  count(nmemb * size);
  return __libc_calloc(nmemb, size);
}

REPLACES void *realloc(void *ptr, size_t size) {
  count(size);
  return __libc_realloc(ptr, size);
}

__attribute__((destructor)) static void print(void) {
  const char *path = getenv("ALLOCATIONS");
  unsigned long long number = allocations, sum = bytes;
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file)
    return;
  fprintf(file, "%llu %llu\n", number, sum);
  fclose(file);
}
