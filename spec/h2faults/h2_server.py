"""An HTTP/2 server that misbehaves as told, frame by frame.

    python3 h2_server.py READY SCRIPT LOG [SCRIPT LOG ...]

What these are, the log and the ledger are as in support/fault_server.py. It speaks HTTP/2 over TLS
with clients that offer it, and HTTP/1.1 without any fault with others. It ignores the windows of
the client.

Options of the script
  steps, by_path, per_call, tls   as there
  ledger          true, or "without_keys"
  alpn            the protocols it offers, ["h2", "http/1.1"] by default; []: it knows no ALPN
  streams         how many may be open at once on a connection; it says so, and refuses more

Fields of a step
  ledger          as there
  greeting        what is played on a connection that comes while this is the next step; by default
                  SETTINGS
  play            what is played on a stream; by default "headers", "body"
  status, headers, body, content_length, header_count, header_bytes    of the answer, as there

A play is a list of texts, or objects with one of these names and what modifies it:
  headers                        HEADERS of the answer
  half, data, body               DATA: up to the middle, all that is left, all with END_STREAM
  bytes                          the same as body, a byte in each frame
  trailers                       HEADERS with END_STREAM
  interim: status, count: times  HEADERS of interim answers
  rst: code                      RST_STREAM
  goaway: code, last: stream     GOAWAY; the last stream is a number, "this" or by default the last
                                 that there can be
  settings: [[id, value], ...]   SETTINGS
  streams: number                SETTINGS of a new limit, which it keeps to
  window: bytes, on: stream      WINDOW_UPDATE
  frame: type, flags: byte, on: stream, payload: hex, count: times    any frame
  raw: hex                       any bytes
  wait: seconds
  close, reset                   end the connection: FIN, RST
What is not on a stream named is on that of the request.
"""

import asyncio
import json
import os
import socket
import ssl
import struct
import sys

import hpack

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from answers import answer_body, answer_parts, with_record  # noqa: E402
from fault_server import Log, Steps, read_script, write_ready  # noqa: E402
from ledger import Ledger, body_hash  # noqa: E402

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
ACK, END_STREAM, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
MAX_CONCURRENT_STREAMS, REFUSED_STREAM = 3, 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME = 16384
ALL_STREAMS = 2**31 - 1
CONTEXTS = {}  # of TLS, by what they are made of


def frame(kind, payload=b"", flags=0, stream=0):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def frames_of(data, size=MAX_FRAME):
    return [data[i : i + size] for i in range(0, len(data), size)] or [b""]


class Stream:
    def __init__(self, number, fields, connection):
        self.body = b""
        self.read = asyncio.Event()
        named = dict(fields)
        lines = [f"{name}: {value}" for name, value in fields if name != "host" and name[0] != ":"]
        self.request = {
            "method": named[":method"],
            "path": named[":path"],
            "version": "HTTP/2",
            "head": "\r\n".join(sorted(lines)),  # which does not tell the protocols apart
            "headers": [list(pair) for pair in fields],
            "key": named.get("idempotency-key"),
            "body": "",
            "hash": None,
            "connection": connection,
            "stream": number,
            "tls": True,
            "complete": False,
        }

    def end(self):
        text = self.body.decode("utf-8", "surrogateescape")
        self.request.update(body=text, hash=body_hash(text), complete=True)
        self.read.set()


class Connection(asyncio.Protocol):
    """One accepted connection: reads frames, and plays for each stream what its step says."""

    def __init__(self, server):
        self.server = server
        self.buffer = b""
        self.streams = {}  # those that are open
        self.limit = server.options.get("streams")
        self.block = b""  # of header fields that are not complete
        self.decoder = hpack.Decoder()
        self.tasks = set()

    def connection_made(self, transport):
        self.transport = transport
        self.tcp = transport.get_extra_info("socket")
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = transport.get_extra_info("ssl_object")
        protocol = tls and tls.selected_alpn_protocol()
        self.number = self.server.count_connection(protocol)
        self.take = self.take_nothing_yet if protocol == "h2" else self.take_plain_request
        if protocol == "h2":
            self.start(self.greet())

    async def greet(self):
        """What is to be sent at once goes out before anything is read."""
        self.take = self.take_preface
        asyncio.get_running_loop().call_soon(self.data_received, b"")
        await Play(self).run(self.server.greeting())

    def connection_lost(self, _error):
        for task in self.tasks:
            task.cancel()
        self.server.log.write("closed", connection=self.number)

    def start(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)  # or the collector may take it
        task.add_done_callback(self.tasks.discard)

    def write(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)

    # Reading: each of these takes one thing off the buffer, if it is there.

    def data_received(self, data):
        self.buffer += data
        while self.take():
            pass

    def take_nothing_yet(self):
        return False

    def take_preface(self):
        if len(self.buffer) < len(PREFACE):
            return False
        self.buffer = self.buffer[len(PREFACE) :]
        self.take = self.take_frame
        return True

    def take_frame(self):
        length = int.from_bytes(self.buffer[:3], "big")
        if len(self.buffer) < 9 + length:
            return False
        kind, flags, number = struct.unpack(">BBI", self.buffer[3:9])
        payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
        handler = getattr(self, f"on_{kind}", None)
        if handler:
            handler(payload, flags, number & ALL_STREAMS)
        return True

    def take_plain_request(self):
        head, mark, rest = self.buffer.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        fields = [line.split(": ", 1) for line in lines]
        fields = [(pair[0].lower(), pair[-1]) for pair in fields]
        length = int(dict(fields).get("content-length", 0))
        if not mark or len(rest) < length:
            return False
        method, path, version = line.split(" ")
        stream = Stream(0, [(":method", method), (":path", path), *fields], self.number)
        stream.request["version"] = version
        stream.body, self.buffer = rest[:length], rest[length:]
        stream.end()
        self.server.log.write("request", **stream.request)
        first, second = answer_parts(self.server.through_ledger(stream.request, {}))
        self.write(first + second)
        return True

    def on_0(self, payload, flags, number):
        """DATA. The windows are given back at once."""
        stream = self.streams.get(number)
        if payload:
            self.write(frame(WINDOW_UPDATE, struct.pack(">I", len(payload))))
        if stream and payload and not flags & END_STREAM:
            self.write(frame(WINDOW_UPDATE, struct.pack(">I", len(payload)), stream=number))
        if stream:
            stream.body += payload
        if stream and flags & END_STREAM:
            stream.end()

    def on_1(self, payload, flags, number):
        """HEADERS; the client neither pads nor splits them."""
        block = payload[5:] if flags & PRIORITY else payload
        stream = Stream(number, self.decoder.decode(block), self.number)
        if self.limit is not None and len(self.streams) >= self.limit:
            self.server.log.write("refused", connection=self.number, key=stream.request["key"])
            self.write(frame(RST_STREAM, struct.pack(">I", REFUSED_STREAM), stream=number))
            return
        self.streams[number] = stream
        if flags & END_STREAM:
            stream.end()
        self.start(self.serve(stream))

    def on_3(self, _payload, _flags, number):
        """RST_STREAM."""
        self.streams.pop(number, None)

    def on_4(self, _payload, flags, _number):
        """SETTINGS."""
        if not flags & ACK:
            self.write(frame(SETTINGS, flags=ACK))

    def on_6(self, payload, flags, _number):
        """PING."""
        if not flags & ACK:
            self.write(frame(PING, payload, ACK))

    async def serve(self, stream):
        await stream.read.wait()
        step = self.server.take_step(stream.request)
        self.server.log.write("request", **stream.request)
        step = self.server.through_ledger(stream.request, step)
        await Play(self, stream, step).run(step.get("play", ["headers", "body"]))


class Play:
    """What is done with one stream, or on a connection that has none yet."""

    def __init__(self, connection, stream=None, step=None):
        self.connection = connection
        self.stream = stream
        self.number = stream.request["stream"] if stream else 0
        self.step = step or {}
        self.body = self.unsent = answer_body(self.step)

    async def run(self, actions):
        for action in actions:
            fields = {action: None} if isinstance(action, str) else action
            name = next(name for name in fields if hasattr(self, "do_" + name))
            await getattr(self, "do_" + name)(fields[name], fields)

    def send(self, kind, payload=b"", flags=0, stream=None):
        number = self.number if stream is None else stream
        self.connection.write(frame(kind, payload, flags, number))
        if kind in (DATA, HEADERS) and flags & END_STREAM or kind == RST_STREAM:
            self.connection.streams.pop(number, None)

    def send_fields(self, fields, flags=0):
        """HEADERS, and CONTINUATION for what does not fit into one frame."""
        parts = frames_of(hpack.encode(fields))
        for place, part in enumerate(parts):
            last = END_HEADERS if place == len(parts) - 1 else 0
            self.send(CONTINUATION if place else HEADERS, part, flags | last)
            flags = 0

    def send_data(self, length, end, size=MAX_FRAME):
        data, self.unsent = self.unsent[:length], self.unsent[length:]
        parts = frames_of(data, size)
        for place, part in enumerate(parts):
            self.send(DATA, part, END_STREAM if end and place == len(parts) - 1 else 0)

    async def do_headers(self, _value, _fields):
        step = self.step
        headers = step.get("headers") or []
        fields = [(":status", step.get("status", 200)), ("content-type", "application/json")]
        if step.get("content_length") is not False:
            fields.append(("content-length", step.get("content_length", len(self.body))))
        fields += headers.items() if isinstance(headers, dict) else headers
        fields += [(f"x-header-{i}", i) for i in range(step.get("header_count", 0))]
        if "header_bytes" in step:
            fields.append(("x-huge", "x" * step["header_bytes"]))
        self.send_fields(fields)

    async def do_interim(self, status, fields):
        for _ in range(fields.get("count", 1)):
            self.send_fields([(":status", status)])

    async def do_trailers(self, _value, _fields):
        self.send_fields([("x-trailer", "1")], END_STREAM)

    async def do_half(self, _value, _fields):
        self.send_data(len(self.body) // 2, end=False)

    async def do_data(self, _value, _fields):
        self.send_data(len(self.unsent), end=False)

    async def do_body(self, _value, _fields):
        self.send_data(len(self.unsent), end=True)

    async def do_bytes(self, _value, _fields):
        self.send_data(len(self.unsent), end=True, size=1)

    async def do_rst(self, code, _fields):
        self.send(RST_STREAM, struct.pack(">I", code))

    async def do_goaway(self, code, fields):
        last = fields.get("last", ALL_STREAMS)
        last = self.number if last == "this" else last
        self.send(GOAWAY, struct.pack(">II", last, code), stream=0)

    async def do_settings(self, pairs, _fields):
        self.send(SETTINGS, b"".join(struct.pack(">HI", *pair) for pair in pairs), stream=0)

    async def do_streams(self, limit, _fields):
        self.connection.limit = limit
        pairs = [] if limit is None else [(MAX_CONCURRENT_STREAMS, limit)]
        await self.do_settings(pairs, None)

    async def do_window(self, size, fields):
        self.send(WINDOW_UPDATE, struct.pack(">I", size), stream=fields.get("on"))

    async def do_frame(self, kind, fields):
        payload = bytes.fromhex(fields.get("payload", ""))
        data = frame(kind, payload, fields.get("flags", 0), fields.get("on", self.number))
        self.connection.write(data * fields.get("count", 1))

    async def do_raw(self, data, _fields):
        self.connection.write(bytes.fromhex(data))

    async def do_wait(self, seconds, _fields):
        await asyncio.sleep(seconds)

    async def do_close(self, _value, _fields):
        self.connection.transport.close()

    async def do_reset(self, _value, _fields):
        linger = struct.pack("ii", 1, 0)
        self.connection.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.transport.abort()


class Server:
    def __init__(self, script_path, log_path):
        self.options = read_script(script_path)
        self.log = Log(log_path)
        self.steps = Steps(script_path)
        self.ledger = Ledger(self.log, self.options.get("ledger") != "without_keys")
        self.connections = 0

    def count_connection(self, protocol):
        self.connections += 1
        self.log.write("connection", connection=self.connections, protocol=protocol)
        return self.connections

    def greeting(self):
        """What the next step has for new connections; it is left to a stream to take it."""
        self.steps.refresh()
        limit = self.options.get("streams")
        return self.steps.steps[0].get("greeting", [{"streams": limit}])

    def take_step(self, request):
        return self.steps.take(request["path"], request["key"] or request["path"])

    def through_ledger(self, request, step):
        """The step, with what the ledger answers where the step says nothing else."""
        if step.get("ledger") == "skip":
            return with_record(step, request["path"])
        status, headers, body = self.ledger.answer(request, step.get("ledger", "apply"))
        return {"status": status, "headers": headers, "body": body, **step}

    def tls(self):
        name = json.dumps([self.options.get("tls"), self.options.get("alpn")])
        if "tls" in self.options and name not in CONTEXTS:
            CONTEXTS[name] = self.new_context()
        return CONTEXTS.get(name)

    def new_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.options["tls"]["certificate"], self.options["tls"]["key"])
        protocols = self.options.get("alpn", ["h2", "http/1.1"])
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    async def listen(self):
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", 0, ssl=self.tls(), backlog=1024
        )
        self.name = listener.sockets[0].getsockname()


async def main():
    ready, *paths = sys.argv[1:]
    servers = [Server(script, log) for script, log in zip(paths[::2], paths[1::2])]
    for server in servers:
        await server.listen()
    write_ready(ready, servers)
    await asyncio.Event().wait()


asyncio.run(main())
