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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL 0.002

static const char request[] = "GET /trivial HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char end_of_answer[] = "\r\n\r\nok\n";

struct samples {
  double *seconds;
  size_t count, capacity;
};

static void fail(const char *what) {
  fprintf(stderr, "probe: %s\n", what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void pause_until(double moment) {
  double left = moment - now();
  struct timespec time = {.tv_nsec = (long)(left * 1e9)}; /* less than INTERVAL */
  if (left > 0)
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

static void add(struct samples *samples, double seconds) {
  if (samples->count == samples->capacity) {
    samples->capacity = samples->capacity ? 2 * samples->capacity : 4096;
    samples->seconds = realloc(samples->seconds, samples->capacity * sizeof *samples->seconds);
    if (!samples->seconds)
      fail("not enough memory");
  }
  samples->seconds[samples->count++] = seconds;
}

static void measure(int server, double seconds, struct samples *samples) {
  double start = now();
  for (double next = start; next < start + seconds; next += INTERVAL) {
    pause_until(next);
    double sent = now();
    ask(server);
    for (double taken = now() - sent; taken > 0; taken -= INTERVAL)
      add(samples, taken);
    if (now() > next + INTERVAL)
      next = now() - INTERVAL;
  }
}

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static double percentile(const struct samples *samples, size_t percent) {
  return samples->seconds[(samples->count - 1) * percent / 100];
}

int main(int count, char **arguments) {
  struct samples samples = {0};
  if (count != 3)
    fail("usage: probe PORT SECONDS");
  int server = connect_to((uint16_t)strtol(arguments[1], NULL, 10));
  ask(server);
  measure(server, strtod(arguments[2], NULL), &samples);
  qsort(samples.seconds, samples.count, sizeof *samples.seconds, compare);
  printf("%.2f %.2f\n", 1e3 * percentile(&samples, 50), 1e3 * percentile(&samples, 99));
  free(samples.seconds);
  close(server);
  return 0;
}
