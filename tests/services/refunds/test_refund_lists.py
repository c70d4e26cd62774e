"""Lists of refunds: of one order, of one user, and of all users over all slots."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.domain.refunding import RefundStatus
from app.services.base.errors import NotFound
from app.services.base.list_pages import ListPlace, TimeSpan
from app.services.calls import refund_calls
from app.services.refunds.refund_lists import RefundFilter, check_owner, list_refunds
from tests.support.buyer import Buyer
from tests.support.world import World


def _listed(world: World, wanted: RefundFilter, size: int = 2) -> list[Any]:
    found: list[Any] = []
    place: ListPlace | None = None
    while True:
        page = list_refunds(world.core, wanted, place, size)
        found += page.rows
        place = page.next
        if place is None:
            return found


def _three_buyers(world: World) -> tuple[list[Buyer], list[int]]:
    """The first has refunds of 100 and 200 that are done, the second and the third one each that is not sent yet."""
    buyers = [Buyer(world) for _ in range(3)]
    numbers = []
    for buyer in buyers:
        buyer.pay()
    for amount in (100, 200):
        numbers.append(buyers[0].ask(amount))
        refund_calls.work_on_refund(world.core, numbers[-1])
        world.clock.advance(60)
    for buyer in buyers[1:]:
        numbers.append(buyer.ask())
    return buyers, numbers


def test_refunds_of_all_users_are_listed_newest_first_each_once_with_its_user(world: World) -> None:
    buyers, numbers = _three_buyers(world)
    users = dict(zip(numbers, [buyers[0].user, buyers[0].user, buyers[1].user, buyers[2].user], strict=True))
    for size in (1, 2, 3, 4, 50):
        rows = _listed(world, RefundFilter(), size)
        assert [(row.created_at, row.id) for row in rows] == sorted(
            ((row.created_at, row.id) for row in rows), reverse=True
        )
        assert {row.id: row.user_id for row in rows} == users
        assert len(rows) == len(numbers)


def test_refunds_are_found_by_status_and_time_of_one_user_or_of_all(world: World) -> None:
    buyers, numbers = _three_buyers(world)
    done, waiting = set(numbers[:2]), set(numbers[2:])
    assert {row.id for row in _listed(world, RefundFilter(status=RefundStatus.DONE))} == done
    assert {row.id for row in _listed(world, RefundFilter(status=RefundStatus.CREATED))} == waiting
    assert _listed(world, RefundFilter(status=RefundStatus.DECLINED)) == []
    assert {row.id for row in _listed(world, RefundFilter(user_id=buyers[0].user))} == done
    assert {row.id for row in _listed(world, RefundFilter(user_id=buyers[1].user))} == {numbers[2]}
    late = TimeSpan(since=world.clock.now())
    early = TimeSpan(until=world.clock.now() - timedelta(seconds=60))
    for user, of_user in ((None, set(numbers)), (buyers[0].user, done)):
        assert {row.id for row in _listed(world, RefundFilter(user_id=user, made=late))} == waiting & of_user
        assert {row.id for row in _listed(world, RefundFilter(user_id=user, made=early))} == {numbers[0]} & of_user


def test_refunds_of_an_order_are_listed_oldest_first_and_only_to_its_user(world: World) -> None:
    buyers, numbers = _three_buyers(world)
    order = buyers[0].order_id
    for size in (1, 50):
        assert [row.id for row in _listed(world, RefundFilter(order_id=order), size)] == numbers[:2]
    assert [row.id for row in _listed(world, RefundFilter(order, buyers[0].user))] == numbers[:2]
    assert _listed(world, RefundFilter(order, buyers[1].user)) == []
    assert _listed(world, RefundFilter(order, buyers[0].user, RefundStatus.CREATED)) == []


def test_a_refund_belongs_to_the_user_of_its_order(world: World) -> None:
    buyers, numbers = _three_buyers(world)
    check_owner(world.core, buyers[1].user, numbers[2])
    for user, number in ((buyers[2].user, numbers[2]), (buyers[1].user, numbers[2] ^ (1 << 40))):
        with pytest.raises(NotFound):
            check_owner(world.core, user, number)
