"""Real gunicorn with few threads: senders that are slow, silent, endless or malformed stop nobody else."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from app.gunicorn_worker import HEAD_SECONDS, LINGER_SECONDS, REQUEST_SECONDS
from tests.support.commands import run_command

ROOT = Path(__file__).parents[2]
SLOW_SENDERS = 24
"""More than there are threads: 1 worker of 8 here, 16 in an installation of two workers."""
LONGEST_ANSWER_SECONDS = 2.0
"""For a request beside the slow ones, on a busy machine; milliseconds on a quiet one."""
SETTINGS = """
env = "test"
database_url = "sqlite:///books.sqlite3"
[provider_accounts.box]
plugin = "sandbox"
live = false
base_url = "http://127.0.0.1:1"
merchant = "m-1"
secret = "a secret that is long enough here"
"""


@dataclass
class Service:
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, data: bytes = b"") -> socket.socket:
        line = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        line.sendall(data)
        return line

    def answer(self, data: bytes) -> bytes:
        """All that comes back until the service closes the connection."""
        with self.connect(data) as line:
            return _all(line)

    def health_seconds(self) -> float:
        began = time.monotonic()
        assert requests.get(f"{self.url}/health/live", timeout=30).status_code == 200
        return time.monotonic() - began

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def _all(line: socket.socket) -> bytes:
    came = b""
    with contextlib.suppress(OSError):
        while piece := line.recv(65536):
            came += piece
    return came


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as one:
        yield one


@contextlib.contextmanager
def running(folder: Path, more_settings: str = "") -> Iterator[Service]:
    (folder / "tillbook.toml").write_text(SETTINGS + more_settings)
    port = _free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TILLBOOK_")}
    environ |= {
        "PYTHONPATH": str(ROOT),
        "TILLBOOK_CONFIG": str(folder / "tillbook.toml"),
        "TILLBOOK_BIND": f"127.0.0.1:{port}",
        "TILLBOOK_WEB_WORKERS": "1",
    }
    migrated = run_command("migrate", environ=environ, folder=folder)
    assert migrated.code == 0, migrated.err
    command = [sys.executable, "-m", "gunicorn", "-c", "python:app.serving", "wsgi:application"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    started = Service(port, folder / "log", process)
    try:
        _wait_until_up(started)
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)


def _wait_until_up(service: Service) -> None:
    for _ in range(300):
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{service.url}/health/live", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(service.log.read_text())


SLOW = {
    "headers": b"POST /webhooks/box HTTP/1.1\r\nHost: x\r\nX-A: ",
    "a body": b"POST /webhooks/box HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\na",
    "chunks": b"POST /webhooks/box HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7ff\r\na",
    "a second request": b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nPOST /webhooks/box HTTP/1.1\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("began", SLOW.values(), ids=SLOW)
def test_24_slow_senders_delay_nobody(service: Service, began: bytes) -> None:
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(service.connect(began)) for _ in range(SLOW_SENDERS)]
        for _ in range(3):
            for line in lines if began else ():
                line.sendall(b"a")
            assert service.health_seconds() < LONGEST_ANSWER_SECONDS
            time.sleep(0.3)
    assert service.health_seconds() < LONGEST_ANSWER_SECONDS


def test_a_client_that_does_not_close_delays_nobody(service: Service) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_SENDERS):
            stack.enter_context(service.connect(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        assert service.health_seconds() < LONGEST_ANSWER_SECONDS


def test_each_slow_sender_is_ended_in_time(service: Service) -> None:
    began = time.monotonic()
    with service.connect(SLOW["headers"]) as head, service.connect(SLOW["a body"]) as body, service.connect() as silent:
        assert _all(silent) == b""
        assert time.monotonic() - began < HEAD_SECONDS + 5
        assert _status(_all(head)) == [408]
        assert time.monotonic() - began < HEAD_SECONDS + LINGER_SECONDS + 5
        assert _status(_all(body)) == [408]
        assert REQUEST_SECONDS - 2 < time.monotonic() - began < REQUEST_SECONDS + LINGER_SECONDS + 5


def test_requests_that_come_slowly_but_in_time_and_together_are_answered(service: Service) -> None:
    chunked = b"POST /webhooks/box HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    closing = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with service.connect() as line:
        data = chunked + closing
        for at in range(0, len(data), 20):
            line.sendall(data[at : at + 20])
            time.sleep(0.02)
        codes = _status(_all(line))
    assert len(codes) == 2
    assert codes[0] in (400, 401)
    assert codes[1] == 200


def test_a_client_that_waits_to_be_bidden_is_bidden(service: Service) -> None:
    fields = b"Host: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n"
    head = b"POST /webhooks/box HTTP/1.1\r\n" + fields + b"\r\n"
    with service.connect(head) as line:
        assert line.recv(100).startswith(b"HTTP/1.1 100")
        line.sendall(b"{}")
        [code] = _status(_all(line))
        assert code in (400, 401)


MALFORMED = {
    "a chunk size with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "a chunk size in 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with an underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "a chunk that is longer": b"2\r\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a bare LF in the trailers": b"5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n",
    "a trailer without a name": b"5\r\nhello\r\n0\r\n: b\r\n\r\n",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("path", ["/webhooks/box", "/v1/orders", "/nowhere"])
def test_a_malformed_chunked_body_is_a_bad_request_and_one_line(service: Service, path: str, body: bytes) -> None:
    before = len(service.lines())
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    answer = service.answer(head + body)
    assert _status(answer) == [400]
    assert b"application/problem+json" in answer
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["code"] == "bad_request"
    assert f"X-Request-Id: {told['request_id']}\r\n".encode() in answer
    lines = service.lines()[before:]
    assert [(line["level"], line["request_id"]) for line in lines] == [("warning", told["request_id"])]
    assert "exception" not in lines[0]


def test_a_body_that_is_too_large_is_refused_before_it_comes(service: Service) -> None:
    answer = service.answer(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n")
    assert _status(answer) == [413]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_large"


@pytest.mark.parametrize("framing", [b"Content-Length: 104857600", b"Transfer-Encoding: chunked"])
def test_whoever_sends_on_after_the_refusal_is_cut_off(service: Service, framing: bytes) -> None:
    piece, sent = b"100000\r\n" + b"x" * 2**20 + b"\r\n", 0
    head = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n"
    with service.connect(head) as line, contextlib.suppress(ConnectionError):
        for _ in range(100):
            line.sendall(piece)
            sent += len(piece)
    assert sent < 30 * 2**20, "what the two kernels and the service took"
    assert service.health_seconds() < LONGEST_ANSWER_SECONDS


def test_a_stop_waits_for_no_silent_connection(tmp_path: Path) -> None:
    with running(tmp_path) as service, service.connect(), service.connect(SLOW["headers"]):
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=HEAD_SECONDS + LINGER_SECONDS + 10) == 0
    assert not [line for line in service.lines() if "exception" in line]


def _status(answer: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", answer) if code != b"100"]
