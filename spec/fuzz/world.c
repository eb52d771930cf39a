/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 128, BACKLOG = 128, WATCHED_DESCRIPTORS = 32, MOST_LINES = 16 };

#define TICK 1e-6 /* seconds that looking at the clock takes */
#define MOST_LOOKS 100000

static struct world {
  double now;
  unsigned looks; /* at the clock, since somebody waited */
  uint64_t random;
  int listener;
  uint32_t open;  /* the descriptors that were, as the world began: one bit for each */
  unsigned count; /* of connections so far */
  struct connection connections[MOST_CONNECTIONS];
  world_server *server;
  void *user;
} world = {.listener = -1};

/* --- time and randomness ------------------------------------------------------------------- */

double world_now(void) {
  return world.now;
}

void world_pass(double seconds) {
  world.now += seconds;
  world.looks = 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int clock_gettime(clockid_t clock, struct timespec *time) {
  if (clock != CLOCK_MONOTONIC)
    return (int)syscall(SYS_clock_gettime, clock, time);
  CHECK(world.looks++ < MOST_LOOKS, "the engine spins");
  world.now += TICK;
  time->tv_sec = (time_t)world.now;
  time->tv_nsec = (long)((world.now - (double)time->tv_sec) * 1e9);
  return 0;
}

/* xorshift64 */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int getentropy(void *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    world.random ^= world.random << 13;
    world.random ^= world.random >> 7;
    world.random ^= world.random << 17;
    ((unsigned char *)bytes)[i] = (unsigned char)(world.random >> 32);
  }
  return 0;
}

/* --- servers ------------------------------------------------------------------------------- */

const char *world_path(void) {
  static char path[64];
  if (!*path)
    (void)snprintf(path, sizeof path, "build/fuzz/socket.%d", (int)getpid());
  return path;
}

static void remove_path(void) {
  (void)unlink(world_path());
}

static void listen_on_path(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", world_path());
  (void)unlink(address.sun_path);
  world.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  CHECK(bind(world.listener, (struct sockaddr *)&address, sizeof address) == 0 &&
            listen(world.listener, BACKLOG) == 0 && atexit(remove_path) == 0,
        "%s: %s", address.sun_path, strerror(errno));
}

static void end_connection(struct connection *connection) {
  if (connection->descriptor >= 0)
    (void)close(connection->descriptor);
  connection->descriptor = -1;
  buffer_free(&connection->received);
  buffer_free(&connection->sending);
}

static struct connection *free_connection(void) {
  for (int i = 0; i < MOST_CONNECTIONS; i++)
    if (world.connections[i].descriptor < 0)
      return &world.connections[i];
  return NULL;
}

static void take_connections(void) {
  struct connection *connection;
  while ((connection = free_connection()) != NULL) {
    int descriptor = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0)
      return;
    *connection =
        (struct connection){.descriptor = descriptor, .number = world.count++, .fresh = true};
  }
}

/* False at the end of what the client sends. */
static bool receive(struct connection *connection) {
  char bytes[65536];
  ssize_t count;
  while ((count = recv(connection->descriptor, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
    buffer_append(&connection->received, bytes, (size_t)count);
  return count < 0 && errno == EAGAIN;
}

/* False when the client has closed its end. */
static bool flush(struct connection *connection) {
  struct buffer *sending = &connection->sending;
  size_t piece = connection->piece > 0 ? connection->piece : sending->length;
  while (sending->length > 0) {
    piece = piece < sending->length ? piece : sending->length;
    ssize_t count = send(connection->descriptor, sending->data, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0)
      return errno == EAGAIN;
    memmove(sending->data, sending->data + count, sending->length - (size_t)count);
    buffer_truncate(sending, sending->length - (size_t)count);
    if (connection->piece > 0)
      return true;
  }
  return true;
}

static void serve(struct connection *connection) {
  size_t before = connection->received.length;
  bool open = receive(connection);
  if (connection->fresh || connection->received.length > before)
    world.server(connection, world.user);
  connection->fresh = false;
  open = flush(connection) && open;
  if (!open || (connection->ending && connection->sending.length == 0))
    end_connection(connection);
}

static void serve_all(void) {
  take_connections();
  for (int i = 0; i < MOST_CONNECTIONS; i++)
    if (world.connections[i].descriptor >= 0)
      serve(&world.connections[i]);
}

/* --- waiting ------------------------------------------------------------------------------- */

/* With nothing left to be served, only the time can change anything. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int epoll_wait(int descriptor, struct epoll_event *events, int most, int milliseconds) {
  serve_all();
  int count = epoll_pwait(descriptor, events, most, 0, NULL);
  if (count != 0 || milliseconds == 0)
    return count;
  CHECK(milliseconds > 0, "the engine waits for ever");
  world_pass(milliseconds / 1e3);
  return 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's are reserved */
int poll(struct pollfd *polled, nfds_t count, int milliseconds) {
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  if (count > 0)
    return ppoll(polled, count, milliseconds < 0 ? NULL : &time, NULL);
  CHECK(milliseconds >= 0, "the engine waits for ever");
  world_pass(milliseconds / 1e3);
  return 0;
}

/* --- one world after the other ------------------------------------------------------------- */

static uint32_t open_descriptors(void) {
  uint32_t open = 0;
  for (int i = 0; i < WATCHED_DESCRIPTORS; i++)
    open |= (uint32_t)(fcntl(i, F_GETFD) >= 0) << i;
  return open;
}

void world_begin(uint64_t seed, world_server *server, void *user) {
  if (world.listener < 0) {
    listen_on_path();
    for (int i = 0; i < MOST_CONNECTIONS; i++)
      world.connections[i].descriptor = -1;
  }
  world.now = 1000;
  world.looks = 0;
  world.random = seed * 2 + 1;
  world.count = 0;
  world.server = server;
  world.user = user;
  world.open = open_descriptors();
}

void world_end(void) {
  take_connections();
  for (int i = 0; i < MOST_CONNECTIONS; i++)
    end_connection(&world.connections[i]);
  CHECK(open_descriptors() == world.open, "descriptors %x, were %x", open_descriptors(),
        world.open);
}

/* --- requests ------------------------------------------------------------------------------ */

struct line {
  const char *name;
  size_t length;
};

/* A line without its CR LF. */
static void check_line(const char *text, size_t length, struct line *lines, size_t *count) {
  const char *colon = memchr(text, ':', length);
  CHECK(colon && colon > text && *count < MOST_LINES, "the header %.*s", (int)length, text);
  for (size_t i = 0; i < length; i++)
    CHECK(text[i] >= ' ' && text[i] <= '~', "byte %d in the header %.*s", text[i], (int)length,
          text);
  struct line line = {text, (size_t)(colon - text)};
  for (size_t i = 0; i < *count; i++)
    CHECK(lines[i].length != line.length || strncasecmp(lines[i].name, text, line.length) != 0,
          "twice: %.*s", (int)line.length, text);
  lines[(*count)++] = line;
}

static void check_head(const char *text, const char *end) {
  struct line lines[MOST_LINES];
  size_t count = 0;
  const char *line, *next = memmem(text, (size_t)(end - text), "\r\n", 2);
  CHECK((memcmp(text, "GET /v1/", 8) == 0 || memcmp(text, "POST /v1/", 9) == 0) && next &&
            memcmp(next - 9, " HTTP/1.1", 9) == 0,
        "the request %.60s", text);
  for (line = next + 2; line < end; line = next + 2) {
    next = memmem(line, (size_t)(end - line), "\r\n", 2);
    check_line(line, (size_t)(next - line), lines, &count);
  }
}

size_t world_request_length(const char *text, size_t length) {
  const char *end = memmem(text, length, "\r\n\r\n", 4);
  if (!end)
    return 0;
  const char *field = memmem(text, (size_t)(end - text), "Content-Length: ", 16);
  size_t head = (size_t)(end - text) + 4, body = field ? strtoul(field + 16, NULL, 10) : 0;
  check_head(text, end + 2);
  return length < head + body ? 0 : head + body;
}
