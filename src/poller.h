/* SPDX-License-Identifier: MIT
 * Waits for many sockets through one descriptor: epoll on Linux, kqueue on the BSDs and macOS. */
#ifndef PR_POLLER_H
#define PR_POLLER_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

struct poller_event {
  int socket;
  bool readable, writable, failed;
};

/* A descriptor that becomes readable when a watched socket has something; -1 when there is none to
 * be had. It is closed in programs started by exec. Close it with close(). */
int poller_open(void);

/* Sets what is watched of a socket; `known`: it was watched before, in whatever way.
 * Watching neither reading nor writing forgets it. False when the system refuses. */
bool poller_watch(int poller, int socket, bool known, bool readable, bool writable);

/* Waits at most `seconds` (negative: as long as it takes) and fills in up to `capacity` events.
 * Returns how many: 0 after the time, or when a signal came. */
int poller_wait(int poller, double seconds, struct poller_event *events, int capacity);

#pragma GCC visibility pop

#endif
