/* SPDX-License-Identifier: MIT */
#include "curl_faults.h"

/* CURLE_TOO_LARGE of libcurl 8.6 and later. A header line that is too long was
 * CURLE_OUT_OF_MEMORY before. */
#define TOO_LARGE ((CURLcode)100)

/* Codes that are not here are faults on the way. */
static const struct {
  CURLcode code;
  enum fault fault;
  const char *advice; /* NULL: there is nothing to do but try again */
} faults[] = {
    {CURLE_OPERATION_TIMEDOUT, FAULT_TIMEOUT,
     "see the options timeout, connect_timeout and deadline"},
    {CURLE_COULDNT_RESOLVE_HOST, FAULT_CONNECT,
     "check api_base, the option unix_socket if it is given, the network and the name servers of "
     "this machine"},
    {CURLE_COULDNT_RESOLVE_PROXY, FAULT_CONNECT, "check the option proxy"},
    {CURLE_COULDNT_CONNECT, FAULT_CONNECT,
     "check that the server is up, that this machine may reach it, and the options proxy and "
     "unix_socket if they are given"},
    {CURLE_SSL_CONNECT_ERROR, FAULT_CONNECT,
     "check that the server speaks TLS 1.2 or later on this port"},
    {CURLE_PROXY, FAULT_CONNECT, "check the option proxy"},
    {CURLE_PEER_FAILED_VERIFICATION, FAULT_SETUP,
     "check the certificates and the clock of this machine, or give the issuer's as ca_file"},
    {CURLE_SSL_CACERT_BADFILE, FAULT_SETUP, "check the option ca_file"},
    {CURLE_SSL_ISSUER_ERROR, FAULT_SETUP, "check the option ca_file"},
    {CURLE_SSL_CIPHER, FAULT_SETUP, NULL},
    {CURLE_SSL_INVALIDCERTSTATUS, FAULT_SETUP, NULL},
    {CURLE_SSL_CLIENTCERT, FAULT_SETUP,
     "check the option api_base: Stripe asks for no certificate"},
    {CURLE_UNSUPPORTED_PROTOCOL, FAULT_SETUP, "check the options api_base and proxy"},
    {CURLE_URL_MALFORMAT, FAULT_SETUP, "check the option api_base"},
    {CURLE_FAILED_INIT, FAULT_SETUP, NULL},
    {CURLE_NOT_BUILT_IN, FAULT_SETUP, "this libcurl lacks something that is needed"},
    {CURLE_OUT_OF_MEMORY, FAULT_SETUP, NULL},
    {TOO_LARGE, FAULT_SETUP, NULL},
};

enum { COUNT = sizeof faults / sizeof faults[0] };

static size_t row(CURLcode code) {
  size_t i = 0;
  while (i < COUNT && faults[i].code != code)
    i++;
  return i;
}

enum fault curl_fault(CURLcode code, bool sent) {
  size_t i = row(code);
  if (i == COUNT)
    return FAULT_BROKEN;
  /* libcurl repeats a request on a new connection when a kept one dies, so even "could not connect"
   * may come after the request was read; an unreadable answer is an "unsupported protocol". */
  if (sent && faults[i].fault != FAULT_TIMEOUT)
    return code == CURLE_OUT_OF_MEMORY || code == TOO_LARGE ? FAULT_TOO_LARGE : FAULT_BROKEN;
  return faults[i].fault;
}

void curl_fault_describe(struct buffer *text, CURLcode code, const char *detail, bool sent) {
  size_t i = row(code);
  /* libcurl repeats a proxy that it cannot read, with the password in it. */
  bool shown = detail && *detail && !strchr(detail, '@');
  buffer_append_text(text, shown ? detail : curl_easy_strerror(code));
  if (i < COUNT && faults[i].advice && !(sent && faults[i].fault != FAULT_TIMEOUT)) {
    buffer_append_text(text, "; ");
    buffer_append_text(text, faults[i].advice);
  }
}
