/* SPDX-License-Identifier: MIT
 * What every file of the module agrees on: the version of the library and the limits it keeps. */
#ifndef PAYMENT_RECORDS_H
#define PAYMENT_RECORDS_H

#define PR_VERSION "0.1.0"

/* The API version whose parameters the tables in params.c describe (sent as Stripe-Version). */
#define PR_API_VERSION "2026-09-30.endive"
#define PR_API_BASE "https://api.stripe.com"

#define PR_MAX_DEPTH 16            /* tables within tables */
#define PR_MAX_ID 255              /* bytes of a record id */
#define PR_MAX_HEADER_VALUE 255    /* bytes; Stripe: idempotency keys, at most 255 characters */
#define PR_MAX_BODY 1048576        /* bytes of a form body; the largest valid one is far below */
#define PR_MAX_HEADERS 2000        /* response header lines */
#define PR_MAX_HEADERS_SIZE 262144 /* bytes of all response header lines */

#endif
