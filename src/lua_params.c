/* SPDX-License-Identifier: MIT */
#include "lua_params.h"

#include "lua_checks.h"
#include "lua_fields.h"
#include "lua_options.h"

#include <string.h>

/* A table that is walked, with its fields laid out on the stack. */
struct fields {
  struct walk *walk;
  const struct param *params;
  int table;                         /* stack index */
  int top;                           /* the fields are above */
  unsigned flags;                    /* of all parameters */
  size_t unknown;                    /* fields that no parameter has */
  unsigned char places[PARAMS_MOST]; /* of the parameters' values above `top`; 0: not given */
};

static int place_of(const struct fields *fields, const struct param *param) {
  return fields->top + fields->places[param - fields->params];
}

static bool is_given(const struct fields *fields, const struct param *param) {
  return fields->places[param - fields->params] > 0;
}

/* The parameter of the key at `index`, or NULL. */
static const struct param *find(const struct fields *fields, int index) {
  lua_State *L = fields->walk->L;
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING)
    return NULL;
  const char *name = lua_tolstring(L, index, &length);
  return param_find(fields->params, name, length);
}

/* One pass over what the table has; a look-up of each parameter by its name would cost more. What
 * is found stays where it is, key and value. */
static void lay_out(struct fields *fields) {
  lua_State *L = fields->walk->L;
  int count = 0, place = 2;
  for (; fields->params[count].name; count++)
    fields->flags |= fields->params[count].flags;
  luaL_checkstack(L, 2 * count + WALK_SLOTS, "table nested too deep");
  lua_pushnil(L);
  while (lua_next(L, fields->table)) {
    const struct param *param = find(fields, -2);
    if (!param) {
      fields->unknown++;
      lua_pop(L, 1);
      continue;
    }
    fields->places[param - fields->params] = (unsigned char)place;
    place += 2;
    lua_pushvalue(L, -2);
  }
}

/* A fault at the parameter `name` of the place the walk is at. */
static bool fault_at(struct walk *walk, const char *name, const char *text) {
  if (!walk_enter_name(walk, name, strlen(name)))
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

/* Writes, or refuses, what the parameter tables do not have. */
static bool write_unknown(const struct fields *fields) {
  struct walk *walk = fields->walk;
  size_t count;
  bool right;
  if (fields->unknown == 0)
    return true;
  walk->value = fields->table;
  if (walk_few_names(walk, visit_unknown, fields->params, &right))
    return right;
  enum table_shape shape = walk_shape(walk, &count);
  if (shape == SHAPE_INVALID)
    return walk_fault(walk, "expected a table of named parameters, got a key that is no string");
  if (shape == SHAPE_SEQUENCE)
    return walk_fault(walk, "expected a table of named parameters, got a sequence");
  return walk_many_names(walk, count, visit_unknown, fields->params);
}

/* A misspelt name leaves a parameter missing; the name is what to complain about then. */
static bool missing_fault(const struct fields *fields, const char *name) {
  if (!fields->walk->allow_unknown && !write_unknown(fields))
    return false;
  return fault_at(fields->walk, name, "required, but missing");
}

static bool write_field(const struct fields *fields, const struct param *param) {
  struct walk *walk = fields->walk;
  if (!walk_enter_name(walk, param->name, param->length))
    return false;
  walk->value = place_of(fields, param);
  bool right = lua_check_value(walk, param);
  form_leave(walk->form);
  return right;
}

static bool write_known(const struct fields *fields) {
  for (const struct param *param = fields->params; param->name; param++) {
    bool given = is_given(fields, param);
    if (!given && (param->flags & PARAM_REQUIRED))
      return missing_fault(fields, param->name);
    if (given && !write_field(fields, param))
      return false;
  }
  return true;
}

static bool check_one_of(const struct fields *fields) {
  const struct param *first = NULL, *last = NULL;
  for (const struct param *param = fields->params; param->name; param++) {
    if (!(param->flags & PARAM_ONE_OF))
      continue;
    if (is_given(fields, param))
      return true;
    first = first ? first : param;
    last = param;
  }
  if (!first)
    return true;
  struct buffer *message = fields->walk->message;
  walk_fault(fields->walk, "expected ");
  buffer_append_text(message, first->name);
  buffer_append_text(message, " or ");
  buffer_append_text(message, last->name);
  buffer_append_text(message, ", got neither");
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

static bool has_selected(const struct fields *fields, const char *object) {
  return is_given(fields, param_find(fields->params, object, strlen(object)));
}

/* `outcome = "failed"` goes with `failed = {…}` and with none of its sisters. */
static bool check_selection(const struct fields *fields, const struct param *selector) {
  struct walk *walk = fields->walk;
  bool given = is_given(fields, selector), known = !given;
  const char *selected = given ? lua_tostring(walk->L, place_of(fields, selector)) : "";
  for (size_t i = 0; selector->values[i]; i++)
    known = known || strcmp(selector->values[i], selected) == 0;
  if (!known)
    return true; /* a value that this version does not know, sent on request */
  for (size_t i = 0; selector->values[i]; i++) {
    const char *object = selector->values[i];
    if (strcmp(object, selected) == 0 || !has_selected(fields, object))
      continue;
    if (!given)
      return selection_fault(walk, object,
                             "given without an outcome; did you mean outcome = ", object);
    return selection_fault(walk, object, "contradicts outcome = ", selected);
  }
  return !given || has_selected(fields, selected) ||
         selection_fault(walk, selected, "required, because outcome is ", selected);
}

static bool check_selections(const struct fields *fields) {
  for (const struct param *param = fields->params; param->name; param++)
    if ((param->flags & PARAM_SELECTS) && !check_selection(fields, param))
      return false;
  return true;
}

/* Not inlined, so that bench/callgrind.lua sees what it costs. */
__attribute__((noinline)) bool lua_params_write(struct walk *walk, const struct param *params) {
  struct fields fields = {
      .walk = walk, .params = params, .table = walk->value, .top = lua_gettop(walk->L)};
  lay_out(&fields);
  bool right = write_known(&fields) && write_unknown(&fields) &&
               (!(fields.flags & PARAM_ONE_OF) || check_one_of(&fields)) &&
               (!(fields.flags & PARAM_SELECTS) || check_selections(&fields));
  lua_settop(walk->L, fields.top);
  return right;
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
  luaL_checkstack(L, WALK_SLOTS, "parameters nested too deep");
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
