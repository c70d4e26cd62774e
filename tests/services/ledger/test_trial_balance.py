"""The trial balance is exact at every moment, with and without checkpoints, and tells when something is wrong."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from app.domain.ledger import MAX_AMOUNT, system
from app.domain.trial_balance import BalanceHeading
from app.services.base.transaction import Sessions, read
from app.services.ledger.trial_balance import CheckpointsBehind, trial_balance
from tests.support.books import DAY, HOUR, MINUTE, START, Books, expected, shown


@pytest.fixture
def ledger(sessions: Sessions) -> Books:
    return Books(sessions)


@pytest.mark.parametrize("seed", [1, 2])
def test_at_every_moment_it_is_the_naive_sum_over_all_transfers(ledger: Books, seed: int) -> None:
    chance = random.Random(seed)
    times = [START]
    for _ in range(60):
        times.append(times[-1] + timedelta(seconds=chance.choice((0, 1, 700, 3600, 9000, 400_000))))
        ledger.book_anything(chance, times[-1])
    first, now = times[1], times[-1] + 3 * DAY
    moments = [
        first - MINUTE,
        first,
        now + DAY,
        *chance.sample(times, 5),
        *(chance.choice(times) + MINUTE for _ in "12"),
    ]
    for written_until in (None, times[30], now):  # no checkpoint at all, some, all
        if written_until is not None:
            ledger.work(written_until)
        assert shown(ledger.trial(now)) == expected(ledger.naive())
        assert ledger.trial(now).balanced
        for moment in moments:
            found = ledger.trial(now, moment)
            assert shown(found) == expected(ledger.naive(moment)), moment
            assert found.balanced


def test_sums_beyond_64_bits_are_exact(ledger: Books) -> None:
    for number in range(5):
        ledger.issue(MAX_AMOUNT, START + number * MINUTE, f"user-{number}")
    ledger.book(system("issuance", "coin"), system("sales", "coin"), MAX_AMOUNT - 7, START + 10 * MINUTE)
    wanted = {
        BalanceHeading("coin", "live", False, "issuance"): (6 * MAX_AMOUNT - 7, 0, 7 - 6 * MAX_AMOUNT),
        BalanceHeading("coin", "live", False, "sales"): (0, MAX_AMOUNT - 7, MAX_AMOUNT - 7),
        BalanceHeading("coin", "live", True, "wallet"): (0, 5 * MAX_AMOUNT, 5 * MAX_AMOUNT),
    }
    assert shown(ledger.trial(START + HOUR)) == wanted
    ledger.work(START + 3 * DAY)
    assert ledger.stored()[0].totals == ledger.naive()
    assert shown(ledger.trial(START + 3 * DAY)) == wanted
    assert ledger.trial(START + 3 * DAY).balanced
    assert ledger.audited() == []


def test_books_without_a_transfer_are_balanced_and_empty(ledger: Books) -> None:
    for at in (None, START):
        found = ledger.trial(START, at)
        assert found.balanced
        assert found.sheets == ()
    assert ledger.work(START) == 0
    assert ledger.audited() == []


def test_a_balance_that_was_changed_behind_the_transfers_is_told_at_present(ledger: Books) -> None:
    ledger.issue(100, START)
    ledger.run("/* sweep: audit */ UPDATE accounts SET balance = 105 WHERE code = 'wallet'")
    found = ledger.trial(START + HOUR)
    (sheet,) = found.sheets
    assert not found.balanced
    assert sheet.balance == 5
    assert [(line.code, line.difference) for line in sheet.lines] == [("issuance", 0), ("wallet", 5)]
    assert ledger.trial(START + HOUR, START).balanced, "the legs of the past are what they were"


def test_a_checkpoint_that_was_changed_does_not_balance(ledger: Books) -> None:
    ledger.issue(100, START)
    ledger.work(START + 2 * DAY)
    ledger.run("UPDATE checkpoints SET debits = '99' WHERE code = 'issuance'")
    assert not ledger.trial(START + 3 * DAY).balanced
    assert not ledger.trial(START + 3 * DAY, START + 3 * DAY).balanced


def test_what_was_booked_by_a_clock_that_was_ahead_counts_at_present(ledger: Books) -> None:
    ledger.issue(100, START + DAY)
    ledger.issue(1, START)  # the account's time does not go back: this is booked a day ahead as well
    found = ledger.trial(START)
    assert shown(found)[BalanceHeading("coin", "live", True, "wallet")] == (0, 101, 101)
    assert found.balanced
    assert ledger.trial(START, START).sheets == ()


def test_balances_of_system_accounts_are_those_of_the_house_over_all_slots(ledger: Books) -> None:
    ledger.issue(5, START, "user-1")
    ledger.issue(6, START + DAY, "user-2")
    now = START + 2 * DAY
    ledger.work(now)
    issuance = BalanceHeading("coin", "live", False, "issuance")
    assert shown(ledger.trial(now))[issuance] == (11, 0, -11)
    assert shown(ledger.trial(now, START))[issuance] == (5, 0, -5)


def test_whoever_cannot_wait_is_told_that_the_worker_is_behind(ledger: Books) -> None:
    for number in range(5):
        ledger.issue(1, START + number * DAY)
    now = START + 8 * DAY
    with pytest.raises(CheckpointsBehind):
        read(ledger.sessions, lambda s: trial_balance(s, now=now, most_days=4), snapshot=True)
    ledger.work(now)
    assert read(ledger.sessions, lambda s: trial_balance(s, now=now, most_days=4), snapshot=True).balanced


def test_with_its_worker_it_adds_up_two_days_at_most_however_long_the_history_is(ledger: Books) -> None:
    for number in range(12):
        ledger.issue(1, START + number * DAY)
        now = START + (number + 1) * DAY - MINUTE
        ledger.work(now)
        found = read(ledger.sessions, lambda s, now=now: trial_balance(s, now=now, most_days=2), snapshot=True)
        assert shown(found) == expected(ledger.naive())
