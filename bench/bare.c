/* SPDX-License-Identifier: MIT
 * The yardstick: libcurl's easy interface sends a ready body again and again on one handle, and the
 * answer is dropped. What a client costs above this is its own work.
 *
 *   bare URL BODY_FILE CA_FILE WARM_UP COUNT        (CA_FILE is not read for http)
 *
 * Prints the microseconds of CPU time per call after the warm-up, and the peak resident memory in
 * kB after the warm-up and at the end. */
#include <curl/curl.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { LARGEST_BODY = 65536 };

static void fail(const char *what, const char *why) {
  fprintf(stderr, "bare: %s: %s\n", what, why);
  exit(1);
}

static size_t read_body(const char *path, char *body) {
  FILE *file = fopen(path, "rb");
  if (!file)
    fail("cannot open", path);
  size_t length = fread(body, 1, LARGEST_BODY, file);
  fclose(file);
  return length;
}

static size_t drop(const char *data, size_t size, size_t count, void *context) {
  (void)data;
  (void)context;
  return size * count;
}

/* The header lines that payment_records sends, too. */
static struct curl_slist *header_lines(void) {
  static const char *const lines[] = {
      "Authorization: Bearer sk_test_123", "Content-Type: application/x-www-form-urlencoded",
      "Accept: application/json", "Idempotency-Key: 4b9a8c2e-77e4-4b7a-9d0c-0f4b8f6d2c11",
      "Stripe-Version: 2026-09-30.endive"};
  struct curl_slist *list = NULL;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    list = curl_slist_append(list, lines[i]);
  return list;
}

static void post(CURL *easy, long count) {
  while (count-- > 0) {
    long status = 0;
    CURLcode result = curl_easy_perform(easy);
    if (result != CURLE_OK)
      fail("curl_easy_perform", curl_easy_strerror(result));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
      fail("expected status 200 from", "the server");
  }
}

static double cpu_microseconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return 1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static long peak_kilobytes(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

int main(int count, char **arguments) {
  static char body[LARGEST_BODY];
  if (count != 6)
    fail("usage", "bare URL BODY_FILE CA_FILE WARM_UP COUNT");
  long warm_up = strtol(arguments[4], NULL, 10), calls = strtol(arguments[5], NULL, 10);
  CURL *easy = curl_easy_init();
  struct curl_slist *headers = header_lines();
  if (!easy || !headers)
    fail("libcurl", "cannot start");
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)read_body(arguments[2], body));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(easy, CURLOPT_URL, arguments[1]);
  curl_easy_setopt(easy, CURLOPT_CAINFO, arguments[3]);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "bare");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, 80L);

  post(easy, warm_up);
  long first_peak = peak_kilobytes();
  double start = cpu_microseconds();
  post(easy, calls);
  printf("%.2f %ld %ld\n", (cpu_microseconds() - start) / (double)calls, first_peak,
         peak_kilobytes());

  curl_slist_free_all(headers);
  curl_easy_cleanup(easy);
  return 0;
}
