"""The example of a receiver: genuine messages count once, others not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks.webhooks import Webhook

from examples.receiving_backend.receiver import Books, handler_for

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_b3RoZXIgc2VjcmV0IG9mIHRoZSB0ZXN0cyE="


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(str(tmp_path / "books.sqlite3"))


@pytest.fixture
def url(books: Books) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), handler_for(books, SECRET))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def event(number: int, amount: int, kind: str = "coins.credited") -> dict[str, Any]:
    wallet = {"user": "alice", "asset": "coin", "environment": "live"}
    return {"id": f"e{number}", "type": kind, "version": number, "data": {"wallet": wallet, "line": {"amount": amount}}}


def send(url: str, document: dict[str, Any], secret: str = SECRET) -> int:
    body, now = json.dumps(document), datetime.now(UTC)
    headers = {
        "webhook-id": document["id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(document["id"], now, body),
    }
    return requests.post(url, data=body.encode(), headers=headers, timeout=30).status_code


def test_a_message_that_comes_three_times_is_applied_once(url: str, books: Books) -> None:
    assert [send(url, event(1, 60)) for _ in range(3)] == [200, 200, 200]
    assert (books.balance("alice"), books.applied()) == (60, 1)
    send(url, event(2, -25, "coins.spent"))
    send(url, {**event(3, 0), "type": "order.paid", "data": {}})
    assert (books.balance("alice"), books.applied()) == (35, 3)


def test_a_message_under_another_secret_is_refused_and_changes_nothing(url: str, books: Books) -> None:
    assert send(url, event(1, 60), OTHER) == 400
    assert requests.post(url, data=b"{}", timeout=30).status_code == 400
    assert (books.balance("alice"), books.applied()) == (0, 0)
