/* SPDX-License-Identifier: MIT
 * The tree of model.h from within: model.c makes it, model_check.c walks it. */
#ifndef PR_MODEL_TREE_H
#define PR_MODEL_TREE_H

#include "fuzz.h"

enum { MOST_ENTRIES = 24 }; /* of one table */

enum kind { TEXT, INTEGER, FLOAT, BOOLEAN, NOTHING, FOREIGN, TABLE };
enum key_kind { NAME, PLACE, ODD };

struct text {
  const char *data;
  size_t length;
};

struct key {
  enum key_kind kind;
  struct text name;
  lua_Integer number; /* a place, or which of the odd keys */
  bool as_float;      /* t[1.0] is t[1] */
};

struct entry {
  struct key key;
  struct node *value;
};

struct node {
  enum kind kind;
  bool has_metatable;
  struct text text;
  lua_Integer integer; /* also: a boolean, or which foreign value */
  lua_Number number;
  struct entry entries[MOST_ENTRIES];
  size_t count;
};

#endif
