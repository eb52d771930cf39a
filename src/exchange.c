/* SPDX-License-Identifier: MIT */
#include "exchange.h"

#include "clock.h"
#include "curl_faults.h"
#include "payment_records.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  MOST_SENDS = 2,    /* of one attempt */
  NOT_TAKEN = 0,     /* of what libcurl hands over: it ends the transfer */
  ONE_RECORD = 8192, /* bytes of a body that leaves, with its head, in one record of TLS */
  FORGETTING_LIBCURL = 0x080101, /* 8.1.1: a handle forgets the lines of its last answer's head */
  EASY_QUICK_EXIT = CURLOPTTYPE_LONG + 322 /* CURLOPT_QUICK_EXIT, in curl.h since 7.87.0 */
};

/* libcurl's callbacks: they append to buffers and count, nothing else. */

/* What is first in all the heads of a transfer cannot go on with a line before (RFC 9112, 5.2). */
static size_t check_line(struct exchange *exchange, const char *line, size_t length) {
  if (exchange->has_line || (*line != ' ' && *line != '\t'))
    return length;
  exchange->wrong = "the head of the answer begins with a line that goes on with another";
  return NOT_TAKEN;
}

/* Lines of the head come here, too, where they have to: see set_order(). */
static size_t on_body(char *data, size_t size, size_t count, void *user) {
  struct exchange *exchange = user;
  size_t length = size * count;
  if (exchange->lines_twice && exchange->in_head)
    return check_line(exchange, data, length);
  if (length > exchange->max_response_bytes - exchange->body.length) {
    exchange->too_large = true;
    return NOT_TAKEN;
  }
  buffer_append(&exchange->body, data, length);
  return exchange->body.failed ? NOT_TAKEN : length;
}

/* After the head of an interim answer, or of a proxy, comes another. From when a request is sent on
 * it (see on_send()), a connection is worth keeping when the answer's whole head has come back:
 * libcurl would keep one of HTTP/2 when the request on it timed out. */
static void end_head(struct exchange *exchange) {
  long status = 0;
  curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
  exchange->in_head = exchange->begins_head = status < 200;
  if (!exchange->in_head)
    curl_easy_setopt(exchange->easy, CURLOPT_FORBID_REUSE, 0L);
}

/* Takes a line that is not empty. False when the answer is not to be taken. */
static bool take_line(struct exchange *exchange, const char *line, size_t length) {
  bool first = exchange->begins_head;
  exchange->begins_head = false;
  exchange->too_large = exchange->headers.lines.length + length > PR_MAX_HEADERS_SIZE ||
                        exchange->headers.count >= PR_MAX_HEADERS;
  if (exchange->too_large)
    return false;
  if (first && !headers_begin(&exchange->headers, line, length))
    exchange->wrong = "the answer does not begin with HTTP and a status of three digits";
  if (!first)
    headers_receive(&exchange->headers, line, length);
  exchange->has_line = exchange->has_line || !first;
  return !exchange->wrong && !exchange->headers.lines.failed;
}

static size_t on_header(char *line, size_t size, size_t count, void *user) {
  struct exchange *exchange = user;
  size_t length = size * count;
  if (*line != '\r' && *line != '\n')
    return take_line(exchange, line, length) ? length : NOT_TAKEN;
  end_head(exchange);
  return length;
}

/* A connection may take as long as the machine sleeps, and so may the answer. */
static bool is_too_old(const struct exchange *exchange) {
  const struct request *request = exchange->request;
  return (exchange->sends > 0 || request->in_doubt) &&
         clock_seconds_slept() >= request->last_repeat;
}

/* Called each time that libcurl has a connection and is about to send the request on it: more than
 * once when it repeats the request by itself (RFC 9110, 9.2.2 does not stop it for a POST). Once is
 * well, as a kept connection may have died; but it would go on, five times and without a pause. */
static int on_send(void *user, char *remote, char *local, int remote_port, int local_port) {
  struct exchange *exchange = user;
  long opened = 0;
  (void)remote, (void)local, (void)remote_port, (void)local_port;
  exchange->too_old = is_too_old(exchange);
  if (exchange->sends == MOST_SENDS || exchange->too_old)
    return CURL_PREREQFUNC_ABORT;
  curl_easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &opened);
  if (opened > 0)
    exchange->connected = *exchange->has_connected = true;
  exchange->sends++;
  curl_easy_setopt(exchange->easy, CURLOPT_FORBID_REUSE, 1L);
  return CURL_PREREQFUNC_OK;
}

/* A program that the host starts must not inherit the connection. */
static curl_socket_t on_open_socket(void *user, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
  (void)user, (void)purpose;
  int descriptor = socket(address->family, address->socktype, address->protocol);
  if (descriptor < 0)
    return CURL_SOCKET_BAD;
  (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return descriptor;
}

/* Of a connection, which may outlive the handle that opened it, but not the poller. libcurls from
 * 7.88.0 to 8.1.2 close what never became a connection without a word. */
static int on_close_socket(void *poller, curl_socket_t descriptor) {
  poller_release(poller, descriptor);
  return close(descriptor);
}

static bool set_callbacks(CURL *easy, struct exchange *exchange) {
  unsigned failed = 0;
  failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
  failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
  failed |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
  failed |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
  failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  failed |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
  failed |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, exchange->poller);
  failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->detail);
  failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
  return failed == 0;
}

/* Before 8.1.1 libcurl, when the first line of a head begins with a space, adds it to the last line
 * of the handle's last answer, which it has freed (curl's #11103). With CURLOPT_HEADER each line of
 * a head, though not a trailer, comes to on_body() before that, and to on_header() after. */
static bool set_order(CURL *easy, bool lines_twice) {
  return !lines_twice || curl_easy_setopt(easy, CURLOPT_HEADER, 1L) == CURLE_OK;
}

/* What is fixed for the sake of safety: see SECURITY.md. */
static bool set_safety(CURL *easy, const struct transport_options *options) {
  unsigned failed = 0;
  failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, options->plain ? "http,https" : "https");
  failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  failed |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  /* A session that is resumed is not verified anew; and libcurl 7.88 frees one twice when memory is
   * short. */
  failed |= curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  failed |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  failed |= curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy ? options->proxy : "");
  failed |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  if (options->unix_socket)
    failed |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
  return failed == 0;
}

/* With a ca_file nothing else is trusted: the system's directory would come on top of it. A libcurl
 * whose TLS knows no directories says so, and reads none. */
static bool set_ca_file(CURL *easy, const char *ca_file) {
  bool restores = curl_version_info(CURLVERSION_NOW)->version_num >= RESTORING_LIBCURL;
  CURLcode code = curl_easy_setopt(easy, CURLOPT_CAPATH, restores ? "/dev/null" : NULL);
  return (code == CURLE_OK || code == CURLE_NOT_BUILT_IN) &&
         curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK;
}

static bool set_trust(CURL *easy, const struct transport_options *options, bool directory_alone) {
  if (options->ca_file)
    return set_ca_file(easy, options->ca_file);
  return !directory_alone || curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK;
}

static bool set_connection(CURL *easy, const struct transport_options *options) {
  unsigned failed = 0;
  failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  /* Or 64 KiB are allocated for each request, in newer libcurls until its answer is there. */
  failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
  /* To wait for a connection that others share pays where it may be HTTP/2: over TLS. */
  failed |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, options->plain ? 0L : 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 60L);
  failed |= curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, 600L);
  /* Or the end of a transfer would wait for a name server that does not answer. */
  (void)curl_easy_setopt(easy, (CURLoption)EASY_QUICK_EXIT, 1L);
  /* A libcurl without HTTP/2 refuses this, and does with HTTP/1.1. */
  (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  return failed == 0;
}

static CURL *new_easy(struct exchange *exchange, const struct transport_options *options) {
  CURL *easy = curl_easy_init();
  if (easy && set_callbacks(easy, exchange) && set_order(easy, exchange->lines_twice) &&
      set_safety(easy, options) && set_trust(easy, options, exchange->directory_alone) &&
      set_connection(easy, options))
    return easy;
  curl_easy_cleanup(easy);
  return NULL;
}

struct exchange *exchange_new(bool *has_connected, struct poller *poller) {
  struct exchange *exchange = calloc(1, sizeof *exchange);
  if (!exchange)
    return NULL;
  exchange->has_connected = has_connected;
  exchange->poller = poller;
  return exchange;
}

bool exchange_open(struct exchange *exchange, const struct transport_options *options,
                   bool directory_alone) {
  if (exchange->easy)
    return true;
  exchange->lines_twice = curl_version_info(CURLVERSION_NOW)->version_num < FORGETTING_LIBCURL;
  exchange->plain_proxy = options->plain && options->proxy;
  exchange->directory_alone = directory_alone;
  exchange->easy = new_easy(exchange, options);
  return exchange->easy != NULL;
}

void exchange_close(struct exchange *exchange) {
  if (!exchange->abandoned)
    curl_easy_cleanup(exchange->easy);
  exchange->easy = NULL;
}

void exchange_free(struct exchange *exchange) {
  exchange_close(exchange);
  headers_free(&exchange->headers);
  buffer_free(&exchange->body);
  buffer_free(&exchange->message);
  free(exchange);
}

/* Links the nodes to the lines of the request; libcurl reads the list, and never copies or frees
 * it. */
static bool set_headers(struct exchange *exchange, const struct buffer *headers) {
  static char no_expect[] = "Expect:"; /* or libcurl waits for a 100 before a large body */
  struct curl_slist *nodes = exchange->header_nodes;
  size_t count = 0, offset = 0;
  nodes[count++] = (struct curl_slist){.data = no_expect};
  while (offset < headers->length && count < EXCHANGE_MOST_HEADERS) {
    nodes[count] = (struct curl_slist){.data = headers->data + offset};
    nodes[count - 1].next = &nodes[count];
    offset += strlen(nodes[count++].data) + 1;
  }
  return offset >= headers->length &&
         curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, nodes) == CURLE_OK;
}

static bool set_body(CURL *easy, const struct request *request) {
  if (request->method[0] == 'G')
    return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
  unsigned failed = 0;
  failed |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body->length);
  failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buffer_text(request->body));
  return failed == 0;
}

/* The target is said beside the URL: libcurl, when one allocation fails, may leave out the query.
 */
static bool set_url(const struct exchange *exchange, const char *url) {
  const char *target = exchange->plain_proxy ? NULL : strchr(strstr(url, "//") + 2, '/');
  return curl_easy_setopt(exchange->easy, CURLOPT_URL, url) == CURLE_OK &&
         curl_easy_setopt(exchange->easy, CURLOPT_REQUEST_TARGET, target) == CURLE_OK;
}

/* At least one millisecond: to libcurl 0 is "no limit". The options allow no more than 1e6 seconds.
 */
static long milliseconds(double seconds) {
  return seconds < 0.001 ? 1 : (long)(seconds * 1000);
}

bool exchange_prepare(struct exchange *exchange, const struct request *request, void *owner) {
  CURL *easy = exchange->easy;
  exchange->owner = owner;
  exchange->sends = 0;
  exchange->connected = false;
  exchange->too_large = exchange->too_old = exchange->has_line = false;
  exchange->in_head = exchange->begins_head = true;
  exchange->wrong = NULL;
  exchange->code = CURLE_OK;
  exchange->detail[0] = '\0';
  exchange->max_response_bytes = request->max_response_bytes;
  headers_clear(&exchange->headers);
  buffer_clear(&exchange->body);
  buffer_clear(&exchange->message);
  unsigned failed = 0;
  failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(request->timeout));
  failed |=
      curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(request->connect_timeout));
  failed |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->fresh ? 1L : 0L);
  return failed == 0 && set_url(exchange, request->url) &&
         set_headers(exchange, request->headers) && set_body(easy, request);
}

/* Another handle, since not every libcurl goes back to its defaults. */
bool exchange_widen(struct exchange *exchange, const struct transport_options *options) {
  struct request rest = *exchange->request;
  double spent = 0;
  curl_easy_getinfo(exchange->easy, CURLINFO_TOTAL_TIME, &spent);
  rest.timeout -= spent;
  rest.connect_timeout -= spent;
  exchange_close(exchange);
  return exchange_open(exchange, options, false) &&
         exchange_prepare(exchange, &rest, exchange->owner);
}

/* libcurl counts the bytes that left; but over TLS only when the last record of what it writes at
 * once did. */
static bool may_have_left(const struct exchange *exchange) {
  const struct buffer *body = exchange->request->body;
  long bytes = 0;
  curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &bytes);
  return bytes > 0 || exchange->headers.lines.length > 0 || (body && body->length > ONE_RECORD);
}

/* on_send() tells the request's bytes from those of a proxy's tunnel. */
unsigned transport_sends(const struct exchange *exchange) {
  if (exchange->abandoned)
    return exchange->sends > 0 ? exchange->sends : 1;
  return exchange->sends > 0 && may_have_left(exchange) ? exchange->sends : 0;
}

static enum fault exchange_fault(const struct exchange *exchange, unsigned sends) {
  long proxy_status = 0;
  if (exchange->abandoned)
    return FAULT_CANCELED;
  if (exchange->too_large)
    return FAULT_TOO_LARGE;
  if (exchange->too_old)
    return FAULT_SETUP;
  if (exchange->code == CURLE_OK)
    return FAULT_NONE;
  curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  if (sends == 0 && proxy_status == 407)
    return FAULT_SETUP;
  return curl_fault(exchange->code, sends > 0);
}

static void describe_code(struct exchange *exchange, const struct answer *answer) {
  long proxy_status = 0;
  curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  curl_fault_describe(&exchange->message, exchange->code, exchange->detail, answer->sends > 0);
  if (answer->sends == 0 && proxy_status >= 300)
    buffer_append_text(&exchange->message, "; check the option proxy");
}

static void describe_fault(struct exchange *exchange, const struct answer *answer) {
  struct buffer *text = &exchange->message;
  buffer_clear(text);
  if (answer->fault == FAULT_CANCELED)
    buffer_append_text(text, "the process was forked while the call was in flight");
  else if (exchange->wrong)
    buffer_append_text(text, exchange->wrong);
  else if (exchange->too_old)
    buffer_append_text(text, "too much time has passed to send it again: look for the payment");
  else if (exchange->code == CURLE_ABORTED_BY_CALLBACK)
    buffer_append_text(text, "the server did not take the request, on two connections in a row");
  else if (exchange->too_large)
    buffer_append_text(text, "the answer is larger than max_response_bytes allows");
  else if (answer->fault == FAULT_TOO_LARGE)
    buffer_append_text(text, "no memory for the answer, or one of its header lines is too long");
  else
    describe_code(exchange, answer);
}

void transport_answer(struct exchange *exchange, struct answer *answer) {
  *answer = (struct answer){.sends = transport_sends(exchange), .headers = &exchange->headers};
  answer->fault = exchange_fault(exchange, answer->sends);
  answer->body = buffer_text(&exchange->body);
  answer->body_length = exchange->body.length;
  curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &answer->status);
  if (answer->fault == FAULT_NONE)
    return;
  answer->curl_code = (int)exchange->code;
  describe_fault(exchange, answer);
  answer->message =
      exchange->message.failed ? "not enough memory" : buffer_text(&exchange->message);
}
