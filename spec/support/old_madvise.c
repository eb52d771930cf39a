/* SPDX-License-Identifier: MIT
 * To be preloaded: madvise() follows no advice. It says so, as before Linux 4.14, or with
 * MADVISE_LIES that it does, as some emulators say. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int madvise(void *address, size_t size, int advice) {
  (void)address, (void)size, (void)advice;
  if (getenv("MADVISE_LIES"))
    return 0;
  errno = EINVAL;
  return -1;
}
