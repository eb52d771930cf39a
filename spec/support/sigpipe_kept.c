/* SPDX-License-Identifier: MIT
 * To be preloaded: who changes what SIGPIPE does ends the process. */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int sigaction(int number, const struct sigaction *new_action, struct sigaction *old_action) {
  int (*change)(int, const struct sigaction *, struct sigaction *) = NULL;
  *(void **)&change = dlsym(RTLD_NEXT, "sigaction");
  if (number == SIGPIPE && new_action)
    abort();
  return change(number, new_action, old_action);
}
