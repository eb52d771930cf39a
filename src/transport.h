/* SPDX-License-Identifier: MIT
 * Requests on the wire: one libcurl multi handle, driven by its socket interface over one poller.
 * Knows HTTPS and libcurl; knows nothing of Lua or of Stripe. */
#ifndef PR_TRANSPORT_H
#define PR_TRANSPORT_H

#include "answer.h"

#pragma GCC visibility push(hidden)

struct transport_options {
  const char *ca_file;     /* NULL: the system's certificates */
  const char *proxy;       /* NULL: none; the environment is never asked */
  const char *unix_socket; /* NULL: TCP */
  long connections;        /* kept at most, for further requests */
  bool plain; /* http:// is allowed (the caller has seen to it that the host is loopback) */
};

/* Everything here must live until the exchange is released. */
struct request {
  const char *method; /* "GET" or "POST" */
  const char *url;
  const struct buffer *headers;    /* "Name: value" lines, each ended by a NUL */
  const struct buffer *body;       /* of a POST */
  double timeout, connect_timeout; /* seconds */
  size_t max_response_bytes;
  bool fresh;         /* on a new connection: who knows what became of the others */
  bool in_doubt;      /* an earlier attempt may have taken effect */
  double last_repeat; /* by clock_seconds_slept(): then it may no longer be sent again */
};

struct transport;
struct exchange; /* one request on the wire, then its answer */

/* Initialises libcurl, once in the process. NULL, or what is wrong with the libcurl that is there.
 */
const char *transport_library_fault(void);

/* NULL when memory or descriptors are short. */
struct transport *transport_new(const struct transport_options *options);

/* Ends everything that is in flight, at once. */
void transport_free(struct transport *transport);

/* Looks whether the process was forked since the last time. Then the handles are the parent's: it
 * leaves them alone, and ends what was in flight without an answer. To be called before anything is
 * started, moved or released. */
void transport_renew(struct transport *transport);

/* Begins to put a request on the wire, or leaves that to the next step when it is past `end`; steps
 * move it on. NULL when memory or descriptors are short. */
struct exchange *transport_start(struct transport *transport, const struct request *request,
                                 void *owner, double end);

/* Moves what can move, after waiting at most `seconds` for something to happen (0: not at all;
 * negative: as long as it takes). What is left at `end`, by clock_seconds(), is for the next step.
 */
void transport_step(struct transport *transport, double seconds, double end);

/* The owner of the oldest exchange that has ended and was not released yet, or NULL. */
void *transport_finished(const struct transport *transport);

/* Whether an exchange has ended. */
bool transport_has_finished(const struct exchange *exchange);

/* How an exchange ended. The answer points into the exchange. */
void transport_answer(struct exchange *exchange, struct answer *answer);

/* How often an exchange, ended or not, has gone onto the wire; after a fork once at least, since
 * the parent may be sending it by now. */
unsigned transport_sends(const struct exchange *exchange);

/* Gives an exchange back; one that is still in flight is aborted, with its connection. */
void transport_release(struct transport *transport, struct exchange *exchange);

/* The seconds until transport_step() has something to do even if nothing arrives (negative: never).
 */
double transport_timeout(const struct transport *transport);

/* A descriptor that is readable when transport_step() has something to do, for event loops; -1 when
 * there is none to be had. Another one after a fork. */
int transport_descriptor(struct transport *transport);

/* Makes that descriptor, if it was asked for, readable until the next step. */
void transport_wake(const struct transport *transport);

#pragma GCC visibility pop

#endif
