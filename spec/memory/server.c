/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  MOST_CONNECTIONS = 128,
  MOST_KEYS = 128,
  IN_BYTES = 8192,
  OUT_BYTES = 120000,
  LARGE_BODY = 100000,
  LONG_TEXT = 90000
};

enum body { BODY_RECORD, BODY_LONG, BODY_LIST, BODY_LAST, BODY_TEXT };

static const struct answer {
  const char *name;
  int status;
  enum body body;
  const char *text;    /* of BODY_TEXT */
  const char *headers; /* further ones */
  bool effect, success;
  bool cut;  /* after half of the body */
  bool drop; /* nothing is answered, the connection is closed */
  bool hold; /* nothing is answered */
} answers[] = {
    {"200", 200, BODY_RECORD, .effect = true, .success = true},
    {"long", 200, BODY_LONG, .effect = true, .success = true},
    {"list", 200, BODY_LIST, .effect = true, .success = true},
    {"last", 200, BODY_LAST, .effect = true, .success = true},
    {"402", 402, BODY_TEXT,
     .text = "{\"error\":{\"type\":\"card_error\",\"code\":\"declined\",\"message\":\"The card was "
             "declined.\",\"param\":\"outcome\",\"doc_url\":\"https://example.com\",\"more\":{"
             "\"list\":[1,2,null]}}}"},
    {"401", 401, BODY_TEXT,
     .text =
         "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Invalid API Key provided: "
         "sk_test_memory\"}}"},
    {"other", 400, BODY_TEXT,
     .text = "{\"error\":\"invalid_client\",\"error_description\":\"No such application.\"}"},
    {"429", 429, BODY_TEXT,
     .text = "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"slow\"}}",
     .headers = "Retry-After: 0\r\n"},
    {"500", 500, BODY_TEXT, .text = "{\"error\":{\"type\":\"api_error\",\"message\":\"sorry\"}}"},
    {"503", 503, BODY_TEXT, .text = ""},
    {"html", 200, BODY_TEXT, .text = "<html><body>It works!</body></html>", .effect = true},
    {"object", 200, BODY_TEXT, .text = "{\"object\":\"something\"}", .effect = true},
    {"cut", 200, BODY_RECORD, .effect = true, .cut = true},
    {"drop", .effect = true, .drop = true},
    {"hold", .effect = true, .hold = true},
};

struct connection {
  SSL *tls;
  size_t in_length, out_length, written;
  int descriptor; /* -1: this place is free */
  bool closing;   /* when all is written */
  char in[IN_BYTES], out[OUT_BYTES];
};

static struct connection connections[MOST_CONNECTIONS];
static struct seen all_seen[MOST_KEYS];
static size_t seen_count;
static int listener = -1;
static SSL_CTX *context;
static char url[64];

/* --- what is answered ----------------------------------------------------------------------- */

const struct seen *server_seen(const char *key) {
  static const struct seen nothing = {.requests = 0};
  for (size_t i = 0; i < seen_count; i++)
    if (strcmp(all_seen[i].key, key) == 0)
      return &all_seen[i];
  return &nothing;
}

static struct seen *note(const char *key, bool post) {
  for (size_t i = 0; i < seen_count; i++)
    if (strcmp(all_seen[i].key, key) == 0)
      return &all_seen[i];
  if (seen_count == MOST_KEYS)
    abort();
  struct seen *seen = &all_seen[seen_count++];
  *seen = (struct seen){.post = post};
  snprintf(seen->key, sizeof seen->key, "%s", key);
  return seen;
}

/* The answer number `turn` (from 0) of "503_200-7"; the last one holds for all further turns. */
static const struct answer *choose(const char *key, unsigned turn) {
  size_t length = strcspn(key, "_-");
  while (turn-- > 0 && key[length] == '_') {
    key += length + 1;
    length = strcspn(key, "_-");
  }
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
    if (strlen(answers[i].name) == length && memcmp(answers[i].name, key, length) == 0)
      return &answers[i];
  fprintf(stderr, "the server has no answer \"%s\"\n", key);
  abort();
}

/* About 1 KB, as long as a record usually is. */
static size_t write_record(char *out, size_t size, const char *id, const char *text) {
  int length = snprintf(
      out, size,
      "{\"id\":\"%s\",\"object\":\"%s\",\"amount\":{\"currency\":\"usd\",\"value\":1000},"
      "\"amount_canceled\":{\"currency\":\"usd\",\"value\":0},\"created\":1730253453,"
      "\"customer_details\":{\"customer\":null,\"email\":\"a@example.com\",\"name\":null},"
      "\"customer_presence\":\"on_session\",\"description\":\"%s\",\"latest_payment_attempt_"
      "record\":"
      "\"par_1\",\"livemode\":false,\"metadata\":{\"order\":\"7\",\"a\":\"b\",\"c\":\"d\"},"
      "\"payment_method_details\":{\"billing_details\":{\"address\":{\"city\":\"Paris\","
      "\"country\":"
      "null,\"line1\":\"1 rue\",\"line2\":null,\"postal_code\":\"75001\",\"state\":null},\"email\":"
      "null,\"name\":\"Ann\",\"phone\":null},\"custom\":{\"display_name\":\"newpay\",\"type\":"
      "\"cpmt_1\"},\"type\":\"custom\"},\"processor_details\":{\"type\":\"custom\",\"custom\":{"
      "\"payment_reference\":\"npp2358872734k\"}},\"shipping_details\":null,\"list\":[1,2.5,\"x\"]"
      "}",
      id, strncmp(id, "200-at", 6) == 0 ? "payment_attempt_record" : "payment_record", text);
  return (size_t)length;
}

static size_t write_list(char *out, size_t size, bool more) {
  size_t length = (size_t)snprintf(out, size, "{\"object\":\"list\",\"data\":[");
  for (int i = 0; i < 3; i++) {
    char id[16];
    snprintf(id, sizeof id, "%d", i);
    length += (size_t)snprintf(out + length, size - length, "%s", i > 0 ? "," : "");
    length += write_record(out + length, size - length, id, "x");
  }
  return length + (size_t)snprintf(out + length, size - length,
                                   "],\"has_more\":%s,\"url\":\"/v1/payment_records\"}",
                                   more ? "true" : "false");
}

static size_t write_body(char *out, size_t size, const struct answer *answer, const char *key) {
  static char text[LONG_TEXT + 1];
  memset(text, 'x', LONG_TEXT);
  switch (answer->body) {
  case BODY_RECORD: return write_record(out, size, key, "computer software");
  case BODY_LONG: return write_record(out, size, key, text);
  case BODY_LIST: return write_list(out, size, true);
  case BODY_LAST: return write_list(out, size, false);
  default: return (size_t)snprintf(out, size, "%s", answer->text);
  }
}

static void write_answer(struct connection *connection, const struct answer *answer,
                         const char *key) {
  static char body[OUT_BYTES];
  size_t length = write_body(body, sizeof body, answer, key);
  int head = snprintf(connection->out, OUT_BYTES,
                      "HTTP/1.1 %d Status\r\nContent-Type: application/json\r\nRequest-Id: "
                      "req_1\r\nX-Twice: a\r\nX-Twice: b\r\n%sContent-Length: %zu\r\n\r\n",
                      answer->status, answer->headers ? answer->headers : "", length);
  if (answer->cut)
    length /= 2;
  memcpy(connection->out + head, body, length);
  connection->out_length = (size_t)head + length;
  connection->written = 0;
  connection->closing = answer->cut;
}

/* --- what is read ----------------------------------------------------------------------------- */

/* The key of the request: the header's, or the last part of a GET's path. */
static void find_key(const char *request, char *key, size_t size) {
  const char *header = strstr(request, "Idempotency-Key: ");
  const char *start = header ? header + strlen("Idempotency-Key: ") : request;
  if (!header)
    for (const char *c = request; !strchr(" ?\r", *c) || c - request < 5; c++)
      start = *c == '/' ? c + 1 : start;
  snprintf(key, size, "%.*s", (int)strcspn(start, " ?\r"), start);
  if (strcmp(key, "payment_records") == 0 || strcmp(key, "payment_attempt_records") == 0)
    snprintf(key, size, "%s", strstr(request, "starting_after") ? "last-page" : "list-page");
}

static size_t body_length(const char *request) {
  const char *header = strstr(request, "Content-Length: ");
  return header ? strtoul(header + strlen("Content-Length: "), NULL, 10) : 0;
}

static void close_connection(struct connection *connection) {
  SSL_free(connection->tls);
  close(connection->descriptor);
  connection->tls = NULL;
  connection->descriptor = -1;
}

static void take_request(struct connection *connection) {
  char key[96];
  find_key(connection->in, key, sizeof key);
  struct seen *seen = note(key, connection->in[0] == 'P');
  const struct answer *answer = choose(key, seen->requests);
  seen->requests++;
  seen->effects += answer->effect;
  seen->successes += answer->success;
  if (answer->drop)
    close_connection(connection);
  else if (!answer->hold)
    write_answer(connection, answer, key);
}

/* Takes the first request that was read in whole, if any. A client sends the next one after the
 * answer. */
static void take_requests(struct connection *connection) {
  connection->in[connection->in_length] = '\0';
  const char *end = strstr(connection->in, "\r\n\r\n");
  if (!end)
    return;
  size_t length = (size_t)(end + 4 - connection->in) + body_length(connection->in);
  if (connection->in_length < length)
    return;
  take_request(connection);
  connection->in_length = 0;
}

/* --- the wire -----------------------------------------------------------------------------------
 */

/* As recv() and send(): 0 at the end, -1 for nothing now. */
static long receive(struct connection *connection, char *bytes, size_t size) {
  if (!connection->tls) {
    long count = recv(connection->descriptor, bytes, size, MSG_DONTWAIT);
    return count < 0 && errno != EAGAIN ? 0 : count;
  }
  int count = SSL_read(connection->tls, bytes, (int)size);
  int error = SSL_get_error(connection->tls, count);
  return count > 0 ? count : error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static long send_some(struct connection *connection, const char *bytes, size_t size) {
  if (!connection->tls) {
    long count = send(connection->descriptor, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return count < 0 && errno != EAGAIN ? 0 : count;
  }
  int count = SSL_write(connection->tls, bytes, (int)size);
  int error = SSL_get_error(connection->tls, count);
  return count > 0 ? count : error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

/* Whether it came nearer to its end. */
static bool write_out(struct connection *connection) {
  bool moved = false;
  while (connection->written < connection->out_length) {
    long count = send_some(connection, connection->out + connection->written,
                           connection->out_length - connection->written);
    if (count < 0)
      return moved;
    moved = true;
    connection->written += (size_t)count;
    if (count == 0) {
      close_connection(connection);
      return true;
    }
  }
  if (connection->closing)
    close_connection(connection);
  return moved || connection->closing;
}

static bool move_connection(struct connection *connection) {
  bool moved = write_out(connection);
  if (connection->descriptor < 0)
    return true;
  long count = receive(connection, connection->in + connection->in_length,
                       IN_BYTES - 1 - connection->in_length);
  if (count < 0)
    return moved;
  if (count == 0) {
    close_connection(connection);
    return true;
  }
  connection->in_length += (size_t)count;
  take_requests(connection);
  return true;
}

static void open_connection(int descriptor) {
  struct connection *connection = connections;
  while (connection < connections + MOST_CONNECTIONS && connection->descriptor >= 0)
    connection++;
  if (connection == connections + MOST_CONNECTIONS)
    abort();
  connection->descriptor = descriptor;
  connection->in_length = connection->out_length = connection->written = 0;
  connection->closing = false;
  if (!context)
    return;
  connection->tls = SSL_new(context);
  SSL_set_fd(connection->tls, descriptor);
  SSL_set_accept_state(connection->tls);
}

static bool accept_all(void) {
  int descriptor, count = 0;
  const int yes = 1;
  while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    open_connection(descriptor);
    count++;
  }
  return count > 0;
}

void server_move(void) {
  bool moved = true;
  while (moved) {
    moved = accept_all();
    for (size_t i = 0; i < MOST_CONNECTIONS; i++)
      if (connections[i].descriptor >= 0)
        moved = move_connection(&connections[i]) || moved;
  }
}

void server_reset(void) {
  accept_all();
  for (size_t i = 0; i < MOST_CONNECTIONS; i++)
    if (connections[i].descriptor >= 0)
      close_connection(&connections[i]);
  seen_count = 0;
}

static bool open_tls(const char *certificates) {
  char certificate[256], key[256];
  snprintf(certificate, sizeof certificate, "%s/good.pem", certificates);
  snprintf(key, sizeof key, "%s/good.key", certificates);
  context = SSL_CTX_new(TLS_server_method());
  return context && SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
         SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1;
}

bool server_open(const char *certificates) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (size_t i = 0; i < MOST_CONNECTIONS; i++)
    connections[i].descriptor = -1;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
      listen(listener, MOST_CONNECTIONS) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    return false;
  snprintf(url, sizeof url, "%s://127.0.0.1:%d", certificates ? "https" : "http",
           ntohs(address.sin_port));
  return !certificates || open_tls(certificates);
}

const char *server_url(void) {
  return url;
}

/* --- the client's waiting -----------------------------------------------------------------------
 */

/* The client's epoll_wait() comes here (the linker's --wrap): the server moves first, and again
 * whenever nothing has happened. */
int real_epoll_wait(int poller, struct epoll_event *events, int most,
                    int milliseconds) __asm__("__real_epoll_wait");
int wrapped_epoll_wait(int poller, struct epoll_event *events, int most,
                       int milliseconds) __asm__("__wrap_epoll_wait");

int wrapped_epoll_wait(int poller, struct epoll_event *events, int most, int milliseconds) {
  for (;;) {
    server_move();
    int count = real_epoll_wait(poller, events, most, milliseconds == 0 ? 0 : 1);
    if (count != 0 || milliseconds == 0)
      return count;
    milliseconds = milliseconds < 0 ? milliseconds : milliseconds - 1;
  }
}
