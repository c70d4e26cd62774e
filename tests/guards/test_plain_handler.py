"""The plain handler beside which the benchmark stands does its job: compared with one that does not, all look slow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from app.services.base.moved_clock import MovedClock
from bench.plain_handler import create_application
from bench.plain_rows import Seed
from tests.demo.house import Running
from tests.support import databases
from tests.support.coin_shop import CoinShop, HttpAnswer, HttpRequest, is_done, notification
from tests.support.simulated_providers import SimulatedProviders

pytestmark = pytest.mark.postgres
USER, TOKEN = "alice", "0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa"


@dataclass
class Plain:
    """The plain application with one user, called in process."""

    app: Flask
    shop: CoinShop

    def coins(self) -> int:
        return int(self.shop.done(self.shop.wallet_request(USER)).json()["balance"])

    def lines(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.shop.done(self.shop.statement_request(USER)).json()["lines"]
        return found


@pytest.fixture(scope="module")
def providers() -> Iterator[SimulatedProviders]:
    """Made once: their keys take seconds."""
    made = SimulatedProviders(v2_sign_type="MD5")
    yield made
    made.close()


@pytest.fixture
def plain(tmp_path: Path, providers: SimulatedProviders) -> Iterator[Plain]:
    with databases.postgres_database() as url:
        database = make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        seed = Seed(database)
        seed.users({USER: TOKEN})
        clock = MovedClock(tmp_path / "clock")
        running = Running(folder=tmp_path, url="", jwt_secret="s" * 32, backend_key="key", environ={}, clock=clock)
        config = {
            **providers.accounts,
            "database_url": database,
            "jwt_secret": running.jwt_secret,
            "backend_sha256": hashlib.sha256(b"key").hexdigest(),
            "notify_url": "http://127.0.0.1/webhooks/alipay",
        }
        app = create_application(config)

        def send(request: HttpRequest) -> HttpAnswer:
            answer = app.test_client().open(
                request.path, method=request.method, data=request.body or None, headers=dict(request.headers)
            )
            return HttpAnswer(answer.status_code, answer.data)

        try:
            yield Plain(app, CoinShop(running, providers, send))
        finally:
            seed.close()
            app.extensions["engine"].dispose()


def paid_by_alipay(plain: Plain) -> HttpRequest:
    order = plain.shop.done(plain.shop.order_request(USER)).json()
    return notification(
        "alipay", plain.shop.providers.alipay_paid({"type": "order_string", "order_string": order["action"]})
    )


def test_an_alipay_notification_is_credited_once(plain: Plain) -> None:
    paid = paid_by_alipay(plain)
    assert [plain.shop.done(paid).body for _ in range(3)] == [b"success"] * 3
    assert (plain.coins(), len(plain.lines())) == (66, 1)


def test_a_store_purchase_is_credited_once(plain: Plain) -> None:
    bought = notification("apple", plain.shop.providers.apple_bought("com.example.game.pack300", TOKEN))
    for _ in range(3):
        plain.shop.done(bought)
    assert (plain.coins(), len(plain.lines())) == (330, 1)


def test_a_notification_with_another_amount_credits_nothing(plain: Plain) -> None:
    paid = paid_by_alipay(plain)
    changed = replace(paid, body=paid.body.replace(b"total_amount=6.00", b"total_amount=9.00"))
    assert changed != paid
    assert not is_done(plain.shop.send(changed))
    assert plain.coins() == 0


def test_a_wallet_is_not_spent_below_zero(plain: Plain) -> None:
    plain.shop.done(paid_by_alipay(plain))
    assert is_done(plain.shop.send(plain.shop.spend_request(USER, 60)))
    assert plain.shop.send(plain.shop.spend_request(USER, 7)).status == 409
    assert [line["balance"] for line in plain.lines()] == [66, 6]


def test_an_order_that_was_paid_is_shown_as_paid(plain: Plain) -> None:
    plain.shop.done(paid_by_alipay(plain))
    listed = plain.shop.done(plain.shop.orders_request(USER)).json()["orders"]
    shown = plain.shop.done(plain.shop.one_order_request(USER, listed[0]["number"])).json()
    assert (shown["status"], len(listed)) == ("paid", 1)
