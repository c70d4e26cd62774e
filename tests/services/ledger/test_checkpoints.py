"""The worker writes one checkpoint for each closed day in which something was booked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event

from app.domain.ledger import system
from app.services.base.transaction import Sessions, read, transact
from app.services.ledger import checkpoints
from app.services.ledger.checkpoints import EMPTY_BOOKS
from tests.support.books import DAY, DAY_ONE, HOUR, MINUTE, START, Books, expected, shown

MOMENT = timedelta(microseconds=1)


@pytest.fixture
def ledger(sessions: Sessions) -> Books:
    return Books(sessions)


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements sent inside."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_each_day_with_transfers_gets_one_a_day_after_its_end_and_no_other_day(ledger: Books) -> None:
    for hours in (0, 23, 24, 130):
        ledger.issue(10, START + hours * HOUR)
    assert ledger.work(START + 2 * DAY - MOMENT) == 0
    assert ledger.work(START + 2 * DAY) == 1
    assert ledger.days() == [DAY_ONE]
    assert ledger.work(START + 30 * DAY) == 2
    assert ledger.days() == [DAY_ONE, DAY_ONE + DAY, DAY_ONE + 5 * DAY]
    assert ledger.work(START + 40 * DAY) == 0
    ledger.assert_checkpoints_are_right()


def test_a_transfer_at_midnight_belongs_to_the_day_that_begins(ledger: Books) -> None:
    ledger.issue(1, START + DAY)
    ledger.issue(2, START + 2 * DAY - MOMENT)
    ledger.work(START + 10 * DAY)
    assert [one.day for one in ledger.stored()] == [DAY_ONE + DAY]
    ledger.assert_checkpoints_are_right()


def test_a_transaction_that_commits_hours_after_its_day_is_in_its_checkpoint(ledger: Books) -> None:
    ledger.issue(1, START)
    ledger.work(START + 2 * DAY - MINUTE)
    ledger.issue(7, START + DAY - MOMENT, "user-9")  # begun on that day, committed a day later
    assert shown(ledger.trial(START + 2 * DAY - MINUTE)) == expected(ledger.naive())
    assert ledger.work(START + 2 * DAY) == 1
    ledger.assert_checkpoints_are_right()


def test_a_transfer_booked_into_a_closed_day_is_found_and_a_recount_mends_it(ledger: Books) -> None:
    for days in (0, 1, 2, 4):
        ledger.issue(1, START + days * DAY)
    now = START + 10 * DAY
    ledger.work(now)
    ledger.issue(7, START + DAY + 10 * MINUTE, "user-9")  # by a machine whose clock was days behind
    assert ledger.work(now + DAY) == 0
    (found,) = ledger.audited()
    assert found.startswith("checkpoint 2026-03-02 the house's issuance in coin live: 2 out and 0 in, must be 9 out")
    assert found.endswith("`tillbook recount-checkpoints 2026-03-02`")
    assert not ledger.trial(now).balanced
    first = ledger.stored()[0]
    assert checkpoints.recount(ledger.sessions, DAY_ONE + DAY, now=now) == 3
    assert ledger.stored()[0] == first
    ledger.assert_checkpoints_are_right()
    assert shown(ledger.trial(now)) == expected(ledger.naive())
    assert ledger.trial(now).balanced


def test_a_transfer_booked_into_an_empty_closed_day_is_found_and_a_recount_mends_it(ledger: Books) -> None:
    for days in (0, 5):
        ledger.issue(1, START + days * DAY)
    now = START + 10 * DAY
    ledger.work(now)
    ledger.book(system("issuance", "CNY"), system("late", "CNY"), 7, START + 3 * DAY)
    (found,) = ledger.audited()
    assert found.startswith("checkpoint 2026-03-04 is missing;")
    assert checkpoints.recount(ledger.sessions, DAY_ONE + 3 * DAY, now=now) == 2
    ledger.assert_checkpoints_are_right()


def test_a_recount_that_is_killed_is_finished_by_the_worker(ledger: Books, engine: Engine) -> None:
    for days in range(4):
        ledger.issue(1, START + days * DAY)
    ledger.work(START + 10 * DAY)
    right = ledger.stored()
    with killed_at_insert(engine, number=4), pytest.raises(ConnectionAbortedError):
        checkpoints.recount(ledger.sessions, DAY_ONE + DAY, now=START + 10 * DAY)
    assert ledger.days() == [DAY_ONE, DAY_ONE + DAY]
    assert ledger.work(START + 10 * DAY) == 2
    assert ledger.stored() == right


def test_a_worker_that_is_killed_leaves_whole_checkpoints_and_the_next_goes_on(ledger: Books, engine: Engine) -> None:
    for days in range(3):
        ledger.issue(1, START + days * DAY)
    with killed_at_insert(engine, number=4), pytest.raises(ConnectionAbortedError):
        ledger.work(START + 10 * DAY)
    assert ledger.days() == [DAY_ONE]
    ledger.assert_checkpoints_are_right()
    assert ledger.work(START + 10 * DAY) == 2
    ledger.assert_checkpoints_are_right()


@contextmanager
def killed_at_insert(engine: Engine, number: int) -> Iterator[None]:
    """The process dies at that row; each checkpoint of these tests has two."""
    inserts = 0

    def die(_c: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal inserts
        inserts += statement.startswith("INSERT INTO checkpoints")
        if inserts == number:
            raise ConnectionAbortedError("killed")

    event.listen(engine, "before_cursor_execute", die)
    yield
    event.remove(engine, "before_cursor_execute", die)


def test_several_workers_at_once_write_what_one_would(ledger: Books) -> None:
    for days in range(12):
        ledger.issue(days + 1, START + days * DAY)
    together = threading.Barrier(3)

    def works(_: int) -> int:
        together.wait()
        return ledger.work(START + 30 * DAY)

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(works, range(3))) == 12
    assert len(ledger.days()) == 12
    ledger.assert_checkpoints_are_right()


def test_nothing_is_derived_from_a_checkpoint_that_a_recount_deleted(ledger: Books) -> None:
    for days in range(2):
        ledger.issue(1, START + days * DAY)
    ledger.work(START + 2 * DAY)
    ledger.issue(2, START + HOUR, "user-9")  # too late: the first checkpoint is wrong now
    step = read(ledger.sessions, lambda s: checkpoints._next(s, START + 2 * DAY))
    assert step is not None
    assert checkpoints.recount(ledger.sessions, DAY_ONE, now=START + 2 * DAY) == 1
    assert not transact(ledger.sessions, lambda s: checkpoints._write(s, *step))
    assert ledger.days() == [DAY_ONE]
    ledger.assert_checkpoints_are_right()


def test_whoever_is_second_writes_nothing(ledger: Books) -> None:
    ledger.issue(1, START)
    step = read(ledger.sessions, lambda s: checkpoints._next(s, START + DAY))
    assert step is not None
    assert step[0] is EMPTY_BOOKS
    assert transact(ledger.sessions, lambda s: checkpoints._write(s, *step))
    assert not transact(ledger.sessions, lambda s: checkpoints._write(s, *step))
    ledger.assert_checkpoints_are_right()


def test_transfers_without_their_accounts_do_not_keep_the_worker_busy_for_ever(ledger: Books) -> None:
    """Somebody deleted the accounts: the audit's business."""
    ledger.book(system("issuance", "coin"), system("sales", "coin"), 5, START)
    on = " ON accounts" if ledger.sessions.kw["bind"].dialect.name == "postgresql" else ""
    ledger.run(f"DROP TRIGGER accounts_no_delete{on}")
    ledger.run("/* sweep: audit */ DELETE FROM accounts WHERE code IN ('issuance', 'sales')")
    assert ledger.work(START + 10 * DAY) == 0


def test_years_without_a_transfer_cost_a_few_statements(ledger: Books, engine: Engine) -> None:
    for years in (0, 4, 9):
        ledger.issue(1, START + years * 365 * DAY)
    with counted(engine) as statements:
        assert ledger.work(START + 20 * 365 * DAY) == 3
    assert len(statements) < 250
    with counted(engine) as statements:
        assert ledger.work(START + 20 * 365 * DAY) == 0
    assert len(statements) < 20
    ledger.assert_checkpoints_are_right()


def test_a_worker_whose_clock_is_ahead_misleads_no_reader_before_the_audit_can_name_its_checkpoint(
    ledger: Books,
) -> None:
    ledger.issue(1, START)
    ledger.work(START + 5 * DAY)
    ledger.issue(2, START + 20 * MINUTE)  # the day was not over
    assert shown(ledger.trial(START + 21 * MINUTE)) == expected(ledger.naive())
    assert shown(ledger.trial(START + 2 * DAY - MOMENT)) == expected(ledger.naive())
    assert len(ledger.audited()) == 1
    assert checkpoints.recount(ledger.sessions, DAY_ONE, now=START + HOUR) == 0, "its day is still open"
    assert ledger.work(START + 2 * DAY) == 1
    ledger.assert_checkpoints_are_right()


def test_a_worker_whose_clock_has_gone_back_destroys_nothing(ledger: Books) -> None:
    for days in range(4):
        ledger.issue(1, START + days * DAY)
    ledger.work(START + 10 * DAY)
    before = ledger.stored()
    for clock in (datetime(1970, 1, 1, 1, tzinfo=UTC), START - DAY, START + 2 * DAY):
        assert ledger.work(clock) == 0
        assert ledger.stored() == before
