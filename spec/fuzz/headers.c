/* SPDX-License-Identifier: MIT
 * Header lines (src/headers.c) beside a second reading of them, by other means, and what the retry
 * rules make of them. The input is what a server would send, line by line. */
#include "fuzz.h"

#include "../../src/headers.h"
#include "../../src/retry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_BYTES = 64 };

struct text {
  const char *data;
  size_t length;
};

static struct text trimmed(struct text text) {
  const char *blanks = " \t\r\n";
  while (text.length > 0 && is_one_of(text.data[text.length - 1], blanks))
    text.length--;
  while (text.length > 0 && is_one_of(*text.data, blanks))
    text.data++, text.length--;
  return text;
}

static bool is(struct text text, const char *word) {
  return text.length == strlen(word) && strncasecmp(text.data, word, text.length) == 0;
}

/* A line as "name: value". One that begins with a blank goes on with the one before (RFC 9112,
 * 5.2): it is no header of its own. */
static bool read_pair(struct text line, struct text *name, struct text *value) {
  const char *colon = memchr(line.data, ':', line.length);
  if (!colon || is_one_of(*line.data, " \t\r"))
    return false;
  size_t before = (size_t)(colon - line.data);
  *name = trimmed((struct text){line.data, before});
  *value = trimmed((struct text){colon + 1, line.length - before - 1});
  return name->length > 0;
}

struct expected {
  double retry_after;
  bool vague; /* a Retry-After of more digits than the second reading can tell */
  struct text request_id;
  unsigned said_true, said_false, said_other; /* Stripe-Should-Retry */
  bool replayed;
  size_t pairs;
};

static void expect_seconds(struct expected *expected, struct text value) {
  char number[NUMBER_BYTES + 1] = "";
  bool plain = value.length > 0 && value.length <= NUMBER_BYTES;
  memcpy(number, value.data, plain ? value.length : 0);
  expected->vague = expected->vague || value.length > NUMBER_BYTES;
  if (!plain || strspn(number, "0123456789.") != value.length || !strpbrk(number, "0123456789") ||
      strchr(number, '.') != strrchr(number, '.'))
    return;
  double seconds = strtod(number, NULL);
  expected->retry_after = fmax(expected->retry_after, seconds);
}

static void expect_line(struct expected *expected, struct text line) {
  struct text name, value;
  if (!read_pair(line, &name, &value))
    return;
  expected->pairs++;
  if (is(name, "retry-after"))
    expect_seconds(expected, value);
  if (is(name, "request-id") && expected->request_id.length == 0)
    expected->request_id = value;
  if (is(name, "idempotent-replayed"))
    expected->replayed = is(value, "true");
  if (is(name, "stripe-should-retry"))
    ++*(is(value, "true")    ? &expected->said_true
        : is(value, "false") ? &expected->said_false
                             : &expected->said_other);
}

static enum should_retry expected_should_retry(const struct expected *expected) {
  if (expected->said_other || (expected->said_true && expected->said_false))
    return SHOULD_RETRY_CONFLICT;
  return expected->said_true    ? SHOULD_RETRY_TRUE
         : expected->said_false ? SHOULD_RETRY_FALSE
                                : SHOULD_RETRY_ABSENT;
}

static void check_values(const struct headers *headers, const struct expected *expected) {
  CHECK(!isnan(headers->retry_after), "Retry-After is not a number");
  CHECK(expected->vague || headers->retry_after == expected->retry_after ||
            fabs(headers->retry_after - expected->retry_after) < 1e-9 * expected->retry_after,
        "Retry-After %g, expected %g", headers->retry_after, expected->retry_after);
  CHECK(headers->should_retry == expected_should_retry(expected), "Stripe-Should-Retry %d",
        (int)headers->should_retry);
  CHECK(headers->replayed == expected->replayed, "Idempotent-Replayed %d", headers->replayed);
  CHECK(headers->request_id_length == expected->request_id.length &&
            (expected->request_id.length == 0 ||
             memcmp(headers->lines.data + headers->request_id, expected->request_id.data,
                    expected->request_id.length) == 0),
        "Request-Id at %zu, %zu bytes", headers->request_id, headers->request_id_length);
}

static void check_lines(const struct headers *headers, size_t pairs) {
  struct header header;
  size_t cursor = 0, count = 0;
  const char *lines = buffer_text(&headers->lines), *end = lines + headers->lines.length;
  while (headers_next(lines, headers->lines.length, &cursor, &header)) {
    count++;
    CHECK(header.name >= lines && header.name_length > 0 && header.name < header.value &&
              header.value + header.value_length <= end,
          "header %zu is not within the lines", count);
    CHECK(!memchr(header.name, '\n', (size_t)(header.value + header.value_length - header.name)),
          "header %zu holds several lines", count);
  }
  CHECK(count == pairs, "%zu headers, expected %zu", count, pairs);
}

/* Whatever the server says, the wait before a retry has its bounds. */
static void check_delay(const struct headers *headers) {
  for (int retry = 0; retry < 70; retry += 7) {
    double delay = retry_delay(0.5, retry, 0.999, headers->retry_after);
    CHECK(delay >= 0.1 && delay <= 13, "a wait of %g seconds", delay);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct headers headers = {.count = 0};
  struct expected expected = {.retry_after = -1};
  const char *next = (const char *)data, *end = next + size;
  headers_clear(&headers);
  while (next < end) {
    const char *feed = memchr(next, '\n', (size_t)(end - next));
    struct text line = {next, (size_t)((feed ? feed + 1 : end) - next)};
    bool first = line.length >= 5 && memcmp(line.data, "HTTP/", 5) == 0;
    if (first) {
      headers_begin(&headers, line.data, line.length);
      expected = (struct expected){.retry_after = -1};
    } else {
      headers_receive(&headers, line.data, line.length);
      expect_line(&expected, line);
    }
    next += line.length;
  }
  check_values(&headers, &expected);
  check_lines(&headers, expected.pairs);
  check_delay(&headers);
  headers_free(&headers);
  return 0;
}
