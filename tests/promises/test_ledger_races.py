"""Many at once on a real PostgreSQL: nothing is spent twice, nothing goes below zero, nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from typing import Any, TypeVar

import pytest
from sqlalchemy import create_engine, text

from app.domain.ledger import ISSUANCE, KeyConflict, Lot, Posted, Refused, Transfer, system, wallet
from app.domain.limits import LedgerRules
from app.domain.numbers import slot_of_user
from app.domain.spending import Capture, HoldRequest, Spend
from app.models.base import Base
from app.models.engine import engine_options, prepare
from app.services.audit.ledger import AsOf, AuditState, audit_slot
from app.services.base.context import Tx
from app.services.base.transaction import Sessions, read, transact
from app.services.ledger import balance, post, spend
from app.services.ledger.batches import book_batch
from app.services.ledger.expiry import expire_due
from app.services.ledger.hold_rows import Held
from app.services.ledger.holds import capture, hold, release
from app.services.ledger.idempotency import Raced
from app.services.ledger.ledger_transaction import LedgerTransaction
from tests.support import databases
from tests.support.ledger_core import books_at, ledger_core

pytestmark = pytest.mark.postgres
T = TypeVar("T")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER = "alice"
SLOT = slot_of_user(USER)
COIN = wallet(USER, "coin")


@pytest.fixture
def url() -> Iterator[str]:
    with databases.postgres_database() as url:
        engine = create_engine(url)
        Base.metadata.create_all(engine)
        engine.dispose()
        yield url


@pytest.fixture
def sessions(url: str) -> Iterator[Sessions]:
    engine = prepare(create_engine(url, **{**engine_options(url), "pool_size": 24, "pool_timeout": 60}))
    yield databases.sessions_for(engine)
    engine.dispose()


def _credit(sessions: Sessions, amount: int, key: str = "c", lot: Lot | None = None) -> Posted:
    issue = system(ISSUANCE, "coin")
    credit = Transfer("test", key, issue, COIN, amount, "grant", lot=lot or Lot(bonus=False))
    return books_at(sessions, NOW).transact(lambda tx: post(tx, SLOT, [credit]))[0]


def _spend(sessions: Sessions, amount: int, key: str) -> Posted | Refused:
    return books_at(sessions, NOW).transact(lambda tx: spend(tx, SLOT, Spend(USER, "coin", amount, key)))


def _once(sessions: Sessions, work: Callable[[Tx], T]) -> T:
    """Without a second attempt after a deadlock."""
    return transact(sessions, work, partial(Tx, core=ledger_core(sessions, NOW)), attempts=1)


def _at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run all of them in threads that start together; what they returned. An exception in one fails the test."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(index: int, work: Callable[[], Any]) -> None:
        start.wait()
        try:
            results[index] = work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def _is_sound(sessions: Sessions, *slots: int) -> None:
    state = AuditState()
    for slot in slots or (SLOT,):
        audit_slot(sessions, slot, state, as_of=AsOf(LedgerRules(), lambda: NOW))
    assert state.findings == []


def _balance(sessions: Sessions) -> tuple[int, int]:
    found = read(sessions, lambda tx: balance(tx, SLOT, COIN))
    return found.balance, found.held


def test_200_spenders_of_the_last_coins(sessions: Sessions) -> None:
    for number in range(5):
        _credit(sessions, 10, f"lot-{number}")
    works = [lambda key=f"k{i}": _spend(sessions, 1, key) for i in range(200)]
    answers = _at_once(*works)
    assert Counter(type(answer) for answer in answers) == {Posted: 50, Refused: 150}
    assert sorted(a.version for a in answers if isinstance(a, Posted)) == list(range(6, 56))
    assert _balance(sessions) == (0, 0)
    _is_sound(sessions)


def test_the_same_spend_from_many_threads_is_one_spend(sessions: Sessions) -> None:
    _credit(sessions, 100)
    for number in range(10):
        answers = _at_once(*[lambda key=f"k{number}": _spend(sessions, 1, key) for _ in range(8)])
        assert len({answer.id for answer in answers}) == 1
        assert sum(not answer.repeated for answer in answers) == 1
    assert _balance(sessions) == (90, 0)
    _is_sound(sessions)


def test_a_refusal_and_a_spend_of_one_key_never_both_happen(sessions: Sessions) -> None:
    for number in range(15):
        key, before = f"k{number}", _balance(sessions)[0]
        answers = _at_once(
            lambda key=key, before=before: _spend(sessions, before + 5, key),
            lambda number=number: _credit(sessions, 5, f"c{number}"),
            lambda key=key, before=before: _spend(sessions, before + 5, key),
            lambda key=key, before=before: _spend(sessions, before + 5, key),
        )
        assert len({type(answer) for answer in (answers[0], *answers[2:])}) == 1
    _is_sound(sessions)


def test_the_loser_of_a_race_for_one_key_is_told_to_run_again(sessions: Sessions) -> None:
    """Between the UPDATE and the INSERT of the hot path the same key may be answered: then all of it is repeated."""
    _credit(sessions, 100)
    request = Spend(USER, "coin", 1, "k")
    second: list[Any] = []
    engine, core = sessions.kw["bind"], ledger_core(sessions, NOW)
    with engine.begin() as first:
        spend(Tx(first, core), SLOT, request)

        def race() -> None:
            try:
                with engine.begin() as connection:
                    second.append(spend(Tx(connection, core), SLOT, request))
            except Raced as raced:
                second.append(raced)

        thread = threading.Thread(target=race)
        thread.start()
        thread.join(0.5)
        assert second == []  # it waits for the row
    thread.join()
    assert isinstance(second[0], Raced)
    assert _spend(sessions, 1, "k").repeated
    assert _balance(sessions) == (99, 0)
    _is_sound(sessions)


def test_captures_releases_spends_and_expiry_at_once(sessions: Sessions) -> None:
    _credit(sessions, 60, "a", Lot(expires_at=NOW + timedelta(minutes=30)))
    _credit(sessions, 60, "b")
    request = HoldRequest(USER, "coin", 50, "h", 3600)
    held = books_at(sessions, NOW).transact(lambda tx: hold(tx, SLOT, request))
    assert isinstance(held, Held)
    late = NOW + timedelta(hours=1)

    def captures(key: str, amount: int, at: datetime) -> Callable[[], Any]:
        return lambda: books_at(sessions, at).transact(lambda s: capture(s, SLOT, Capture(held.id, key, amount)))

    def releases(tx: Tx) -> Held:
        return release(tx, SLOT, held.id)

    answers = _at_once(
        *[captures(f"c{i}", 9, NOW) for i in range(8)],
        *[lambda i=i: _spend(sessions, 7, f"s{i}") for i in range(8)],
        lambda: books_at(sessions, NOW).transact(releases),
        lambda: expire_due(books_at(sessions, late)),
        lambda: expire_due(books_at(sessions, late)),
        captures("late", 1, late),
    )
    moved = sum(a.amount for a in answers if isinstance(a, Posted))
    expire_due(books_at(sessions, late))
    left, reserved = _balance(sessions)
    assert reserved == 0
    assert 0 <= left <= 60
    assert left <= 120 - moved
    assert isinstance(answers[-1], Refused) or answers[-1].amount == 1
    _is_sound(sessions)


def test_a_late_capture_and_the_expiry_are_settled_once(sessions: Sessions) -> None:
    _credit(sessions, 100)
    late = NOW + timedelta(hours=1)
    for number in range(10):
        request = HoldRequest(USER, "coin", 5, f"h{number}", 3600)
        held = books_at(sessions, NOW).transact(lambda s, r=request: hold(s, SLOT, r))
        answers = _at_once(
            lambda held=held: books_at(sessions, NOW).transact(lambda s: capture(s, SLOT, Capture(held.id, "c"))),
            lambda: expire_due(books_at(sessions, late)),
        )
        taken = answers[0].amount if isinstance(answers[0], Posted) else 0
        assert taken in (0, 5)
    before = _balance(sessions)
    assert before[1] == 0
    _is_sound(sessions)


def test_batches_over_the_same_users_in_any_order_do_not_deadlock(sessions: Sessions) -> None:
    users = [f"user-{i}" for i in range(12)]
    grants = [
        Transfer(f"g {user}", "1", system(ISSUANCE, "coin"), wallet(user, "coin"), 1000, "grant") for user in users
    ]
    books_at(sessions, NOW).transact(lambda s: book_batch(s, grants, all_or_nothing=True))

    def batch(number: int) -> Callable[[], Any]:
        order = users if number % 2 else list(reversed(users))
        items = [Spend(user, "coin", 1, f"b{number}") for user in order]
        return lambda: _once(sessions, lambda tx: book_batch(tx, items, all_or_nothing=True))

    results = _at_once(*[batch(number) for number in range(12)])
    assert all(result.applied for result in results)
    for user in users:
        found = read(sessions, lambda s, u=user: balance(s, slot_of_user(u), wallet(u, "coin")))
        assert found.balance == 1000 - 12
    _is_sound(sessions, *{slot_of_user(user) for user in users})


def test_paid_orders_and_spends_of_one_slot_do_not_deadlock(sessions: Sessions) -> None:
    def order(number: int) -> Callable[[], Any]:
        transfers = [
            Transfer("coins", str(number), system(ISSUANCE, "coin"), COIN, 10, "grant", lot=Lot(bonus=False)),
            Transfer("paid", str(number), system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment"),
        ]
        return lambda: _once(sessions, lambda tx: post(tx, SLOT, transfers))

    _credit(sessions, 1000)
    # The first order makes the journal of money. Who finds it missing while another one makes it may deadlock once.
    order(10)()
    _at_once(*[order(number) for number in range(10)], *[lambda i=i: _spend(sessions, 1, f"s{i}") for i in range(10)])
    assert _balance(sessions) == (1000 + 110 - 10, 0)
    _is_sound(sessions)


def test_first_paid_orders_of_a_slot_that_make_its_journal_at_once_are_all_booked(sessions: Sessions) -> None:
    def order(number: int) -> Callable[[], Any]:
        transfers = [
            Transfer("coins", str(number), system(ISSUANCE, "coin"), COIN, 10, "grant", lot=Lot(bonus=False)),
            Transfer("paid", str(number), system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment"),
        ]
        return lambda: books_at(sessions, NOW).transact(lambda s: post(s, SLOT, transfers))

    _credit(sessions, 1000)
    _at_once(*[order(number) for number in range(10)], *[lambda i=i: _spend(sessions, 1, f"s{i}") for i in range(10)])
    assert _balance(sessions) == (1000 + 100 - 10, 0)
    _is_sound(sessions)


def _spend_in_a_process(url: str, seed: int, results: Any) -> None:
    engine = prepare(create_engine(url, **engine_options(url)))
    sessions = databases.sessions_for(engine)
    posted = sum(isinstance(_spend(sessions, 1, f"p{seed}-{i}"), Posted) for i in range(40))
    shared = sum(not _spend(sessions, 1, f"shared-{i}").repeated for i in range(20))
    results.put((posted, shared))
    engine.dispose()


def test_several_processes_spend_from_one_wallet(url: str, sessions: Sessions) -> None:
    _credit(sessions, 70)
    _credit(sessions, 1000, "more")
    spawn = get_context("spawn")
    results = spawn.Queue()
    processes = [spawn.Process(target=_spend_in_a_process, args=(url, seed, results)) for seed in range(3)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=90) for _ in processes]
    for process in processes:
        process.join()
    assert [posted for posted, _ in answers] == [40, 40, 40]
    assert sum(shared for _, shared in answers) == 20  # of 60 requests with 20 keys
    assert _balance(sessions) == (1070 - 120 - 20, 0)
    _is_sound(sessions)


def _wait_for_blocked(sessions: Sessions) -> None:
    """Until a connection to this database waits for the lock of another one."""
    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    end = time.monotonic() + 60
    while not read(sessions, lambda tx: tx.connection().execute(blocked).scalar()):
        assert time.monotonic() < end, "nobody waits for a lock"
        time.sleep(0.01)


def test_a_spend_that_waited_for_the_lock_trusts_no_lots_that_were_read_before_another_lot_was_opened(
    sessions: Sessions,
) -> None:
    """To open another lot writes what is left of the one before, and raises no version of the wallet."""
    _credit(sessions, 60)
    assert isinstance(_spend(sessions, 20, "first"), Posted)
    _credit(sessions, 6, "bonus", Lot(bonus=True, expires_at=NOW + timedelta(hours=1)))
    results: list[Posted | Refused] = []
    spending = threading.Thread(target=lambda: results.append(_spend(sessions, 30, "second")))

    def open_the_bonus(tx: Tx) -> None:
        with LedgerTransaction(tx, [(SLOT, COIN)]) as books:
            books.expire(SLOT, COIN)
        spending.start()
        _wait_for_blocked(sessions)

    books_at(sessions, NOW).transact(open_the_bonus)
    spending.join(60)
    assert isinstance(results[0], Posted)
    assert results[0].balance == 16
    _is_sound(sessions)


def test_grants_of_one_key_to_two_wallets_at_once_are_one_grant_and_a_conflict(sessions: Sessions) -> None:
    """They lock different rows. The seal of the second would break a constraint, since the key has one already."""
    answers: list[Posted | type[KeyConflict]] = []

    def grant(asset: str) -> Transfer:
        issue = system(ISSUANCE, asset)
        return Transfer("test", "one key", issue, wallet(USER, asset), 7, "grant", lot=Lot(bonus=False))

    def second() -> None:
        try:
            answers.append(books_at(sessions, NOW).transact(lambda tx: post(tx, SLOT, [grant("gem")]))[0])
        except KeyConflict:
            answers.append(KeyConflict)

    granting = threading.Thread(target=second)

    def first(tx: Tx) -> None:
        post(tx, SLOT, [grant("coin")])
        tx.flush()
        granting.start()
        _wait_for_blocked(sessions)

    books_at(sessions, NOW).transact(first)
    granting.join(60)
    assert answers == [KeyConflict]
    assert _balance(sessions) == (7, 0)
    _is_sound(sessions)
