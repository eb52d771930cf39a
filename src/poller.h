/* SPDX-License-Identifier: MIT
 * Waits for many sockets through one descriptor: epoll on Linux, kqueue on the BSDs and macOS. */
#ifndef PR_POLLER_H
#define PR_POLLER_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

enum { POLLER_EVENTS = 16 }; /* looked for at once */

struct poller_event {
  int socket;
  bool readable, writable, failed;
};

struct poller {
  int descriptor; /* becomes readable when a watched socket has something; -1: none */
  int waker;      /* what poller_wake() makes readable; -1: not asked for yet */
  struct poller_socket *sockets; /* by their numbers; not with kqueue */
  int capacity;                  /* of that table */
};

/* False when there is no descriptor to be had. It is closed in programs started by exec. */
bool poller_open(struct poller *poller);
void poller_close(struct poller *poller);

/* Sets what is watched of a socket. Watching neither reading nor writing forgets it. False when the
 * system refuses. */
bool poller_watch(struct poller *poller, int socket, bool readable, bool writable);

/* From now on, when this socket is watched no more, the system goes on looking, until it finds
 * something: it need not be told for each request of a connection. The socket must be released
 * before it is closed. */
void poller_adopt(struct poller *poller, int socket);
void poller_release(struct poller *poller, int socket);

/* Lets poller_wake() work from now on. False when there is no descriptor to be had. */
bool poller_enable_wake(struct poller *poller);

/* Makes the descriptor readable until the next poller_wait(), if that was enabled. */
void poller_wake(const struct poller *poller);

/* Waits at most `seconds` (negative: as long as it takes) and fills in the events that there are.
 * Returns how many: 0 after the time, when a signal came, after poller_wake(), or when something
 * was found that nobody watches any more. */
int poller_wait(struct poller *poller, double seconds, struct poller_event events[POLLER_EVENTS]);

#pragma GCC visibility pop

#endif
