/* SPDX-License-Identifier: MIT */
#include "forks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_uint made;
static atomic_uint last; /* number that was given to a process, of this one and its parents */
static atomic_uint *own_number; /* alone in a page that is zeros in a child; NULL: not to be had */

static void count(void) {
  atomic_fetch_add(&made, 1);
}

#ifdef MADV_WIPEONFORK

/* Some emulators accept every advice, and follow none. */
static bool is_wiped(void *page, size_t size) {
  return madvise(page, size, -1) != 0 && madvise(page, size, MADV_WIPEONFORK) == 0;
}

static atomic_uint *open_page(void) {
  const size_t size = (size_t)sysconf(_SC_PAGESIZE);
  void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED)
    return NULL;
  if (is_wiped(page, size))
    return page;
  munmap(page, size);
  return NULL;
}

#else

static atomic_uint *open_page(void) {
  return NULL;
}

#endif

bool forks_watch(void) {
  own_number = open_page();
  return pthread_atfork(NULL, count, NULL) == 0;
}

/* Of two threads that find none, one gives it. */
static unsigned give_number(void) {
  unsigned none = 0, next = atomic_fetch_add(&last, 1) + 1;
  return atomic_compare_exchange_strong(own_number, &none, next) ? next : none;
}

unsigned forks_process(void) {
  if (!own_number)
    return (unsigned)getpid();
  const unsigned number = atomic_load(own_number);
  return number ? number : give_number();
}

unsigned forks_made(void) {
  return atomic_load(&made);
}
