/* SPDX-License-Identifier: MIT
 * The header lines of an answer: kept as they came, and those that the retry rules need, read. */
#ifndef PR_HEADERS_H
#define PR_HEADERS_H

#include "buffer.h"

#pragma GCC visibility push(hidden)

enum should_retry {
  SHOULD_RETRY_ABSENT,
  SHOULD_RETRY_TRUE,
  SHOULD_RETRY_FALSE,
  SHOULD_RETRY_CONFLICT
};

struct headers {
  struct buffer lines; /* as they came, each ended by a line feed, of the last header block */
  size_t count;
  enum should_retry should_retry; /* Stripe-Should-Retry; contradicting lines are a conflict */
  double retry_after;             /* seconds; negative: absent, or a date (Stripe sends none) */
  size_t request_id, request_id_length; /* where its value stands in the lines; length 0: absent */
  size_t idempotency_key, idempotency_key_length; /* the same */
  bool replayed;                                  /* Idempotent-Replayed: true */
  bool from_mock;                                 /* stripe-mock says that it is who answers */
};

struct header {
  const char *name, *value; /* not ended by NUL */
  size_t name_length, value_length;
};

void headers_clear(struct headers *headers);
void headers_free(struct headers *headers);

/* Takes the first line of a head: what an interim answer (100, 103) or a proxy carried is
 * forgotten. False unless it is "HTTP/…" with a status of three digits (RFC 9112, 4): of "http/1.1
 * 500" libcurl makes 200, and of more digits newer ones read the first three. */
bool headers_begin(struct headers *headers, const char *line, size_t length);

/* Takes another line, or a trailer, as it came. */
void headers_receive(struct headers *headers, const char *line, size_t length);

/* Takes one header as a pair. */
void headers_add(struct headers *headers, struct header header);

/* Walks lines as they are kept, but for those without a colon: *cursor begins at 0. False at the
 * end. */
bool headers_next(const char *lines, size_t length, size_t *cursor, struct header *header);

#pragma GCC visibility pop

#endif
