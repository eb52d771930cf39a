/* SPDX-License-Identifier: MIT */
#include "lua_params.h"

#include "lua_checks.h"
#include "lua_fields.h"
#include "lua_options.h"

#include <string.h>

enum { SLOTS_PER_LEVEL = 8 }; /* of the stack: a table, its sorted keys, a key or value, and room */

/* Pushes the field of the table on top, or nil; returns whether there is one. */
static bool push_field(struct walk *walk, const char *name) {
  lua_pushstring(walk->L, name);
  lua_rawget(walk->L, -2);
  return !lua_isnil(walk->L, -1);
}

static bool has_field(struct walk *walk, const char *name) {
  bool has = push_field(walk, name);
  lua_pop(walk->L, 1);
  return has;
}

/* A fault at the parameter `name` of the place the walk is at. */
static bool fault_at(struct walk *walk, const char *name, const char *text) {
  if (!walk_enter_key(walk, name, strlen(name)))
    return false;
  walk_fault(walk, text);
  form_leave(walk->form);
  return false;
}

static bool unknown_fault(struct walk *walk, const struct param *params, const char *name) {
  walk_fault(walk, "unknown parameter");
  if (walk->form->depth == 1 && lua_options_is_call_option(name))
    buffer_append_text(walk->message, "; it is an option: give it in a table after the parameters");
  else
    walk_suggest(walk->message, param_nearest(params, name));
  return false;
}

static bool visit_unknown(struct walk *walk, const struct table_key *key, const void *params) {
  if (param_find(params, key->name, key->length))
    return true;
  return walk->allow_unknown ? walk_encode_value(walk) : unknown_fault(walk, params, key->name);
}

/* Writes, or refuses, what the parameter tables do not have; `known` fields were found in them. */
static bool write_unknown(struct walk *walk, const struct param *params, size_t known) {
  size_t count;
  enum table_shape shape = walk_shape(walk, -1, &count);
  if (shape == SHAPE_INVALID)
    return false;
  if (shape == SHAPE_SEQUENCE)
    return walk_fault(walk, "expected a table of named parameters, got a sequence");
  return count == known || walk_each_name(walk, count, visit_unknown, params);
}

/* A misspelt name leaves a parameter missing; the name is what to complain about then. */
static bool missing_fault(struct walk *walk, const struct param *params, const char *name) {
  if (!walk->allow_unknown && !write_unknown(walk, params, 0))
    return false;
  return fault_at(walk, name, "required, but missing");
}

static bool write_field(struct walk *walk, const struct param *param) {
  if (!walk_enter_key(walk, param->name, strlen(param->name)))
    return false;
  bool right = lua_check_value(walk, param);
  form_leave(walk->form);
  return right;
}

static bool write_known(struct walk *walk, const struct param *params, size_t *known) {
  for (const struct param *param = params; param->name; param++) {
    bool found = push_field(walk, param->name);
    bool right = !found || write_field(walk, param);
    lua_pop(walk->L, 1);
    *known += found;
    if (!right)
      return false;
    if (!found && (param->flags & PARAM_REQUIRED))
      return missing_fault(walk, params, param->name);
  }
  return true;
}

static bool check_one_of(struct walk *walk, const struct param *params) {
  const struct param *first = NULL, *last = NULL;
  for (const struct param *param = params; param->name; param++) {
    if (!(param->flags & PARAM_ONE_OF))
      continue;
    if (has_field(walk, param->name))
      return true;
    first = first ? first : param;
    last = param;
  }
  if (!first)
    return true;
  walk_fault(walk, "expected ");
  buffer_append_text(walk->message, first->name);
  buffer_append_text(walk->message, " or ");
  buffer_append_text(walk->message, last->name);
  buffer_append_text(walk->message, ", got neither");
  return false;
}

static bool selection_fault(struct walk *walk, const char *object, const char *text,
                            const char *selected) {
  fault_at(walk, object, text);
  buffer_append_text(walk->message, "\"");
  buffer_append_text(walk->message, selected);
  buffer_append_text(walk->message, "\"");
  return false;
}

static bool is_one_of(const char *text, const char *const *values) {
  while (*values && strcmp(*values, text) != 0)
    values++;
  return *values != NULL;
}

/* `outcome = "failed"` goes with `failed = {…}` and with none of its sisters. */
static bool check_selection(struct walk *walk, const struct param *selector) {
  bool given = push_field(walk, selector->name);
  /* The string stays anchored in the table. */
  const char *selected = given ? lua_tostring(walk->L, -1) : "";
  lua_pop(walk->L, 1);
  if (given && !is_one_of(selected, selector->values))
    return true; /* a value that this version does not know, sent on request */
  for (size_t i = 0; selector->values[i]; i++) {
    const char *object = selector->values[i];
    if (strcmp(object, selected) == 0 || !has_field(walk, object))
      continue;
    if (!given)
      return selection_fault(walk, object,
                             "given without an outcome; did you mean outcome = ", object);
    return selection_fault(walk, object, "contradicts outcome = ", selected);
  }
  return !given || has_field(walk, selected) ||
         selection_fault(walk, selected, "required, because outcome is ", selected);
}

static bool check_selections(struct walk *walk, const struct param *params) {
  for (const struct param *param = params; param->name; param++)
    if ((param->flags & PARAM_SELECTS) && !check_selection(walk, param))
      return false;
  return true;
}

bool lua_params_write(struct walk *walk, const struct param *params) {
  size_t known = 0;
  luaL_checkstack(walk->L, SLOTS_PER_LEVEL, "table nested too deep");
  return write_known(walk, params, &known) && write_unknown(walk, params, known) &&
         check_one_of(walk, params) && check_selections(walk, params);
}

static void push_params(lua_State *L, const struct param *params);

static void push_limits(lua_State *L, const struct param *param) {
  if (param->max_length > 0)
    set_integer(L, "max_length", (long long)param->max_length);
  if (param->type == PARAM_AMOUNT)
    set_integer(L, "minimum", 1);
  if (param->type != PARAM_INTEGER)
    return;
  set_integer(L, "minimum", param->minimum);
  set_integer(L, "maximum", param->maximum);
}

static void push_enum(lua_State *L, const char *const *values) {
  lua_newtable(L);
  for (int i = 0; values[i]; i++) {
    lua_pushstring(L, values[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_param(lua_State *L, const struct param *param) {
  lua_newtable(L);
  set_text(L, "name", param->name);
  set_text(L, "type", param_type_name(param->type));
  set_boolean(L, "required", (param->flags & PARAM_REQUIRED) != 0);
  set_boolean(L, "clearable", (param->flags & PARAM_CLEARABLE) != 0);
  push_limits(L, param);
  if (param->type == PARAM_ENUM) {
    push_enum(L, param->values);
    lua_setfield(L, -2, "enum");
  }
  if (param->type == PARAM_OBJECT) {
    push_params(L, param->params);
    lua_setfield(L, -2, "params");
  }
}

static void push_params(lua_State *L, const struct param *params) {
  luaL_checkstack(L, SLOTS_PER_LEVEL, "parameters nested too deep");
  lua_newtable(L);
  for (int i = 0; params[i].name; i++) {
    push_param(L, &params[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

int lua_params_describe(lua_State *L) {
  push_params(L, lua_options_check_endpoint(L, 1)->params);
  return 1;
}
