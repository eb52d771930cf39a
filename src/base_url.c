/* SPDX-License-Identifier: MIT */
#include "base_url.h"

#include "ascii.h"

#include <arpa/inet.h>
#include <string.h>

struct part {
  const char *text;
  size_t length;
};

static bool part_is(struct part part, const char *text) {
  return part.length == strlen(text) && memcmp(part.text, text, part.length) == 0;
}

static bool part_starts(struct part *part, const char *text) {
  size_t length = strlen(text);
  if (part->length < length || memcmp(part->text, text, length) != 0)
    return false;
  part->text += length;
  part->length -= length;
  return true;
}

static bool is_host_byte(char c) {
  return ascii_is_letter(c) || ascii_is_digit(c) || c == '-' || c == '.';
}

static bool is_address_byte(char c) {
  return (ascii_is_letter(c) && ascii_lower(c) <= 'f') || ascii_is_digit(c) || c == ':';
}

/* With its brackets. */
static bool is_address(struct part host) {
  struct in6_addr address;
  char text[INET6_ADDRSTRLEN] = "";
  if (host.length - 2 >= sizeof text)
    return false;
  memcpy(text, host.text + 1, host.length - 2);
  return inet_pton(AF_INET6, text, &address) == 1;
}

/* Labels of a name may not be empty. */
static bool is_plausible(struct part host) {
  const char *last = host.text + host.length - 1;
  if (*host.text == '[')
    return is_address(host);
  for (const char *c = host.text; c < last; c++)
    if (c[0] == '.' && c[1] == '.')
      return false;
  return *host.text != '.' && *host.text != '-' && *last != '-' && *last != '.';
}

static bool is_loopback(struct part host) {
  return part_is(host, "127.0.0.1") || part_is(host, "[::1]") || part_is(host, "localhost");
}

/* Cuts the host off the front of `rest`. */
static bool take_host(struct part *rest, struct part *host) {
  size_t length = 0;
  bool address = rest->length > 0 && rest->text[0] == '[';
  if (address)
    length++;
  size_t first = length;
  while (length < rest->length &&
         (address ? is_address_byte(rest->text[length]) : is_host_byte(rest->text[length])))
    length++;
  if (length == first)
    return false;
  if (address && (length == rest->length || rest->text[length++] != ']'))
    return false;
  *host = (struct part){rest->text, length};
  rest->text += length;
  rest->length -= length;
  return true;
}

static bool take_port(struct part *rest) {
  long port = 0;
  if (!part_starts(rest, ":"))
    return true;
  while (rest->length > 0 && ascii_is_digit(*rest->text) && port <= 65535) {
    port = port * 10 + (*rest->text - '0');
    rest->text++;
    rest->length--;
  }
  return port >= 1 && port <= 65535;
}

enum base_url base_url_check(const char *url, size_t length) {
  struct part rest = {url, length}, host;
  bool secure = part_starts(&rest, "https://");
  if (!secure && !part_starts(&rest, "http://"))
    return BASE_URL_INVALID;
  if (!take_host(&rest, &host) || !is_plausible(host) || !take_port(&rest))
    return BASE_URL_INVALID;
  if (rest.length > 0 && !part_is(rest, "/"))
    return BASE_URL_INVALID;
  if (secure)
    return BASE_URL_SECURE;
  return is_loopback(host) ? BASE_URL_PLAIN : BASE_URL_NOT_LOOPBACK;
}
