/* SPDX-License-Identifier: MIT */
#include "transport.h"

#include "clock.h"
#include "exchange.h"
#include "forks.h"
#include "poller.h"
#include "ring.h"
#include "sigpipe.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
  NO_HANDLES_PAUSE = 10,      /* milliseconds until they are tried for again */
  KEPT_BUFFER = 65536,        /* bytes; an answer's buffer larger than this is not kept */
  OWN_TEXTS = 3,              /* ca_file, proxy, unix_socket */
  OLDEST_LIBCURL = 0x075500,  /* 7.85.0: CURLOPT_PROTOCOLS_STR */
  SHARING_LIBCURL = 0x080500, /* 8.5.0: it shares connections as it should */
  MULTI_QUICK_EXIT = CURLOPTTYPE_LONG + 21 /* CURLMOPT_QUICK_EXIT, in curl.h since 8.20.0 */
};

struct transport {
  CURLM *multi; /* NULL when it could not be had, after a fork or out of memory */
  struct poller poller;
  unsigned process;                           /* which may use the handles */
  double due;                                 /* when libcurl wants to be called; negative: not */
  struct ring_link in_flight, finished, idle; /* of exchanges */
  bool raises_sigpipe;
  bool shares;                      /* connections, with HTTP/2 */
  bool connected;                   /* since the last look: see wake_waiting() */
  bool directory_alone;             /* is trusted at first, see has_directory() */
  bool has_descriptor;              /* that somebody has asked for */
  bool events_first;                /* the last step had no time left to look at them */
  unsigned turn;                    /* which event of a batch comes first: each step another one */
  struct transport_options options; /* their texts are our own */
  char *own_texts[OWN_TEXTS];
};

/* The library, once in the process. It is never cleaned up: the host may use it too. */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static const char *library_fault; /* written by init_library() alone */

static bool is_openssl(const curl_version_info_data *info) {
  return info->ssl_version && strncmp(info->ssl_version, "OpenSSL/", 8) == 0;
}

/* From 7.87 on, with OpenSSL, libcurl sends with MSG_NOSIGNAL on all paths. */
static bool can_raise_sigpipe(const curl_version_info_data *info) {
  return info->version_num < 0x075700 || !is_openssl(info);
}

/* Whether the system's certificates are there twice: in a bundle, which libcurl would read whole
 * for each connection (with a directory beside it, it caches none of it), and that takes twenty
 * times what the rest of the handshake does; and in a directory, of which OpenSSL reads the one
 * file that it needs. */
static bool has_directory(const curl_version_info_data *info) {
  return is_openssl(info) && info->version_num < RESTORING_LIBCURL && info->cainfo && info->capath;
}

static void init_library(void) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    library_fault = "libcurl could not be initialised";
  else if (curl_version_info(CURLVERSION_NOW)->version_num < OLDEST_LIBCURL)
    library_fault = "libcurl 7.85 or later is needed; an older one was loaded";
  else if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_SSL))
    library_fault = "libcurl was built without TLS";
  else if (!forks_watch())
    library_fault = "not enough memory";
}

const char *transport_library_fault(void) {
  pthread_once(&library_once, init_library);
  return library_fault;
}

/* libcurl tells us what to watch, and when to call. */

static int on_watch(CURL *easy, curl_socket_t socket, int what, void *user, void *of_socket) {
  struct transport *transport = user;
  (void)easy, (void)of_socket;
  /* CURL_POLL_REMOVE has neither bit. */
  poller_watch(&transport->poller, socket, (what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
  return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *user) {
  struct transport *transport = user;
  (void)multi;
  transport->due = milliseconds < 0 ? -1 : clock_seconds() + (double)milliseconds / 1000;
  return 0;
}

/* Before 8.5.0 libcurl puts several requests at once on a connection of HTTP/1.1 when the host has
 * spoken HTTP/2 on another, and gives each the answer that comes first. So there a connection of
 * HTTP/2 carries one request at a time too. */
static bool can_share(void) {
  return curl_version_info(CURLVERSION_NOW)->version_num >= SHARING_LIBCURL;
}

static bool set_multi(CURLM *multi, struct transport *transport) {
  int failed = 0;
  /* Or to close it waits for a name server that does not answer. Libcurls before 8.20.0 refuse it;
   * those from 7.87.0 on do not wait, see EASY_QUICK_EXIT. */
  (void)curl_multi_setopt(multi, (CURLMoption)MULTI_QUICK_EXIT, 1L);
  failed |= curl_multi_setopt(multi, CURLMOPT_PIPELINING,
                              transport->shares ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING);
  failed |= curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_watch);
  failed |= curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, transport);
  failed |= curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  failed |= curl_multi_setopt(multi, CURLMOPT_TIMERDATA, transport);
  /* Or libcurl closes good connections when a burst of requests is over. */
  failed |= curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, transport->options.connections);
  return failed == 0;
}

static bool open_poller(struct transport *transport) {
  return (transport->poller.descriptor >= 0 || poller_open(&transport->poller)) &&
         (!transport->has_descriptor || poller_enable_wake(&transport->poller));
}

/* Once it has failed, for lack of descriptors after a fork or of memory, it is tried again whenever
 * there is something to do. */
static bool open_handles(struct transport *transport) {
  if (transport->multi)
    return true;
  transport->due = -1;
  transport->multi = open_poller(transport) ? curl_multi_init() : NULL;
  if (transport->multi && set_multi(transport->multi, transport))
    return true;
  if (transport->multi)
    curl_multi_cleanup(transport->multi);
  transport->multi = NULL;
  return false;
}

static bool keep_text(char **own, const char **text) {
  if (!*text)
    return true;
  *own = strdup(*text);
  *text = *own;
  return *own != NULL;
}

static bool keep_options(struct transport *transport, const struct transport_options *options) {
  transport->options = *options;
  return keep_text(&transport->own_texts[0], &transport->options.ca_file) &&
         keep_text(&transport->own_texts[1], &transport->options.proxy) &&
         keep_text(&transport->own_texts[2], &transport->options.unix_socket);
}

struct transport *transport_new(const struct transport_options *options) {
  struct transport *transport = calloc(1, sizeof *transport);
  if (!transport)
    return NULL;
  ring_init(&transport->in_flight);
  ring_init(&transport->finished);
  ring_init(&transport->idle);
  transport->poller = (struct poller){.descriptor = -1, .waker = -1};
  transport->process = forks_process();
  transport->raises_sigpipe = can_raise_sigpipe(curl_version_info(CURLVERSION_NOW));
  transport->shares = can_share();
  transport->directory_alone =
      !options->ca_file && !options->plain && has_directory(curl_version_info(CURLVERSION_NOW));
  if (keep_options(transport, options) && open_handles(transport))
    return transport;
  transport_free(transport);
  return NULL;
}

/* After a fork the sockets are the parent's: to clean up would write on them, so the handles are
 * left as they are, and what was in flight ends here without an answer. */
static void abandon(struct transport *transport, struct ring_link *ring) {
  for (struct exchange *exchange; (exchange = ring_first(ring)) != NULL;) {
    ring_remove(&exchange->link);
    exchange->abandoned = true;
    if (ring == &transport->idle) {
      exchange_free(exchange);
      continue;
    }
    exchange->in_flight = false;
    ring_insert(&transport->finished, &exchange->link);
  }
}

void transport_renew(struct transport *transport) {
  const unsigned process = forks_process();
  if (transport->process == process)
    return;
  transport->process = process;
  abandon(transport, &transport->in_flight);
  abandon(transport, &transport->idle);
  poller_close(&transport->poller);
  transport->multi = NULL;
  open_handles(transport);
}

static void discard_ring(struct transport *transport, struct ring_link *ring) {
  for (struct exchange *exchange; (exchange = ring_first(ring)) != NULL;) {
    ring_remove(&exchange->link);
    if (exchange->in_flight && transport->multi)
      curl_multi_remove_handle(transport->multi, exchange->easy);
    exchange_free(exchange);
  }
}

/* Easy handles go before the multi handle that they are in. */
static void close_handles(struct transport *transport) {
  discard_ring(transport, &transport->in_flight);
  discard_ring(transport, &transport->finished);
  discard_ring(transport, &transport->idle);
  if (transport->multi)
    curl_multi_cleanup(transport->multi);
  poller_close(&transport->poller);
}

void transport_free(struct transport *transport) {
  struct sigpipe_guard guard;
  sigpipe_block(&guard, transport->raises_sigpipe);
  transport_renew(transport);
  close_handles(transport);
  sigpipe_restore(&guard);
  for (size_t i = 0; i < OWN_TEXTS; i++)
    free(transport->own_texts[i]);
  free(transport);
}

static struct exchange *take_idle(struct transport *transport) {
  struct exchange *exchange = ring_first(&transport->idle);
  if (!exchange)
    return exchange_new(&transport->connected, &transport->poller);
  ring_remove(&exchange->link);
  return exchange;
}

/* A new connection that is kept will be used again. */
static void adopt_connection(struct transport *transport, const struct exchange *exchange) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  curl_easy_getinfo(exchange->easy, CURLINFO_ACTIVESOCKET, &socket);
  if (socket != CURL_SOCKET_BAD)
    poller_adopt(&transport->poller, socket);
}

static void end_exchange(struct transport *transport, struct exchange *exchange, CURLcode code) {
  exchange->code = code;
  exchange->in_flight = false;
  /* The directory is not enough when the bundle, too, was asked, and it got a connection. */
  if (!exchange->directory_alone && exchange->sends > 0)
    transport->directory_alone = false;
  if (exchange->connected)
    adopt_connection(transport, exchange);
  curl_multi_remove_handle(transport->multi, exchange->easy);
  ring_remove(&exchange->link);
  ring_insert(&transport->finished, &exchange->link);
}

/* Of a file in the directory that is no certificate some OpenSSLs (3.0.19) tell before they tell
 * that the server's is refused, and libcurl knows the first error alone. */
static bool is_refusal(const struct exchange *exchange, CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION ||
         (code == CURLE_SSL_CONNECT_ERROR && strstr(exchange->detail, "PEM routines"));
}

/* The directory vouches for no more than libcurl does by itself. What it refuses, libcurl decides,
 * on another connection: so a certificate is taken or refused as if there were no directory. Not
 * when libcurl had sent the request before, on a connection that broke: that must not be forgotten.
 */
static bool ask_again(struct transport *transport, struct exchange *exchange, CURLcode code) {
  if (!is_refusal(exchange, code) || !exchange->directory_alone || exchange->sends > 0)
    return false;
  curl_multi_remove_handle(transport->multi, exchange->easy);
  return exchange_widen(exchange, &transport->options) &&
         curl_multi_add_handle(transport->multi, exchange->easy) == CURLM_OK;
}

static void collect_finished(struct transport *transport) {
  int left;
  for (CURLMsg *message;
       transport->multi && (message = curl_multi_info_read(transport->multi, &left)) != NULL;) {
    struct exchange *exchange = NULL;
    CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    if (!ask_again(transport, exchange, code))
      end_exchange(transport, exchange, code);
  }
}

/* Out of memory, libcurl loses sight of a request, which would wait for its timeout, and may divide
 * by the size of a table that is gone. So it is not called again: what is in flight ends. */
static void give_up(struct transport *transport) {
  collect_finished(transport);
  for (struct exchange *exchange; (exchange = ring_first(&transport->in_flight)) != NULL;)
    end_exchange(transport, exchange, CURLE_OUT_OF_MEMORY);
  curl_multi_cleanup(transport->multi);
  transport->multi = NULL;
}

/* Requests wait for a connection that is being made, for they may share it. When they may,
 * libcurl tells them; when it turns out to be of HTTP/1.1 they would wait until the first of them
 * has its answer. libcurl looks at those that wait again only when a handle leaves. The handle
 * hands its NOSIGNAL on to libcurl's own, which would change what SIGPIPE does. */
static void wake_waiting(struct transport *transport) {
  CURL *easy = curl_easy_init();
  if (easy && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
      curl_multi_add_handle(transport->multi, easy) == CURLM_OK)
    curl_multi_remove_handle(transport->multi, easy);
  curl_easy_cleanup(easy);
}

static void run_socket(struct transport *transport, curl_socket_t socket, int what) {
  int running;
  if (!transport->multi)
    return;
  transport->connected = false;
  if (curl_multi_socket_action(transport->multi, socket, what, &running) != CURLM_OK)
    give_up(transport);
  else if (transport->connected && transport->shares && !transport->options.plain)
    wake_waiting(transport);
}

static void tell_event(struct transport *transport, const struct poller_event *event) {
  int what = (event->readable ? CURL_CSELECT_IN : 0) | (event->writable ? CURL_CSELECT_OUT : 0) |
             (event->failed ? CURL_CSELECT_ERR : 0);
  run_socket(transport, event->socket, what);
}

/* All that is ready, as long as there is time; what is left out comes again with the next wait, in
 * the same order: so each time another one is the first. */
static void run_events(struct transport *transport, double seconds, double end) {
  struct poller_event events[POLLER_EVENTS];
  unsigned count;
  do {
    count = (unsigned)poller_wait(&transport->poller, seconds, events);
    seconds = 0;
    for (unsigned i = 0; i < count && (i == 0 || clock_has_left(end)); i++)
      tell_event(transport, &events[(transport->turn + i) % count]);
    transport->turn++;
  } while (transport->multi && count == POLLER_EVENTS && clock_has_left(end));
}

/* False when it is not time yet. */
static bool run_timer(struct transport *transport) {
  if (transport->due < 0 || transport->due > clock_seconds())
    return false;
  transport->due = -1; /* libcurl sets it anew when it wants to */
  run_socket(transport, CURL_SOCKET_TIMEOUT, 0);
  return true;
}

struct exchange *transport_start(struct transport *transport, const struct request *request,
                                 void *owner, double end) {
  struct sigpipe_guard guard;
  if (!open_handles(transport))
    return NULL;
  struct exchange *exchange = take_idle(transport);
  if (!exchange)
    return NULL;
  if (!exchange_open(exchange, &transport->options, transport->directory_alone) ||
      !exchange_prepare(exchange, request, owner) ||
      curl_multi_add_handle(transport->multi, exchange->easy) != CURLM_OK) {
    exchange_free(exchange);
    return NULL;
  }
  exchange->request = request;
  exchange->in_flight = true;
  ring_insert(&transport->in_flight, &exchange->link);
  if (!clock_has_left(end))
    return exchange;
  sigpipe_block(&guard, transport->raises_sigpipe);
  run_timer(transport);        /* libcurl connects, or sends where it has a connection */
  collect_finished(transport); /* it may have failed at once: transport_timeout() must know */
  sigpipe_restore(&guard);
  return exchange;
}

/* What is due comes first: the answer to what it sends may then be waited for in the same step.
 * When that took all the time, events are left to the next step, which begins with them. Returns
 * whether it has come to that. */
static bool run_timers(struct transport *transport, double end) {
  bool late = false;
  while (!transport->events_first && !late && run_timer(transport))
    late = !clock_has_left(end);
  transport->events_first = late;
  collect_finished(transport);
  return late;
}

/* With nothing in flight libcurl has no socket watched, and who does not know the descriptor needs
 * no waking. */
static bool is_at_rest(const struct transport *transport) {
  return !ring_first(&transport->in_flight) && transport->due < 0 && !transport->has_descriptor;
}

void transport_step(struct transport *transport, double seconds, double end) {
  struct sigpipe_guard guard;
  if (seconds == 0 && is_at_rest(transport))
    return;
  if (!open_handles(transport)) {
    poll(NULL, 0, seconds == 0 ? 0 : NO_HANDLES_PAUSE);
    return;
  }
  sigpipe_block(&guard, transport->raises_sigpipe);
  if (!run_timers(transport, end)) {
    double until = transport_timeout(transport);
    run_events(transport, until >= 0 && (seconds < 0 || until < seconds) ? until : seconds, end);
    collect_finished(transport);
  }
  sigpipe_restore(&guard);
}

void *transport_finished(const struct transport *transport) {
  const struct exchange *exchange = ring_first(&transport->finished);
  return exchange ? exchange->owner : NULL;
}

bool transport_has_finished(const struct exchange *exchange) {
  return !exchange->in_flight;
}

static void abort_exchange(struct transport *transport, struct exchange *exchange) {
  struct sigpipe_guard guard;
  transport_renew(transport);
  if (!exchange->in_flight)
    return;
  sigpipe_block(&guard, transport->raises_sigpipe);
  exchange->in_flight = false;
  curl_multi_remove_handle(transport->multi, exchange->easy);
  exchange_close(exchange);
  sigpipe_restore(&guard);
}

static bool is_worth_keeping(const struct exchange *exchange) {
  return !exchange->abandoned && exchange->body.capacity <= KEPT_BUFFER &&
         exchange->headers.lines.capacity <= KEPT_BUFFER;
}

/* Only a handle whose transfer went well is used again: after a fault it may hold on to something,
 * and before 8.17.0 it counts how often a request of its had to be sent again, in all. */
void transport_release(struct transport *transport, struct exchange *exchange) {
  if (exchange->in_flight)
    abort_exchange(transport, exchange);
  ring_remove(&exchange->link);
  if (!is_worth_keeping(exchange)) {
    exchange_free(exchange);
    return;
  }
  if (exchange->code != CURLE_OK || exchange->sends > 1)
    exchange_close(exchange);
  ring_insert(&transport->idle, &exchange->link);
}

double transport_timeout(const struct transport *transport) {
  if (ring_first(&transport->finished))
    return 0;
  if (transport->due < 0)
    return -1;
  double left = transport->due - clock_seconds();
  return left > 0 ? left : 0;
}

int transport_descriptor(struct transport *transport) {
  transport->has_descriptor = true;
  return open_poller(transport) ? transport->poller.descriptor : -1;
}

void transport_wake(const struct transport *transport) {
  poller_wake(&transport->poller);
}
