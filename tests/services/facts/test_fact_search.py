"""Facts as an operator reads them: whose, of what, and found by any number that they name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.facts import Kind
from app.domain.money import Money
from app.domain.numbers import slot_of_user
from app.providers.facts import Ref
from app.services.accounts.users import ensure_user
from app.services.facts import fact_search, parked
from app.services.facts.fact_search import ShownFact
from tests.support.facts import paid_fact, told
from tests.support.world import World


def find(world: World, number: object) -> list[ShownFact]:
    return world.core.whole.read(lambda tx: fact_search.find_facts(tx, str(number)))


def listed(world: World) -> list[ShownFact]:
    return world.core.whole.read(lambda tx: fact_search.described(tx, parked.list_parked(tx, "parked", 10)))


def test_a_parked_fact_of_an_order_shows_its_user_and_product(world: World) -> None:
    told(world, paid_fact(world, world.order("bob").payments[0].id, money=Money(599, "CNY")))
    assert [(each.user, each.product) for each in listed(world)] == [("bob", "coins-60")]


@pytest.mark.one_database
def test_a_parked_fact_of_no_order_shows_whom_and_what_the_store_names(world: World) -> None:
    token = str(world.core.whole.transact(lambda tx: ensure_user(tx, "carol")).token)
    fact = replace(
        paid_fact(world, world.order("bob").payments[0].id),
        ref=Ref(ours="12345678", theirs="T-9"),
        owner=token,
        product="store.coins",
    )
    told(world, fact)
    assert [(each.user, each.product) for each in listed(world)] == [("carol", "store.coins")]


def test_what_is_not_known_is_shown_as_nothing(world: World) -> None:
    fact = replace(paid_fact(world, world.order().payments[0].id), ref=Ref(ours="12345678", theirs="T-9"), owner=None)
    told(world, fact)
    assert [(each.user, each.product) for each in listed(world)] == [(None, None)]


@pytest.mark.parametrize("number", ["fact", "order", "payment", "theirs"])
def test_an_applied_fact_is_found_by_each_of_its_numbers(world: World, number: str) -> None:
    view = world.order("bob")
    payment_id = view.payments[0].id
    applied = told(world, paid_fact(world, payment_id, ref=Ref(ours=str(payment_id), theirs="T-77")))
    told(world, paid_fact(world, world.order("alice").payments[0].id))
    names = {"fact": applied.fact_id, "order": view.order.id, "payment": payment_id, "theirs": "T-77"}
    found = {each.row.id: (each.row.outcome, each.user) for each in find(world, names[number])}
    assert found[applied.fact_id] == ("applied", "bob")
    assert {user for _, user in found.values()} == {"bob"}


@pytest.mark.parametrize("number", ["12345678", "T-9"])
def test_money_of_nobody_is_found_by_either_number(world: World, number: str) -> None:
    fact = replace(paid_fact(world, world.order().payments[0].id), ref=Ref(ours=None, theirs="T-9"))
    if number != "T-9":
        fact = replace(fact, ref=Ref(ours=number, theirs=None), kind=Kind.CLOSED, money=None)
    applied = told(world, fact)
    assert [each.row.id for each in find(world, number)] == [applied.fact_id]


def test_a_refund_is_found_with_its_payment_and_nothing_else_is(world: World) -> None:
    payment_id = world.order("bob").payments[0].id
    paid = paid_fact(world, payment_id)
    told(world, paid)
    told(world, replace(paid, kind=Kind.REFUNDED, ref=replace(paid.ref, refund="R-1"), money=Money(100, "CNY")))
    assert {"paid", "refunded"} <= {each.row.kind for each in find(world, paid.ref.theirs)}
    assert find(world, "nothing-of-that-name") == []
    assert find(world, slot_of_user("bob")) == []
