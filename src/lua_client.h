/* SPDX-License-Identifier: MIT
 * The client and its calls: what the files of the binding share about them. */
#ifndef PR_LUA_CLIENT_H
#define PR_LUA_CLIENT_H

#include "form.h"
#include "lua_options.h"
#include "ring.h"
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

/* A call is in one ring of its client, according to its state, until it is done; so long it is kept
 * from the collector by client's store. Its own store (the userdata's table) has the result:
 * [1] record, [2] error, [3] response, and "client". */
struct call {
  struct ring_link link;
  struct client *client; /* NULL once the client was collected */
  const struct endpoint *endpoint;
  enum call_state state;
  int anchor; /* where the client's store keeps it; LUA_NOREF when it does not */

  /* The request: the same bytes for every attempt. */
  struct buffer url, headers, body;
  char idempotency_key[256];
  double timeout, connect_timeout;
  size_t max_response_bytes;
  struct request request;

  /* How far it is. Times are those of clock_seconds(). */
  double started, attempt_started, deadline; /* deadline 0: none */
  double due;                                /* of the next attempt, while waiting */
  int retries, max_retries;
  unsigned attempts, earlier_attempts; /* that went over the wire: in all, and before this one */
  bool doubt;                          /* some attempt ended unknown */
  bool refused;                        /* some attempt was seen, and refused */
  struct exchange *exchange;           /* while on libcurl's wire */
};

/* Its store (the userdata's table): "decode" (lua-cjson's), "null", "on_attempt", and the anchored
 * calls. */
struct client {
  struct options options;
  struct form form;       /* scratch: the body that is being written */
  struct buffer message;  /* scratch: a fault's description */
  struct headers carried; /* scratch: the headers that a user's transport returned */
  struct buffer user_agent;
  struct transport *transport;              /* NULL when carried or closed */
  struct ring_link ready, on_wire, waiting; /* of calls; waiting is in the order of time */
  size_t on_wire_count, unfinished;
  bool closed, in_callback;
};

/* The client at `index`. Raises when it is something else, or closed. */
struct client *lua_check_open_client(lua_State *L, int index);

/* Lua: new(options) -> client. */
int lua_client_new(lua_State *L);

/* Adds a blocking function for every call of the API to the table on top of the stack:
 * report_payment(client, params[, options]) and its sisters. */
void lua_client_push_calls(lua_State *L);

/* Creates the metatable of clients, with one method for every call of the API. */
void lua_client_register(lua_State *L);

#pragma GCC visibility pop

#endif
