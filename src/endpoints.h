/* SPDX-License-Identifier: MIT
 * The calls of the API, as data. A new call is a row here and, where needed, rows in params.c; a
 * method in lua/payment_records/client.lua, and the shapes of its tables in types.lua beside it. */
#ifndef PR_ENDPOINTS_H
#define PR_ENDPOINTS_H

#include "params.h"

#include <stdbool.h>

#pragma GCC visibility push(hidden)

struct endpoint {
  const char *name;   /* NULL ends the table */
  const char *method; /* "GET" or "POST" */
  const char *path;   /* {id} stands for the id of the record */
  const struct param *params;
  const char *object; /* the `object` field of a good answer */
};

extern const struct endpoint endpoints[];

/* The call with this name, or NULL. */
const struct endpoint *endpoint_find(const char *name);

/* The name of a call that `name` is probably a slip of, or NULL. */
const char *endpoint_nearest(const char *name);

bool endpoint_is_post(const struct endpoint *endpoint);

/* Where {id} stands in the path, or NULL. */
const char *endpoint_id_place(const struct endpoint *endpoint);

/* Whether some call has a parameter with this name. */
bool endpoints_have_param(const char *name);

/* Whether some parameter of the call must be given. */
bool endpoint_requires_params(const struct endpoint *endpoint);

#pragma GCC visibility pop

#endif
