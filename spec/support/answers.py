"""The bytes of the answers that a step asks for; fault_server.py lists its fields."""

import functools
import gzip
import json
import re

RECORD = {
    "id": "pr_1",
    "object": "payment_record",
    "amount_requested": {"currency": "usd", "value": 1000},
    "created": 1730253453,
    "latest_payment_attempt_record": "par_1",
    "livemode": False,
    "metadata": {},
}


def with_record(step, path):
    """The step; where it has no body, that is the record whose id is in the path."""
    found = re.search(r"/v1/payment_(?:attempt_)?records/(?!report_payment\b)([^/?]+)", path)
    return {"body": json.dumps({**RECORD, "id": found[1]}), **step} if found else step


def header_lines(headers):
    pairs = headers.items() if isinstance(headers, dict) else headers
    return "".join(f"{name}: {value}\r\n" for name, value in pairs)


def length_lines(step, body):
    if step.get("chunked"):
        return "Transfer-Encoding: chunked\r\n"
    length = step.get("content_length", len(body))
    if length is False:
        return "Connection: close\r\n"
    lengths = length if isinstance(length, list) else [length]
    return "".join(f"Content-Length: {value}\r\n" for value in lengths)


def to_bytes(text):
    return text.encode("utf-8", "surrogateescape")


@functools.cache
def bomb():
    return gzip.compress(b" " * 10_000_000)


ENCODINGS = {
    "gzip": gzip.compress,
    "truncated_gzip": lambda body: gzip.compress(body)[:-12],
    "bomb": lambda body: bomb() + gzip.compress(body),  # one member after another is one text
}


def answer_body(step):
    if "big_body" in step:
        return b"x" * step["big_body"]
    body = to_bytes(step.get("body", json.dumps(RECORD)))
    return ENCODINGS[step["encode"]](body) if "encode" in step else body


def answer_head(step, body):
    head = f"HTTP/1.1 {step.get('status', 200)} Scripted\r\n"
    if not any(name.lower() == "content-type" for name in dict(step.get("headers") or {})):
        head += "Content-Type: application/json\r\n"
    head += header_lines(step.get("headers") or {}) + length_lines(step, body)
    head += "".join(f"X-Header-{i}: {i}\r\n" for i in range(step.get("header_count", 0)))
    if "encode" in step:
        head += "Content-Encoding: gzip\r\n"
    if "header_bytes" in step:
        head += "X-Huge: " + "x" * step["header_bytes"] + "\r\n"
    return to_bytes(head + "\r\n")


def chunked(body):
    """Two chunks and the last one, so that there is a middle to stop in."""
    half = max(len(body) // 2, 1)
    chunks = [body[i : i + half] for i in range(0, len(body), half)]
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"


def answer_parts(step):
    """The answer in two parts, the second beginning in the middle of the body."""
    body = answer_body(step)
    if "raw" in step:
        raw = to_bytes(step["raw"]).replace(b"%LENGTH%", b"%d" % len(body))
        return raw.replace(b"%SIZE%", b"%x" % len(body)).replace(b"%BODY%", body), b""
    head = answer_head(step, body)
    if step.get("chunked"):
        body = chunked(body)
    interim = "".join(f"HTTP/1.1 {status} Interim\r\n\r\n" for status in step.get("interim") or [])
    middle = len(body) // 2
    cuts = {
        "status": head[:10],
        "headers": head[: len(head) // 2],
        "head": head[:-2],
        "before_body": head,
        "body": head + body[:middle],
        "last_byte": head + body[:-1],
    }
    if "cut" in step:
        return to_bytes(interim) + cuts[step["cut"]], b""
    return to_bytes(interim) + head + body[:middle], body[middle:]


def endless_answer(kind):
    """How an answer without an end begins, and what it goes on with."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    return {
        "interim": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        "headers": (head, b"X-Endless: " + b"x" * 5000 + b"\r\n"),
        "body": (head + b"Connection: close\r\n\r\n", b" " * 65536),
    }[kind]


def ending(step):
    if "after" in step:
        return step["after"]
    return "close" if step.get("cut") or step.get("content_length") is False else "keep"
