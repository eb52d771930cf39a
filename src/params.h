/* SPDX-License-Identifier: MIT
 * The parameters of every call, as data: names, types, what is required, limits, enums.
 * Source: Stripe's OpenAPI description of the API version PR_API_VERSION, and the API reference. */
#ifndef PR_PARAMS_H
#define PR_PARAMS_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

enum param_type {
  PARAM_STRING,
  PARAM_INTEGER,
  PARAM_AMOUNT,    /* a positive integer in the currency's minor unit */
  PARAM_CURRENCY,  /* three lower-case letters, ISO 4217 */
  PARAM_TIMESTAMP, /* whole seconds since the Unix epoch */
  PARAM_ENUM,
  PARAM_OBJECT,
  PARAM_METADATA,
  PARAM_ARRAY /* of strings */
};

enum param_flag {
  PARAM_REQUIRED = 1 << 0,
  PARAM_CLEARABLE = 1 << 1, /* an empty value is sent, and clears the field */
  PARAM_ONE_OF = 1 << 2, /* of the parameters of an object that are marked so, one must be given */
  PARAM_SELECTS = 1 << 3 /* an enum whose value names the object beside it that must be given too */
};

struct param {
  const char *name; /* NULL ends a list */
  size_t length;    /* of the name */
  enum param_type type;
  unsigned flags;
  size_t max_length;          /* characters; 0: no limit is known */
  long long minimum, maximum; /* of a PARAM_INTEGER */
  const struct param *params; /* of a PARAM_OBJECT */
  const char *const *values;  /* of a PARAM_ENUM, ended by NULL */
};

/* Parameters of one table at most. */
enum { PARAMS_MOST = 32 };

/* Stripe: metadata. */
enum { METADATA_MAX_KEYS = 50, METADATA_MAX_KEY_LENGTH = 40, METADATA_MAX_VALUE_LENGTH = 500 };

/* Seconds; a larger timestamp (the year 5138) is one in milliseconds. */
#define TIMESTAMP_LIMIT 100000000000LL

/* The name of a type as describe() gives it, and what a message says was expected. */
const char *param_type_name(enum param_type type);
const char *param_expectation(enum param_type type);

/* The parameter with this name (which need not end with a NUL) among `params`, or NULL. */
const struct param *param_find(const struct param *params, const char *name, size_t length);

/* The name in `params` that `name` is probably a slip of, or NULL when none is near. */
const char *param_nearest(const struct param *params, const char *name);

extern const struct param params_list_records[];
extern const struct param params_retrieve[];
extern const struct param params_report_payment[];
extern const struct param params_report_attempt[];
extern const struct param params_report_canceled[];
extern const struct param params_report_failed[];
extern const struct param params_report_guaranteed[];
extern const struct param params_report_informational[];
extern const struct param params_report_refund[];
extern const struct param params_list_attempts[];

#pragma GCC visibility pop

#endif
