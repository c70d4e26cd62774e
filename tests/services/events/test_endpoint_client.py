"""One attempt at an endpoint: whatever the receiver does, it ends in time and says what happened."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from app.domain.endpoints import PushRules
from app.services.events.endpoint_client import KEPT_OF_ANSWER, Attempt, EndpointClient
from tests.support import tls_server
from tests.support.receiver import Message, answering, dying, receiving, speaking_garbage

LOCAL = PushRules(allow_private=True)


def posted(url: str, rules: PushRules = LOCAL, **limits: float) -> Attempt:
    client = EndpointClient(url, rules, 1, **limits)
    try:
        return client.post({"webhook-id": "1"}, b"{}")
    finally:
        client.close()


def test_an_answer_is_kept_with_its_status_and_time() -> None:
    with receiving(answering(201, b"thanks")) as receiver:
        attempt = posted(receiver.url)
    assert (attempt.status, attempt.answer, attempt.problem) == (201, b"thanks", "")
    assert 0 <= attempt.latency_ms < 15_000


def test_a_redirection_is_not_followed() -> None:
    with receiving() as elsewhere, receiving(answering(301, Location=elsewhere.url)) as receiver:
        attempt = posted(receiver.url)
    assert (attempt.status, attempt.problem, elsewhere.got) == (301, "HTTP 301", [])


@pytest.mark.parametrize("answer", [dying, speaking_garbage])
def test_no_usable_answer_is_no_answer(answer: Any) -> None:
    with receiving(answer) as receiver:
        attempt = posted(receiver.url)
    assert (attempt.status, attempt.problem) == (None, "no answer: ProtocolError")
    assert len(receiver.got) == 1


def test_nobody_there_is_no_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        attempt = posted(f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert (attempt.status, attempt.problem[:10]) == (None, "no answer:")


def test_a_slow_receiver_is_waited_for_so_long_and_no_longer() -> None:
    released = threading.Event()

    def slow(handler: BaseHTTPRequestHandler, message: Message) -> None:
        released.wait(60)

    with receiving(slow) as receiver:
        started = time.monotonic()
        attempt = posted(receiver.url, attempt_seconds=1.0, answer_seconds=0.5)
        spent = time.monotonic() - started
        released.set()
    assert (attempt.status, attempt.problem) == (None, "no answer: ReadTimeoutError")
    assert 0.9 <= spent < 30


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_dripping_answer_holds_nobody(where: str) -> None:
    """Each byte comes in time, and the whole would take hours."""
    released = threading.Event()

    def dripping(handler: BaseHTTPRequestHandler, message: Message) -> None:
        if where == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(1000):
            if released.wait(0.05):
                return
            handler.wfile.write(b"x")

    with receiving(dripping) as receiver:
        started = time.monotonic()
        attempt = posted(receiver.url, attempt_seconds=1.0, answer_seconds=0.5)
        spent = time.monotonic() - started
        released.set()
    assert spent < 30
    if where == "body":
        assert attempt.status == 200, "the status was said, so the event was taken"
        assert 0 < len(attempt.answer) <= KEPT_OF_ANSWER
    else:
        assert attempt.status is None


def test_of_a_large_answer_the_beginning_is_kept_and_the_rest_is_not_read() -> None:
    with receiving(answering(200, b"x" * 50_000_000)) as receiver:
        attempt = posted(receiver.url)
    assert (attempt.status, attempt.answer) == (200, b"x" * KEPT_OF_ANSWER)


def test_an_answer_that_breaks_off_has_said_its_status() -> None:
    def breaking(handler: BaseHTTPRequestHandler, message: Message) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    with receiving(breaking) as receiver:
        attempt = posted(receiver.url)
    assert (attempt.status, attempt.answer) == (200, b"half")


def test_connections_are_kept_between_messages() -> None:
    ports: list[int] = []

    def noting(handler: BaseHTTPRequestHandler, message: Message) -> None:
        ports.append(handler.client_address[1])
        answering(200, b"fine")(handler, message)

    with receiving(noting) as receiver:
        client = EndpointClient(receiver.url, LOCAL, 1)
        for _ in range(3):
            assert client.post({}, b"{}").status == 200
        client.close()
    assert len(ports) == 3
    assert len(set(ports)) == 1


def test_no_proxy_and_no_netrc_of_the_environment_takes_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with receiving(answering(502)) as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert posted(receiver.url).status == 204
    assert proxy.got == []
    assert "authorization" not in receiver.got[0].headers


# --- where a name leads ---


class Names:
    """The system's resolver, with answers of the test. It is asked for each connection, so it counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        answers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (
                socket.AF_INET6 if ":" in each else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (each, port),
            )
            for each in answers
        ]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses to which anything tries to connect. None of them is reached."""
    seen: list[Any] = []

    def connect(_: socket.socket, address: Any) -> None:
        seen.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00::1"])
def test_a_name_that_leads_to_a_private_address_leads_nowhere(
    address: str, monkeypatch: pytest.MonkeyPatch, connections: list[Any]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names([address]))
    attempt = posted("https://game.example/events", PushRules())
    assert attempt.problem == "the name leads to no address on the public internet"
    assert connections == []


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, connections: list[Any]
) -> None:
    """A name that leads elsewhere when it is asked for a second time (DNS rebinding)."""
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    posted("https://game.example/events", PushRules())
    assert (connections, names.asked) == (["8.8.8.8"], ["game.example"])


def test_of_several_addresses_only_the_public_ones_are_tried(
    monkeypatch: pytest.MonkeyPatch, connections: list[Any]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["10.0.0.1", "8.8.8.8", "127.0.0.1", "1.1.1.1"]))
    posted("https://game.example/events", PushRules())
    assert connections == ["8.8.8.8", "1.1.1.1"]


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "017700000001", "127.1"])
def test_odd_spellings_of_this_machine_lead_nowhere(host: str, connections: list[Any]) -> None:
    attempt = posted(f"https://{host}/", PushRules())
    assert attempt.status is None
    assert connections == []


# --- TLS ---


def application(environ: dict[str, Any], start: Any) -> list[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"over TLS"]


def test_a_certificate_that_nobody_vouches_for_is_refused_and_one_of_a_trusted_authority_is_not(tmp_path: Path) -> None:
    authority, stranger = tls_server.new_authority("ours"), tls_server.new_authority("theirs")
    server = tls_server.serving(
        application, tmp_path, clients=authority.pem, authority=authority, wants=tls_server.ssl.CERT_NONE
    )
    with server as url:
        trusted = posted(url, PushRules(allow_private=True, ca_file=tls_server.ca_file(authority, tmp_path)))
        assert (trusted.status, trusted.answer) == (200, b"over TLS")
        public = posted(url)
        assert (public.status, public.problem[:15]) == (None, "the certificate")
        theirs = posted(url, PushRules(allow_private=True, ca_file=tls_server.ca_file(stranger, tmp_path)))
        assert theirs.status is None
        elsewhere = posted(url.replace("127.0.0.1", "localhost"), trusted_rules(authority, tmp_path))
        assert "match" in elsewhere.problem


def trusted_rules(authority: tls_server.Authority, folder: Path) -> PushRules:
    return PushRules(allow_private=True, ca_file=tls_server.ca_file(authority, folder))
