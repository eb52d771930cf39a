/* SPDX-License-Identifier: MIT
 * To be preloaded: resolving a name takes half a second. */
#include <dlfcn.h>
#include <netdb.h>
#include <time.h>

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  int (*resolve)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
  const struct timespec half = {0, 500000000};
  *(void **)&resolve = dlsym(RTLD_NEXT, "getaddrinfo");
  nanosleep(&half, NULL);
  return resolve(name, service, hints, result);
}
