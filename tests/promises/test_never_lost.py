"""Promise 2: verified money always ends in a named state with its policy; never in an exception, never in silence."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.deciding import Late, PaymentPolicy, Surplus
from app.domain.money import Money
from app.providers.facts import Fact, Kind, Ref
from app.services.base.context import Rules
from app.services.base.idempotency import keyed
from app.services.calls import payment_starts
from app.services.facts import inbox
from app.services.payments import orders
from app.services.payments.orders import PayBy
from app.worker import Worker
from plugins.sandbox.signing import Signer
from tests.support.facts import paid_fact, told
from tests.support.world import OTHER_SECRET, World

HOUR = 3600


def expired(world: World, user: str = "alice") -> Any:
    """An order that ended unpaid. The provider sent its closing, and we took it."""
    view = world.order(user)
    world.clock.advance(1801)
    world.simulator.faults.lose = 1
    Worker(world.core).run_once()
    assert world.order_row(view.order.id).status == "expired"
    assert world.payment(view.payments[0].id).status == "closed"
    return view


def kept(world: World) -> list[Any]:
    return world.core.whole.read(inbox.waiting_messages)


# --- late money ---


def test_late_money_is_credited_where_the_policy_says_so(world: World) -> None:
    view = expired(world)
    assert told(world, paid_fact(world, view.payments[0].id)).outcome == "applied"
    assert world.order_row(view.order.id).status == "paid"
    assert (world.coins(), world.money("sales")) == (66, 600)
    world.assert_balanced()


def test_late_money_waits_in_suspense_where_the_policy_says_so(world: World) -> None:
    world = world.with_rules(Rules(policy=PaymentPolicy(late=Late.PARK)))
    view = expired(world)
    fact = paid_fact(world, view.payments[0].id)
    applied = told(world, fact)
    assert (applied.outcome, applied.reason) == ("parked", "late")
    assert world.order_row(view.order.id).status == "expired"
    assert world.payment(view.payments[0].id).status == "paid"
    assert (world.coins(), world.money("suspense")) == (0, 600)
    assert told(world, fact).outcome == "duplicate"
    world.assert_balanced()


# --- money for an order that is already paid ---


@pytest.mark.parametrize(
    ("policy", "coins", "account"), [(Surplus.HOLD, 66, "surplus"), (Surplus.CREDIT, 132, "sales")]
)
def test_a_second_paid_attempt_is_kept_or_credited_by_policy(
    world: World, policy: Surplus, coins: int, account: str
) -> None:
    world = world.with_rules(Rules(policy=PaymentPolicy(surplus=policy)))
    view = world.order()
    request = keyed("user:alice", "k2", "add_payment", {})
    second = orders.add_payment(world.core, "alice", view.order.id, PayBy("sandbox", "qr"), request)
    payment_starts.start_payment(world.core, second)
    for payment_id in (view.payments[0].id, second):
        world.pay(payment_id)
        assert world.receive(world.notification(payment_id)).status == 200
    assert [outcome for kind, outcome, _ in world.outcomes() if kind == "paid"] == ["applied", "surplus"]
    assert world.payment(second).status == "paid"
    assert world.order_row(view.order.id).paid_payment_id == view.payments[0].id
    assert world.coins() == coins
    assert world.money("clearing:sandbox") == -1200
    assert world.money(account) == (600 if account == "surplus" else 1200)
    assert [message.reason for message in kept(world)] == ["surplus"]
    world.assert_balanced()


def test_two_attempts_paid_at_the_same_moment_credit_once(world: World) -> None:
    view = world.order()
    ids = [view.payments[0].id]
    for number in range(3):
        request = keyed("user:alice", f"again-{number}", "add_payment", {})
        ids.append(orders.add_payment(world.core, "alice", view.order.id, PayBy("sandbox", "qr"), request))
        payment_starts.start_payment(world.core, ids[-1])
    for payment_id in ids:
        world.pay(payment_id)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(world.receive, [world.notification(payment_id) for payment_id in ids for _ in "12"]))
    assert {reply.status for reply in replies} == {200}
    assert sorted(o for kind, o, _ in world.outcomes() if kind == "paid") == [
        "applied",
        "surplus",
        "surplus",
        "surplus",
    ]
    assert (world.coins(), world.money("surplus"), world.money("sales")) == (66, 1800, 600)
    world.assert_balanced()


@pytest.mark.parametrize(("policy", "coins"), [(Surplus.HOLD, 66), (Surplus.CREDIT, 132)])
def test_a_second_trade_of_one_payment_is_surplus(world: World, policy: Surplus, coins: int) -> None:
    world = world.with_rules(Rules(policy=PaymentPolicy(surplus=policy)))
    payment_id = world.order().payments[0].id
    assert told(world, paid_fact(world, payment_id)).outcome == "applied"
    second = told(world, paid_fact(world, payment_id, ref=Ref(ours=str(payment_id), theirs="another")))
    assert (second.outcome, second.reason) == ("surplus", "second_trade_of_one_number")
    assert world.payment(payment_id).theirs == f"T-{payment_id}"
    assert (world.coins(), world.money("clearing:sandbox")) == (coins, -1200)
    world.assert_balanced()


# --- money that is not as we asked for ---


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"money": Money(1, "CNY")}, "other_amount"),
        ({"money": Money(60_000, "CNY")}, "other_amount"),
        ({"money": Money(600, "JPY")}, "other_currency"),
        ({"owner": "somebody-else"}, "other_owner"),
        ({"quantity": 7}, "other_quantity"),
        ({"product": "coins-6000"}, "other_product"),
    ],
)
def test_money_that_is_not_as_asked_waits_in_suspense_and_the_right_money_still_pays(
    world: World, change: dict[str, Any], reason: str
) -> None:
    payment_id = world.order().payments[0].id
    wrong = paid_fact(world, payment_id, **change)
    applied = told(world, wrong)
    assert (applied.outcome, applied.reason) == ("parked", reason)
    assert world.payment(payment_id).status == "held"
    assert world.coins() == 0
    assert wrong.money is not None
    assert world.money("suspense", wrong.money.currency) == wrong.money.minor
    right = told(world, paid_fact(world, payment_id, ref=Ref(ours=str(payment_id), theirs="the right one")))
    assert right.outcome == "applied"
    assert world.coins() == 66
    world.assert_balanced()


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"account": "m-2"}, "other_account"), ({"live": True}, "other_environment")],
)
def test_somebody_elses_money_moves_nothing_but_is_remembered(
    world: World, change: dict[str, Any], reason: str
) -> None:
    payment_id = world.order().payments[0].id
    before = world.payment(payment_id)
    applied = told(world, paid_fact(world, payment_id, **change))
    assert (applied.outcome, applied.reason) == ("parked", reason)
    assert world.payment(payment_id) == before
    assert (world.coins(), world.money("suspense"), world.money("clearing:sandbox")) == (0, 0, 0)
    world.assert_balanced()


def test_a_road_that_does_not_tell_the_amount_waits_for_one_that_does(world: World) -> None:
    payment_id = world.order().payments[0].id
    silent = paid_fact(world, payment_id, money=None, owner=None)
    for _ in range(2):
        assert told(world, silent).reason == "no_amount"
    assert world.coins() == 0
    assert told(world, paid_fact(world, payment_id)).outcome == "applied"
    assert told(world, silent).outcome == "duplicate"
    assert (world.coins(), world.money("sales")) == (66, 600)
    world.assert_balanced()


def test_paid_without_the_providers_number_is_parked(world: World) -> None:
    payment_id = world.order().payments[0].id
    applied = told(world, paid_fact(world, payment_id, ref=Ref(ours=str(payment_id))))
    assert (applied.outcome, applied.reason) == ("parked", "no_provider_number")
    assert world.coins() == 0
    world.assert_balanced()


@pytest.mark.parametrize("change", [{"account": "m-2"}, {"live": True}])
@pytest.mark.parametrize("kind", [Kind.CLOSED, Kind.FAILED, Kind.PENDING])
def test_another_merchants_news_neither_ends_nor_renames_our_payment(
    world: World, kind: Kind, change: dict[str, Any]
) -> None:
    """Closed here, it would not be asked about again, and a lost notification would lose the money."""
    request = keyed("user:alice", "k", "create_order", {})
    wanted = orders.NewOrder("alice", "coins-60", 1, PayBy("sandbox", "page"), "CNY")
    _, payment_id = orders.create_order(world.core, wanted, request)
    fact = replace(paid_fact(world, payment_id, **change), kind=kind)
    assert told(world, fact).outcome == "parked"
    after = world.payment(payment_id)
    assert (after.status, after.theirs) == ("created", None)
    assert after.next_query_at is not None
    world.assert_balanced()


def test_our_number_told_through_another_account_of_ours_is_parked(world: World) -> None:
    payment_id = world.order().payments[0].id
    other = replace(world.account, name="other")
    applied = told(world, paid_fact(world, payment_id), other)
    assert (applied.outcome, applied.reason) == ("parked", "other_provider_account")
    assert (world.coins(), world.money("suspense")) == (0, 600)
    assert told(world, paid_fact(world, payment_id)).outcome == "applied"
    assert world.coins() == 66
    world.assert_balanced()


# --- numbers that we never issued ---


@pytest.mark.parametrize(
    "ours", ["1", "4611686018427387904", "9223372036854775807", "0", "007", "not-a-number", "", "9" * 25]
)
def test_a_number_that_we_never_issued_is_parked_with_its_money(world: World, ours: str) -> None:
    fact = Fact(Kind.PAID, Ref(ours, "T1"), world.clock.now(), Money(600, "CNY"), account="m-1", live=False)
    for _ in range(2):
        applied = told(world, fact)
        assert (applied.outcome, applied.reason) == ("parked", "unknown_number")
    assert (world.money("suspense"), world.money("clearing:sandbox")) == (600, -600)
    world.assert_balanced()


def test_money_of_another_merchant_for_an_unknown_number_is_not_booked(world: World) -> None:
    fact = Fact(Kind.PAID, Ref("12345", "T1"), world.clock.now(), Money(600, "CNY"), account="m-2", live=False)
    assert told(world, fact).reason == "other_account"
    assert world.money("suspense") == 0
    world.assert_balanced()


# --- contradictions ---


def test_the_same_trade_told_with_another_amount_is_a_conflict_and_the_first_stands(world: World) -> None:
    payment_id = world.order().payments[0].id
    assert told(world, paid_fact(world, payment_id)).outcome == "applied"
    applied = told(world, paid_fact(world, payment_id, money=Money(6000, "CNY")))
    assert (applied.outcome, applied.reason) == ("conflict", "amount_minor")
    assert (world.coins(), world.money("sales")) == (66, 600)
    world.assert_balanced()


def test_the_closing_of_a_paid_payment_changes_nothing_in_any_order(world: World) -> None:
    payment_id = world.order().payments[0].id
    closed = replace(paid_fact(world, payment_id), kind=Kind.CLOSED)
    assert told(world, closed).outcome == "applied"
    assert world.payment(payment_id).status == "closed"
    assert told(world, paid_fact(world, payment_id)).outcome == "applied"
    assert told(world, closed).outcome == "duplicate"
    assert told(world, replace(closed, kind=Kind.FAILED)).outcome == "noted"
    assert world.payment(payment_id).status == "paid"
    assert world.coins() == 66
    world.assert_balanced()


# --- what a database cannot hold ---


@pytest.mark.parametrize(
    "raw",
    [
        {"nickname": "a\x00b"},
        {"nickname": "\ud83d"},
        {"\ud83d\x00": [{"deep": "\udfff"}]},
        {"rate": math.nan},
        {"rate": math.inf},
        {"when": timedelta(1)},
        {"big": 10**40},
    ],
)
def test_odd_words_of_the_provider_do_not_keep_money_from_being_stored(world: World, raw: dict[str, Any]) -> None:
    payment_id = world.order().payments[0].id
    assert told(world, paid_fact(world, payment_id, raw=raw)).outcome == "applied"
    assert world.coins() == 66


# --- other merchants of the same provider ---


def test_a_genuine_message_of_another_merchant_is_refused(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    shown = {"event": "payment", "payment": world.at_provider(payment_id).shown()}
    assert world.receive(world.simulator.notification("m-2", shown)).status == 400
    reply = world.receive(world.simulator.notification("m-2", shown, Signer(OTHER_SECRET)))
    assert reply.status == 400
    assert world.coins() == 0
