"""How many statements the ledger asks for, and what it remembers between transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, text

from app.domain.books import Book
from app.domain.event_types import ALL_TYPES, EventType
from app.domain.ledger import KeyConflict, Lot, Posted, Transfer, system
from app.domain.limits import LedgerRules
from app.domain.spending import HoldRequest, Spend
from app.services.base.statements import WIRE
from app.services.base.transaction import Sessions
from app.services.ledger import post, spend
from app.services.ledger.accounts import STATE
from app.services.ledger.batches import book_batch
from app.services.ledger.hold_rows import Held
from app.services.ledger.holds import hold
from tests.support.wallet_owner import HOUR, NOW, WalletOwner
from tests.support.watched_wire import WatchedWire, watched_cursor


@contextmanager
def statements(sessions: Sessions) -> Iterator[list[str]]:
    """All that is sent in the block, BEGIN and COMMIT aside."""
    engine: Engine = sessions.kw["bind"]
    seen: list[str] = []
    taken: list[tuple[Any, Any]] = []

    def saw(sql: str, _: Any) -> None:
        seen.append(sql)

    def watch(driver: Any, record: Any, _: Any) -> None:
        taken.append((driver, record))
        if engine.dialect.name == "sqlite":
            driver.set_trace_callback(lambda sql: seen.append(sql) if _is_work(sql) else None)
        else:
            record.info[WIRE] = WatchedWire(driver, saw)
            driver.cursor_factory = watched_cursor(saw)

    event.listen(engine, "checkout", watch)
    yield seen
    event.remove(engine, "checkout", watch)
    for driver, record in taken:
        if engine.dialect.name == "sqlite":
            driver.set_trace_callback(None)
        else:
            driver.cursor_factory = psycopg.Cursor
            record.info.pop(WIRE, None)


def _is_work(sql: str) -> bool:
    return sql.split(None, 1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


def _order(owner: WalletOwner, number: str) -> list[Transfer]:
    issue = system("issuance", "coin")
    return [
        Transfer("paid", number, system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment", number),
        Transfer("coins", number, issue, owner.wallet(), 60, "purchase", lot=Lot(bonus=False)),
        Transfer("bonus", number, issue, owner.wallet(), 6, "bonus", lot=Lot(bonus=True)),
    ]


@pytest.mark.parametrize(("events", "expected"), [(frozenset(), 4), (ALL_TYPES, 5)], ids=["untold", "told"])
def test_a_paid_order_of_a_known_user_takes_four_statements_and_one_for_its_events(
    owner: WalletOwner, books: Sessions, events: frozenset[EventType], expected: int
) -> None:
    owner.rules = LedgerRules(events=events)
    for number in ("1", "2"):
        owner.do(post, _order(owner, number))
    with statements(books) as seen:
        owner.do(post, _order(owner, "3"))
    assert len(seen) == expected, seen


@pytest.mark.parametrize(("events", "told"), [(frozenset(), 0), (ALL_TYPES, 1)], ids=["untold", "told"])
def test_a_spend_takes_two_statements_and_the_long_way_five_of_however_many_lots_and_one_for_its_events(
    owner: WalletOwner, books: Sessions, events: frozenset[EventType], told: int
) -> None:
    owner.rules = LedgerRules(events=events)
    for number in ("1", "2"):
        owner.do(post, _order(owner, number))
    owner.spend(1)
    owner.spend(1)
    with statements(books) as seen:
        owner.spend(1)
    assert len(seen) == 2 + told, seen
    owner.credit(10, lot=Lot(bonus=True, expires_at=NOW + 2 * HOUR))
    owner.spend(1)  # this one reads the number of `revenue`, once for a process and slot
    owner.credit(10, lot=Lot(bonus=True, expires_at=NOW + HOUR))
    with statements(books) as seen:
        owner.spend(1)
    assert len(seen) == 5 + told, seen
    with statements(books) as seen:
        owner.spend(15)
    assert len(seen) == 5 + told, seen
    assert owner.findings() == []


def test_what_was_rolled_back_is_not_remembered(owner: WalletOwner) -> None:
    """Two postings in one transaction that fails: the second one reads what the first one has made."""

    def failing(tx: Any) -> None:
        for number in ("1", "2"):
            post(tx, owner.slot, _order(owner, number))
        raise RuntimeError("the transaction fails")

    with pytest.raises(RuntimeError):
        owner.books.transact(failing)
    owner.do(post, _order(owner, "3"))
    owner.do(post, _order(owner, "4"))
    assert owner.balance().balance == 132
    assert owner.findings() == []
    with owner.sessions() as session:
        missing = text(
            "SELECT count(*) FROM transfers t WHERE t.slot = :slot AND NOT EXISTS (SELECT 1 FROM accounts a"
            " WHERE a.slot = t.slot AND a.id = t.debit_id)"
        )
        assert session.execute(missing, {"slot": owner.slot}).scalar_one() == 0


def test_an_account_is_declared_once() -> None:
    """Every column of the table is a field of the account in memory, by its name."""
    assert set(STATE) <= {field.name for field in fields(Book)}


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("amount", {"amount": 7}),
        ("reference", {"reference": "other"}),
        ("note", {"note": "other"}),
        ("credit", {"to": "elsewhere"}),
        ("actor", {"actor": "bob"}),
    ],
)
def test_a_key_conflict_says_what_differs(owner: WalletOwner, field: str, change: dict[str, Any]) -> None:
    owner.credit(10)
    owner.spend(5, "k", reference="r", note="n", actor="ann")
    given: dict[str, Any] = {"amount": 5, "reference": "r", "note": "n", "actor": "ann", **change}
    with pytest.raises(KeyConflict) as caught:
        owner.do(spend, Spend(owner.user, "coin", given.pop("amount"), "k", **given))
    assert caught.value.field == field


def test_a_key_conflict_names_the_part_of_a_lot_or_a_hold_that_differs(owner: WalletOwner) -> None:
    owner.credit(10, key="c", lot=Lot(bonus=False, product="a"))
    with pytest.raises(KeyConflict) as caught:
        owner.credit(10, key="c", lot=Lot(bonus=False, product="b"))
    assert caught.value.field == "lot.product"
    owner.do(hold, HoldRequest(owner.user, "coin", 3, "h", 60))
    for other, field in (
        (HoldRequest(owner.user, "coin", 4, "h", 60), "amount"),
        (HoldRequest(owner.user, "coin", 3, "h", 61), "seconds"),
    ):
        with pytest.raises(KeyConflict) as caught:
            owner.do(hold, other)
        assert caught.value.field == field


def test_a_batch_that_is_not_applied_leaves_a_hold_that_is_over_for_the_next_to_end(owner: WalletOwner) -> None:
    owner.credit(10)
    held = owner.do(hold, HoldRequest(owner.user, "coin", 7, "h", 60))
    assert isinstance(held, Held)
    owner.now += HOUR
    items = [Spend(owner.user, "coin", 10, "a"), Spend(owner.user, "coin", 10, "b")]
    answer = owner.books.transact(lambda tx: book_batch(tx, items, all_or_nothing=True))
    assert not answer.applied
    assert owner.balance().held == 7
    assert owner.findings() == []
    assert isinstance(owner.spend(10), Posted)
    assert owner.findings() == []
