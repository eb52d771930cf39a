/* SPDX-License-Identifier: MIT
 * A small world around the engine and libcurl, in one thread, in which everything repeats: time
 * passes only when somebody waits for it, randomness is drawn from a seed, and the servers on the
 * other side of a real socket run whenever the engine looks at its sockets.
 *
 * It takes the place of clock_gettime (monotonic), epoll_wait, poll without descriptors, and
 * getentropy of the C library; nothing is changed in what is tested. */
#ifndef PR_WORLD_H
#define PR_WORLD_H

#include "../../src/buffer.h"

#include <stdint.h>

/* The server's end of a connection. */
struct connection {
  int descriptor;  /* -1: there is none */
  unsigned number; /* of the connection in this world, from 0 */
  struct buffer received, sending;
  size_t piece; /* bytes that are sent at once; 0: as many as fit */
  bool ending;  /* close when all is sent */
  bool fresh;   /* the server has not seen it yet */
};

/* What a server does with a connection that is new, or on which something was received. It takes
 * what it has read from `received`. */
typedef void world_server(struct connection *connection, void *user);

/* Begins a new world. */
void world_begin(uint64_t seed, world_server *server, void *user);

/* Closes all connections, and fails the oracle unless as many descriptors are open as were when
 * the world began. */
void world_end(void);

/* Where the server listens: a path for the option unix_socket. */
const char *world_path(void);

void world_pass(double seconds);
double world_now(void);

/* The length of the first whole request in the text, or 0 when there is none yet. Fails the oracle
 * when it is no request, or has anything but one line for each header. */
size_t world_request_length(const char *text, size_t length);

#endif
