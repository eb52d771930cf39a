/* SPDX-License-Identifier: MIT
 * Asks a location that does nothing again and again, as another user of the same worker would.
 *
 *   probe PORT SECONDS        (GET /trivial on 127.0.0.1, one connection, every 2 ms)
 *
 * Prints the median and the 99th percentile of the time until the answer, in milliseconds. An
 * answer that takes longer than the interval holds up the requests that should have gone out
 * meanwhile: each is counted with the time that it would have waited (as wrk2 and HdrHistogram do).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL 2000000 /* all times are in nanoseconds */

static const char request[] = "GET /trivial HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char end_of_answer[] = "\r\n\r\nok\n";

struct samples {
  int64_t *times;
  size_t count, capacity;
};

static void fail(const char *what) {
  fprintf(stderr, "probe: %s\n", what);
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void pause_until(int64_t moment) {
  struct timespec time = {.tv_nsec = (long)(moment - now())}; /* INTERVAL at most */
  if (time.tv_nsec > 0)
    nanosleep(&time, NULL);
}

static int connect_to(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int socket_ = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (socket_ < 0 || connect(socket_, (struct sockaddr *)&address, sizeof address) != 0)
    fail("cannot connect");
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return socket_;
}

static void ask(int server) {
  char answer[4096];
  size_t length = 0, tail = sizeof end_of_answer - 1;
  if (write(server, request, sizeof request - 1) != sizeof request - 1)
    fail("cannot send");
  do {
    ssize_t count = read(server, answer + length, sizeof answer - length);
    if (count <= 0)
      fail("no answer that is known");
    length += (size_t)count;
  } while (length < tail || memcmp(answer + length - tail, end_of_answer, tail) != 0);
}

static void add(struct samples *samples, int64_t time) {
  if (samples->count == samples->capacity) {
    samples->capacity = samples->capacity ? 2 * samples->capacity : 4096;
    samples->times = realloc(samples->times, samples->capacity * sizeof *samples->times);
    if (!samples->times)
      fail("not enough memory");
  }
  samples->times[samples->count++] = time;
}

static void measure(int server, int64_t duration, struct samples *samples) {
  int64_t next = now(), end = next + duration;
  while (next < end) {
    pause_until(next);
    int64_t sent = now();
    ask(server);
    int64_t taken = now() - sent;
    for (int64_t waited = taken; waited > 0; waited -= INTERVAL)
      add(samples, waited);
    next += INTERVAL * (1 + taken / INTERVAL);
  }
}

static int compare(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

static double milliseconds(const struct samples *samples, size_t percent) {
  size_t place = (samples->count - 1) * percent / 100;
  return (double)samples->times[place] / 1e6;
}

int main(int count, char **arguments) {
  struct samples samples = {0};
  if (count != 3)
    fail("usage: probe PORT SECONDS");
  int server = connect_to((uint16_t)strtol(arguments[1], NULL, 10));
  ask(server);
  measure(server, strtol(arguments[2], NULL, 10) * 1000000000, &samples);
  if (!samples.times)
    fail("nothing was measured");
  qsort(samples.times, samples.count, sizeof *samples.times, compare);
  printf("%.2f %.2f\n", milliseconds(&samples, 50), milliseconds(&samples, 99));
  free(samples.times);
  close(server);
  return 0;
}
