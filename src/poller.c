/* SPDX-License-Identifier: MIT */
#include "poller.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/epoll.h>
#include <sys/eventfd.h>

bool poller_open(struct poller *poller) {
  *poller = (struct poller){.descriptor = epoll_create1(EPOLL_CLOEXEC), .waker = -1};
  return poller->descriptor >= 0;
}

bool poller_watch(const struct poller *poller, int socket, bool known, bool readable,
                  bool writable) {
  struct epoll_event event = {.events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U)};
  event.data.fd = socket;
  if (!readable && !writable) {
    epoll_ctl(poller->descriptor, EPOLL_CTL_DEL, socket,
              &event); /* fails when it was closed: as well */
    return true;
  }
  if (epoll_ctl(poller->descriptor, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) == 0)
    return true;
  /* A number that was closed and given out again is not what we took it for. */
  if (errno == ENOENT || errno == EEXIST)
    return epoll_ctl(poller->descriptor, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event) ==
           0;
  return false;
}

bool poller_enable_wake(struct poller *poller) {
  if (poller->waker < 0)
    poller->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return poller->waker >= 0 && poller_watch(poller, poller->waker, false, true, false);
}

/* A full counter is readable as well: nothing is lost when the write fails. */
void poller_wake(const struct poller *poller) {
  const uint64_t one = 1;
  if (poller->waker >= 0 && write(poller->waker, &one, sizeof one) < 0)
    return;
}

static void drain_waker(const struct poller *poller) {
  uint64_t count;
  if (read(poller->waker, &count, sizeof count) < 0)
    return; /* another step was quicker */
}

/* Rounded up, so that nobody wakes just before the time and spins. */
static int milliseconds(double seconds) {
  if (seconds < 0)
    return -1;
  if (seconds > 3600)
    return 3600 * 1000;
  return (int)(seconds * 1000 + 0.999);
}

int poller_wait(const struct poller *poller, double seconds,
                struct poller_event events[POLLER_EVENTS]) {
  struct epoll_event found[POLLER_EVENTS];
  int count = 0;
  int ready = epoll_wait(poller->descriptor, found, POLLER_EVENTS, milliseconds(seconds));
  for (int i = 0; i < ready; i++) {
    if (found[i].data.fd == poller->waker) {
      drain_waker(poller);
      continue;
    }
    events[count++] =
        (struct poller_event){.socket = found[i].data.fd,
                              .readable = (found[i].events & (EPOLLIN | EPOLLHUP)) != 0,
                              .writable = (found[i].events & EPOLLOUT) != 0,
                              .failed = (found[i].events & EPOLLERR) != 0};
  }
  return count;
}

#else

#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

bool poller_open(struct poller *poller) {
  *poller = (struct poller){.descriptor = kqueue(), .waker = -1};
  if (poller->descriptor >= 0)
    (void)fcntl(poller->descriptor, F_SETFD, FD_CLOEXEC);
  return poller->descriptor >= 0;
}

static bool set_filter(int poller, int socket, short filter, bool wanted) {
  struct kevent change;
  EV_SET(&change, socket, filter, wanted ? EV_ADD : EV_DELETE, 0, 0, NULL);
  return kevent(poller, &change, 1, NULL, 0, NULL) == 0 || !wanted;
}

bool poller_watch(const struct poller *poller, int socket, bool known, bool readable,
                  bool writable) {
  (void)known;
  bool reading = set_filter(poller->descriptor, socket, EVFILT_READ, readable);
  bool writing = set_filter(poller->descriptor, socket, EVFILT_WRITE, writable);
  return reading && writing;
}

/* An event of the user's needs no descriptor; the number 0 is as good as any. */
static bool change_user_event(const struct poller *poller, unsigned short flags, unsigned notice) {
  struct kevent change;
  EV_SET(&change, 0, EVFILT_USER, flags, notice, 0, NULL);
  return kevent(poller->descriptor, &change, 1, NULL, 0, NULL) == 0;
}

bool poller_enable_wake(struct poller *poller) {
  if (poller->waker < 0 && change_user_event(poller, EV_ADD | EV_CLEAR, 0))
    poller->waker = 0;
  return poller->waker >= 0;
}

void poller_wake(const struct poller *poller) {
  if (poller->waker >= 0)
    (void)change_user_event(poller, 0, NOTE_TRIGGER);
}

int poller_wait(const struct poller *poller, double seconds,
                struct poller_event events[POLLER_EVENTS]) {
  struct kevent found[POLLER_EVENTS];
  int count = 0;
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  int ready = kevent(poller->descriptor, NULL, 0, found, POLLER_EVENTS, seconds < 0 ? NULL : &time);
  for (int i = 0; i < ready; i++)
    if (found[i].filter != EVFILT_USER)
      events[count++] = (struct poller_event){.socket = (int)found[i].ident,
                                              .readable = found[i].filter == EVFILT_READ,
                                              .writable = found[i].filter == EVFILT_WRITE,
                                              .failed = (found[i].flags & EV_ERROR) != 0};
  return count;
}

#endif

void poller_close(struct poller *poller) {
#ifdef __linux__
  if (poller->waker >= 0)
    close(poller->waker);
#endif
  if (poller->descriptor >= 0)
    close(poller->descriptor);
  *poller = (struct poller){.descriptor = -1, .waker = -1};
}
