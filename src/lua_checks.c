/* SPDX-License-Identifier: MIT */
#include "lua_checks.h"

#include "lua_params.h"
#include "nearest.h"

#include <string.h>

/* A checker writes the value that the walk looks at, if it is right. */
typedef bool checker(struct walk *walk, const struct param *param);

static bool count_fault(struct walk *walk, size_t most, const char *what_got, size_t count) {
  walk_fault(walk, "expected at most ");
  buffer_append_integer(walk->message, (long long)most);
  buffer_append_text(walk->message, what_got);
  buffer_append_integer(walk->message, (long long)count);
  return false;
}

static bool check_count(struct walk *walk, long characters, size_t max_length) {
  if (max_length == 0 || (size_t)characters <= max_length)
    return true;
  return count_fault(walk, max_length, " characters, got ", (size_t)characters);
}

/* Writes the string that is looked at. max_length: characters; 0: there is no limit. */
static bool write_text(struct walk *walk, size_t max_length) {
  long characters;
  return walk_write_string(walk, &characters) && check_count(walk, characters, max_length);
}

static bool is_text(const struct walk *walk) {
  return lua_type(walk->L, walk->value) == LUA_TSTRING;
}

/* An empty string clears a field, and a field that must be there cannot be cleared. */
static bool check_string(struct walk *walk, const struct param *param) {
  bool text = is_text(walk);
  bool null = (walk->null || !text) && walk_is_null(walk, walk->value); /* it may be a string */
  if (!null && !text)
    return walk_expected(walk, param_expectation(param->type));
  if ((param->flags & PARAM_REQUIRED) && (null || lua_rawlen(walk->L, walk->value) == 0))
    return walk_fault(walk, "required; expected a string that is not empty");
  if (!null)
    return write_text(walk, param->max_length);
  form_write_nothing(walk->form);
  return true;
}

static bool check_integer(struct walk *walk, const struct param *param) {
  long long value;
  if (walk_to_integer(walk->L, walk->value, &value) && value >= param->minimum &&
      value <= param->maximum) {
    form_write_integer(walk->form, value);
    return true;
  }
  walk_fault(walk, "expected an integer from ");
  buffer_append_integer(walk->message, param->minimum);
  buffer_append_text(walk->message, " to ");
  buffer_append_integer(walk->message, param->maximum);
  buffer_append_text(walk->message, ", got ");
  walk_describe_value(walk->L, walk->value, walk->message);
  return false;
}

static bool check_amount(struct walk *walk, const struct param *param) {
  long long value;
  if (!walk_to_integer(walk->L, walk->value, &value) || value <= 0)
    return walk_expected(walk, param_expectation(param->type));
  form_write_integer(walk->form, value);
  return true;
}

static bool check_timestamp(struct walk *walk, const struct param *param) {
  long long value;
  if (!walk_to_integer(walk->L, walk->value, &value) || value < 0)
    return walk_expected(walk, param_expectation(param->type));
  if (value < TIMESTAMP_LIMIT) {
    form_write_integer(walk->form, value);
    return true;
  }
  walk_fault(walk, "");
  buffer_append_integer(walk->message, value);
  buffer_append_text(walk->message, " looks like milliseconds; expected seconds");
  return false;
}

static bool is_currency(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (text[i] < 'a' || text[i] > 'z')
      return false;
  return length == 3;
}

static bool check_currency(struct walk *walk, const struct param *param) {
  size_t length = 0;
  const char *text = is_text(walk) ? lua_tolstring(walk->L, walk->value, &length) : "";
  if (!is_currency(text, length))
    return walk_expected(walk, param_expectation(param->type));
  return write_text(walk, 0);
}

/* "a", "b" or "c" */
static void append_choices(struct buffer *text, const char *const *values) {
  for (size_t i = 0; values[i]; i++) {
    if (i > 0)
      buffer_append_text(text, values[i + 1] ? ", " : " or ");
    buffer_append_text(text, "\"");
    buffer_append_text(text, values[i]);
    buffer_append_text(text, "\"");
  }
}

static bool enum_fault(struct walk *walk, const struct param *param) {
  walk_fault(walk, "expected ");
  append_choices(walk->message, param->values);
  buffer_append_text(walk->message, ", got ");
  walk_describe_value(walk->L, walk->value, walk->message);
  if (is_text(walk)) {
    struct nearest nearest = nearest_to(lua_tostring(walk->L, walk->value));
    for (size_t i = 0; param->values[i]; i++)
      nearest_offer(&nearest, param->values[i]);
    walk_suggest(walk->message, nearest.best);
  }
  return false;
}

static bool check_enum(struct walk *walk, const struct param *param) {
  if (!is_text(walk))
    return enum_fault(walk, param);
  const char *text = lua_tostring(walk->L, walk->value);
  bool known = walk->allow_unknown;
  for (size_t i = 0; param->values[i] && !known; i++)
    known = strcmp(param->values[i], text) == 0;
  if (!known)
    return enum_fault(walk, param);
  return write_text(walk, 0);
}

/* Whether the value is empty where that is sent, and clears: it has been written then. */
static bool write_cleared(struct walk *walk, const struct param *param) {
  if (!(param->flags & PARAM_CLEARABLE))
    return false;
  if (!walk_is_null(walk, walk->value) && !(is_text(walk) && lua_rawlen(walk->L, walk->value) == 0))
    return false;
  form_write_nothing(walk->form);
  return true;
}

static bool check_object(struct walk *walk, const struct param *param) {
  if (write_cleared(walk, param))
    return true;
  if (!lua_istable(walk->L, walk->value))
    return walk_expected(walk, param_expectation(param->type));
  return lua_params_write(walk, param->params);
}

_Static_assert((int)METADATA_MAX_KEYS == (int)WALK_FEW_NAMES, "more are too many");

/* Stripe: metadata. Numbers and booleans are taken for what they are as text. */
static bool check_metadata_value(struct walk *walk) {
  int type = lua_type(walk->L, walk->value);
  if (type == LUA_TSTRING)
    return write_text(walk, METADATA_MAX_VALUE_LENGTH);
  if (type == LUA_TNUMBER || type == LUA_TBOOLEAN || walk_is_null(walk, walk->value))
    return walk_encode_value(walk);
  return walk_expected(walk, "a string");
}

static bool check_metadata_key(struct walk *walk, const struct table_key *key) {
  if (memchr(key->name, '[', key->length) || memchr(key->name, ']', key->length))
    return walk_fault(walk, "metadata names may not contain [ or ]");
  return check_count(walk, key->characters, METADATA_MAX_KEY_LENGTH);
}

static bool check_metadata_pair(struct walk *walk, const struct table_key *key,
                                const void *context) {
  (void)context;
  return check_metadata_key(walk, key) && check_metadata_value(walk);
}

static bool check_metadata(struct walk *walk, const struct param *param) {
  size_t count;
  bool right;
  if (write_cleared(walk, param))
    return true;
  if (!lua_istable(walk->L, walk->value))
    return walk_expected(walk, param_expectation(param->type));
  if (walk_few_names(walk, check_metadata_pair, NULL, &right))
    return right;
  enum table_shape shape = walk_shape(walk, &count);
  if (shape == SHAPE_INVALID)
    return walk_fault(walk, "expected a table of names and strings, got a key that is no string");
  if (shape == SHAPE_SEQUENCE)
    return walk_fault(walk, "expected a table of names and strings, got a sequence");
  return count_fault(walk, METADATA_MAX_KEYS, " names, got ", count);
}

static bool check_array(struct walk *walk, const struct param *param) {
  size_t count;
  bool right = true;
  int table = walk->value;
  if (!lua_istable(walk->L, walk->value))
    return walk_expected(walk, param_expectation(param->type));
  enum table_shape shape = walk_shape(walk, &count);
  if (shape == SHAPE_INVALID)
    return false;
  if (shape == SHAPE_NAMES)
    return walk_fault(walk, "expected a sequence of strings, got a table with names");
  for (size_t i = 1; i <= count && right; i++) {
    if (!walk_enter_index(walk, -1))
      return false;
    lua_rawgeti(walk->L, table, (int)i);
    walk->value = lua_gettop(walk->L);
    right = is_text(walk) ? write_text(walk, param->max_length) : walk_expected(walk, "a string");
    lua_pop(walk->L, 1);
    form_leave(walk->form);
  }
  return right;
}

static checker *const checkers[] = {
    [PARAM_STRING] = check_string,       [PARAM_INTEGER] = check_integer,
    [PARAM_AMOUNT] = check_amount,       [PARAM_CURRENCY] = check_currency,
    [PARAM_TIMESTAMP] = check_timestamp, [PARAM_ENUM] = check_enum,
    [PARAM_OBJECT] = check_object,       [PARAM_METADATA] = check_metadata,
    [PARAM_ARRAY] = check_array,
};

bool lua_check_value(struct walk *walk, const struct param *param) {
  return checkers[param->type](walk, param);
}
