/* SPDX-License-Identifier: MIT */
#include "params.h"

#include "nearest.h"

#include <string.h>

/* Within a list the order is that of the API reference (required ones first, then by the alphabet),
 * and it is the order in which they are checked and sent. */

enum { LENGTH = 5000 }; /* of most strings */

#define NAMED(NAME) .name = (NAME), .length = sizeof(NAME) - 1
#define END \
  { .name = NULL }
#define EXPAND \
  { NAMED("expand"), .type = PARAM_ARRAY, .max_length = LENGTH }
#define METADATA \
  { NAMED("metadata"), .type = PARAM_METADATA, .flags = PARAM_CLEARABLE }
#define TEXT(NAME) \
  { NAMED(NAME), .type = PARAM_STRING, .max_length = LENGTH }
#define UNLIMITED_TEXT(NAME) \
  { NAMED(NAME), .type = PARAM_STRING }
#define TIMESTAMP(NAME, FLAGS) \
  { NAMED(NAME), .type = PARAM_TIMESTAMP, .flags = (FLAGS) }
#define OBJECT(NAME, FLAGS, PARAMS) \
  { NAMED(NAME), .type = PARAM_OBJECT, .flags = (FLAGS), .params = (PARAMS) }
#define ENUM(NAME, FLAGS, VALUES) \
  { NAMED(NAME), .type = PARAM_ENUM, .flags = (FLAGS), .values = (VALUES) }

static const char *const custom_only[] = {"custom", NULL};
static const char *const outcomes[] = {"canceled", "failed", "guaranteed", NULL};
static const char *const presences[] = {"off_session", "on_session", NULL};
static const char *const refund_outcomes[] = {"refunded", NULL};

static const struct param amount[] = {
    {NAMED("currency"), .type = PARAM_CURRENCY, .flags = PARAM_REQUIRED},
    {NAMED("value"), .type = PARAM_AMOUNT, .flags = PARAM_REQUIRED},
    END};

static const struct param address[] = {
    TEXT("city"), TEXT("country"), TEXT("line1"), TEXT("line2"), TEXT("postal_code"), TEXT("state"),
    END};

static const struct param billing_details[] = {OBJECT("address", 0, address),
                                               UNLIMITED_TEXT("email"), TEXT("name"),
                                               UNLIMITED_TEXT("phone"), END};

static const struct param shipping_details[] = {OBJECT("address", 0, address), TEXT("name"),
                                                UNLIMITED_TEXT("phone"), END};

static const struct param customer_details[] = {TEXT("customer"), UNLIMITED_TEXT("email"),
                                                TEXT("name"), UNLIMITED_TEXT("phone"), END};

static const struct param custom_payment_method[] = {TEXT("display_name"), TEXT("type"), END};

static const struct param payment_method_details[] = {
    OBJECT("billing_details", 0, billing_details),
    OBJECT("custom", 0, custom_payment_method),
    {NAMED("payment_method"), .type = PARAM_STRING, .flags = PARAM_ONE_OF, .max_length = LENGTH},
    ENUM("type", PARAM_ONE_OF, custom_only),
    END};

static const struct param payment_reference[] = {{NAMED("payment_reference"), .type = PARAM_STRING,
                                                  .flags = PARAM_REQUIRED, .max_length = LENGTH},
                                                 END};
static const struct param payment_processor[] = {ENUM("type", PARAM_REQUIRED, custom_only),
                                                 OBJECT("custom", 0, payment_reference), END};

static const struct param refund_reference[] = {{NAMED("refund_reference"), .type = PARAM_STRING,
                                                 .flags = PARAM_REQUIRED, .max_length = LENGTH},
                                                END};
static const struct param refund_processor[] = {ENUM("type", PARAM_REQUIRED, custom_only),
                                                OBJECT("custom", 0, refund_reference), END};

static const struct param canceled[] = {TIMESTAMP("canceled_at", PARAM_REQUIRED), END};
static const struct param failed[] = {TIMESTAMP("failed_at", PARAM_REQUIRED), END};
static const struct param guaranteed[] = {TIMESTAMP("guaranteed_at", PARAM_REQUIRED), END};
static const struct param refunded[] = {TIMESTAMP("refunded_at", PARAM_REQUIRED), END};

const struct param params_report_payment[] = {
    OBJECT("amount_requested", PARAM_REQUIRED, amount),
    TIMESTAMP("initiated_at", PARAM_REQUIRED),
    OBJECT("payment_method_details", PARAM_REQUIRED, payment_method_details),
    OBJECT("canceled", 0, canceled),
    OBJECT("customer_details", 0, customer_details),
    ENUM("customer_presence", 0, presences),
    TEXT("description"),
    OBJECT("failed", 0, failed),
    OBJECT("guaranteed", 0, guaranteed),
    METADATA,
    ENUM("outcome", PARAM_SELECTS, outcomes),
    OBJECT("processor_details", 0, payment_processor),
    OBJECT("shipping_details", 0, shipping_details),
    EXPAND,
    END};

_Static_assert(sizeof params_report_payment / sizeof *params_report_payment <= PARAMS_MOST,
               "this is the longest");

const struct param params_report_attempt[] = {
    TIMESTAMP("initiated_at", PARAM_REQUIRED),
    OBJECT("canceled", 0, canceled),
    TEXT("description"),
    OBJECT("failed", 0, failed),
    OBJECT("guaranteed", 0, guaranteed),
    METADATA,
    ENUM("outcome", PARAM_SELECTS, outcomes),
    OBJECT("payment_method_details", 0, payment_method_details),
    OBJECT("shipping_details", 0, shipping_details),
    EXPAND,
    END};

const struct param params_report_canceled[] = {TIMESTAMP("canceled_at", PARAM_REQUIRED), METADATA,
                                               EXPAND, END};
const struct param params_report_failed[] = {TIMESTAMP("failed_at", PARAM_REQUIRED), METADATA,
                                             EXPAND, END};
const struct param params_report_guaranteed[] = {TIMESTAMP("guaranteed_at", PARAM_REQUIRED),
                                                 METADATA, EXPAND, END};

const struct param params_report_informational[] = {
    OBJECT("customer_details", 0, customer_details),
    {NAMED("description"), .type = PARAM_STRING, .flags = PARAM_CLEARABLE, .max_length = LENGTH},
    METADATA,
    OBJECT("shipping_details", PARAM_CLEARABLE, shipping_details),
    EXPAND,
    END};

const struct param params_report_refund[] = {
    ENUM("outcome", PARAM_REQUIRED, refund_outcomes),
    OBJECT("processor_details", PARAM_REQUIRED, refund_processor),
    OBJECT("amount", 0, amount),
    TIMESTAMP("initiated_at", 0),
    METADATA,
    OBJECT("refunded", 0, refunded),
    EXPAND,
    END};

#define PAGE_LIMIT \
  { NAMED("limit"), .type = PARAM_INTEGER, .minimum = 1, .maximum = 100 }

const struct param params_retrieve[] = {EXPAND, END};

const struct param params_list_records[] = {TIMESTAMP("created_after", 0),
                                            TIMESTAMP("created_before", 0),
                                            TEXT("ending_before"),
                                            PAGE_LIMIT,
                                            TEXT("starting_after"),
                                            EXPAND,
                                            END};

const struct param params_list_attempts[] = {
    {NAMED("payment_record"), .type = PARAM_STRING, .flags = PARAM_REQUIRED, .max_length = LENGTH},
    PAGE_LIMIT,
    TEXT("starting_after"),
    EXPAND,
    END};

static const struct {
  const char *name, *expectation;
} types[] = {
    [PARAM_STRING] = {"string", "a string"},
    [PARAM_INTEGER] = {"integer", "an integer"},
    [PARAM_AMOUNT] = {"integer", "a positive integer in minor units"},
    [PARAM_CURRENCY] = {"currency", "a currency as three lower-case letters"},
    [PARAM_TIMESTAMP] = {"timestamp", "whole seconds since the Unix epoch"},
    [PARAM_ENUM] = {"enum", "a string"},
    [PARAM_OBJECT] = {"object", "a table of named parameters"},
    [PARAM_METADATA] = {"metadata", "a table of names and strings"},
    [PARAM_ARRAY] = {"array", "a sequence of strings"},
};

const char *param_type_name(enum param_type type) {
  return types[type].name;
}

const char *param_expectation(enum param_type type) {
  return types[type].expectation;
}

const struct param *param_find(const struct param *params, const char *name, size_t length) {
  for (; params->name; params++)
    if (params->length == length && *params->name == *name &&
        memcmp(params->name, name, length) == 0)
      return params;
  return NULL;
}

const char *param_nearest(const struct param *params, const char *name) {
  struct nearest nearest = nearest_to(name);
  for (; params->name; params++)
    nearest_offer(&nearest, params->name);
  return nearest.best;
}
