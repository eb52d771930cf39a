/* SPDX-License-Identifier: MIT
 * One libcurl easy handle, the request it carries and the answer it collects. Part of the
 * transport. */
#ifndef PR_EXCHANGE_H
#define PR_EXCHANGE_H

#include "ring.h"
#include "transport.h"

#include <curl/curl.h>

#pragma GCC visibility push(hidden)

enum { EXCHANGE_MOST_HEADERS = 16 };

struct exchange {
  struct ring_link link; /* in one of the transport's rings */
  CURL *easy;
  void *owner;
  struct curl_slist header_nodes[EXCHANGE_MOST_HEADERS]; /* point into the request's headers */
  struct headers headers;
  struct buffer body, message;
  size_t max_response_bytes;
  unsigned sends; /* times that libcurl had a connection and began to send */
  bool in_flight, too_large;
  bool plain_proxy; /* of http://, which wants another request target */
  bool abandoned;   /* the process was forked: the handle is the parent's */
  CURLcode code;
  char detail[CURL_ERROR_SIZE];
};

/* With the options set that are the same for every request. NULL when memory is short. */
struct exchange *exchange_new(const struct transport_options *options);
void exchange_free(struct exchange *exchange);

/* Forgets the last request and takes the next. False when memory is short, or with too many
 * headers. */
bool exchange_prepare(struct exchange *exchange, const struct request *request, void *owner);

#pragma GCC visibility pop

#endif
