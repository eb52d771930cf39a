/* SPDX-License-Identifier: MIT
 * Keeps a write on a dead connection from killing the host by SIGPIPE, without touching the host's
 * signal dispositions: CURLOPT_NOSIGNAL turns off libcurl's own care for it, and libcurl
 * before 7.87, or with another TLS than OpenSSL, writes to TLS connections in a way that can raise
 * it. */
#ifndef PR_SIGPIPE_H
#define PR_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>
#include <time.h>

#pragma GCC visibility push(hidden)

struct sigpipe_guard {
  sigset_t mask; /* the thread's signal mask before */
  bool active;
};

static inline void sigpipe_block(struct sigpipe_guard *guard, bool wanted) {
  sigset_t pipe;
  guard->active = wanted;
  if (!wanted)
    return;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &guard->mask);
  guard->active = sigismember(&guard->mask, SIGPIPE) != 1; /* else the host deals with it */
}

/* Without waiting: another thread may have been given the signal meanwhile. */
static inline void sigpipe_take(void) {
  sigset_t pipe;
  sigemptyset(&pipe);
#ifdef __APPLE__ /* has no sigtimedwait */
  int signal;
  if (sigpending(&pipe) != 0 || sigismember(&pipe, SIGPIPE) != 1)
    return;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigwait(&pipe, &signal);
#else
  const struct timespec no_time = {0, 0};
  sigaddset(&pipe, SIGPIPE);
  sigtimedwait(&pipe, NULL, &no_time);
#endif
}

/* Takes back a SIGPIPE that came meanwhile, then restores the mask. */
static inline void sigpipe_restore(const struct sigpipe_guard *guard) {
  if (!guard->active)
    return;
  sigpipe_take();
  pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
}

#pragma GCC visibility pop

#endif
