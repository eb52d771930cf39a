/* SPDX-License-Identifier: MIT
 * To be preloaded: resolving a name takes half a second, or RESOLVER_SECONDS more. */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <time.h>

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  int (*resolve)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
  const char *more = getenv("RESOLVER_SECONDS");
  const struct timespec pause = {more ? strtol(more, NULL, 10) : 0, 500000000};
  *(void **)&resolve = dlsym(RTLD_NEXT, "getaddrinfo");
  nanosleep(&pause, NULL);
  return resolve(name, service, hints, result);
}
