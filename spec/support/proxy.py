"""A small HTTP proxy: CONNECT tunnels, and requests in absolute form sent on.

    python3 proxy.py STATUS READY LOG

STATUS is 200, or what every request is refused with. READY (JSON) is written once the proxy can be
reached; LOG gets a JSON line for each connection and each request. It runs until it is killed.
"""

import json
import os
import socket
import sys
import threading
from urllib.parse import urlsplit


def log(file, event, **fields):
    print(json.dumps({"event": event, **fields}), file=file, flush=True)


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def join(client, upstream):
    threading.Thread(target=pump, args=(upstream, client), daemon=True).start()
    pump(client, upstream)


def read_head(client):
    data = b""
    while b"\r\n\r\n" not in data:
        received = client.recv(65536)
        if not received:
            return None, b""
        data += received
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode(), rest


def serve(client, status, file):
    head, rest = read_head(client)
    if head is None:
        return client.close()
    lines = head.split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = [[part.strip() for part in line.split(":", 1)] for line in lines[1:]]
    log(file, "request", method=method, path=target, headers=headers)
    if status != 200:
        client.sendall(b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        return pump(client, client)
    url = urlsplit("//" + target if method == "CONNECT" else target)
    upstream = socket.create_connection((url.hostname, url.port))
    if method == "CONNECT":
        client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
    else:
        lines[0] = f"{method} {url.path} HTTP/1.1"
        rest = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + rest
    upstream.sendall(rest)
    return join(client, upstream)


def main():
    status, ready, log_path = sys.argv[1:]
    file, listener = open(log_path, "w"), socket.create_server(("127.0.0.1", 0))
    with open(ready + ".new", "w") as ready_file:
        json.dump({"pid": os.getpid(), "port": listener.getsockname()[1]}, ready_file)
    os.rename(ready + ".new", ready)
    while True:
        client, _ = listener.accept()
        log(file, "connection")
        threading.Thread(target=serve, args=(client, int(status), file), daemon=True).start()


if __name__ == "__main__":
    main()
