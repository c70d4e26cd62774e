"""An agreement that takes the place of another one: the payer signs a dearer plan, and that ends the one before."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.domain.facts import Kind
from app.services.agreements.signing_requests import AgreementNotInForce
from app.services.base.errors import NotFound
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

PAID_UNTIL = datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def test_the_dearer_plan_begins_when_what_is_paid_is_over_and_the_one_before_is_charged_no_more(
    house: AgreementHouse,
) -> None:
    vip = house.signed()
    house.later(days=8)
    gold = house.sign(sku="gold", key="up", replaces=vip)
    assert house.debit.consents[str(gold)].terms.first_due == date(2026, 2, 2)
    house.work()
    assert (house.row(vip).status, house.row(vip).cancel_at) == ("active", None), "nothing is signed yet"
    house.tell(house.debit.user_signs(str(gold)))
    house.work()
    assert (house.row(vip).status, house.row(vip).ended_by) == ("ended", "us")
    assert house.debit.consents[str(vip)].ended_at is not None
    assert house.active() == {"vip": PAID_UNTIL}
    assert len(house.debit.trades) == 1
    house.at(datetime(2026, 2, 2, 9, tzinfo=UTC))
    assert [trade.money.minor for trade in house.debit.trades.values()] == [1500, 3000]
    assert house.row(gold).paid_until == datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)
    assert sorted(house.active()) == ["gold", "vip"]
    house.later(days=28)
    assert [trade.agreement for trade in house.debit.trades.values()] == [str(number) for number in (vip, gold, gold)]
    house.world.assert_balanced()


def test_who_pays_with_the_signing_has_the_dearer_plan_at_once(house: AgreementHouse) -> None:
    vip = house.signed()
    house.later(days=8)
    gold = house.sign(sku="gold", key="up", replaces=vip, pay_now=True)
    signed_at = house.world.clock.now()
    house.tell(house.debit.decide(str(house.row(gold).first_payment_id), Kind.PAID))
    house.tell(house.debit.user_signs(str(gold)))
    house.work()
    assert house.row(vip).status == "ended"
    assert house.periods(gold)[0].starts_at == signed_at
    assert sorted(house.active()) == ["gold", "vip"]
    house.at(datetime(2026, 2, 5, tzinfo=UTC))
    assert len(house.debit.trades) == 2, "the first plan is not charged, and the second not yet"


def test_only_an_agreement_of_ones_own_that_is_in_force_and_charged_by_us_is_replaced(house: AgreementHouse) -> None:
    other, mine = house.signed("bob"), house.signed()
    for number in (other, 4096):
        with pytest.raises(NotFound):
            house.sign(sku="gold", key=f"a{number}", replaces=number)
    house.tell(house.debit.user_ends(str(mine)))
    with pytest.raises(AgreementNotInForce):
        house.sign(sku="gold", key="late", replaces=mine)


def test_the_place_may_be_taken_by_an_agreement_about_the_same_product(house: AgreementHouse) -> None:
    """Another way to pay, or a price of today."""
    before = house.signed()
    after = house.sign(key="again", replaces=before)
    assert after != before
    house.tell(house.debit.user_signs(str(after)))
    house.work()
    assert (house.row(before).status, house.row(after).status) == ("ended", "active")
    house.later(days=1)
    assert {trade.agreement for trade in house.debit.trades.values()} == {str(after)}


def test_of_two_plans_that_are_signed_in_the_place_of_one_the_first_stays(house: AgreementHouse) -> None:
    """A user changes the plan on two devices, to two different ones."""
    basic = house.signed(sku="basic")
    house.later(days=8)
    gold = house.sign(sku="gold", key="gold", replaces=basic)
    vip = house.sign(sku="vip", key="vip", replaces=basic)
    for number in (gold, vip):
        house.tell(house.debit.user_signs(str(number)))
    house.work()
    assert [house.row(number).status for number in (basic, gold, vip)] == ["ended", "active", "ended"]
    house.later(days=40)
    assert {trade.agreement for trade in house.debit.trades.values()} == {str(basic), str(gold)}
