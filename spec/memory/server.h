/* SPDX-License-Identifier: MIT
 * A scripted server in the thread of its client: real sockets on the loopback, moved on whenever
 * the client waits, so that what it has read and answered is known exactly at every moment.
 *
 * What it answers is in the idempotency key of a POST, or in the id of a GET: "503_200-7" is
 * answered with 503, then, and from there on, with 200. The names are those of server.c. */
#ifndef MEMORY_SERVER_H
#define MEMORY_SERVER_H

#include <stdbool.h>

/* What was seen of one key or id. */
struct seen {
  char key[96];
  bool post;
  unsigned requests;  /* read in whole */
  unsigned effects;   /* of them, those that a server might have executed */
  unsigned successes; /* of them, those that were answered so */
};

/* Listens. With a directory of certificates it speaks TLS. False when it cannot. */
bool server_open(const char *certificates);
const char *server_url(void);

/* Does all that can be done without waiting. */
void server_move(void);

/* Closes all connections and forgets what was seen. */
void server_reset(void);

/* What was seen of a key; all 0 when nothing was. */
const struct seen *server_seen(const char *key);

#endif
