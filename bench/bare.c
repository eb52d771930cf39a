/* SPDX-License-Identifier: MIT
 * The yardstick: libcurl's easy interface sends a ready body again and again on one handle, each
 * time under another idempotency key, as payments must be, and the answer is dropped. What a client
 * costs above this is its own work.
 *
 *   bare URL BODY_FILE CA_FILE WARM_UP COUNT        (CA_FILE is not read for http)
 *
 * Prints the microseconds of CPU time per call after the warm-up, the peak resident memory in kB
 * after the warm-up and at the end, and the calls per second after the warm-up. */
#include "bare.h"

static void post(CURL *easy, const struct body *body, long count) {
  while (count-- > 0) {
    struct curl_slist *headers = set_call(easy, body, count);
    CURLcode result = curl_easy_perform(easy);
    curl_slist_free_all(headers);
    check_call(easy, result);
  }
}

int main(int count, char **arguments) {
  static struct body body;
  if (count != 6)
    fail("usage", "bare URL BODY_FILE CA_FILE WARM_UP COUNT");
  long warm_up = strtol(arguments[4], NULL, 10), calls = strtol(arguments[5], NULL, 10);
  CURL *easy = new_handle(arguments[1], arguments[3]);
  read_body(arguments[2], &body);

  post(easy, &body, warm_up);
  struct meter start = start_meter();
  post(easy, &body, calls);
  print_meter(&start, calls);

  curl_easy_cleanup(easy);
  return 0;
}
