/* SPDX-License-Identifier: MIT
 * What the end of an attempt means: is it tried again, after how long, and what is known of the
 * payment. Pure functions of what was seen; nothing here knows libcurl or Lua. */
#ifndef PR_RETRY_H
#define PR_RETRY_H

#include "headers.h"

#pragma GCC visibility push(hidden)

enum outcome {
  OUTCOME_DONE,     /* a usable answer says so */
  OUTCOME_NOT_SENT, /* Stripe cannot have seen the request */
  OUTCOME_REJECTED, /* Stripe saw it and did nothing */
  OUTCOME_UNKNOWN   /* it may have taken effect */
};

/* What kept an attempt from ending in a complete answer. */
enum fault {
  FAULT_NONE,
  FAULT_CONNECT,   /* no connection; may work later */
  FAULT_SETUP,     /* no connection that can be trusted or made as asked: will not work later */
  FAULT_BROKEN,    /* the connection failed on the way */
  FAULT_TIMEOUT,   /* the attempt took longer than it may */
  FAULT_TOO_LARGE, /* the answer is larger than we take */
  FAULT_CANCELED   /* by the caller */
};

struct attempt_end {
  enum fault fault;
  bool post;              /* a GET has no effect, so its outcome is never unknown */
  bool sent;              /* some byte of the request left us in this attempt */
  bool doubt;             /* an earlier attempt of this call ended unknown */
  bool refused;           /* an earlier attempt of this call was seen, and refused */
  long status;            /* of the answer, as far as it came; 0: none */
  bool usable;            /* a 2xx: the body is the object that was asked for */
  bool from_stripe;       /* not a 2xx: an error object, or a Request-Id, was in the answer */
  bool lock_timeout;      /* error code lock_timeout */
  bool idempotency_error; /* error type idempotency_error: the key was used for something else */
  bool replayed;          /* the stored answer of an earlier request */
  enum should_retry should_retry;
};

struct verdict {
  enum outcome outcome; /* of the call, if it ends here */
  bool retry;           /* worth another attempt now */
  bool retryable;       /* the same call, with the same key, may succeed later */
  double base;          /* seconds; what retry_delay() starts from */
};

/* What the attempt's end means for its call. */
struct verdict retry_decide(const struct attempt_end *end);

/* Seconds until attempt number `retry` (the first retry is 0): full jitter with a floor,
 * random(0.1, min(8, base * 2^retry)), where `fraction` in [0, 1) is the random part; a Retry-After
 * (negative: none) moves it, but never by more than five seconds. */
double retry_delay(double base, int retry, double fraction, double retry_after);

const char *outcome_name(enum outcome outcome);

#pragma GCC visibility pop

#endif
