/* SPDX-License-Identifier: MIT
 * The yardstick for new connections: libcurl's easy interface gets a record again and again, on one
 * handle, from a server that closes each connection.
 *
 *   connect URL BUNDLE DIRECTORY COUNT        (DIRECTORY may be "": none)
 *
 * Prints the milliseconds of CPU time of the first call, then those per call of COUNT more. */
#include "bare.h"

static double get(CURL *easy, long count) {
  double start = cpu_microseconds();
  for (long call = 0; call < count; call++)
    check_call(easy, curl_easy_perform(easy));
  return (cpu_microseconds() - start) / 1e3 / (double)count;
}

int main(int count, char **arguments) {
  if (count != 5)
    fail("usage", "connect URL BUNDLE DIRECTORY COUNT");
  CURL *easy = new_handle(arguments[1], arguments[2]);
  curl_easy_setopt(easy, CURLOPT_CAPATH, arguments[3][0] ? arguments[3] : NULL);

  double first = get(easy, 1);
  printf("%.2f %.2f\n", first, get(easy, strtol(arguments[4], NULL, 10)));

  curl_easy_cleanup(easy);
  return 0;
}
