"""What becomes of an agreement that is signed twice, and of money that comes after an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.charging import ChargeAfterEnd
from app.domain.facts import Kind
from app.services.agreements import agreement_requests
from app.services.agreements.signing_requests import AlreadyAgreed
from app.services.base.idempotency import Keyed, keyed
from app.services.calls import refund_calls
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def _request(key: str) -> Any:
    def request(user_id: str) -> Keyed:
        content: Mapping[str, Any] = {"user": user_id}
        return keyed("backend:b", key, "change", content)

    return request


def _give_back(house: AgreementHouse) -> None:
    rules = house.core.rules
    charges = replace(rules.charges, after_end=ChargeAfterEnd.REFUND)
    house.world.core = replace(house.core, rules=replace(rules, charges=charges))


def test_who_presses_the_button_twice_signs_one_agreement(house: AgreementHouse) -> None:
    first = house.sign(key="one")
    house.world.clock.advance(60)
    assert house.sign(key="two") == first
    others = [
        house.sign(key="three", zone="Asia/Shanghai"),
        house.sign(key="four", sku="basic"),
        house.sign(key="five", pay_now=True),
        house.sign("bob", key="six"),
    ]
    assert len({first, *others}) == 5, "other terms, another product or another user are another agreement"
    house.world.clock.advance(31 * 60)
    late = house.sign(key="seven")
    assert late != first, "too little time is left to sign the first one"


def test_the_second_agreement_about_a_product_is_ended_at_the_provider_and_never_charged(house: AgreementHouse) -> None:
    first, second = house.sign(key="one"), house.sign(key="two", zone="Asia/Shanghai")
    house.tell(house.debit.user_signs(str(second)))
    house.world.clock.advance(5)
    house.tell(house.debit.user_signs(str(first)))
    house.work()
    kept, ended = house.row(second), house.row(first)
    assert (kept.status, ended.status, ended.ended_by) == ("active", "ended", "us")
    assert house.debit.consents[str(first)].ended_at is not None
    house.later(days=40)
    assert {trade.agreement for trade in house.debit.trades.values()} == {str(second)}
    assert house.periods(first) == []
    house.world.assert_balanced()


def test_a_second_agreement_goes_on_only_when_the_first_is_over(house: AgreementHouse) -> None:
    first, second = house.sign(key="one"), house.sign(key="two", zone="Asia/Shanghai")
    house.tell(house.debit.user_signs(str(first)))
    house.tell(house.debit.user_signs(str(second)))
    house.debit.is_down = True
    house.work()
    with pytest.raises(AlreadyAgreed):
        agreement_requests.resume_charges(house.core, second, None, _request("again"))
    house.tell(house.debit.user_ends(str(first)))
    agreement_requests.resume_charges(house.core, second, None, _request("later"))
    assert (house.row(second).status, house.row(second).cancel_at) == ("active", None)


def test_no_plan_is_changed_to_a_product_that_the_user_pays_for_already(house: AgreementHouse) -> None:
    house.signed(sku="vip")
    other = house.sign(key="other", sku="gold")
    house.tell(house.debit.user_signs(str(other)))
    with pytest.raises(AlreadyAgreed):
        agreement_requests.change_plan(house.core, other, None, _request("plan"), "vip")


@pytest.mark.parametrize("goes_back", [False, True])
def test_a_charge_after_the_end_is_credited_or_given_back_by_the_policy(
    house: AgreementHouse, *, goes_back: bool
) -> None:
    if goes_back:
        _give_back(house)
    house.debit.script.append("pending")
    number = house.signed()
    house.later(hours=6)
    house.tell(house.debit.user_ends(str(number)))
    house.world.clock.advance(60)
    (payment,) = house.payments(number)
    house.tell(house.debit.decide(str(payment.id), Kind.PAID))
    house.world.clock.advance(60)
    for refund in house.refunds(number):
        refund_calls.work_on_refund(house.core, refund.id)
    assert (house.world.coins(), house.active() == {}) == ((0, True) if goes_back else (100, False))
    assert [refund.status for refund in house.refunds(number)] == (["done"] if goes_back else [])
    house.world.assert_balanced()


def test_what_was_paid_before_the_end_is_kept_however_late_it_is_told(house: AgreementHouse) -> None:
    _give_back(house)
    house.debit.script.append("pending")
    number = house.signed()
    house.later(hours=6)
    (payment,) = house.payments(number)
    paid = house.debit.decide(str(payment.id), Kind.PAID)
    house.world.clock.advance(timedelta(hours=1).total_seconds())
    house.tell(house.debit.user_ends(str(number)))
    house.tell(paid)
    assert (house.world.coins(), house.refunds(number)) == (100, [])


def test_a_first_period_paid_under_a_second_agreement_goes_back_where_late_charges_do(house: AgreementHouse) -> None:
    _give_back(house)
    first = house.sign(key="one")
    second = house.sign(key="two", pay_now=True)
    house.tell(house.debit.user_signs(str(first)))
    payment = house.row(second).first_payment_id
    house.tell(house.debit.user_signs(str(second)))
    house.tell(house.debit.decide(str(payment), Kind.PAID))
    house.world.clock.advance(60)
    (refund,) = house.refunds(second)
    refund_calls.work_on_refund(house.core, refund.id)
    assert house.world.coins() == 0
    house.later(days=1)
    assert house.world.coins() == 100, "the first agreement is charged as ever"
