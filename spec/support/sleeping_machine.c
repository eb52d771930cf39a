/* SPDX-License-Identifier: MIT
 * To be preloaded: the machine has slept for as many seconds as the file SLEPT_FILE says. On Linux
 * the clock that waits are measured by stands still meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long seconds_slept(void) {
  char text[32] = "";
  FILE *file = fopen(getenv("SLEPT_FILE"), "r");
  if (!file)
    return 0;
  (void)fgets(text, sizeof text, file);
  (void)fclose(file);
  return strtol(text, NULL, 10);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int clock_gettime(clockid_t clock, struct timespec *now) {
  int status = (int)syscall(SYS_clock_gettime, clock, now);
  if (clock == CLOCK_BOOTTIME)
    now->tv_sec += seconds_slept();
  return status;
}
