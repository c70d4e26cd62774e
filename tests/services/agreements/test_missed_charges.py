"""Charges that came too early, too late or unannounced for their provider: nobody refused them, and no consent ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.facts import Refusal
from app.services.payments.payment_rows import GIVEN_UP_PROBLEM
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOTICE = timedelta(days=2)
DUE = datetime(2026, 1, 2, 9, tzinfo=UTC)
DEAD = timedelta(days=6)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


@pytest.fixture
def announcing(house: AgreementHouse) -> AgreementHouse:
    house.debit.charge_window = replace(house.debit.charge_window, notice=NOTICE, after=timedelta(days=3))
    house.debit.is_strict = True
    return house


def _run(house: AgreementHouse, days: int) -> None:
    for _ in range(days * 2):
        house.later(hours=12)


def _no_worker(house: AgreementHouse, time: timedelta = DEAD) -> None:
    house.world.clock.advance(time.total_seconds())


def _is_paid_once(house: AgreementHouse, number: int) -> None:
    row = house.row(number)
    assert (row.status, row.cancel_at, house.world.coins()) == ("active", None, 100)
    assert [trade.money.minor for trade in house.debit.trades.values()] == [1500]
    assert [period.status for period in house.periods(number)].count("paid") == 1
    house.world.assert_balanced()


def test_a_charge_that_was_not_announced_is_announced_anew_and_made_under_a_further_number(
    announcing: AgreementHouse,
) -> None:
    house = announcing
    number = house.signed()
    house.work()
    house.debit.announced_at.clear()  # an announcement of which the provider knows nothing
    _run(house, 8)
    _is_paid_once(house, number)
    assert [(each.attempt, each.status) for each in house.payments(number)] == [(1, "failed"), (2, "paid")]
    assert len(house.debit.announced) == 2
    assert [period.number for period in house.periods(number)] == [0], "the same period, within its time"


@pytest.mark.parametrize("dies", ["before the charge", "after its refusal"])
@pytest.mark.parametrize("refusal", [Refusal.NOT_NOW, Refusal.NO_MONEY])
def test_six_days_without_a_worker_around_a_charge_end_no_consent_and_charge_once(
    announcing: AgreementHouse, dies: str, refusal: Refusal
) -> None:
    house = announcing
    number = house.signed()
    house.work()
    assert len(house.debit.announced) == 1
    house.debit.script.append(refusal)
    if dies == "before the charge":
        _no_worker(house)
    else:
        house.at(DUE + NOTICE)
        assert [each.status for each in house.payments(number)] == ["failed"]
        _no_worker(house)
    _run(house, 8)
    _is_paid_once(house, number)
    assert len(house.debit.announced) >= 2


def test_the_answers_to_announcements_are_lost_and_the_period_is_charged_once(announcing: AgreementHouse) -> None:
    house = announcing
    house.debit.announcements_lost = 4
    number = house.signed()
    house.work()
    _no_worker(house)
    _run(house, 8)
    _is_paid_once(house, number)


def test_a_charge_that_no_worker_sent_in_its_time_is_made_under_a_further_number(house: AgreementHouse) -> None:
    house.debit.script.append("lost")
    number = house.signed()
    house.at(DUE)
    (payment,) = house.payments(number)
    assert payment.status == "unknown"
    _no_worker(house, timedelta(days=8, hours=12))
    house.settle_payments(payment.id)
    assert house.payments(number)[0].status == "closed", "the provider knows nothing of it, and its time is over"
    _run(house, 3)
    _is_paid_once(house, number)
    assert [each.status for each in house.payments(number)] == ["closed", "paid"]


@pytest.mark.parametrize("dead", [timedelta(0), timedelta(days=25)])
def test_a_charge_that_its_provider_never_ends_is_not_made_a_second_time(
    announcing: AgreementHouse, dead: timedelta
) -> None:
    """It was given up after a week, and may still be paid there."""
    house = announcing
    house.debit.never_closes = True
    number = house.signed()
    house.work()
    house.debit.script.append("pending")
    house.at(DUE + NOTICE)
    (payment,) = house.payments(number)
    _no_worker(house, dead)
    for _ in range(60):
        house.world.clock.advance(12 * 3600)
        house.settle_payments(payment.id)
        house.work()
    assert [(each.status, each.problem) for each in house.payments(number, 0)] == [("closed", GIVEN_UP_PROBLEM)]
    assert len(house.debit.trades) == 1


def test_a_provider_that_always_says_not_now_is_asked_a_few_times_and_again_for_the_next_period(
    announcing: AgreementHouse,
) -> None:
    house = announcing
    house.debit.script.extend(["not_now"] * 4)
    number = house.signed()
    _run(house, 28)
    row, (first,) = house.row(number), house.periods(number)
    assert (row.status, row.cancel_at, first.status, first.refusal) == ("past_due", None, "unpaid", "not_now")
    assert 2 <= len(house.payments(number)) <= house.core.rules.charges.attempts
    asked, told = len(house.payments(number)), len(house.debit.announced)
    assert told <= asked + 1, "its payer is not told again and again"
    house.debit.script.clear()
    _run(house, 8)
    _is_paid_once(house, number)
    _, second = house.periods(number)
    assert second.starts_at == first.ends_at


def test_a_try_that_no_worker_made_while_its_order_could_be_paid_begins_the_next_period(house: AgreementHouse) -> None:
    house.debit.script.append("no_money")
    number = house.signed()
    house.at(DUE)
    _no_worker(house, timedelta(days=20))
    back_at = house.world.clock.now()
    house.work()
    _run(house, 2)
    _is_paid_once(house, number)
    missed, paid = house.periods(number)
    assert (missed.status, paid.starts_at) == ("unpaid", back_at)
