/* SPDX-License-Identifier: MIT
 * The yardstick: libcurl's easy interface sends a ready body again and again on one handle, each
 * time under another idempotency key, as payments must be, and the answer is dropped. What a client
 * costs above this is its own work.
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

/* The header lines that payment_records sends, too, with a key for this call. */
static struct curl_slist *header_lines(long call) {
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

static void post(CURL *easy, const char *body, size_t length, long count) {
  while (count-- > 0) {
    long status = 0;
    struct curl_slist *headers = header_lines(count);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)length);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    CURLcode result = curl_easy_perform(easy);
    curl_slist_free_all(headers);
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
  char url[1024];
  if (!easy)
    fail("libcurl", "cannot start");
  snprintf(url, sizeof url, "%s/v1/payment_records/report_payment", arguments[1]);
  size_t length = read_body(arguments[2], body);
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_CAINFO, arguments[3]);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, 80L);

  post(easy, body, length, warm_up);
  long first_peak = peak_kilobytes();
  double start = cpu_microseconds();
  post(easy, body, length, calls);
  printf("%.2f %ld %ld\n", (cpu_microseconds() - start) / (double)calls, first_peak,
         peak_kilobytes());

  curl_easy_cleanup(easy);
  return 0;
}
