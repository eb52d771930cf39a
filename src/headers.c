/* SPDX-License-Identifier: MIT */
#include "headers.h"

#include "ascii.h"

#include <string.h>

static bool equals(const char *text, size_t length, const char *lower_case) {
  size_t i = 0;
  while (i < length && lower_case[i] && ascii_lower(text[i]) == lower_case[i])
    i++;
  return i == length && !lower_case[i];
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim_end(const char *text, size_t *length) {
  while (*length > 0 && is_blank(text[*length - 1]))
    --*length;
}

static void trim(const char **text, size_t *length) {
  trim_end(*text, length);
  while (*length > 0 && is_blank(**text)) {
    ++*text;
    --*length;
  }
}

/* Digits with an optional fraction, by hand: strtod() reads the locale's decimal point. */
static double parse_seconds(const char *text, size_t length) {
  double seconds = 0, unit = 1;
  bool fraction = false, digits = false;
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (!ascii_is_digit(text[i]))
      return -1;
    digits = true;
    seconds = seconds * 10 + (text[i] - '0');
    unit = fraction ? unit * 10 : unit;
  }
  return digits ? seconds / unit : -1;
}

static void read_should_retry(struct headers *headers, const char *value, size_t length) {
  enum should_retry said = equals(value, length, "true")    ? SHOULD_RETRY_TRUE
                           : equals(value, length, "false") ? SHOULD_RETRY_FALSE
                                                            : SHOULD_RETRY_CONFLICT;
  bool agrees = headers->should_retry == SHOULD_RETRY_ABSENT || headers->should_retry == said;
  headers->should_retry = agrees ? said : SHOULD_RETRY_CONFLICT;
}

static void read_retry_after(struct headers *headers, const char *value, size_t length) {
  double seconds = parse_seconds(value, length);
  if (seconds > headers->retry_after)
    headers->retry_after = seconds;
}

static void read_replayed(struct headers *headers, const char *value, size_t length) {
  headers->replayed = equals(value, length, "true");
}

static void read_request_id(struct headers *headers, const char *value, size_t length) {
  if (headers->request_id_length > 0)
    return;
  headers->request_id = (size_t)(value - headers->lines.data);
  headers->request_id_length = length;
}

static void read_idempotency_key(struct headers *headers, const char *value, size_t length) {
  headers->idempotency_key = (size_t)(value - headers->lines.data);
  headers->idempotency_key_length = length;
}

static void read_mock_version(struct headers *headers, const char *value, size_t length) {
  (void)value, (void)length;
  headers->from_mock = true;
}

/* The fields that we need; read_line() knows their first letters. */

#define NAMED(TEXT) .name = (TEXT), .length = sizeof(TEXT) - 1

static const struct {
  const char *name;
  size_t length;
  void (*read)(struct headers *headers, const char *value, size_t length);
} readers[] = {
    {NAMED("stripe-should-retry"), .read = read_should_retry},
    {NAMED("retry-after"), .read = read_retry_after},
    {NAMED("idempotent-replayed"), .read = read_replayed},
    {NAMED("request-id"), .read = read_request_id},
    {NAMED("idempotency-key"), .read = read_idempotency_key},
    {NAMED("stripe-mock-version"), .read = read_mock_version},
};

void headers_clear(struct headers *headers) {
  buffer_clear(&headers->lines);
  headers->count = 0;
  headers->should_retry = SHOULD_RETRY_ABSENT;
  headers->retry_after = -1;
  headers->replayed = headers->from_mock = false;
  headers->request_id = headers->request_id_length = 0;
  headers->idempotency_key = headers->idempotency_key_length = 0;
}

void headers_free(struct headers *headers) {
  buffer_free(&headers->lines);
}

/* A line that begins with a blank goes on with the one before (RFC 9112, 5.2). */
static bool split(const char *line, size_t length, struct header *header) {
  const char *colon = memchr(line, ':', length);
  if (!colon || is_blank(*line))
    return false;
  header->name = line;
  header->name_length = (size_t)(colon - line);
  header->value = colon + 1;
  header->value_length = length - header->name_length - 1;
  trim(&header->name, &header->name_length);
  trim(&header->value, &header->value_length);
  return header->name_length > 0;
}

/* Reads the line that stands in the lines from `start` on, if it is one of those we need: few begin
 * with such a letter. */
static void read_line(struct headers *headers, size_t start) {
  struct header header;
  if (headers->lines.failed)
    return;
  const char *line = headers->lines.data + start;
  char first = ascii_lower(*line);
  if ((first != 's' && first != 'r' && first != 'i') ||
      !split(line, headers->lines.length - start, &header))
    return;
  for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
    if (header.name_length == readers[i].length &&
        equals(header.name, header.name_length, readers[i].name))
      readers[i].read(headers, header.value, header.value_length);
}

void headers_add(struct headers *headers, struct header header) {
  size_t start = headers->lines.length;
  headers->count++;
  buffer_append(&headers->lines, header.name, header.name_length);
  buffer_append_text(&headers->lines, ": ");
  buffer_append(&headers->lines, header.value, header.value_length);
  buffer_append_text(&headers->lines, "\n");
  read_line(headers, start);
}

static bool has_status(const char *line, size_t length) {
  const char *end = line + length, *digit = memchr(line, ' ', length);
  size_t digits = 0;
  while (digit && digit < end && *digit == ' ')
    digit++;
  while (digit && digit + digits < end && ascii_is_digit(digit[digits]))
    digits++;
  return digits == 3;
}

bool headers_begin(struct headers *headers, const char *line, size_t length) {
  headers_clear(headers);
  return length >= 5 && memcmp(line, "HTTP/", 5) == 0 && has_status(line, length);
}

void headers_receive(struct headers *headers, const char *line, size_t length) {
  size_t start = headers->lines.length;
  trim_end(line, &length);
  if (length == 0)
    return;
  headers->count++;
  buffer_append(&headers->lines, line, length);
  buffer_append(&headers->lines, "\n", 1);
  read_line(headers, start);
}

bool headers_next(const char *lines, size_t length, size_t *cursor, struct header *header) {
  while (*cursor < length) {
    const char *line = lines + *cursor, *end = memchr(line, '\n', length - *cursor);
    size_t line_length = end ? (size_t)(end - line) : length - *cursor;
    *cursor += line_length + 1;
    if (split(line, line_length, header))
      return true;
  }
  return false;
}
