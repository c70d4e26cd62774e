"""Refunds that we ask for, against a provider that declines, delays, times out after doing it, and takes back."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from app.domain.deciding import Late, PaymentPolicy, Surplus
from app.domain.ledger import Posted
from app.domain.refunding import OPEN_REFUND, Clawback
from app.providers.facts import Kind
from app.services.base.context import Rules
from app.services.base.idempotency import keyed
from app.services.calls import payment_starts, refund_calls
from app.services.payments import orders
from app.services.payments.orders import PayBy
from app.services.refunds.requests import RefundExceedsPayment
from app.worker import Worker
from tests.support import databases
from tests.support.buyer import BONUS, COINS, PAID, Buyer, target
from tests.support.world import World, build_world


def paid_buyer(world: World) -> Buyer:
    buyer = Buyer(world)
    buyer.pay()
    return buyer


def test_a_refund_reserves_its_coins_before_the_provider_hears_of_it(world: World) -> None:
    buyer = paid_buyer(world)
    refund = buyer.ask(300)
    assert (buyer.coins, buyer.account.held, buyer.refund(refund).status) == (66, 33, "created")
    assert buyer.work(refund) == "done"
    assert (buyer.coins, buyer.account.held, buyer.refunded) == (33, 0, 300)
    assert world.at_provider(buyer.payment_id).refunded == 300
    buyer.assert_balanced()


def test_a_declined_refund_gives_the_reserved_coins_back(world: World) -> None:
    buyer = paid_buyer(world)
    world.simulator.books.next_refunds.append("REFUSED")
    refund = buyer.ask()
    assert buyer.work(refund) == "declined"
    assert "REFUND_REFUSED" in buyer.refund(refund).problem
    assert (buyer.coins, buyer.account.held, buyer.refunded) == (66, 0, 0)
    again = buyer.ask()
    assert buyer.work(again) == "done"
    assert (buyer.coins, buyer.refunded) == (0, 600)
    buyer.assert_balanced()


@pytest.mark.parametrize("fault", ["timeout_after", "timeout_before", "garbage", "error500"])
def test_no_answer_leaves_it_unknown_and_ends_in_one_refund_and_one_clawback(world: World, fault: str) -> None:
    """After `timeout_after` and `garbage` the provider has really refunded."""
    buyer = paid_buyer(world)
    refund = buyer.ask(200)
    world.simulator.faults.set(lose=9, **{fault: 1})
    assert buyer.work(refund) == "unknown"
    assert buyer.account.held == 22
    assert buyer.work(refund) == "done"
    assert len(world.at_provider(buyer.payment_id).refunds) == 1
    assert (buyer.coins, buyer.account.held, buyer.refunded) == (44, 0, 200)
    assert [line for line in buyer.lines() if line[0] == "clawback"] == [("clawback", -20), ("clawback", -2)]
    buyer.assert_balanced()


def test_every_attempt_carries_the_same_number_and_amount(world: World) -> None:
    buyer = paid_buyer(world)
    refund = buyer.ask(200)
    before = len(world.http.requests)
    world.simulator.faults.set(timeout_before=3)
    for _ in range(2):
        buyer.work(refund)
    world.simulator.faults.set(timeout_before=0)
    assert buyer.work(refund) == "done"
    sent = [body for method, url, body in world.http.requests[before:] if method == "POST" and "/refunds" in url]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert str(refund).encode() in sent[0]


def test_accepted_is_not_done(world: World) -> None:
    buyer = paid_buyer(world)
    world.simulator.books.next_refunds.append("WAITING")
    refund = buyer.ask(300)
    assert buyer.work(refund) == "pending"
    assert buyer.work(refund) == "pending"
    assert (buyer.coins, buyer.account.held, buyer.refunded) == (66, 33, 0)
    payment = world.at_provider(buyer.payment_id)
    world.simulator.decide_refund(payment, payment.refunds[0], "DONE")
    world.deliver()
    assert (buyer.refund(refund).status, buyer.coins, buyer.refunded) == ("done", 33, 300)
    buyer.assert_balanced()


def test_a_refund_that_fails_after_it_was_accepted_is_declined_by_the_query(world: World) -> None:
    buyer = paid_buyer(world)
    world.simulator.books.next_refunds.append("WAITING")
    refund = buyer.ask()
    buyer.work(refund)
    payment = world.at_provider(buyer.payment_id)
    world.simulator.faults.lose = 1
    world.simulator.decide_refund(payment, payment.refunds[0], "FAILED")
    assert buyer.work(refund) == "declined"
    assert (buyer.coins, buyer.account.held) == (66, 0)
    buyer.assert_balanced()


def test_a_refund_of_ours_has_the_amount_that_we_asked_for_where_no_size_is_told(world: World) -> None:
    buyer = paid_buyer(world)
    refund = buyer.ask(200)
    assert buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund=str(refund))).outcome == "applied"
    assert (buyer.refund(refund).status, buyer.coins, buyer.refunded) == ("done", 44, 200)


def test_two_refunds_at_once_whose_sum_is_too_much_one_is_refused(world: World) -> None:
    buyer = paid_buyer(world)

    def ask(_: int) -> int | None:
        try:
            return buyer.ask(400)
        except RefundExceedsPayment:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [number for number in pool.map(ask, range(8)) if number is not None]
    assert len(made) == 1
    assert buyer.account.held == target(400)
    assert buyer.work(made[0]) == "done"
    assert (buyer.coins, buyer.refunded) == (66 - target(400), 400)
    buyer.assert_balanced()


def test_one_key_sent_by_many_at_once_is_one_refund_sent_once(world: World) -> None:
    buyer = paid_buyer(world)
    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(lambda _: buyer.ask(100, key="the same"), range(8)))
        (refund,) = numbers
        world.clock.advance(60)
        done = list(pool.map(lambda _: refund_calls.work_on_refund(world.core, refund), range(8)))
    assert done.count(True) == 1
    assert len(world.at_provider(buyer.payment_id).refunds) == 1
    buyer.assert_balanced()


def test_refunds_of_one_payment_keep_their_distance(world: World) -> None:
    buyer = paid_buyer(world)
    first, second = buyer.ask(100), buyer.ask(100)
    assert refund_calls.work_on_refund(world.core, first)
    assert not refund_calls.work_on_refund(world.core, second)
    world.clock.advance(3)
    assert refund_calls.work_on_refund(world.core, second)
    assert {row.status for row in buyer.refunds()} == {"done"}


def test_a_console_refund_may_use_what_another_refund_of_the_purchase_had_reserved(world: World) -> None:
    buyer = paid_buyer(world)
    buyer.spend(36)
    refund = buyer.ask(300)
    assert buyer.account.available == 0
    world.simulator.console_refund(world.at_provider(buyer.payment_id), 600)
    world.deliver()
    assert (buyer.coins, buyer.debt, buyer.account.held) == (0, 36, 0)
    assert buyer.work(refund) == "declined"
    assert (buyer.coins, buyer.debt) == (0, 36)
    buyer.assert_balanced()


def test_coins_let_go_of_by_a_declined_refund_repay_what_is_owed(world: World) -> None:
    """One purchase's coins are reserved while another, whose coins are spent, is refunded in the provider's console."""
    first = paid_buyer(world)
    refund = first.ask()
    assert first.account.available == 0
    other = world.order(first.user, key="second").payments[0]
    world.pay(other.id)
    world.receive(world.notification(other.id))
    first.spend(66)
    world.simulator.console_refund(world.at_provider(other.id), 600)
    world.deliver()
    assert (first.coins, first.debt) == (66, 66)
    world.simulator.books.next_refunds.append("REFUSED")
    assert first.work(refund) == "declined"
    assert (first.coins, first.debt, first.account.held) == (0, 0, 0)
    first.assert_balanced()


@pytest.mark.parametrize(("policy", "debt", "forgiven"), [(Clawback.DEBT, 46, 0), (Clawback.FORGIVE, 0, 46)])
def test_the_request_says_what_becomes_of_spent_coins(world: World, policy: Clawback, debt: int, forgiven: int) -> None:
    buyer = paid_buyer(world)
    buyer.spend(46)
    refund = buyer.ask(policy=policy)
    buyer.work(refund)
    assert buyer.refund(refund).coins == [{"asset": "coin", "taken": 20, "debt": debt, "forgiven": forgiven}]
    assert (buyer.coins, buyer.debt) == (0, debt)
    buyer.assert_balanced()


def test_the_freeze_policy_freezes_and_names_the_refund(world: World) -> None:
    buyer = paid_buyer(world)
    buyer.spend(1)
    refund = buyer.ask(policy=Clawback.FREEZE)
    buyer.work(refund)
    assert (buyer.account.frozen, buyer.debt) == (True, 1)
    buyer.earn(10)
    assert (buyer.coins, buyer.debt) == (9, 0)
    assert getattr(buyer.spend(1), "code", "") == "wallet_frozen"


def test_spends_prizes_and_refunds_of_one_user_at_once_leave_exact_books(world: World) -> None:
    """Eight threads on one wallet: whatever order they come in, coins less debt is what came less what went."""
    buyer = paid_buyer(world)
    facts = [buyer.fact(Kind.REFUNDED, hour, refund=f"r{hour}", total=50 * hour) for hour in range(1, 9)]

    def one(number: int) -> int:
        if number % 4 == 0:
            buyer.earn(7)
            return 7
        if number % 4 == 1:
            return -3 if isinstance(buyer.spend(3), Posted) else 0
        buyer.tell(facts[number // 4 % 8], "notification" if number % 4 == 2 else "bill")
        return 0

    with ThreadPoolExecutor(8) as pool:
        moved = sum(pool.map(one, range(32)))
    net = 66 + moved - target(400)
    assert (buyer.coins, buyer.debt, buyer.refunded) == (max(net, 0), max(-net, 0), 400)
    buyer.assert_balanced()


# --- surplus and late money ---


def test_surplus_money_is_refunded_by_itself_if_so_set(engine: Engine, sessions: databases.Sessions) -> None:
    world = build_world(engine, sessions, Rules(policy=PaymentPolicy(surplus=Surplus.REFUND)))
    buyer = Buyer(world)
    request = keyed("test", "again", "add_payment", {})
    second = orders.add_payment(world.core, buyer.user, buyer.order_id, PayBy("sandbox", "qr"), request)
    payment_starts.start_payment(world.core, second)
    for payment_id in (buyer.payment_id, second):
        world.pay(payment_id)
    world.deliver()
    assert (world.money("surplus"), buyer.coins) == (600, 66)
    (refund,) = buyer.refunds()
    assert (refund.origin, refund.payment_id, refund.amount_minor) == ("automatic", second, 600)
    assert Worker(world.core).run_once() >= 1
    assert buyer.refund(refund.id).status == "done"
    assert world.at_provider(second).refunded == 600
    assert (world.money("surplus"), world.money("sales"), world.money("clearing:sandbox")) == (0, 600, -600)
    assert buyer.coins == 66
    buyer.assert_balanced()


def test_a_second_trade_under_one_number_is_refunded_and_the_first_is_not(
    engine: Engine, sessions: databases.Sessions
) -> None:
    world = build_world(engine, sessions, Rules(policy=PaymentPolicy(surplus=Surplus.REFUND)))
    buyer = paid_buyer(world)
    provider = world.at_provider(buyer.payment_id)
    first, provider.id = provider.id, f"{provider.id}-again"
    world.receive(world.notification(buyer.payment_id))
    (refund,) = buyer.refunds()
    assert (refund.theirs, refund.amount_minor) == (provider.id, 600)
    Worker(world.core).run_once()
    assert buyer.refund(refund.id).status == "done"
    assert (world.money("surplus"), world.money("sales"), buyer.coins) == (0, 600, 66)
    provider.id, provider.refunds = first, []
    assert buyer.work(buyer.ask()) == "done"
    assert (world.money("sales"), world.money("clearing:sandbox"), buyer.coins) == (0, 0, 0)
    buyer.assert_balanced()


def test_late_money_is_refunded_by_itself_if_so_set(engine: Engine, sessions: databases.Sessions) -> None:
    world = build_world(engine, sessions, Rules(policy=PaymentPolicy(late=Late.REFUND)))
    buyer = Buyer(world)
    at_provider = world.at_provider(buyer.payment_id)
    world.clock.advance(3 * 3600)
    for _ in range(4):
        Worker(world.core).run_once()
        world.clock.advance(3600)
    assert world.order_row(buyer.order_id).status == "expired"
    at_provider.status = "PAID"
    world.receive(world.notification(buyer.payment_id))
    assert (world.money("suspense"), buyer.coins) == (600, 0)
    Worker(world.core).run_once()
    assert [row.status for row in buyer.refunds()] == ["done"]
    assert (world.money("suspense"), world.money("clearing:sandbox")) == (0, 0)
    assert world.order_row(buyer.order_id).status == "expired"
    buyer.assert_balanced()


# --- everything at once ---


@pytest.mark.parametrize("seed", range(8))
def test_generated_refunds_agree_with_the_provider_whenever_all_is_settled(world: World, seed: int) -> None:
    """Any mixture of requests, console refunds, decisions and faults. Whenever all is told, coins, debt and money are
    what the provider's own books make them."""
    dice, buyer, spent = random.Random(seed), paid_buyer(world), 0
    provider = world.at_provider(buyer.payment_id)
    for _ in range(8):
        move = dice.choice(["ask", "ask", "console", "decide", "reverse", "spend"])
        amount = dice.choice([50, 180, 300])
        world.simulator.books.next_refunds.extend(dice.choice([[], ["WAITING"], ["REFUSED"]]))
        faults = dice.choice([{}, {"timeout_after": 1}, {"timeout_before": 1}, {"lose": 1}, {"repeat": 2}])
        world.simulator.faults.set(**faults)
        if move == "ask":
            with contextlib.suppress(RefundExceedsPayment):
                buyer.work(buyer.ask(amount))
        elif move == "console" and provider.refunded + amount <= PAID and not world.simulator.books.next_refunds:
            world.simulator.faults.set(lose=0)
            world.simulator.console_refund(provider, amount)
        elif move in ("decide", "reverse") and provider.refunds:
            refund = dice.choice(provider.refunds)
            allowed = {"WAITING": ("DONE", "FAILED"), "DONE": ("REVERSED",)}.get(refund.status, ())
            if allowed and (move == "decide") == (refund.status == "WAITING"):
                world.simulator.faults.set(lose=0)
                world.simulator.decide_refund(provider, refund, dice.choice(allowed))
        elif move == "spend" and buyer.account.available:
            amount = dice.randint(1, min(20, buyer.account.available))
            buyer.spend(amount)
            spent += amount
        world.simulator.books.next_refunds.clear()
        world.simulator.faults.set(lose=0, timeout_after=0, timeout_before=0)
        _settle(world, buyer)
        done = sum(refund.amount for refund in provider.refunds if refund.status == "DONE")
        net = COINS + BONUS - target(done) - spent
        assert (buyer.coins, buyer.debt, buyer.refunded) == (max(net, 0), max(-net, 0), done)
    buyer.assert_balanced()


def _settle(world: World, buyer: Buyer) -> None:
    """Deliver what waits, and take every open refund on; those that the provider has not decided stay pending."""
    world.deliver()
    for _ in range(2):
        for row in buyer.refunds():
            if row.status in OPEN_REFUND:
                buyer.work(row.id)
        world.deliver()
    assert {row.status for row in buyer.refunds()} <= {"done", "declined", "pending", "undone"}
