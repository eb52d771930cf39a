"""An HTTP/1.1 server that misbehaves as told.

    python3 fault_server.py READY SCRIPT LOG [SCRIPT LOG ...]

It listens once for each SCRIPT. SCRIPT is a JSON file: {"steps": [...], and the options below}. Each
request takes the next step; the last one repeats; without steps every request is answered with a
payment record, the one that its path names. When SCRIPT is replaced by another file, its steps begin
from there, and a listener that was refusing or full begins to accept; the other options stay as they
were. READY is written, as JSON, once all can be reached. It runs until it is killed.

LOG gets JSON lines, always before the answer to what they tell of. Their "event" is "connection"
(accepted), "request" (read: with its key, and the hash of its body), "effect" (a payment was
reported: its reference and key), or "closed" (a connection; nothing more will be read from it).

Options of the script
  by_path         {text: steps}: the steps of requests whose path contains this text
  per_call        true: each idempotency key, and each path of a GET, takes the steps from the start
  tls             {"certificate": file, "key": file, and the fields below}: speak TLS
  unix            path of a Unix socket to listen on, in place of a TCP port
  host            address to listen on; 127.0.0.1
  listener        "refuse": hold a port that nothing listens on
                  "black_hole": a port whose backlog is full, so that connecting hangs
  receive_buffer  bytes of the sockets' receive buffers
  drop_on_reuse   true: the second request on a connection is read, not answered, and takes no step
  ledger          true: keep to Stripe's idempotency rules (ledger.py), and answer as it says;
                  "without_keys": the same, but ignore the keys

Fields of tls
  fault           "close", "reset" or "stall": do this once the ClientHello was read
  reply, flight   before that, send these bytes; so many bytes of what would have been the answer
  version         "1.0" to "1.3": this one alone
  ciphers         in OpenSSL's words
  ask             "optional" or "required": ask the client for a certificate
  delay           seconds before it is spoken

Fields of a step, which combine
  when            "accept": act on a new connection, read nothing; "headers": do not wait for the
                  body of the request; by default the whole request is read first
  read            with "accept": how many bytes to read first
  tls             with "accept": speak TLS like this on the connection, and serve
  close_listener  true: accept no further connection
  ledger          how the ledger carries the request out: "apply", the default, or another row of
                  ledger.ENDS; "skip": it does not get that far
  work            seconds that this takes
  fault           "close", "reset" or "stall": do this in place of an answer; "sip": read the body
                  a byte at a time
  status, headers (object or list of pairs), body, big_body (that many bytes), chunked
  encode          "gzip", "truncated_gzip" or "bomb": what the body is made into
  content_length  another value than the true one, a list of values, or false for none
  interim         list of 1xx status codes to send first
  header_bytes, header_count   one more header of that size; that many more headers
  raw             exactly these bytes as the answer, in which %BODY%, %LENGTH% and %SIZE% stand for
                  the body, its length, and that in hexadecimal
  beneath_tls     true: send these bytes outside of the TLS that is spoken
  endless         "interim", "headers" or "body": answer with this, without an end
  hold            path: wait with the answer until there is such a file
  delay, delay_body   seconds to wait before the answer; in the middle of its body
  slice, pause    bytes in each segment; seconds after each
  cut             "status", "headers", "head" (all but the empty line), "before_body", "body" or
                  "last_byte": the answer ends in the middle of it, or there
  after           "keep", "close", "reset" or "stall" once the answer is out; "close" for what was
                  cut and for what has no length, else "keep"
  close_notify    whether TLS is ended as it should be; false for what was cut
"""

import json
import os
import select
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from urllib.parse import urlsplit

from answers import answer_parts, ending, endless_answer, to_bytes, with_record
from ledger import Ledger, body_hash
from proxy import join

class Log:
    """JSON lines, written through before the caller goes on."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "w", encoding="utf-8", errors="surrogateescape")

    def write(self, event, **fields):
        known = {name: value for name, value in fields.items() if value is not None}
        line = json.dumps({"event": event, **known}, ensure_ascii=False)
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
        self.refresh()

    def refresh(self):
        """Reads the steps again when the file is another one."""
        if self.is_replaced():
            status = os.stat(self.path)
            script = read_script(self.path)
            self.steps = list(script.get("steps") or [{}])
            self.by_path = {text: list(steps) for text, steps in script.get("by_path", {}).items()}
            self.by_call = {} if script.get("per_call") else None
            self.read_file = (status.st_ino, status.st_mtime_ns)

    def changed_since(self, read_file):
        with self.lock:
            self.refresh()
            return self.read_file != read_file

    def is_replaced(self):
        status = os.stat(self.path)
        return (status.st_ino, status.st_mtime_ns) != self.read_file

    def steps_of(self, path, call):
        if call is not None and self.by_call is not None:
            return self.by_call.setdefault(call, list(self.steps))
        return next((steps for text, steps in self.by_path.items() if text in path), self.steps)

    def take(self, path="", call=None, accepting=False):
        """The next step. While accepting: only if it is for a new connection, else None."""
        with self.lock:
            self.refresh()
            steps = self.steps_of(path, call)
            if accepting and steps[0].get("when") != "accept":
                return None
            return steps.pop(0) if len(steps) > 1 else steps[0]


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
            if step and "tls" not in step:
                self.act_on_accept(step)
            elif self.handshake((step or self.server.options).get("tls")):
                while self.serve():
                    pass
        except OSError:
            pass  # the client went away
        finally:
            self.sock.close()
            self.server.log.write("closed", connection=self.number)

    def act_on_accept(self, step):
        if "read" in step:
            self.buffer = self.sock.recv(step["read"])
            self.log_partial()
        self.obey(step)

    def handshake(self, tls):
        """Speaks TLS, if it is asked for. Returns whether the connection goes on."""
        if tls and "fault" in tls:
            hello = self.sock.recv(65536)
            self.sock.sendall(to_bytes(tls.get("reply", "")) + begin_handshake(tls, hello))
            return self.finish(tls["fault"])
        if tls:
            time.sleep(tls.get("delay", 0))
            self.sock = self.server.tls_context(tls).wrap_socket(self.sock, server_side=True)
        return True

    def serve(self):
        """Reads one request and obeys its step. Returns whether the connection goes on."""
        head = self.read_until(b"\r\n\r\n")
        if head is None:
            return False
        self.requests += 1
        dropped = self.server.options.get("drop_on_reuse") and self.requests > 1
        request = self.parse(head)
        upstream = self.upstream(request)
        step = {"fault": "close"} if dropped else self.take_step(request)
        if step.get("when") != "headers":
            self.read_body(request)
        self.server.log.write("request", **request)
        if upstream:
            return self.obey(step) if step else self.relay(request, upstream)
        return self.obey(self.through_ledger(request, step))

    def take_step(self, request):
        call = request["key"] or request["path"]
        return self.server.steps.take(request["path"], call)

    def through_ledger(self, request, step):
        """The step, with what the ledger answers where the step says nothing else."""
        ledger = self.server.ledger
        if not ledger or not request["complete"] or step.get("ledger") == "skip":
            return with_record(step, request["path"])
        end, work = step.get("ledger", "apply"), step.get("work", 0)
        status, headers, body = ledger.answer(request, end, work)
        if "status" in step or "headers" in step:  # of somebody on the way
            return {"body": body, **step}
        return {"status": status, "headers": headers, "body": body, **step}

    def upstream(self, request):
        """The server that a proxy is to reach for a request; None when it is for this one."""
        path = request["path"]
        url = urlsplit("//" + path if request["method"] == "CONNECT" else path)
        if url.netloc and url.port != self.server.name[1]:
            return url.hostname, url.port
        request["path"] = path[path.index(url.netloc) + len(url.netloc) :]
        return None

    def relay(self, request, upstream):
        """What a proxy does: opens a tunnel, or sends the request on."""
        upstream = socket.create_connection(upstream)
        if request["method"] == "CONNECT":
            self.sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            upstream.sendall(to_bytes(request["head"] + "\r\n\r\n" + request["body"]))
        join(self.sock, upstream)
        upstream.shutdown(socket.SHUT_RDWR)
        return False

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
        keys = [pair[-1] for pair in headers if pair[0].lower() == "idempotency-key"]
        return {
            "method": method,
            "path": path,
            "version": version,
            "head": head.decode("utf-8", "surrogateescape"),
            "headers": headers,
            "key": keys[0] if keys else None,
            "body": "",
            "hash": None,
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
        request["hash"] = body_hash(request["body"])
        request["complete"] = len(body) == length

    def obey(self, step):
        """Answers as the step says. Returns whether the connection goes on."""
        if step.get("close_listener"):
            self.server.close_listener()
        if "fault" in step:
            return self.finish(step["fault"])
        self.hold(step.get("hold"))
        time.sleep(step.get("delay", 0))
        if "endless" in step:
            return self.answer_endlessly(step)
        first, second = answer_parts(step)
        self.send(first, step)
        time.sleep(step.get("delay_body", 0))
        self.send(second, step)
        return self.finish(ending(step), step.get("close_notify", "cut" not in step))

    def answer_endlessly(self, step):
        first, more = endless_answer(step["endless"])
        self.sock.sendall(first)
        while True:  # until the client leaves
            self.sock.sendall(more)
            time.sleep(0.005)

    def hold(self, path):
        """Waits for the file, but not for ever: a test that failed may never make it."""
        limit = time.monotonic() + 60
        while path and not os.path.exists(path) and time.monotonic() < limit:
            time.sleep(0.02)

    def send(self, data, step):
        size = step.get("slice", len(data)) or 1
        send = socket.socket.sendall if step.get("beneath_tls") else type(self.sock).sendall
        for start in range(0, len(data), size):
            send(self.sock, data[start : start + size])
            time.sleep(step.get("pause", 0))

    def finish(self, action, close_notify=False):
        if action == "keep":
            return True
        if action == "stall":
            self.stall()
        elif action == "sip":
            self.sip()
        elif action == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.end_stream(close_notify)
        return False

    def end_stream(self, close_notify):
        """Sends FIN, and reads on: closing with data unread would send RST. What comes then may be
        the next request: it is seen, and left alone."""
        self.sock.settimeout(2)
        if close_notify and isinstance(self.sock, ssl.SSLSocket):
            self.sock = self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)
        rest = b""
        while data := self.receive():
            rest += data
        if b"\r\n\r\n" in rest:
            self.server.log.write("request", **self.parse(rest.split(b"\r\n\r\n")[0]))

    def stall(self):
        """Does nothing until the client leaves, or the script is replaced."""
        script = self.server.steps.read_file
        while self.is_wanted(script):
            pass

    def sip(self):
        script = self.server.steps.read_file
        while self.is_wanted(script):
            self.sock.recv(1)

    def is_wanted(self, script):
        """Looks for a while whether there is reason to keep the connection. That a client has left
        does not show while bytes of its are unread."""
        poller = select.poll()
        poller.register(self.sock, select.POLLRDHUP)
        return not poller.poll(50) and not self.server.steps.changed_since(script)


def begin_handshake(tls, hello):
    """The first bytes that TLS would answer to the client's, as many as are asked for."""
    if "flight" not in tls:
        return b""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = new_context(tls).wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    try:
        server.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read(tls["flight"])


def new_context(tls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if "ciphers" in tls:
        context.set_ciphers(tls["ciphers"])
    context.load_cert_chain(tls["certificate"], tls["key"])
    context.set_alpn_protocols(["http/1.1"])
    if "version" in tls:
        version = getattr(ssl.TLSVersion, "TLSv" + tls["version"].replace(".", "_").replace("1_0", "1"))
        if version < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    if "ask" in tls:
        context.verify_mode = {"optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}[tls["ask"]]
    return context


class Server:
    def __init__(self, script_path, log_path):
        self.options = options = read_script(script_path)
        self.log = Log(log_path)
        self.steps = Steps(script_path)
        self.contexts = {}
        self.fillers = []
        keys = options.get("ledger") != "without_keys"
        self.ledger = Ledger(self.log, keys) if "ledger" in options else None
        self.is_open = "listener" not in options
        self.listener = self.bind()
        self.name = self.listener.getsockname()
        # Nobody else gets the port while nothing listens on it.
        self.holder = None if "unix" in options else self.bind()
        self.begin()

    def tls_context(self, tls):
        name = json.dumps(tls)
        if name not in self.contexts:
            self.contexts[name] = new_context(tls)
        return self.contexts[name]

    def bind(self):
        if "unix" in self.options:
            listener, name = socket.socket(socket.AF_UNIX), self.options["unix"]
        else:
            host = self.options.get("host", "127.0.0.1")
            listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            name = (host, 0)
        if "receive_buffer" in self.options:
            size = self.options["receive_buffer"]
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        if "unix" in self.options and os.path.exists(name):
            os.unlink(name)
        listener.bind(getattr(self, "name", name))
        return listener

    def begin(self):
        kind = self.options.get("listener")
        if kind != "refuse":
            self.listener.listen(0 if kind == "black_hole" else 1024)
        if kind == "black_hole":
            self.fillers = [self.fill() for _ in range(8)]

    def fill(self):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(self.name)
        return filler

    def close_listener(self):
        # shutdown wakes the accept of the listener's thread, which holds the socket open until then
        if not self.is_open:
            return
        self.is_open = False
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def wait_until_open(self):
        while not self.is_open:
            time.sleep(0.01)
            if self.steps.is_replaced():
                for sock in [self.listener, *self.fillers]:
                    sock.close()
                self.listener = self.bind()
                self.listener.listen(1024)
                self.steps.refresh()
                self.is_open = True

    def accept_all(self):
        number = 0
        while True:
            self.wait_until_open()
            try:
                sock, _ = self.listener.accept()
            except OSError:
                continue
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number += 1
            self.log.write("connection", connection=number)
            connection = Connection(self, sock, number)
            threading.Thread(target=connection.run, daemon=True).start()


def write_ready(path, servers):
    ports = [name[1] if isinstance(name := server.name, tuple) else None for server in servers]
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "ports": ports}, file)
    os.rename(path + ".new", path)


def main():
    ready, *paths = sys.argv[1:]
    servers = [Server(script, log) for script, log in zip(paths[::2], paths[1::2])]
    for server in servers:
        threading.Thread(target=server.accept_all, daemon=True).start()
    write_ready(ready, servers)
    signal.pause()


if __name__ == "__main__":
    main()
