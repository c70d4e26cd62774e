"""The last word of a provider is not its last: signed again after the end, paid after it was refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.facts import Ending, Kind, Refusal
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def test_who_signs_again_after_the_end_is_charged_under_the_number_of_the_new_consent(house: AgreementHouse) -> None:
    number = house.signed()
    house.later(hours=8)
    house.later(days=3)
    ended = house.debit.user_ends(str(number), Ending.PAYER)
    house.tell(ended)
    assert house.row(number).status == "ended"
    house.later(days=40)
    again = house.debit.user_signs(str(number))
    again = replace(again, ref=replace(again.ref, agreement="agr-second"))
    house.tell(again)
    house.tell(ended)
    row = house.row(number)
    assert (row.status, row.theirs) == ("active", "agr-second")
    house.later(hours=8)
    assert [period.status for period in house.periods(number)] == ["paid", "paid"]
    house.later(days=1)
    house.world.assert_balanced()


def test_a_charge_that_is_paid_after_it_failed_pays_its_period_and_no_other_attempt_is_made(
    house: AgreementHouse,
) -> None:
    house.debit.script.append("pending")
    number = house.signed()
    house.later(hours=8)
    (first,) = house.payments(number)
    house.tell(house.debit.decide(str(first.id), Kind.FAILED, Refusal.NO_MONEY))
    assert (house.row(number).status, house.periods(number)[0].status) == ("past_due", "due")
    paid = house.debit.decide(str(first.id), Kind.PAID)
    paid = replace(paid, at=house.world.clock.now() + timedelta(seconds=1))
    house.tell(paid)
    house.tell(paid)
    house.later(days=10)
    assert (house.row(number).status, house.periods(number)[0].status) == ("active", "paid")
    assert len(house.payments(number, 0)) == 1
    assert len(house.debit.trades) == 1
    house.world.assert_balanced()


def test_a_second_attempt_that_is_under_way_when_the_first_is_paid_after_all_credits_once(
    house: AgreementHouse,
) -> None:
    house.debit.script.extend(["pending", "pending"])
    number = house.signed()
    house.later(hours=8)
    (first,) = house.payments(number)
    house.tell(house.debit.decide(str(first.id), Kind.FAILED, Refusal.NO_MONEY))
    house.later(days=2)
    second = house.payments(number, 0)[-1]
    assert second.id != first.id
    house.tell(house.debit.decide(str(first.id), Kind.PAID))
    house.tell(house.debit.decide(str(second.id), Kind.PAID))
    house.later(days=3)
    assert [period.status for period in house.periods(number)] == ["paid"]
    assert house.events().count("agreement.renewed") == 1
    assert house.row(number).paid_until == datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)
    house.world.assert_balanced()
