/* SPDX-License-Identifier: MIT */
#include "endpoints.h"

#include "nearest.h"

#include <string.h>

#define RECORDS "/v1/payment_records"
#define ATTEMPTS "/v1/payment_attempt_records"
#define REPORT(NAME, PARAMS) \
  { #NAME, "POST", RECORDS "/{id}/" #NAME, (PARAMS), "payment_record" }

const struct endpoint endpoints[] = {
    {"report_payment", "POST", RECORDS "/report_payment", params_report_payment, "payment_record"},
    REPORT(report_payment_attempt, params_report_attempt),
    REPORT(report_payment_attempt_canceled, params_report_canceled),
    REPORT(report_payment_attempt_failed, params_report_failed),
    REPORT(report_payment_attempt_guaranteed, params_report_guaranteed),
    REPORT(report_payment_attempt_informational, params_report_informational),
    REPORT(report_refund, params_report_refund),
    {"retrieve_payment_record", "GET", RECORDS "/{id}", params_retrieve, "payment_record"},
    {"list_payment_records", "GET", RECORDS, params_list_records, "list"},
    {"retrieve_payment_attempt_record", "GET", ATTEMPTS "/{id}", params_retrieve,
     "payment_attempt_record"},
    {"list_payment_attempt_records", "GET", ATTEMPTS, params_list_attempts, "list"},
    {.name = NULL}};

const struct endpoint *endpoint_find(const char *name) {
  for (const struct endpoint *endpoint = endpoints; endpoint->name; endpoint++)
    if (strcmp(endpoint->name, name) == 0)
      return endpoint;
  return NULL;
}

const char *endpoint_nearest(const char *name) {
  struct nearest nearest = nearest_to(name);
  for (const struct endpoint *endpoint = endpoints; endpoint->name; endpoint++)
    nearest_offer(&nearest, endpoint->name);
  return nearest.best;
}

bool endpoint_is_post(const struct endpoint *endpoint) {
  return endpoint->method[0] == 'P';
}

const char *endpoint_id_place(const struct endpoint *endpoint) {
  return strstr(endpoint->path, "{id}");
}

bool endpoints_have_param(const char *name) {
  const struct endpoint *endpoint = endpoints;
  while (endpoint->name && !param_find(endpoint->params, name, strlen(name)))
    endpoint++;
  return endpoint->name != NULL;
}

bool endpoint_requires_params(const struct endpoint *endpoint) {
  for (const struct param *param = endpoint->params; param->name; param++)
    if (param->flags & PARAM_REQUIRED)
      return true;
  return false;
}
