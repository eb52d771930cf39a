/* SPDX-License-Identifier: MIT
 * Which servers a key may be sent to: https anywhere, http on this machine alone. */
#ifndef PR_BASE_URL_H
#define PR_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

enum base_url { BASE_URL_INVALID, BASE_URL_NOT_LOOPBACK, BASE_URL_PLAIN, BASE_URL_SECURE };

/* What `url` is. Scheme, host and port are all it may have, and a slash at its end: no user, path,
 * query, percent-encoding or international name, so that it cannot mean another host than it says.
 */
enum base_url base_url_check(const char *url, size_t length);

#pragma GCC visibility pop

#endif
