/* SPDX-License-Identifier: MIT
 * What the yardsticks share: a ready body, the header lines of a call, what the process has cost.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <curl/curl.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { LARGEST_BODY = 65536 };

struct body {
  char bytes[LARGEST_BODY];
  long length;
};

static inline void fail(const char *what, const char *why) {
  fprintf(stderr, "bare: %s: %s\n", what, why);
  exit(1);
}

static inline void read_body(const char *path, struct body *body) {
  FILE *file = fopen(path, "rb");
  if (!file)
    fail("cannot open", path);
  body->length = (long)fread(body->bytes, 1, LARGEST_BODY, file);
  fclose(file);
}

static inline size_t drop(const char *data, size_t size, size_t count, void *context) {
  (void)data;
  (void)context;
  return size * count;
}

/* What stays the same for all calls of a handle. */
static inline CURL *new_handle(const char *base, const char *ca_file) {
  CURL *easy = curl_easy_init();
  char url[1024];
  if (!easy)
    fail("libcurl", "cannot start");
  snprintf(url, sizeof url, "%s/v1/payment_records/report_payment", base);
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, 80L);
  return easy;
}

/* The header lines that payment_records sends, too, with a key for this call. */
static inline struct curl_slist *header_lines(long call) {
  static const char *const lines[] = {
      "Authorization: Bearer sk_test_123",
      "Stripe-Version: 2026-09-30.endive",
      "User-Agent: PaymentRecordsLua/bare",
      "Content-Type: application/x-www-form-urlencoded",
      "Expect:",
  };
  char key[64];
  snprintf(key, sizeof key, "Idempotency-Key: 4b9a8c2e-77e4-4b7a-9d0c-%012lx", (unsigned long)call);
  struct curl_slist *list = curl_slist_append(NULL, key);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    list = curl_slist_append(list, lines[i]);
  return list;
}

/* Readies a handle for one call. The lines are the caller's to free when it has ended. */
static inline struct curl_slist *set_call(CURL *easy, const struct body *body, long call) {
  struct curl_slist *headers = header_lines(call);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, body->length);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->bytes);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  return headers;
}

static inline void check_call(CURL *easy, CURLcode result) {
  long status = 0;
  if (result != CURLE_OK)
    fail("libcurl", curl_easy_strerror(result));
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200)
    fail("expected status 200 from", "the server");
}

static inline double cpu_microseconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return 1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static inline long peak_kilobytes(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

static inline double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct meter {
  double microseconds, seconds;
  long peak;
};

static inline struct meter start_meter(void) {
  return (struct meter){cpu_microseconds(), seconds(), peak_kilobytes()};
}

/* What so many calls have cost since the start. */
static inline void print_meter(const struct meter *start, long calls) {
  printf("%.2f %ld %ld %.0f\n", (cpu_microseconds() - start->microseconds) / (double)calls,
         start->peak, peak_kilobytes(), (double)calls / (seconds() - start->seconds));
}

#endif
