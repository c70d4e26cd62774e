"""Agreements with the sandbox provider, over its real protocol: signed, charged, refused, ended by the payer."""

from __future__ import annotations

import pytest

from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def _signed(house: AgreementHouse, *, pay_now: bool = False) -> int:
    number = house.sign(account="sandbox", pay_now=pay_now)
    simulator = house.world.simulator
    simulator.sign(simulator.agreements.find(None, number=str(number)))
    house.world.deliver()
    return number


def test_a_plan_is_signed_charged_each_month_refused_once_and_ended_by_the_payer(house: AgreementHouse) -> None:
    number, simulator = _signed(house), house.world.simulator
    assert house.row(number).status == "active"
    house.later(hours=7)
    house.world.deliver()
    assert (house.row(number).next_period, house.world.coins()) == (1, 100)
    simulator.agreements.next_charges.append("NO_MONEY")
    house.later(days=31)
    assert house.row(number).status == "past_due"
    house.later(days=1)
    assert (house.row(number).status, house.world.coins()) == ("active", 200)
    simulator.end(simulator.agreements.find(None, number=str(number)), "PAYER")
    house.world.deliver()
    row = house.row(number)
    assert (row.status, row.ended_by) == ("ended", "payer")
    house.later(days=70)
    assert house.world.coins() == 200
    house.world.assert_balanced()


def test_a_charge_that_waits_at_the_provider_is_paid_by_its_notification(house: AgreementHouse) -> None:
    house.world.simulator.agreements.next_charges.append("WAITING")
    number = _signed(house)
    house.later(hours=7)
    (payment,) = house.payments(number)
    assert (payment.status, house.world.coins()) == ("pending", 0)
    house.world.pay(payment.id)
    house.world.deliver()
    assert (house.row(number).next_period, house.world.coins()) == (1, 100)


def test_signing_and_paying_is_one_act_there_too(house: AgreementHouse) -> None:
    number = _signed(house, pay_now=True)
    house.later(minutes=10)
    assert (house.row(number).status, house.row(number).next_period, house.world.coins()) == ("active", 1, 100)
    house.later(days=32)
    assert house.world.coins() == 200


def test_an_agreement_that_ends_there_in_silence_is_found_by_the_daily_question(house: AgreementHouse) -> None:
    number, simulator = _signed(house), house.world.simulator
    house.later(hours=7)
    simulator.agreements.expire(simulator.agreements.find(None, number=str(number)))
    house.later(days=2)
    assert (house.row(number).status, house.row(number).ended_by) == ("ended", "time")
