"""Whatever number a person reads out, what it names is found."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.facts import Kind
from app.domain.ledger import Refused
from app.domain.money import Money
from app.domain.numbers import slot_of_user
from app.domain.refunding import Clawback
from app.domain.spending import HoldRequest
from app.models.ledger import TRANSFERS
from app.providers.facts import Ref
from app.services.accounts.users import find_user
from app.services.base.idempotency import keyed
from app.services.calls import refund_calls
from app.services.ledger import holds
from app.services.lookup.search import Named, things_named
from app.services.refunds.requests import Wanted
from tests.support.facts import paid_fact, told
from tests.support.world import World


def found(world: World, number: object) -> list[Named]:
    return things_named(world.core, str(number)).found


def kinds(world: World, number: object) -> list[tuple[str, str]]:
    return [(thing.kind, thing.number) for thing in found(world, number)]


def paid_order(world: World, user: str = "bob") -> Any:
    view = world.order(user)
    world.pay(view.payments[0].id)
    world.deliver()
    return view


def test_our_own_numbers_say_what_they_are_and_whose(world: World) -> None:
    view = paid_order(world)
    payment_id = view.payments[0].id
    (order,) = found(world, view.order.id)
    assert (order.kind, order.user, order.status, order.order) == ("order", "bob", "paid", view.order.id)
    (payment,) = found(world, payment_id)
    assert (payment.kind, payment.user, payment.status) == ("payment", "bob", "paid")
    assert (payment.order, payment.theirs) == (view.order.id, "sbx_1")
    assert kinds(world, f" {payment_id}\n") == [("payment", str(payment_id))]


def test_the_providers_number_finds_the_payment_in_whatever_slot_it_lies(world: World) -> None:
    payments = {view.payments[0].id: view for view in map(partial(paid_order, world), ("ann", "bob", "carl"))}
    for payment_id, view in payments.items():
        theirs = world.payment(payment_id).theirs
        assert kinds(world, theirs) == [("payment", str(payment_id))]
        assert found(world, theirs)[0].user == view.order.user_id


def test_a_number_of_an_account_that_is_not_configured_any_more_is_still_found(world: World) -> None:
    view = paid_order(world)
    world.serve()
    assert kinds(world, "sbx_1") == [("payment", str(view.payments[0].id))]


def test_a_refund_of_ours_is_found_by_its_number_and_by_the_trade(world: World) -> None:
    payment_id = paid_order(world).payments[0].id
    wanted = Wanted(payment_id, None, 100, "a mistake", Clawback.DEBT, "backend:desk")
    refund = refund_calls.request_refund(world.core, wanted, keyed("backend:desk", "r", "refund", {}))
    assert kinds(world, refund.id) == [("refund", str(refund.id))]
    assert kinds(world, "sbx_1") == [("payment", str(payment_id)), ("refund", str(refund.id))]


def test_a_refund_that_the_provider_decided_is_found_by_its_number_there(world: World) -> None:
    view = world.order("bob")
    paid = paid_fact(world, view.payments[0].id)
    told(world, paid)
    told(world, replace(paid, kind=Kind.REFUNDED, ref=replace(paid.ref, refund="R-77"), money=Money(100, "CNY")))
    (refund,) = found(world, "R-77")
    assert (refund.kind, refund.theirs, refund.user, refund.order) == ("refund", "R-77", "bob", view.order.id)


def test_a_user_is_found_by_id_and_by_the_token_that_stores_know(world: World) -> None:
    world.order("bob")
    user = world.core.whole.read(lambda tx: find_user(tx, "bob"))
    assert user is not None
    assert kinds(world, "bob") == kinds(world, user.token) == [("user", "bob")]


def test_transfers_and_holds_are_found_by_their_uuids(world: World) -> None:
    view, slot = paid_order(world), slot_of_user("bob")
    rows = world.core.whole.read(lambda tx: tx.execute(select(TRANSFERS).where(TRANSFERS.c.slot == slot)).all())
    for row in rows:
        (thing,) = found(world, row.id)
        assert (thing.kind, thing.number, thing.status) == ("transfer", str(row.id), row.kind)
        is_coins = row.kind in ("purchase", "bonus")
        assert (thing.order, thing.user) == ((view.order.id, "bob") if is_coins else (None, None))
    assert len(rows) == 3
    request = HoldRequest(user_id="bob", asset="coin", amount=5, key="h", seconds=60, environment="sandbox")
    held = world.core.whole.transact(lambda tx: holds.hold(tx, slot, request))
    assert not isinstance(held, Refused)
    assert [(thing.kind, thing.status, thing.user) for thing in found(world, held.id)] == [("hold", "open", "bob")]
    assert kinds(world, held.id.hex) == kinds(world, held.id)


def test_money_of_nobody_is_found_by_either_number_and_by_its_facts(world: World) -> None:
    fact = replace(paid_fact(world, world.order().payments[0].id), ref=Ref(ours="12345678", theirs="T-9"), owner=None)
    applied = told(world, fact)
    for number in ("12345678", "T-9", applied.fact_id):
        (thing,) = found(world, number)
        assert (thing.kind, thing.number) == ("fact", str(applied.fact_id))
        assert (thing.status, thing.theirs) == ("parked unknown_number", "T-9")


def test_a_second_trade_under_one_number_leads_to_the_payment(world: World) -> None:
    payment_id = paid_order(world).payments[0].id
    applied = told(world, paid_fact(world, payment_id, ref=Ref(ours=str(payment_id), theirs="T-second")))
    assert kinds(world, "T-second") == [("payment", str(payment_id)), ("fact", str(applied.fact_id))]


@pytest.mark.parametrize("number", ["", "  ", "nothing", "4097", "0", "-1", "9" * 30, "x" * 300, "a\x00b", "'; --"])
def test_what_names_nothing_finds_nothing(world: World, number: str) -> None:
    paid_order(world)
    assert found(world, number) == []


def test_a_search_shows_each_thing_once(world: World) -> None:
    """A user may be called like a provider's number. One who is called like a number of ours is not looked for: that
    number says where it lies."""
    first = paid_order(world, "sbx_1")
    assert kinds(world, "sbx_1") == [("user", "sbx_1"), ("payment", str(first.payments[0].id))]
    second = world.order(str(first.order.id))
    assert kinds(world, first.order.id) == [("order", str(first.order.id))]
    assert second.order.id != first.order.id
