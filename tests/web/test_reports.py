"""The trial balance over HTTP: for a backend with the scope, bounded, and exact."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.domain.ledger import Transfer, system
from app.services.ledger import post
from app.web import reports
from tests.support.books import DAY, HOUR, Books
from tests.support.ledger_core import books_at
from tests.support.web_client import ApiClient
from tests.support.world import World

PATH = "/v1/ledger/trial-balance"


@pytest.fixture
def books(world: World) -> Books:
    return Books(world.core.whole.sessions)


def test_it_sums_to_zero_by_asset_and_says_whose_accounts_they_are(
    world: World, backend: ApiClient, books: Books
) -> None:
    books.issue(2**62, world.clock.now(), "alice")
    books.issue(2**62, world.clock.now(), "bob")
    found = backend.get(PATH).json
    assert found["balanced"] is True
    assert found["left_out"] == 0
    (sheet,) = found["sheets"]
    assert (sheet["asset"], sheet["environment"], sheet["balance"]) == ("coin", "live", "0")
    assert sheet["lines"] == [
        {"account": "issuance", "owner": "house", "debits": str(2**63), "credits": "0", "balance": str(-(2**63))},
        {"account": "wallet", "owner": "users", "debits": "0", "credits": str(2**63), "balance": str(2**63)},
    ]


def test_a_paid_order_shows_in_clearing_sales_issuance_and_wallets(world: World, backend: ApiClient) -> None:
    payment = world.order().payments[0]
    world.pay(payment.id)
    world.deliver()
    found = backend.get(PATH).json
    balances = {
        (sheet["asset"], line["account"]): line["balance"] for sheet in found["sheets"] for line in sheet["lines"]
    }
    assert balances == {
        ("CNY", "clearing:sandbox"): "-600",
        ("CNY", "sales"): "600",
        ("coin", "issuance"): "-66",
        ("coin", "wallet"): "66",
    }
    assert found["balanced"] is True


def test_a_moment_in_the_past_shows_what_was_booked_until_then(world: World, backend: ApiClient, books: Books) -> None:
    then = world.clock.now()
    books.issue(5, then)
    books.issue(6, then + HOUR)
    world.clock.advance((2 * HOUR).total_seconds())
    asked = {moment: backend.get(PATH, at=moment.isoformat()).json for moment in (then - HOUR, then, then + HOUR)}
    assert [[line["balance"] for sheet in one["sheets"] for line in sheet["lines"]] for one in asked.values()] == [
        [],
        ["-5", "5"],
        ["-11", "11"],
    ]
    assert asked[then]["at"].startswith("2026-01-02T03:04:05")


@pytest.mark.parametrize(
    "moment", ["yesterday", "2026-03-01T00:00:00", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59.999999-10:00"]
)
def test_a_moment_that_is_none_is_not_valid(backend: ApiClient, moment: str) -> None:
    assert backend.get(PATH, at=moment).status_code == 422


def test_users_are_not_told(alice: ApiClient, http: FlaskClient) -> None:
    assert alice.get(PATH).status_code == 403
    assert http.get(PATH).status_code == 401


def test_one_asset_can_be_asked_for_and_what_does_not_fit_is_counted(
    world: World, backend: ApiClient, books: Books
) -> None:
    assert reports.MOST_LINES == 1000
    for asset, many in (("a", 300), ("b", 300), ("c", 400)):
        house = [system(f"code-{number}", asset) for number in range(many)]
        transfers = [Transfer("test", f"{to}", system("issuance", asset), to, 1, "test") for to in house]
        books_at(books.sessions, world.clock.now()).transact(lambda tx, made=transfers: post(tx, 7, made))
    found = backend.get(PATH).json
    assert [sheet["asset"] for sheet in found["sheets"]] == ["a", "b"]
    assert found["left_out"] == 1
    assert found["balanced"] is True
    one = backend.get(PATH, asset="c").json
    assert [len(sheet["lines"]) for sheet in one["sheets"]] == [401]
    assert one["left_out"] == 0


def test_a_worker_that_is_far_behind_makes_it_a_503_that_passes(world: World, backend: ApiClient, books: Books) -> None:
    start = world.clock.now()
    for days in range(reports.MOST_DAYS + 1):
        books.issue(1, start + days * DAY)
    now = start + (reports.MOST_DAYS + 3) * DAY
    world.clock.advance((now - start).total_seconds())
    answer = backend.get(PATH)
    assert (answer.status_code, answer.json["code"]) == (503, "checkpoints_behind")
    assert "Retry-After" in answer.headers
    books.work(now)
    assert backend.get(PATH).json["balanced"] is True
