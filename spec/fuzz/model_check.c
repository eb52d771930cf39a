/* SPDX-License-Identifier: MIT
 * What must come of the tree: a walk over it beside a reader of the body, to the first fault. */
#include "model.h"
#include "model_tree.h"

#include "../../src/buffer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  MOST_VISITS = 300, /* a table may be in the tree many times */
  DEEPEST = 16,      /* what the form takes */
  NUMBER_BYTES = 32
};

struct segment {
  struct text name; /* data NULL: a place in a list */
  long long index;  /* counted from 0; -1: written as [] */
};

/* A walk over the tree, beside a reader of the body if there is one. */
struct trip {
  struct segment path[DEEPEST];
  size_t depth, visits;
  const char *next, *end; /* of the body; NULL: there is none */
  bool first;             /* no pair was read yet */
};

/* Whether it is UTF-8 without NUL: code point by code point. */
static bool is_text(struct text text) {
  static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  for (size_t i = 0; i < text.length;) {
    unsigned lead = (unsigned char)text.data[i], length = 1;
    while (lead & 0x80U >> length && length < 5)
      length++;
    if (lead == 0 || (lead >= 0x80 && (!(lead & 0x40) || length > 4)))
      return false;
    if (lead < 0x80) {
      i++;
      continue;
    }
    unsigned code = lead & 0x7FU >> length;
    for (size_t j = i + 1; j < i + length; j++) {
      if (j == text.length || ((unsigned char)text.data[j] & 0xC0) != 0x80)
        return false;
      code = code << 6 | ((unsigned char)text.data[j] & 0x3F);
    }
    if (code < smallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      return false;
    i += length;
  }
  return true;
}

static bool is_plain(unsigned char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9') || is_one_of((char)byte, "-._~");
}

static unsigned hex_digit(const char *text) {
  const char digits[] = "0123456789ABCDEF", *digit = *text ? strchr(digits, *text) : NULL;
  CHECK(digit, "\"%.10s\" after a percent sign", text);
  return (unsigned)(digit - digits);
}

/* Reads a byte that is no structure; percent-encoded if, and only if, it must be. */
static unsigned char read_byte(struct trip *trip) {
  CHECK(trip->next < trip->end, "the body ends too early");
  unsigned char byte = (unsigned char)*trip->next++;
  if (byte != '%') {
    CHECK(is_plain(byte), "byte %d stands in the body as it is", byte);
    return byte;
  }
  CHECK(trip->end - trip->next >= 2, "a percent sign at the end");
  byte = (unsigned char)(hex_digit(trip->next) << 4 | hex_digit(trip->next + 1));
  CHECK(!is_plain(byte), "byte %d is encoded without need", byte);
  trip->next += 2;
  return byte;
}

static void expect_text(struct trip *trip, struct text text) {
  for (size_t i = 0; i < text.length; i++) {
    unsigned char byte = read_byte(trip);
    CHECK(byte == (unsigned char)text.data[i], "byte %d instead of %d", byte,
          (unsigned char)text.data[i]);
  }
}

static void expect_mark(struct trip *trip, char mark) {
  CHECK(trip->next < trip->end && *trip->next == mark, "no %c in its place", mark);
  trip->next++;
}

static void expect_place(struct trip *trip, long long index) {
  char number[NUMBER_BYTES] = "";
  if (index >= 0)
    (void)snprintf(number, sizeof number, "%lld", index);
  expect_text(trip, (struct text){number, strlen(number)});
}

static void expect_segment(struct trip *trip, const struct segment *segment, bool first) {
  if (!first)
    expect_mark(trip, '[');
  if (segment->name.data)
    expect_text(trip, segment->name);
  else
    expect_place(trip, segment->index);
  if (!first)
    expect_mark(trip, ']');
}

/* Finds the pair of the place we are at next in the body. */
static bool expect_pair(struct trip *trip, struct text value) {
  if (!trip->next)
    return true;
  if (!trip->first)
    expect_mark(trip, '&');
  trip->first = false;
  for (size_t i = 0; i < trip->depth; i++)
    expect_segment(trip, &trip->path[i], i == 0);
  expect_mark(trip, '=');
  expect_text(trip, value);
  return true;
}

static bool expect_plain(struct trip *trip, const char *value) {
  return expect_pair(trip, (struct text){value, strlen(value)});
}

static bool expect_integer(struct trip *trip, long long integer) {
  char number[NUMBER_BYTES];
  (void)snprintf(number, sizeof number, "%lld", integer);
  return expect_plain(trip, number);
}

/* Only whole numbers that can be told from their neighbours. */
static bool expect_float(struct trip *trip, double value) {
  char number[NUMBER_BYTES];
  if (!(fabs(value) <= 9007199254740992.0) || fmod(value, 1) != 0)
    return false;
  (void)snprintf(number, sizeof number, "%.0f", value + 0.0); /* -0 + 0 is 0 */
  return expect_plain(trip, number);
}

/* Functions that return bool return false at the first fault, with the path to it in the trip. */
static bool visit(struct trip *trip, const struct node *node);

static bool visit_entry(struct trip *trip, struct segment segment, const struct node *value) {
  if (trip->depth == DEEPEST || trip->visits > MOST_VISITS)
    return false;
  trip->path[trip->depth++] = segment;
  if (segment.name.data && (!is_text(segment.name) || segment.name.length == 0))
    return false;
  if (!visit(trip, value))
    return false;
  trip->depth--;
  return true;
}

static const struct entry *place(const struct node *table, lua_Integer number) {
  for (size_t i = 0; i < table->count; i++)
    if (table->entries[i].key.number == number)
      return &table->entries[i];
  return NULL;
}

static bool visit_sequence(struct trip *trip, const struct node *table) {
  bool indexed = false;
  for (size_t i = 0; i < table->count; i++) {
    indexed = indexed || table->entries[i].value->kind == TABLE;
    if (!place(table, (lua_Integer)i + 1))
      return false;
  }
  for (size_t i = 0; i < table->count; i++) {
    struct segment segment = {.index = indexed ? (long long)i : -1};
    if (!visit_entry(trip, segment, place(table, (lua_Integer)i + 1)->value))
      return false;
  }
  return true;
}

static int compare(const void *left, const void *right) {
  const struct entry *const *a = left, *const *b = right;
  struct text x = (*a)->key.name, y = (*b)->key.name;
  int order = memcmp(x.data, y.data, x.length < y.length ? x.length : y.length);
  return order ? order : x.length < y.length ? -1 : 1;
}

static bool visit_names(struct trip *trip, const struct node *table) {
  const struct entry *sorted[MOST_ENTRIES] = {NULL};
  for (size_t i = 0; i < table->count; i++)
    sorted[i] = &table->entries[i];
  qsort(sorted, table->count, sizeof(struct entry *), compare);
  for (size_t i = 0; i < table->count; i++)
    if (!visit_entry(trip, (struct segment){.name = sorted[i]->key.name}, sorted[i]->value))
      return false;
  return true;
}

static bool visit_table(struct trip *trip, const struct node *table) {
  size_t count[] = {[NAME] = 0, [PLACE] = 0, [ODD] = 0};
  for (size_t i = 0; i < table->count; i++)
    count[table->entries[i].key.kind]++;
  if (count[ODD] > 0 || (count[NAME] > 0 && count[PLACE] > 0))
    return false;
  if (count[PLACE] > 0)
    return trip->depth > 0 && visit_sequence(trip, table);
  return visit_names(trip, table);
}

static bool visit(struct trip *trip, const struct node *node) {
  trip->visits++;
  switch (node->kind) {
  case TEXT: return is_text(node->text) && expect_pair(trip, node->text);
  case INTEGER: return expect_integer(trip, node->integer);
  case FLOAT: return expect_float(trip, node->number);
  case BOOLEAN: return expect_plain(trip, node->integer ? "true" : "false");
  case NOTHING: return expect_pair(trip, (struct text){"", 0});
  case FOREIGN: return false;
  case TABLE: return visit_table(trip, node);
  }
  return false;
}

void model_check_body(const struct node *root, const char *body, size_t length) {
  struct trip trip = {.next = body, .end = body + length, .first = true};
  CHECK(visit(&trip, root), "what cannot be encoded was, after %zu values", trip.visits);
  CHECK(trip.next == trip.end, "pairs that are in no table: %.60s", trip.next);
}

static bool is_like_a_key(struct text name) {
  return memmem(name.data, name.length, "k_test_", 7) ||
         memmem(name.data, name.length, "k_live_", 7) ||
         memmem(name.data, name.length, "k_org_", 6);
}

static void describe_name(struct buffer *text, struct text name) {
  if (is_like_a_key(name)) {
    buffer_append_text(text, "[api key]");
    return;
  }
  for (size_t i = 0; i < name.length; i++) {
    const unsigned char *byte = (const unsigned char *)name.data + i;
    bool c1 = i + 1 < name.length && byte[0] == 0xC2 && byte[1] >= 0x80 && byte[1] < 0xA0;
    buffer_append(text, c1 || *byte < ' ' || *byte == 0x7F ? "?" : &name.data[i], 1);
    i += c1;
  }
}

/* As a person reads it: a[b][0][]. */
static void describe(struct buffer *text, const struct trip *trip) {
  for (size_t i = 0; i < trip->depth; i++) {
    const struct segment *segment = &trip->path[i];
    buffer_append_text(text, i == 0 ? "" : "[");
    if (segment->name.data)
      describe_name(text, segment->name);
    else if (segment->index >= 0)
      buffer_append_integer(text, segment->index);
    buffer_append_text(text, i == 0 ? "" : "]");
  }
}

void model_check_message(const struct node *root, const char *message, size_t length) {
  struct buffer path = {.length = 0};
  struct trip trip = {.depth = 0};
  CHECK(!visit(&trip, root), "refused without need: %s", message);
  describe(&path, &trip);
  CHECK(length > path.length && memcmp(message, buffer_text(&path), path.length) == 0 &&
            (path.length == 0 || message[path.length] == ':'),
        "\"%s\" does not begin with the path %s", message, buffer_text(&path));
  for (size_t i = 0; i < length; i++)
    CHECK((unsigned char)message[i] >= ' ' && message[i] != 0x7F, "byte %d in a message",
          message[i]);
  buffer_free(&path);
}

bool model_is_small(const struct node *root) {
  struct trip trip = {.depth = 0};
  (void)visit(&trip, root);
  return trip.visits <= MOST_VISITS;
}
