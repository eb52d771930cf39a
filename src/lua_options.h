/* SPDX-License-Identifier: MIT
 * The options of a client and of a call: one table says what there is, of what type, and where. */
#ifndef PR_LUA_OPTIONS_H
#define PR_LUA_OPTIONS_H

#include "buffer.h"
#include "compat.h"
#include "endpoints.h"

#pragma GCC visibility push(hidden)

enum { SHORTEST_KEY = 8 }; /* what is shorter is no secret, and may stand anywhere by chance */

struct text {
  const char *data; /* NULL: not given; otherwise ended by a NUL */
  size_t length;
};

struct options {
  struct text api_key, api_base, api_version, stripe_account, stripe_context, idempotency_key;
  struct text ca_file, proxy, unix_socket;
  double timeout, connect_timeout, deadline; /* seconds; deadline 0: none */
  long long max_retries, max_in_flight, max_response_bytes;
  bool allow_unknown_params;
  bool has_transport; /* of the user's */
  struct buffer own;  /* where the texts are once they are the options' own */
};

/* Reads the options of a client from the table at `index` over the defaults. Raises on a name, a
 * type or a value that is wrong. Free them in any case. */
void lua_options_read_client(lua_State *L, int index, struct options *options);

/* Reads the options of a call from the table at `index` (none or nil: nothing) over those of its
 * client. Raises on a name or a type that is wrong. */
void lua_options_read_call(lua_State *L, int index, struct options *options);

/* Many a key is read from a file whose line break it has at its end. */
#define HEADER_EXPECTATION "1 to 255 printable ASCII characters, without spaces or line breaks"

/* The name of an option that would go into a header and may not, or NULL. */
const char *lua_options_bad_header(const struct options *options);

/* Whether the text has the API key in it. */
bool lua_options_have_key(const struct options *options, const char *text, size_t length);

/* The name of another header's option that has the API key in it, or NULL. */
const char *lua_options_misplaced_key(const struct options *options);

/* Whether a live key would go over plain http. */
bool lua_options_exposes_key(const struct options *options);

void lua_options_free(struct options *options);

/* Whether a single call may have the option, too. */
bool lua_options_is_call_option(const char *name);

/* The call named by the string at `index`. Raises on an unknown name, with the nearest known one.
 */
const struct endpoint *lua_options_check_endpoint(lua_State *L, int index);

#pragma GCC visibility pop

#endif
