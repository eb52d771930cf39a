/* SPDX-License-Identifier: MIT
 * How one attempt ended, whoever carried it: libcurl, or a transport of the user's. */
#ifndef PR_ANSWER_H
#define PR_ANSWER_H

#include "headers.h"
#include "retry.h"

#pragma GCC visibility push(hidden)

struct answer {
  enum fault fault;
  const char *message; /* of a fault: what happened and what to do; no secret */
  int curl_code;       /* of a fault; 0 when it was not libcurl's */
  unsigned sends; /* how often the request went onto the wire: libcurl may repeat it by itself */
  long status;    /* 0: none came */
  const struct headers *headers;
  const char *body;
  size_t body_length;
};

#pragma GCC visibility pop

#endif
