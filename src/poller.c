/* SPDX-License-Identifier: MIT */
#include "poller.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/epoll.h>
#include <sys/eventfd.h>

bool poller_open(struct poller *poller) {
  *poller = (struct poller){.descriptor = epoll_create1(EPOLL_CLOEXEC), .waker = -1};
  return poller->descriptor >= 0;
}

enum { FURTHER_SOCKETS = 64 }; /* that the table has room for when it grows */

struct poller_socket {
  unsigned char events; /* that the system looks for; 0: it does not know the socket */
  bool ignored;         /* nobody wants to know of them */
  bool adopted;         /* or else `events` is not to be relied upon: it may be another by now */
};

/* The row of a socket; NULL when memory is short. */
static struct poller_socket *row_of(struct poller *poller, int socket) {
  if (socket < poller->capacity)
    return &poller->sockets[socket];
  int capacity = socket + FURTHER_SOCKETS;
  struct poller_socket *sockets = realloc(poller->sockets, (size_t)capacity * sizeof *sockets);
  if (!sockets)
    return NULL;
  for (int i = poller->capacity; i < capacity; i++)
    sockets[i] = (struct poller_socket){.events = 0};
  poller->sockets = sockets;
  poller->capacity = capacity;
  return &sockets[socket];
}

static bool control(const struct poller *poller, int operation, int socket, unsigned events) {
  struct epoll_event event = {.events = events};
  event.data.fd = socket;
  return epoll_ctl(poller->descriptor, operation, socket, &event) == 0;
}

/* A number that was closed and given out again is not what we took it for. */
static bool look_for(const struct poller *poller, int socket, bool known, unsigned events) {
  if (control(poller, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, events))
    return true;
  return (errno == ENOENT || errno == EEXIST) &&
         control(poller, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, events);
}

/* To forget a socket fails when it was closed: as well. */
static bool set_events(const struct poller *poller, int socket, struct poller_socket *row,
                       unsigned events) {
  bool known = row && row->events != 0, set = true;
  if (events != 0)
    set = look_for(poller, socket, known, events);
  else
    (void)control(poller, EPOLL_CTL_DEL, socket, 0);
  if (row)
    row->events = set ? (unsigned char)events : 0;
  return set;
}

bool poller_watch(struct poller *poller, int socket, bool readable, bool writable) {
  unsigned events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
  struct poller_socket *row = row_of(poller, socket);
  if (row)
    row->ignored = events == 0;
  if (row && row->adopted && (events == 0 || events == row->events))
    return true;
  return set_events(poller, socket, row, events);
}

void poller_adopt(struct poller *poller, int socket) {
  if (socket < poller->capacity)
    poller->sockets[socket].adopted = true;
}

void poller_release(struct poller *poller, int socket) {
  struct poller_socket *row = socket < poller->capacity ? &poller->sockets[socket] : NULL;
  if (!row || !row->adopted)
    return;
  if (row->events != 0)
    set_events(poller, socket, row, 0);
  row->adopted = false;
}

/* What is found on a socket that nobody wants to know of, mostly that the server has closed it, is
 * not to be found again and again. One that had no row for want of memory may have got it since. */
static bool is_ignored(const struct poller *poller, int socket) {
  if (socket >= poller->capacity || !poller->sockets[socket].ignored)
    return false;
  set_events(poller, socket, &poller->sockets[socket], 0);
  return true;
}

bool poller_enable_wake(struct poller *poller) {
  if (poller->waker >= 0)
    return true;
  int waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bool watched = waker >= 0 && poller_watch(poller, waker, true, false);
  if (watched)
    poller->waker = waker;
  else if (waker >= 0)
    close(waker);
  return watched;
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

int poller_wait(struct poller *poller, double seconds, struct poller_event events[POLLER_EVENTS]) {
  struct epoll_event found[POLLER_EVENTS];
  int count = 0;
  int ready = epoll_wait(poller->descriptor, found, POLLER_EVENTS, milliseconds(seconds));
  for (int i = 0; i < ready; i++) {
    if (found[i].data.fd == poller->waker) {
      drain_waker(poller);
      continue;
    }
    if (is_ignored(poller, found[i].data.fd))
      continue;
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

/* kqueue is told of every change. */
void poller_adopt(struct poller *poller, int socket) {
  (void)poller, (void)socket;
}

void poller_release(struct poller *poller, int socket) {
  (void)poller, (void)socket;
}

bool poller_watch(struct poller *poller, int socket, bool readable, bool writable) {
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

int poller_wait(struct poller *poller, double seconds, struct poller_event events[POLLER_EVENTS]) {
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
  free(poller->sockets);
  *poller = (struct poller){.descriptor = -1, .waker = -1};
}
