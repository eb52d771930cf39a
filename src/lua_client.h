/* SPDX-License-Identifier: MIT
 * The client and its calls: what the files of the binding share about them. */
#ifndef PR_LUA_CLIENT_H
#define PR_LUA_CLIENT_H

#include "form.h"
#include "lua_options.h"
#include "payment_records.h"
#include "ring.h"
#include "timers.h"
#include "transport.h"

#pragma GCC visibility push(hidden)

#define CLIENT_TYPE "payment_records.client"
#define CALL_TYPE "payment_records.call"

enum call_state {
  CALL_READY,   /* waits for its turn on the wire */
  CALL_ON_WIRE, /* an attempt is in flight, or in the hands of the user's transport */
  CALL_WAITING, /* for the time of its next attempt */
  CALL_DONE
};

/* Places in the store of a call (the userdata's table). */
enum {
  STORED_RECORD = 1,
  STORED_ERROR,
  STORED_RESPONSE,
  STORED_CALLBACK_ERROR, /* until there is a response for it */
  STORED_ON_DONE,
  STORED_WAKE, /* the same, of the Lua layer */
  STORED_OWNER /* the client */
};

/* What a call writes its request into. */
struct call_buffers {
  struct buffer url, headers, body, key;
};

/* A call is in a ring of its client until it is done, and its on_done was called; so long the
 * client's store keeps it from the collector. */
struct call {
  struct ring_link link;
  struct timer timer;    /* ready: its deadline. On the wire: when the attempt has taken too long.
                            Waiting: when the next attempt begins */
  struct client *client; /* NULL once the client was collected */
  const struct endpoint *endpoint;
  enum call_state state;
  int anchor;       /* where the client's store keeps it; LUA_NOREF when it does not */
  bool settling;    /* it is being looked at: nothing else may end it now */
  bool awaited;     /* somebody waits for it, who gets the errors of callbacks in the response */
  bool has_on_done; /* of either kind */
  bool told;        /* on_done was called, or was about to be */

  /* The request: the same bytes for every attempt. */
  struct buffer url, headers;
  size_t id, id_length;  /* where the record's id stands in the URL; length 0: the call has none */
  struct form form;      /* its body is the request's */
  struct buffer message; /* scratch: a fault's description */
  char idempotency_key[PR_MAX_HEADER_VALUE + 1];
  double timeout, connect_timeout;
  struct request request;

  /* How far it is. Times are those of clock_seconds(). */
  double started, attempt_started, deadline; /* deadline 0: none */
  int retries, max_retries;
  unsigned attempts, earlier_attempts; /* that went over the wire: in all, and before this one */
  bool doubt;                          /* some attempt ended unknown */
  double doubt_since;                  /* when the first of these began, by clock_seconds_slept() */
  bool refused;                        /* some attempt was seen, and refused */
  struct exchange *exchange;           /* while on libcurl's wire */
  const struct answer *answer;         /* while settling */
  struct headers transport_headers;    /* that the user's transport returned */
};

/* Places in the store of a client (the userdata's table). Our own functions are there because on
 * some Luas to push one allocates. */
enum {
  KEPT_DECODE = 1, /* lua-cjson's */
  KEPT_SETTLE,
  KEPT_REQUEST,
  KEPT_TELL,
  KEPT_NULL,
  KEPT_ON_ATTEMPT,
  KEPT_RAISED,  /* errors of callbacks, for step */
  KEPT_ANCHORS, /* the calls that are not done, or whose on_done is due */
  KEPT_UNSEEN   /* a call that was given back, or nil */
};

struct client {
  struct options options;
  struct buffer user_agent;
  struct call_buffers spare;   /* of a call that is done, for the next one */
  struct transport *transport; /* NULL with one of the user's, or closed */
  struct ring_link ready;      /* calls in the order of their turn */
  struct ring_link started;    /* calls on the wire, and those that wait for their next attempt */
  struct ring_link untold;     /* calls that are done, but whose on_done was not called yet */
  struct timers timers;        /* of all calls that are not done */
  unsigned process;            /* which has the calls, by forks_process() */
  unsigned forks;              /* of that process that were seen, by forks_made() */
  size_t on_wire, unfinished;
  unsigned busy; /* attempts' ends being looked at: code of the user's may run meanwhile */
  size_t raised; /* errors of callbacks that no step has raised yet */
  bool in_on_attempt;
  unsigned started_now; /* calls that did not wait for the next step */
  bool has_begun;       /* the step has: to do something that takes time */
  bool wire_first;      /* the step before had no time left to look at the wire */
  bool out_of_time;     /* the step before used all that it was given */
  bool short_of_memory; /* so that the last answer could not be decoded */
  bool closed;          /* for the user; what it holds is released when it is not busy */
  bool released;
};

/* The client at `index`. Raises when it is something else, or closed. */
struct client *lua_check_open_client(lua_State *L, int index);

/* Raises when it was closed since, by a finalizer: one may run whenever something allocates. */
void lua_check_still_open(lua_State *L, const struct client *client);

/* Frees what a client holds and wipes its key; its calls are left without one. Safe to run twice.
 */
void lua_client_release(struct client *client);

/* Lua: new(options) -> client. */
int lua_client_new(lua_State *L);

/* Creates the metatable of clients, with one method for every call of the API. */
void lua_client_register(lua_State *L);

#pragma GCC visibility pop

#endif
