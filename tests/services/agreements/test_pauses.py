"""Agreements whose charges are paused and resumed, and whose plan is changed after a charge was announced."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.facts import Kind, Refusal
from app.services.agreements import agreement_requests
from app.services.base.idempotency import Keyed, keyed
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOTICE = timedelta(days=1)
FIRST_CHARGE = datetime(2026, 1, 2, 9, tzinfo=UTC)
SECOND_CHARGE = datetime(2026, 2, 2, 9, tzinfo=UTC)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


@pytest.fixture
def announcing(house: AgreementHouse) -> AgreementHouse:
    house.debit.charge_window = replace(house.debit.charge_window, notice=NOTICE)
    return house


def _owned(key: str) -> Keyed:
    return keyed("backend", key, "change", {})


def _pause(house: AgreementHouse, number: int) -> None:
    agreement_requests.pause_charges(house.core, number, None, lambda _: _owned(f"pause {house.world.clock.now()}"))


def _resume(house: AgreementHouse, number: int) -> None:
    agreement_requests.resume_charges(house.core, number, None, lambda _: _owned(f"resume {house.world.clock.now()}"))


def _change(house: AgreementHouse, number: int, sku: str) -> None:
    name = f"{sku} {house.world.clock.now()}"
    agreement_requests.change_plan(house.core, number, None, lambda _: _owned(name), sku)


def _amounts(house: AgreementHouse) -> list[int]:
    return [trade.money.minor for trade in house.debit.trades.values()]


def test_who_resumes_after_the_time_to_pay_is_over_is_charged_for_a_period_that_begins_now(
    house: AgreementHouse,
) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    house.debit.script.append("no_money")
    house.at(SECOND_CHARGE)
    assert house.row(number).status == "past_due"
    _pause(house, number)
    house.later(days=30)
    _resume(house, number)
    resumed_at = house.world.clock.now()
    house.later(hours=1)
    house.later(days=1)
    row = house.row(number)
    assert (row.status, row.cancel_at) == ("active", None)
    assert [period.status for period in house.periods(number)] == ["paid", "unpaid", "paid"]
    assert house.periods(number)[2].starts_at == resumed_at
    assert len(house.debit.trades) == 2
    house.world.assert_balanced()


def test_who_resumes_in_time_is_charged_for_the_period_that_is_due(house: AgreementHouse) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    house.debit.script.append("no_money")
    house.at(SECOND_CHARGE)
    _pause(house, number)
    house.later(days=3)
    _resume(house, number)
    house.work()
    assert [payment.status for payment in house.payments(number)] == ["failed", "paid"]
    assert house.periods(number)[1].starts_at == datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)


def test_a_charge_that_is_refused_while_its_agreement_is_paused_does_not_end_it(house: AgreementHouse) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    house.debit.script.append("pending")
    house.at(SECOND_CHARGE)
    (payment,) = house.payments(number)
    _pause(house, number)
    house.tell(house.debit.decide(str(payment.id), Kind.FAILED, Refusal.NO_MONEY))
    house.later(days=30)
    assert (house.row(number).status, house.row(number).cancel_at) == ("paused", None)
    assert len(house.debit.trades) == 2, "nothing is charged meanwhile"
    _resume(house, number)
    resumed_at = house.world.clock.now()
    house.later(days=1)
    assert (house.row(number).status, house.periods(number)[-1].status) == ("active", "paid")
    assert house.periods(number)[-1].starts_at == resumed_at


@pytest.mark.parametrize("pauses", [True, False], ids=["paused", "without a worker"])
def test_a_charge_that_was_announced_and_not_made_in_its_time_is_announced_anew_for_a_period_that_begins_then(
    announcing: AgreementHouse, pauses: bool
) -> None:
    house, number = announcing, announcing.signed()
    house.work()
    house.later(days=2)
    house.at(SECOND_CHARGE - NOTICE)
    assert len(house.debit.announced) == 2
    assert len(house.debit.trades) == 1
    if pauses:
        _pause(house, number)
    house.world.clock.advance(40 * 86_400)
    if pauses:
        _resume(house, number)
    began_at = house.world.clock.now()
    house.work()
    house.later(days=2)
    assert len(house.debit.trades) == 2
    period = house.periods(number)[1]
    assert (period.status, period.starts_at) == ("paid", began_at)
    assert house.row(number).paid_until == period.ends_at > house.world.clock.now() + timedelta(days=20)
    assert house.debit.announced[-1] == (str(number), (began_at + NOTICE).date()), "the day on which it can be made"


def test_what_a_payer_was_told_of_is_what_is_charged_whenever_the_plan_is_changed(announcing: AgreementHouse) -> None:
    house, number = announcing, announcing.signed()
    house.work()
    house.later(days=2)
    _change(house, number, "basic")
    house.at(SECOND_CHARGE - NOTICE)
    assert house.debit.announced[-1] == (str(number), date(2026, 2, 2))
    _change(house, number, "vip")
    house.at(SECOND_CHARGE + timedelta(hours=1))
    house.at(datetime(2026, 3, 1, 8, tzinfo=UTC))
    house.later(days=1, hours=2)
    assert _amounts(house) == house.debit.announced_amounts == [1500, 900, 1500]
    assert house.row(number).sku == "vip"


def test_a_charge_that_was_announced_too_long_ago_is_announced_again(announcing: AgreementHouse) -> None:
    house, number = announcing, announcing.signed()
    house.work()
    house.later(days=2)
    house.at(SECOND_CHARGE - NOTICE)
    house.world.clock.advance((house.debit.charge_window.after + 3 * NOTICE).total_seconds())
    house.work()
    assert (len(house.debit.announced), len(house.debit.trades)) == (3, 1)
    house.later(days=2)
    assert len(house.debit.trades) == 2
    assert house.periods(number)[1].status == "paid"
