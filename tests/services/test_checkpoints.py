"""The worker writes a checkpoint for each hour in which something was booked, once, and corrects what came late."""

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
from app.services.ledger.checkpoints import MARGIN, NOTHING
from tests.services.checkpoint_world import DAY, HOUR, MINUTE, START, Books, expected, shown


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


def test_each_hour_with_transfers_gets_one_when_it_is_closed_and_no_other_hour(ledger: Books) -> None:
    for minutes in (0, 59, 60, 300):
        ledger.issue(10, START + minutes * MINUTE)
    assert ledger.work(START + HOUR + MARGIN - MINUTE) == 0
    assert ledger.work(START + HOUR + MARGIN) == 1
    assert ledger.untils() == [START + HOUR]
    assert ledger.work(START + DAY) == 2
    assert ledger.untils() == [START + HOUR, START + 2 * HOUR, START + 6 * HOUR]
    assert ledger.work(START + 2 * DAY) == 0
    ledger.assert_checkpoints_are_right()


def test_a_transfer_at_the_full_hour_belongs_to_the_hour_that_begins(ledger: Books) -> None:
    ledger.issue(1, START + HOUR)
    ledger.issue(2, START + 2 * HOUR - timedelta(microseconds=1))
    ledger.work(START + DAY)
    assert [(one.until, one.legs) for one in ledger.stored()] == [(START + 2 * HOUR, 4)]


def test_a_transfer_that_commits_late_is_made_up_for_and_never_missed_by_a_reader(ledger: Books) -> None:
    ledger.issue(1, START)
    ledger.issue(1, START + HOUR)
    ledger.work(START + 2 * HOUR + MARGIN)
    ledger.issue(7, START + HOUR + 30 * MINUTE, "user-9")  # begun in that hour, committed after it was counted
    late = START + 2 * HOUR + 20 * MINUTE
    assert shown(ledger.trial(late)) == expected(ledger.naive())
    assert ledger.audited() != []
    ledger.issue(1, START + 2 * HOUR + 30 * MINUTE)
    assert ledger.work(START + 3 * HOUR + MARGIN) == 2
    ledger.assert_checkpoints_are_right()
    assert ledger.untils() == [START + HOUR, START + 2 * HOUR, START + 3 * HOUR]


def test_one_that_comes_late_into_an_hour_that_was_empty_is_made_up_for_too(ledger: Books) -> None:
    for hours in (0, 1, 5):
        ledger.issue(1, START + hours * HOUR)
    ledger.work(START + 7 * HOUR)
    ledger.book(system("issuance", "CNY"), system("late", "CNY"), 7, START + 3 * HOUR)
    ledger.work(START + 8 * HOUR)
    assert START + 4 * HOUR in ledger.untils()
    ledger.assert_checkpoints_are_right()


def test_later_still_it_is_for_the_audit_to_find_and_forgetting_from_there_mends_it(ledger: Books) -> None:
    for hours in range(5):
        ledger.issue(1, START + hours * HOUR)
    ledger.work(START + DAY)
    ledger.issue(7, START + 10 * MINUTE, "user-9")
    ledger.work(START + 2 * DAY)
    (found,) = ledger.audited()
    assert found.startswith(f"checkpoint {(START + HOUR).isoformat()}: the house's issuance in coin live")
    assert not ledger.trial(START + 2 * DAY).balanced
    assert transact(ledger.sessions, lambda s: checkpoints.forget(s, START + HOUR)) == 10
    assert ledger.work(START + 2 * DAY) == 5
    ledger.assert_checkpoints_are_right()
    assert ledger.trial(START + 2 * DAY).balanced


def test_the_newest_are_made_complete_again_and_false_sums_are_left_for_the_audit(ledger: Books) -> None:
    for hours in range(4):
        ledger.issue(1, START + hours * HOUR)
    ledger.work(START + DAY)
    right = ledger.stored()
    for change in (
        f"DELETE FROM checkpoints WHERE of_users AND until_at = '{right[2].until:%Y-%m-%d %H:%M:%S.000000}'",
        f"DELETE FROM checkpoints WHERE until_at >= '{right[1].until:%Y-%m-%d %H:%M:%S.000000}'",
        "DELETE FROM checkpoints",
    ):
        ledger.run(change)
        ledger.work(START + DAY)
        assert ledger.stored() == right, change
    ledger.run(f"UPDATE checkpoints SET credits = '77' WHERE until_at = '{right[3].until:%Y-%m-%d %H:%M:%S.000000}'")
    assert ledger.work(START + DAY) == 0
    assert len(ledger.audited()) == 1


def test_a_leg_without_its_account_does_not_keep_the_worker_busy_for_ever(ledger: Books) -> None:
    """Somebody deleted the account: the audit's business. One look in an hour takes back and writes, no more."""
    ledger.issue(1, START)
    on = " ON accounts" if ledger.sessions.kw["bind"].dialect.name == "postgresql" else ""
    ledger.run(f"DROP TRIGGER accounts_no_delete{on}")
    ledger.run("/* sweep: audit */ DELETE FROM accounts WHERE code = 'issuance'")
    assert ledger.work(START + DAY) == 1
    assert ledger.work(START + DAY) == 1
    assert not ledger.trial(START + DAY).balanced


def test_two_workers_at_once_write_what_one_would(ledger: Books) -> None:
    for hours in range(30):
        ledger.issue(hours + 1, START + hours * HOUR)
    together = threading.Barrier(3)

    def works(_: int) -> int:
        together.wait()
        return ledger.work(START + 3 * DAY)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(works, range(3)))
    assert len(ledger.untils()) == 30
    ledger.assert_checkpoints_are_right()


def test_nothing_is_derived_from_a_checkpoint_that_another_worker_took_back(ledger: Books) -> None:
    ledger.issue(1, START)
    ledger.work(START + 2 * HOUR)
    ledger.issue(2, START + HOUR)
    step = read(ledger.sessions, lambda s: checkpoints._next(s, START + 2 * HOUR))
    assert step is not None
    transact(ledger.sessions, lambda s: checkpoints.forget(s, START))
    assert not transact(ledger.sessions, lambda s: checkpoints._write(s, *step))
    assert ledger.untils() == []


def test_whoever_is_second_writes_nothing(ledger: Books) -> None:
    ledger.issue(1, START)
    step = read(ledger.sessions, lambda s: checkpoints._next(s, START + HOUR))
    assert step is not None
    assert step[0] is NOTHING
    assert transact(ledger.sessions, lambda s: checkpoints._write(s, *step))
    assert not transact(ledger.sessions, lambda s: checkpoints._write(s, *step))
    ledger.assert_checkpoints_are_right()


def test_after_a_month_without_a_worker_each_round_is_bounded_and_goes_on_where_the_last_one_stopped(
    ledger: Books,
) -> None:
    for number in range(40):
        ledger.issue(1, START + number * 18 * HOUR)
    now, rounds = START + 31 * DAY, []
    while done := checkpoints.write_due(ledger.sessions, now=now, hours=15):
        rounds.append(done)
        ledger.assert_checkpoints_are_right()
    assert rounds == [15, 15, 10]
    assert shown(ledger.trial(now)) == expected(ledger.naive())


def test_a_round_ends_early_when_its_hours_are_busy(ledger: Books) -> None:
    for number in range(12):
        ledger.issue(1, START + number * 20 * MINUTE)
    assert checkpoints.write_due(ledger.sessions, now=START + DAY, legs=10) == 2  # six legs an hour
    assert ledger.work(START + DAY) == 2


def test_years_without_a_transfer_cost_a_few_statements(ledger: Books, engine: Engine) -> None:
    for years in (0, 4, 9):
        ledger.issue(1, START + years * 365 * DAY)
    with counted(engine) as statements:
        assert ledger.work(START + 20 * 365 * DAY) == 3
    assert len(statements) < 250
    with counted(engine) as statements:
        assert ledger.work(START + 20 * 365 * DAY) == 0
    assert len(statements) < 120
    ledger.assert_checkpoints_are_right()


def test_a_worker_whose_clock_is_ahead_does_harm_for_an_hour_only(ledger: Books) -> None:
    ledger.issue(1, START)
    ahead = START + 5 * HOUR
    ledger.work(ahead)
    ledger.issue(2, START + 20 * MINUTE)  # the hour was not over
    assert shown(ledger.trial(START + 21 * MINUTE)) == expected(ledger.naive())
    ledger.work(START + 30 * MINUTE)
    assert ledger.untils() == [], "taken back, for it was not right; its hour is still open"
    ledger.work(START + HOUR + MARGIN)
    ledger.assert_checkpoints_are_right()
    assert len(ledger.untils()) == 1


def test_a_worker_whose_clock_has_gone_back_destroys_nothing(ledger: Books) -> None:
    for hours in range(4):
        ledger.issue(1, START + hours * HOUR)
    ledger.work(START + DAY)
    before = ledger.stored()
    for clock in (datetime(1970, 1, 1, 1, tzinfo=UTC), START - DAY, START + 2 * HOUR):
        assert ledger.work(clock) == 0
        assert ledger.stored() == before


def test_a_round_that_dies_leaves_whole_checkpoints_and_the_next_goes_on(ledger: Books, engine: Engine) -> None:
    for hours in range(3):
        ledger.issue(1, START + hours * HOUR)
    inserts = 0

    def die(_c: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal inserts
        inserts += statement.startswith("INSERT INTO checkpoints")
        if inserts == 4:  # the second of the two rows of the second checkpoint
            raise ConnectionAbortedError("killed")

    event.listen(engine, "before_cursor_execute", die)
    with pytest.raises(ConnectionAbortedError):
        ledger.work(START + DAY)
    event.remove(engine, "before_cursor_execute", die)
    assert ledger.untils() == [START + HOUR]
    ledger.assert_checkpoints_are_right()
    assert ledger.work(START + DAY) == 2
    ledger.assert_checkpoints_are_right()
