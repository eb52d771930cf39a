/* SPDX-License-Identifier: MIT
 * What libcurl's error codes mean for a call, and what to tell its caller. */
#ifndef PR_CURL_FAULTS_H
#define PR_CURL_FAULTS_H

#include "buffer.h"
#include "retry.h"

#include <curl/curl.h>

#pragma GCC visibility push(hidden)

/* `sent`: some byte of the request left us, so whatever the code says, it was the way that failed.
 */
enum fault curl_fault(CURLcode code, bool sent);

/* Appends one line: what happened (libcurl's own words where it has some) and what to do. */
void curl_fault_describe(struct buffer *text, CURLcode code, const char *detail, bool sent);

#pragma GCC visibility pop

#endif
