/* SPDX-License-Identifier: MIT
 * The yardstick for many calls in flight: libcurl's multi interface, driven by epoll and
 * curl_multi_socket_action, keeps so many easy handles busy; each is used again and again with a
 * ready body under another idempotency key, and the answers are dropped. Compiled with DECODES it
 * is bare_multi_decoding, see decoder.h.
 *
 *   bare_multi URL BODY_FILE CA_FILE WARM_UP COUNT IN_FLIGHT        (CA_FILE is not read for http)
 *
 * Prints what bare prints. Between the warm-up and the calls that count, no connection is idle:
 * libcurl would close most of them. */
#include "bare.h"
#include "decoder.h"

#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>

enum { MOST_EVENTS = 64 };

/* A handle is used again and again. */
struct exchange {
  CURL *easy;
  struct curl_slist *headers;
  struct answer answer;
};

struct flight {
  CURLM *multi;
  int epoll;
  long timeout; /* milliseconds until libcurl wants to be called; negative: not */
  struct exchange **idle;
  long idle_count, started, ended;
  struct body body;
};

static int on_watch(CURL *easy, curl_socket_t socket, int what, void *user, void *known) {
  struct flight *flight = user;
  struct epoll_event event = {.data.fd = socket};
  (void)easy;
  if (what & CURL_POLL_IN && what != CURL_POLL_REMOVE)
    event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT && what != CURL_POLL_REMOVE)
    event.events |= EPOLLOUT;
  int operation = what == CURL_POLL_REMOVE ? EPOLL_CTL_DEL : known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  epoll_ctl(flight->epoll, operation, socket, &event);
  curl_multi_assign(flight->multi, socket, what == CURL_POLL_REMOVE ? NULL : flight);
  return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *user) {
  struct flight *flight = user;
  (void)multi;
  flight->timeout = milliseconds;
  return 0;
}

static void open_multi(struct flight *flight) {
  flight->multi = curl_multi_init();
  flight->epoll = epoll_create1(EPOLL_CLOEXEC);
  flight->timeout = -1;
  if (!flight->multi || flight->epoll < 0)
    fail("libcurl or epoll", "cannot start");
  curl_multi_setopt(flight->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
  curl_multi_setopt(flight->multi, CURLMOPT_SOCKETDATA, flight);
  curl_multi_setopt(flight->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(flight->multi, CURLMOPT_TIMERDATA, flight);
}

/* To wait for a connection that others share is what makes HTTP/2 pay; payment_records does it. */
static struct exchange *new_exchange(const char *url, const char *ca_file) {
  struct exchange *exchange = calloc(1, sizeof *exchange);
  if (!exchange)
    fail("memory", "not enough");
  exchange->easy = new_handle(url, ca_file);
  set_answer(exchange->easy, &exchange->answer);
  curl_easy_setopt(exchange->easy, CURLOPT_PRIVATE, exchange);
  curl_easy_setopt(exchange->easy, CURLOPT_PIPEWAIT, strncmp(url, "https:", 6) == 0 ? 1L : 0L);
  return exchange;
}

static void make_exchanges(struct flight *flight, const char *url, const char *ca_file,
                           long count) {
  flight->idle = calloc((size_t)count, sizeof(struct exchange *));
  if (!flight->idle)
    fail("memory", "not enough");
  while (flight->idle_count < count)
    flight->idle[flight->idle_count++] = new_exchange(url, ca_file);
}

static void start(struct flight *flight, long call) {
  struct exchange *exchange = flight->idle[--flight->idle_count];
  exchange->headers = set_call(exchange->easy, &flight->body, call);
  curl_multi_add_handle(flight->multi, exchange->easy);
}

static void tell_time(struct flight *flight) {
  int running;
  flight->timeout = -1; /* libcurl sets it anew when it wants to */
  curl_multi_socket_action(flight->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static int seen(uint32_t events) {
  int what = 0;
  if (events & (EPOLLIN | EPOLLHUP))
    what |= CURL_CSELECT_IN;
  if (events & EPOLLOUT)
    what |= CURL_CSELECT_OUT;
  if (events & EPOLLERR)
    what |= CURL_CSELECT_ERR;
  return what;
}

/* What is due at once is not waited for: it sends what was just started, and may end it. */
static void move(struct flight *flight) {
  struct epoll_event events[MOST_EVENTS];
  int running, count = 0;
  if (flight->timeout != 0)
    count = epoll_wait(flight->epoll, events, MOST_EVENTS, (int)flight->timeout);
  if (count == 0)
    tell_time(flight);
  for (int i = 0; i < count; i++)
    curl_multi_socket_action(flight->multi, events[i].data.fd, seen(events[i].events), &running);
}

static long collect(struct flight *flight) {
  long ended = 0;
  int left;
  for (CURLMsg *message; (message = curl_multi_info_read(flight->multi, &left)) != NULL; ended++) {
    struct exchange *exchange = NULL;
    check_call(message->easy_handle, message->data.result);
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    curl_multi_remove_handle(flight->multi, exchange->easy);
    curl_slist_free_all(exchange->headers);
    take_answer(&exchange->answer);
    flight->idle[flight->idle_count++] = exchange;
  }
  return ended;
}

static void post(struct flight *flight, long count, long total) {
  while (flight->ended < count) {
    while (flight->started < total && flight->idle_count > 0)
      start(flight, flight->started++);
    move(flight);
    flight->ended += collect(flight);
  }
}

int main(int count, char **arguments) {
  static struct flight flight;
  if (count != 7)
    fail("usage", "bare_multi URL BODY_FILE CA_FILE WARM_UP COUNT IN_FLIGHT");
  long warm_up = strtol(arguments[4], NULL, 10), total = warm_up + strtol(arguments[5], NULL, 10);
  open_multi(&flight);
  open_decoder();
  make_exchanges(&flight, arguments[1], arguments[3], strtol(arguments[6], NULL, 10));
  read_body(arguments[2], &flight.body);

  post(&flight, warm_up, total);
  warm_up = flight.ended;
  struct meter start_of_count = start_meter();
  post(&flight, total, total);
  print_meter(&start_of_count, total - warm_up);

  while (flight.idle_count > 0) {
    curl_easy_cleanup(flight.idle[--flight.idle_count]->easy);
    free(flight.idle[flight.idle_count]);
  }
  free(flight.idle);
  curl_multi_cleanup(flight.multi);
  close_decoder();
  return 0;
}
