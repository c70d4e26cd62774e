"""Plans whose coins are with the app's backend: each period that is paid is an order that the backend delivers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.facts import Fact, Kind, Ref
from app.domain.fulfilment import RefusedFulfilment
from app.models.base import AnyRow
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import ensure_user
from app.services.agreements import agreement_lists
from app.services.agreements.agreement_lists import AgreementFilter
from app.services.calls import refund_calls
from app.services.payments import fulfilments
from tests.support.agreement_house import PLANS, AgreementHouse, agreement_house
from tests.support.backend_wallets import answer_for
from tests.support.world import World

OUTSIDE = PLANS.replace('title = "VIP', 'fulfilment = "external"\ntitle = "VIP')
"""The VIP of the store is the last product: what follows the text belongs to it."""


@pytest.fixture
def house(world: World) -> AgreementHouse:
    house = agreement_house(world)
    text = OUTSIDE + "[[products.grants]]\namount = 50\n"
    import_products(house.core, parse_catalogue(text))
    return house


def _wish(house: AgreementHouse, number: int, period: int = -1) -> AnyRow:
    row, order = house.row(number), house.periods(number)[period].order_id
    found = house.core.whole.read(lambda tx: fulfilments.find_fulfilment(tx, row.slot, order))
    assert found is not None
    return found


def test_each_period_is_delivered_by_the_backend_and_active_as_long_as_it_is_paid(house: AgreementHouse) -> None:
    number = house.signed()
    house.later(days=1)
    house.later(days=31)
    assert [period.status for period in house.periods(number)] == ["paid", "paid"]
    for period in (0, 1):
        wish = _wish(house, number, period)
        assert [unit["due"] for unit in wish.units] == [100]
        answer_for(house.core, wish.id, "delivered", 1)
        assert house.world.order_row(wish.id).fulfilment_status == "delivered"
    assert (house.world.coins(), list(house.active())) == (0, ["vip"])
    house.world.assert_balanced()


def test_a_period_that_the_backend_refuses_to_deliver_is_given_back_and_is_not_active(house: AgreementHouse) -> None:
    house.world.core = replace(house.core, rules=replace(house.core.rules, refused_fulfilment=RefusedFulfilment.REFUND))
    number = house.signed()
    house.later(days=1)
    answer_for(house.core, _wish(house, number).id, "refused", 1, reason="no such player")
    house.world.clock.advance(60)
    (refund,) = house.refunds(number)
    refund_calls.work_on_refund(house.core, refund.id)
    assert ([one.status for one in house.refunds(number)], house.active()) == (["done"], {})
    assert house.row(number).status == "active", "the next period is charged as ever"
    house.world.assert_balanced()


def test_a_period_of_a_store_is_delivered_by_the_backend_too(house: AgreementHouse) -> None:
    token = house.core.whole.transact(lambda tx: str(ensure_user(tx, "alice").token))
    begins = house.world.clock.now()
    told: dict[str, Any] = {"owner": token, "product": "vip.monthly", "account": "store-app", "live": False}
    end = begins + timedelta(days=30)
    paid = Fact(Kind.PAID, Ref(theirs="s1", agreement="sub-1"), begins, quantity=1, period_end=end, **told)
    house.tell(paid, "store")
    (entitled,) = house.active().items()
    assert entitled == ("vip", end)
    (row,) = agreement_lists.list_agreements(house.core, AgreementFilter("alice"), None, 10).rows
    wish = _wish(house, row.id)
    assert ([unit["due"] for unit in wish.units], house.world.coins()) == ([50], 0)
