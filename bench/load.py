"""The load: a process of its own that sends given requests over connections that stay open, and says how it went.

Reads a job a line (JSON) from its standard input and answers each with a line. Talks to 127.0.0.1 only, sends each
request once, and gives up a connection that is silent for ANSWER_SECONDS. Nothing but the standard library is loaded.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

ANSWER_SECONDS = 30.0
HOST = "127.0.0.1"
NO = re.compile(rb'^fail$|"code": ?"FAIL"|\[FAIL\]')
"""A provider's word for no; the bare letters can stand in a signature."""
SHOWN = 3
"""Answers that were not the wanted ones and are shown."""


class Client(threading.Thread):
    """One client: takes the next request when the answer to the last is there."""

    def __init__(self, port: int, requests: Iterator[bytes], lock: threading.Lock, start: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port, self._requests, self._lock, self._go = port, requests, lock, start
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        connection = socket.create_connection((HOST, self._port), timeout=ANSWER_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._go.wait()
        try:
            while (request := self._next()) is not None:
                started = time.perf_counter()
                connection.sendall(request)
                answer = read_answer(connection)
                self.seconds.append(time.perf_counter() - started)
                if not is_done(answer):
                    self.failures.append(repr(answer[:400]))
        except OSError as error:
            self.failures.append(repr(error))
        finally:
            connection.close()

    def _next(self) -> bytes | None:
        with self._lock:
            return next(self._requests, None)


def read_answer(connection: socket.socket) -> bytes:
    """Status line, headers and body of one answer that says its length."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += _more(connection)
    head, _, body = read.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise ConnectionError("the service closed the connection")
    return part


def is_done(answer: bytes) -> bool:
    """A status of success, and neither Alipay's nor WeChat Pay's word for no."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b" ", 2)[1].startswith(b"2") and not NO.search(body)


def run(job: dict[str, Any]) -> dict[str, Any]:
    requests = iter([base64.b64decode(text) for text in job["requests"]])
    lock, start = threading.Lock(), threading.Event()
    clients = [Client(job["port"], requests, lock, start) for _ in range(job["clients"])]
    for client in clients:
        client.start()
    started = time.perf_counter()
    start.set()
    for client in clients:
        client.join()
    elapsed = time.perf_counter() - started
    failures = [failure for client in clients for failure in client.failures]
    return {
        "elapsed": elapsed,
        "seconds": [seconds for client in clients for seconds in client.seconds],
        "failed": len(failures),
        "failures": failures[:SHOWN],
    }


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
