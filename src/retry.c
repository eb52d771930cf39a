/* SPDX-License-Identifier: MIT */
#include "retry.h"

/* Seconds. */
#define DELAY_FLOOR 0.1
#define DELAY_CAP 8.0
#define RETRY_AFTER_SLACK 5.0
#define BASE_CONNECT 0.25
#define BASE_USUAL 0.5
#define BASE_BUSY 1.0

/* What a status means when no header says otherwise. The first row that fits counts.
 * `settles`: the request got as far as the idempotency layer, so the answer holds for the earlier
 * attempts of the call too; a 401 or 429 says nothing about them. */
static const struct status_rule {
  long first, last;
  enum outcome outcome;
  bool settles, retry, retryable;
} status_rules[] = {
    {401, 401, OUTCOME_REJECTED, false, false, false},
    {403, 403, OUTCOME_REJECTED, false, false, false},
    {408, 409, OUTCOME_UNKNOWN, false, true, true}, /* 409: this key is at work elsewhere */
    {424, 424, OUTCOME_UNKNOWN, false, false, true},
    {425, 425, OUTCOME_UNKNOWN, false, true, true},
    {429, 429, OUTCOME_REJECTED, false, true, true},
    {400, 404, OUTCOME_REJECTED, true, false, false},
    {410, 410, OUTCOME_REJECTED, true, false, false},
    {422, 422, OUTCOME_REJECTED, true, false, false},
    {405, 499, OUTCOME_REJECTED, false, false, false},
    {500, 599, OUTCOME_UNKNOWN, false, true, true},
};
static const struct status_rule strange_status = {0, 0, OUTCOME_UNKNOWN, false, false, false};

static const struct status_rule *status_rule(long status) {
  for (size_t i = 0; i < sizeof status_rules / sizeof status_rules[0]; i++)
    if (status >= status_rules[i].first && status <= status_rules[i].last)
      return &status_rules[i];
  return &strange_status;
}

static bool succeeded(const struct attempt_end *end) {
  return end->status >= 200 && end->status <= 299;
}

/* An answer that was cut can still say that it is no use to ask again. To libcurl a 101
 * that nobody asked for is one, too: it is not Stripe's. */
static void heed_cut_answer(const struct attempt_end *end, struct verdict *verdict) {
  bool advised_against = end->status >= 300 && end->should_retry == SHOULD_RETRY_FALSE;
  if (advised_against || end->status == 101)
    verdict->retry = verdict->retryable = false;
}

static struct verdict judge_fault(const struct attempt_end *end) {
  static const struct {
    bool retry, retryable;
  } rules[] = {
      [FAULT_CONNECT] = {true, true},     [FAULT_SETUP] = {false, false},
      [FAULT_BROKEN] = {true, true},      [FAULT_TIMEOUT] = {true, true},
      [FAULT_TOO_LARGE] = {false, false}, [FAULT_CANCELED] = {false, true},
  };
  struct verdict verdict = {.outcome = end->sent ? OUTCOME_UNKNOWN : OUTCOME_NOT_SENT,
                            .retry = rules[end->fault].retry,
                            .retryable = rules[end->fault].retryable,
                            .base = end->sent ? BASE_USUAL : BASE_CONNECT};
  heed_cut_answer(end, &verdict);
  return verdict;
}

static struct verdict judge_success(const struct attempt_end *end) {
  if (end->usable)
    return (struct verdict){.outcome = OUTCOME_DONE};
  return (struct verdict){
      .outcome = OUTCOME_UNKNOWN, .retry = true, .retryable = true, .base = BASE_USUAL};
}

/* Stripe: the header decides where it is present. A stored 500 never changes, a key that was used
 * for something else never fits, and a redirect or a strange status is not Stripe's: these are not
 * tried again whatever it says. */
static void apply_should_retry(const struct attempt_end *end, struct verdict *verdict) {
  bool strange = end->status < 400 || end->status > 599;
  bool hopeless = strange || end->idempotency_error || (end->replayed && end->status >= 500);
  if (hopeless || end->should_retry == SHOULD_RETRY_FALSE)
    verdict->retry = verdict->retryable = false;
  else if (end->should_retry == SHOULD_RETRY_TRUE)
    verdict->retry = verdict->retryable = true;
}

static struct verdict judge_status(const struct attempt_end *end) {
  const struct status_rule *rule = status_rule(end->status);
  bool busy =
      end->status == 409 || end->status == 500 || (end->status == 429 && !end->lock_timeout);
  struct verdict verdict = {.outcome = rule->outcome,
                            .retry = rule->retry,
                            .retryable = rule->retryable,
                            .base = busy ? BASE_BUSY : BASE_USUAL};
  /* A refusal that does not bear Stripe's marks is somebody else's, on the way there or back. */
  if (rule->outcome == OUTCOME_REJECTED && !end->from_stripe)
    verdict.outcome = OUTCOME_UNKNOWN;
  apply_should_retry(end, &verdict);
  return verdict;
}

static bool settles(const struct attempt_end *end, const struct verdict *verdict) {
  return verdict->outcome == OUTCOME_DONE ||
         (end->fault == FAULT_NONE && status_rule(end->status)->settles);
}

struct verdict retry_decide(const struct attempt_end *end) {
  struct verdict verdict = end->fault != FAULT_NONE ? judge_fault(end)
                           : succeeded(end)         ? judge_success(end)
                                                    : judge_status(end);
  if (end->doubt && !settles(end, &verdict))
    verdict.outcome = OUTCOME_UNKNOWN;
  if (end->refused && verdict.outcome == OUTCOME_NOT_SENT)
    verdict.outcome = OUTCOME_REJECTED;
  if (!end->post && verdict.outcome == OUTCOME_UNKNOWN)
    verdict.outcome = OUTCOME_REJECTED;
  return verdict;
}

double retry_delay(double base, int retry, double fraction, double retry_after) {
  double longest = base;
  for (int i = 0; i < retry && longest < DELAY_CAP; i++)
    longest *= 2;
  if (longest > DELAY_CAP)
    longest = DELAY_CAP;
  double delay = DELAY_FLOOR + (longest - DELAY_FLOOR) * fraction;
  if (retry_after <= delay)
    return delay;
  return retry_after < delay + RETRY_AFTER_SLACK ? retry_after : delay + RETRY_AFTER_SLACK;
}

const char *outcome_name(enum outcome outcome) {
  static const char *const names[] = {[OUTCOME_DONE] = "done",
                                      [OUTCOME_NOT_SENT] = "not_sent",
                                      [OUTCOME_REJECTED] = "rejected",
                                      [OUTCOME_UNKNOWN] = "unknown"};
  return names[outcome];
}
