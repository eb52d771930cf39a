/* SPDX-License-Identifier: MIT */
#include "poller.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

enum { MOST_EVENTS = 64 };

#ifdef __linux__

#include <sys/epoll.h>

int poller_open(void) {
  return epoll_create1(EPOLL_CLOEXEC);
}

bool poller_watch(int poller, int socket, bool known, bool readable, bool writable) {
  struct epoll_event event = {.events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U)};
  event.data.fd = socket;
  if (!readable && !writable) {
    epoll_ctl(poller, EPOLL_CTL_DEL, socket, &event); /* fails when it was closed: as well */
    return true;
  }
  if (epoll_ctl(poller, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) == 0)
    return true;
  /* A number that was closed and given out again is not what we took it for. */
  if (errno == ENOENT || errno == EEXIST)
    return epoll_ctl(poller, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event) == 0;
  return false;
}

/* Rounded up, so that nobody wakes just before the time and spins. */
static int milliseconds(double seconds) {
  if (seconds < 0)
    return -1;
  if (seconds > 3600)
    return 3600 * 1000;
  return (int)(seconds * 1000 + 0.999);
}

int poller_wait(int poller, double seconds, struct poller_event *events, int capacity) {
  struct epoll_event found[MOST_EVENTS];
  int most = capacity < MOST_EVENTS ? capacity : MOST_EVENTS;
  int count = epoll_wait(poller, found, most, milliseconds(seconds));
  for (int i = 0; i < count; i++)
    events[i] = (struct poller_event){.socket = found[i].data.fd,
                                      .readable = (found[i].events & (EPOLLIN | EPOLLHUP)) != 0,
                                      .writable = (found[i].events & EPOLLOUT) != 0,
                                      .failed = (found[i].events & EPOLLERR) != 0};
  return count > 0 ? count : 0;
}

#else

#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

int poller_open(void) {
  int poller = kqueue();
  if (poller >= 0)
    (void)fcntl(poller, F_SETFD, FD_CLOEXEC);
  return poller;
}

static bool set_filter(int poller, int socket, short filter, bool wanted) {
  struct kevent change;
  EV_SET(&change, socket, filter, wanted ? EV_ADD : EV_DELETE, 0, 0, NULL);
  return kevent(poller, &change, 1, NULL, 0, NULL) == 0 || !wanted;
}

bool poller_watch(int poller, int socket, bool known, bool readable, bool writable) {
  (void)known;
  bool reading = set_filter(poller, socket, EVFILT_READ, readable);
  bool writing = set_filter(poller, socket, EVFILT_WRITE, writable);
  return reading && writing;
}

int poller_wait(int poller, double seconds, struct poller_event *events, int capacity) {
  struct kevent found[MOST_EVENTS];
  int most = capacity < MOST_EVENTS ? capacity : MOST_EVENTS;
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  int count = kevent(poller, NULL, 0, found, most, seconds < 0 ? NULL : &time);
  for (int i = 0; i < count; i++)
    events[i] = (struct poller_event){.socket = (int)found[i].ident,
                                      .readable = found[i].filter == EVFILT_READ,
                                      .writable = found[i].filter == EVFILT_WRITE,
                                      .failed = (found[i].flags & EV_ERROR) != 0};
  return count > 0 ? count : 0;
}

#endif
