/* SPDX-License-Identifier: MIT
 * One libcurl easy handle, the request it carries and the answer it collects. Part of the
 * transport. */
#ifndef PR_EXCHANGE_H
#define PR_EXCHANGE_H

#include "poller.h"
#include "ring.h"
#include "transport.h"

#include <curl/curl.h>

#pragma GCC visibility push(hidden)

enum {
  EXCHANGE_MOST_HEADERS = 16,
  RESTORING_LIBCURL = 0x081500 /* 8.21.0: a CAINFO or CAPATH of NULL is its default again */
};

struct exchange {
  struct ring_link link; /* in one of the transport's rings */
  CURL *easy;
  const struct request *request;
  void *owner;
  struct curl_slist header_nodes[EXCHANGE_MOST_HEADERS]; /* point into the request's headers */
  struct headers headers;
  struct buffer body, message;
  size_t max_response_bytes;
  unsigned sends;        /* times that libcurl had a connection and began to send */
  bool *has_connected;   /* of the transport: set when a connection was made */
  struct poller *poller; /* of the transport */
  bool in_flight, connected, too_large, too_old;
  bool lines_twice;     /* those of a head come to both callbacks: see set_order() */
  bool in_head;         /* the answer's own has not ended */
  bool begins_head;     /* the next line does: it is a status */
  bool has_line;        /* some head had another line, too */
  const char *wrong;    /* with the answer's head; NULL: nothing */
  bool plain_proxy;     /* of http://, which wants another request target */
  bool directory_alone; /* what it trusts: see exchange_open() */
  bool abandoned;       /* the process was forked: the handle is the parent's */
  CURLcode code;
  char detail[CURL_ERROR_SIZE];
};

/* Without a handle. Whenever it sends a request on a new connection it sets *has_connected. The
 * poller is told of connections that are closed. NULL when memory is short. */
struct exchange *exchange_new(bool *has_connected, struct poller *poller);
void exchange_free(struct exchange *exchange);

/* Gives it a handle, if it has none, with the options set that are the same for every request. It
 * trusts the ca_file; without one, what libcurl trusts by itself, or of that the system's directory
 * alone. False when memory is short. */
bool exchange_open(struct exchange *exchange, const struct transport_options *options,
                   bool directory_alone);

/* Takes its handle away, and keeps the buffers for the next. It must not be in flight. */
void exchange_close(struct exchange *exchange);

/* Forgets the last request and takes the next. False when memory is short, or with too many
 * headers. */
bool exchange_prepare(struct exchange *exchange, const struct request *request, void *owner);

/* Readies an exchange that trusted the directory alone for the same request, in the time that is
 * left of it, and trusts what libcurl trusts by itself. It must not be in flight. False when memory
 * is short. */
bool exchange_widen(struct exchange *exchange, const struct transport_options *options);

#pragma GCC visibility pop

#endif
