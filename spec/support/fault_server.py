"""An HTTP/1.1 server that misbehaves as told.

    python3 fault_server.py SCRIPT READY LOG

SCRIPT is a JSON file: {"steps": [...], and the options below}. Each request takes the next step;
the last one repeats; without steps every request is answered with a payment record. When SCRIPT is replaced
by another file, its steps begin from there; the other options stay as they were. READY is written,
as JSON, once the server can be reached; LOG gets one JSON line for each connection
accepted and each request read, always before the answer to it. It runs until it is killed.

Options of the script
  by_path         {text: steps}: the steps of requests whose path contains this text
  tls             {"certificate": file, "key": file}: speak TLS with this certificate
  tls_fault       "cut": read the ClientHello, close; "stall": never answer it; "old": TLS 1.1 only
  unix            path of a Unix socket to listen on, in place of a TCP port of 127.0.0.1
  listener        "refuse": hold a port that nothing listens on
                  "black_hole": a port whose backlog is full, so that connecting hangs
  drop_on_reuse   true: the second request on a connection is read, not answered, and takes no step

Fields of a step, which combine
  when            "accept": act on a new connection, read nothing; "headers": do not wait for the
                  body of the request; by default the whole request is read first
  close_listener  true: accept no further connection
  fault           "close", "reset" (RST) or "stall": do this in place of an answer
  status, headers (object or list of pairs), body, big_body (that many bytes), chunked
  content_length  another value than the true one, a list of values, or false for none
  interim         list of 1xx status codes to send first
  header_bytes, header_count   one more header of that size; that many more headers
  raw             exactly these bytes as the answer
  hold            path: wait with the answer until there is such a file
  delay, delay_body   seconds to wait before the answer; in the middle of its body
  slice           bytes in each segment
  cut             "status", "headers" or "body": the answer ends in the middle of it
  after           "keep", "close", "reset" or "stall" once the answer is out; "close" for what was
                  cut and for what has no length, else "keep"
"""

import json
import os
import signal
import socket
import ssl
import struct
import sys
import threading
import time

RECORD = {
    "id": "pr_1",
    "object": "payment_record",
    "amount_requested": {"currency": "usd", "value": 1000},
    "created": 1730253453,
    "latest_payment_attempt_record": "par_1",
    "livemode": False,
    "metadata": {},
}


class Log:
    """JSON lines, written through before the caller goes on."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "w", encoding="utf-8", errors="surrogateescape")

    def write(self, event, **fields):
        line = json.dumps({"event": event, **fields}, ensure_ascii=False)
        with self.lock:
            self.file.write(line + "\n")
            self.file.flush()


def read_script(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return json.load(file)


class Steps:
    """The script's steps: taken one after another, the last one for ever."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.path = path
        self.read_file = None

    def refresh(self):
        """Reads the steps again when the file is another one."""
        status = os.stat(self.path)
        file = (status.st_ino, status.st_mtime_ns)
        if file != self.read_file:
            script = read_script(self.path)
            self.steps = list(script.get("steps") or [{}])
            self.by_path = {text: list(steps) for text, steps in script.get("by_path", {}).items()}
            self.read_file = file

    def steps_of(self, path):
        return next((steps for text, steps in self.by_path.items() if text in path), self.steps)

    def take(self, path="", accepting=False):
        """The next step. While accepting: only if it is for a new connection, else None."""
        with self.lock:
            self.refresh()
            steps = self.steps_of(path)
            if accepting and steps[0].get("when") != "accept":
                return None
            return steps.pop(0) if len(steps) > 1 else steps[0]


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


def answer_body(step):
    if "big_body" in step:
        return b"x" * step["big_body"]
    return to_bytes(step.get("body", json.dumps(RECORD)))


def answer_head(step, body):
    head = f"HTTP/1.1 {step.get('status', 200)} Scripted\r\n"
    if not any(name.lower() == "content-type" for name in dict(step.get("headers") or {})):
        head += "Content-Type: application/json\r\n"
    head += header_lines(step.get("headers") or {}) + length_lines(step, body)
    head += "".join(f"X-Header-{i}: {i}\r\n" for i in range(step.get("header_count", 0)))
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
    if "raw" in step:
        return to_bytes(step["raw"]), b""
    body = answer_body(step)
    head = answer_head(step, body)
    if step.get("chunked"):
        body = chunked(body)
    interim = "".join(f"HTTP/1.1 {status} Interim\r\n\r\n" for status in step.get("interim") or [])
    middle = len(body) // 2
    cuts = {"status": (head[:10], b""), "headers": (head[: len(head) // 2], b"")}
    cuts["body"] = (head + body[:middle], b"")
    first, second = cuts.get(step.get("cut"), (head + body[:middle], body[middle:]))
    return to_bytes(interim) + first, second


def ending(step):
    if "after" in step:
        return step["after"]
    return "close" if step.get("cut") or step.get("content_length") is False else "keep"


class Connection:
    """One accepted connection: reads requests, does to each what its step says."""

    def __init__(self, server, sock, number):
        self.server = server
        self.sock = sock
        self.number = number
        self.buffer = b""
        self.requests = 0

    def run(self):
        try:
            step = self.server.steps.take(accepting=True)
            if step:
                self.obey(step)
            elif self.handshake():
                while self.serve():
                    pass
        except OSError:
            pass  # the client went away
        finally:
            self.sock.close()

    def handshake(self):
        fault = self.server.options.get("tls_fault")
        if fault == "stall":
            self.stall()
        if fault == "cut":
            self.sock.recv(65536)
            return False
        if self.server.tls:
            self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        return True

    def serve(self):
        """Reads one request and obeys its step. Returns whether the connection goes on."""
        head = self.read_until(b"\r\n\r\n")
        if head is None:
            return False
        self.requests += 1
        dropped = self.server.options.get("drop_on_reuse") and self.requests > 1
        request = self.parse(head)
        step = {"fault": "close"} if dropped else self.server.steps.take(request["path"])
        if step.get("when") != "headers":
            self.read_body(request)
        self.server.log.write("request", **request)
        return self.obey(step)

    def read_until(self, mark):
        """Reads up to a mark and returns what stands before it; None at the end of the stream."""
        while mark not in self.buffer:
            data = self.receive()
            if not data:
                self.log_partial()
                return None
            self.buffer += data
            if self.buffer[0] == 0x16:  # a TLS ClientHello on a plain port
                self.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                return None
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def receive(self):
        try:
            return self.sock.recv(65536)
        except OSError:
            return b""

    def log_partial(self):
        if self.buffer:
            head = self.buffer.decode("utf-8", "surrogateescape")
            self.server.log.write("request", connection=self.number, head=head, complete=False)

    def parse(self, head):
        lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        method, path, version = (lines[0].split(" ", 2) + ["", ""])[:3]
        headers = [[part.strip() for part in line.split(":", 1)] for line in lines[1:]]
        return {
            "method": method,
            "path": path,
            "version": version,
            "head": head.decode("utf-8", "surrogateescape"),
            "headers": headers,
            "body": "",
            "connection": self.number,
            "tls": isinstance(self.sock, ssl.SSLSocket),
            "complete": False,
        }

    def read_body(self, request):
        headers = {pair[0].lower(): pair[-1] for pair in request["headers"]}
        length = int(headers.get("content-length", 0))
        if headers.get("expect") == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self.buffer) < length:
            data = self.receive()
            if not data:
                break
            self.buffer += data
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        request["body"] = body.decode("utf-8", "surrogateescape")
        request["complete"] = len(body) == length

    def obey(self, step):
        """Answers as the step says. Returns whether the connection goes on."""
        if step.get("close_listener"):
            self.server.close_listener()
        if "fault" in step:
            return self.finish(step["fault"])
        self.hold(step.get("hold"))
        time.sleep(step.get("delay", 0))
        first, second = answer_parts(step)
        self.send(first, step)
        time.sleep(step.get("delay_body", 0))
        self.send(second, step)
        return self.finish(ending(step), answered="cut" not in step)

    def hold(self, path):
        """Waits for the file, but not for ever: a test that failed may never make it."""
        limit = time.monotonic() + 60
        while path and not os.path.exists(path) and time.monotonic() < limit:
            time.sleep(0.02)

    def send(self, data, step):
        size = step.get("slice", len(data)) or 1
        for start in range(0, len(data), size):
            self.sock.sendall(data[start : start + size])

    def finish(self, action, answered=False):
        if action == "keep":
            return True
        if action == "stall":
            self.stall()
        if action == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.end_stream(close_notify=answered)
        return False

    def end_stream(self, close_notify):
        """Sends FIN, and reads on: closing with data unread would send RST."""
        self.sock.settimeout(2)
        if close_notify and isinstance(self.sock, ssl.SSLSocket):
            self.sock = self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)
        while self.receive():
            pass

    def stall(self):
        while True:
            time.sleep(60)


class Server:
    def __init__(self, script_path, log_path):
        self.options = options = read_script(script_path)
        self.log = Log(log_path)
        self.steps = Steps(script_path)
        self.tls = self.tls_context()
        self.listener = self.listen()

    def tls_context(self):
        if "tls" not in self.options:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.options["tls"]["certificate"], self.options["tls"]["key"])
        context.set_alpn_protocols(["http/1.1"])
        if self.options.get("tls_fault") == "old":
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context

    def listen(self):
        if "unix" in self.options:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self.options["unix"])
        else:
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
        kind = self.options.get("listener")
        if kind != "refuse":
            listener.listen(0 if kind == "black_hole" else 1024)
        if kind == "black_hole":
            self.fillers = [self.fill(listener) for _ in range(8)]
        return listener

    def fill(self, listener):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        return filler

    def close_listener(self):
        # shutdown wakes the accept of the main thread, which holds the socket open until then
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def ready(self, path):
        name = self.listener.getsockname()
        port = name[1] if isinstance(name, tuple) else None
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), "port": port}, file)
        os.rename(path + ".new", path)

    def accept_all(self):
        """Accepts until the listener is closed; at once, when nobody can connect anyway."""
        number = 0
        while "listener" not in self.options:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number += 1
            self.log.write("connection", connection=number)
            connection = Connection(self, sock, number)
            threading.Thread(target=connection.run, daemon=True).start()


def main():
    script, ready, log = sys.argv[1:]
    server = Server(script, log)
    server.ready(ready)
    server.accept_all()
    signal.pause()


main()
