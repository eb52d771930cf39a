"""Stripe's idempotency rules, and what was done for each payment.

A key is at work from the moment that a request with it is taken up until its answer is stored. From
then on the same request gets that answer again, whatever it was; another request with the key gets
an error. What does not get as far as this (a refusal for the rate, a fault before) stores nothing.
"""

import hashlib
import json
import re
import threading
import time
from urllib.parse import unquote

# What becomes of a request that is carried out: whether the payment is reported, and the status.
ENDS = {
    "apply": (True, 200),
    "fail_after": (True, 500),
    "fail_before": (False, 500),
    "decline": (False, 402),
}

ERRORS = {
    400: ("idempotency_error", "Keys can only be used with the same parameters."),
    402: ("card_error", "The payment was declined."),
    409: ("invalid_request_error", "This key is at work in another request."),
    500: ("api_error", "Something went wrong."),
}


def body_hash(body):
    return hashlib.sha1(body.encode("utf-8", "surrogateescape")).hexdigest()


def reference(request):
    """The business reference of a payment: metadata[reference] of the form body, or None."""
    found = re.search(r"(?:^|&)metadata\[reference\]=([^&]*)", request["body"])
    return unquote(found.group(1)) if found else None


def error(status):
    kind, message = ERRORS[status]
    return json.dumps({"error": {"type": kind, "message": message}})


class Ledger:
    """`keys` False: it ignores them, and every request that is carried out has an effect."""

    def __init__(self, log, keys=True):
        self.log = log
        self.keys = keys
        self.lock = threading.Lock()
        self.entries = {}  # by key: what was asked, and the answer once it is there
        self.answered = 0

    def answer(self, request, end="apply", work=0):
        """What a request is answered that gets as far as this: status, headers, body.

        Carrying it out takes `work` seconds, and ends as ENDS says."""
        if request["method"] != "POST":
            return self.answer_with(200, self.record(request["path"].split("/")[-1], None))
        key, asked = request["key"], (request["path"], request["hash"])
        with self.lock:
            entry = self.entries.get(key) if self.keys else None
            if entry is None:
                self.entries[key] = entry = {"asked": asked, "answer": None}
                first = True
            else:
                first = False
        if not first:
            return self.answer_again(entry, asked)
        time.sleep(work)
        entry["answer"] = self.carry_out(request, end)
        return self.answer_with(*entry["answer"])

    def answer_again(self, entry, asked):
        if entry["asked"] != asked:
            return self.answer_with(400, error(400))
        if entry["answer"] is None:
            return self.answer_with(409, error(409), [["Stripe-Should-Retry", "true"]])
        return self.answer_with(*entry["answer"], [["Idempotent-Replayed", "true"]])

    def carry_out(self, request, end):
        applied, status = ENDS[end]
        payment = reference(request)
        if applied:
            self.log.write("effect", reference=payment, key=request["key"])
        return status, self.record(f"pr_{payment}", payment) if status == 200 else error(status)

    def record(self, name, payment):
        metadata = {"reference": payment} if payment else {}
        return json.dumps({"id": name, "object": "payment_record", "metadata": metadata,
                           "amount_requested": {"currency": "usd", "value": 1000}})

    def answer_with(self, status, body, headers=()):
        with self.lock:
            self.answered += 1
            return status, [["Request-Id", f"req_{self.answered}"], *headers], body
