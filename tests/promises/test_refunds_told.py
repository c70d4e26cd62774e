"""Refunds that providers decide, told by every road, in every form and every order: coins, debt, money and states.

Each sequence has a buyer of its own in one database, and is compared after every single step with a model that knows
nothing of how it is done.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations

import pytest

from app.domain.money import Money
from app.domain.refunding import Clawback
from app.models.base import AnyRow
from app.providers.facts import Fact, Kind
from app.services.base.context import Rules
from app.services.ledger.deferred import deferred_revenue
from tests.support.buyer import BONUS, COINS, PAID, ROADS, Buyer, target
from tests.support.world import World


@dataclass(frozen=True)
class Told:
    """One thing that happened at the provider, at that hour. `amount` is of this refund, in minor units."""

    hour: int
    amount: int
    form: str = "single"
    undone: bool = False


def fact_of(buyer: Buyer, event: Told, so_far: int) -> Fact:
    """The event as a provider tells it: alone, as a running total, or as a share of the purchase."""
    if event.undone:
        return buyer.fact(Kind.REFUND_UNDONE, event.hour, refund=f"u{event.hour}")
    size = {
        "single": {"money": event.amount},
        "total": {"total": so_far},
        "share": {"share": so_far * 100_000 // PAID},
    }[event.form]
    return buyer.fact(Kind.REFUNDED, event.hour, refund=f"r{event.hour}", **size)


def facts_of(buyer: Buyer, events: Sequence[Told]) -> list[Fact]:
    facts, so_far = [], 0
    for event in events:
        so_far = 0 if event.undone else so_far + event.amount
        facts.append(fact_of(buyer, event, so_far))
    return facts


def expected(facts: Sequence[Fact]) -> int:
    """The model: what is refunded by these facts, walking through them in the provider's time."""
    level = 0
    for fact in sorted(facts, key=lambda fact: fact.at):
        if fact.kind is Kind.REFUND_UNDONE:
            level = 0
        elif fact.money is not None:
            level += fact.money.minor
        elif fact.total is not None:
            level = max(level, fact.total.minor)
        elif fact.share is not None:
            level = fact.share * PAID // 100_000
    return min(level, PAID)


def cumulative_forms() -> list[list[Told]]:
    """30 %, 30 % more, all of it; in each form, and mixed."""
    parts = [(1, 180), (2, 180), (3, 240)]
    forms = [
        ("single",) * 3,
        ("total",) * 3,
        ("share",) * 3,
        ("total", "single", "total"),
        ("single", "total", "share"),
    ]
    return [[Told(hour, amount, form) for (hour, amount), form in zip(parts, chosen, strict=True)] for chosen in forms]


def _name(events: Sequence[Told]) -> str:
    return "-".join("undone" if event.undone else f"{event.form}{event.amount}" for event in events)


UNDONE_AND_AGAIN = [
    [Told(1, 180, form), Told(2, 0, undone=True), Told(3, 600, form)] for form in ("single", "total", "share")
]


@pytest.mark.parametrize("events", [*cumulative_forms(), *UNDONE_AND_AGAIN], ids=_name)
def test_every_order_of_telling_ends_with_the_same_coins_and_money(world: World, events: list[Told]) -> None:
    # A round trip to a server takes longer: there every third order has to do.
    every = 3 if world.core.whole.sessions.kw["bind"].dialect.name == "postgresql" else 1
    for number, order in enumerate(islice(permutations(range(len(events) + 1)), None, None, every)):
        buyer = Buyer(world)
        facts = [buyer.paid(), *facts_of(buyer, events)]
        told: list[Fact] = []
        for step in order:
            buyer.tell(facts[step], ROADS[(number + step) % len(ROADS)])
            told.append(facts[step])
            check(buyer, told, spent=0)
        for fact in facts:
            assert buyer.tell(fact, "bill").outcome == "duplicate"
        check(buyer, facts, spent=0)
        buyer.assert_proved()
    buyer.assert_balanced()


def check(buyer: Buyer, told: Sequence[Fact], *, spent: int) -> None:
    """Before the payment is told nothing is booked; after it, exactly what the model says."""
    paid = any(fact.kind is Kind.PAID for fact in told)
    level = expected([fact for fact in told if fact.kind is not Kind.PAID]) if paid else 0
    net = COINS + BONUS - target(level) - spent if paid else 0
    assert (buyer.coins, buyer.debt, buyer.refunded) == (max(net, 0), max(-net, 0), level)


@pytest.mark.parametrize("seed", range(25))
def test_generated_lives_of_a_purchase_agree_with_the_model_after_each_step(world: World, seed: int) -> None:
    """Refunds, reversals, spends and prizes in any order, facts late and repeated, under the policy of debt."""
    dice = random.Random(seed)
    buyer = Buyer(world)
    buyer.tell(buyer.paid())
    events = [
        Told(hour, dice.choice([60, 100, 180, 333]), dice.choice(["single", "total"]), dice.random() < 0.25)
        for hour in range(1, 7)
    ]
    waiting = facts_of(buyer, events)
    dice.shuffle(waiting)
    told, spent = [buyer.paid()], 0
    while waiting:
        move = dice.choice(["tell", "tell", "repeat", "spend", "earn"])
        if move == "tell":
            told.append(waiting.pop())
            buyer.tell(told[-1], dice.choice(ROADS))
        elif move == "repeat":
            buyer.tell(dice.choice(told), dice.choice(ROADS))
        elif move == "spend" and buyer.coins:
            amount = dice.randint(1, buyer.coins)
            buyer.spend(amount)
            spent += amount
        elif move == "earn":
            buyer.earn(25)
            spent -= 25
        check(buyer, told, spent=spent)
    buyer.assert_proved()


@dataclass(frozen=True)
class Word:
    """What a provider says about one of its refunds."""

    kind: Kind
    hour: int
    number: str
    minor: int | None = None


def life(*words: Word) -> list[Word]:
    return list(words)


_DONE, _FAILED, _UNDONE, _PENDING = Kind.REFUNDED, Kind.REFUND_FAILED, Kind.REFUND_UNDONE, Kind.REFUND_PENDING
LIVES = {
    "done, and failed later": (life(Word(_DONE, 1, "r1", 300), Word(_FAILED, 2, "r1")), 0),
    "failed, and done later": (life(Word(_FAILED, 1, "r1"), Word(_DONE, 2, "r1", 300)), 300),
    "in progress, done, failed": (
        life(Word(_PENDING, 1, "r1", 300), Word(_DONE, 2, "r1", 300), Word(_FAILED, 3, "r1")),
        0,
    ),
    "undone in part": (life(Word(_DONE, 1, "r1", 300), Word(_UNDONE, 2, "r1", 100)), 200),
    "one stands, another is undone": (
        life(Word(_DONE, 1, "r1", 200), Word(_DONE, 2, "r2", 100), Word(_UNDONE, 3, "r2")),
        200,
    ),
    "at one moment": (life(Word(_DONE, 1, "r2", 100), Word(_DONE, 1, "r1", 200), Word(_FAILED, 1, "r0")), 300),
    "one stands, another is undone in part, a third fails": (
        life(
            Word(_DONE, 1, "r1", 200),
            Word(_DONE, 2, "r2", 100),
            Word(_UNDONE, 3, "r2", 40),
            Word(_FAILED, 4, "r3", 50),
        ),
        260,
    ),
}


@pytest.mark.parametrize("name", LIVES)
def test_the_rows_of_refunds_depend_on_no_order_of_telling(world: World, name: str) -> None:
    words, minor = LIVES[name]
    every = 7 if world.core.whole.sessions.kw["bind"].dialect.name == "postgresql" else 1
    seen = set()
    for order in islice(permutations(range(len(words) + 1)), None, None, every):
        buyer = Buyer(world)
        facts = [buyer.paid(), *(buyer.fact(w.kind, w.hour, refund=w.number, money=w.minor) for w in words)]
        for number, step in enumerate(order):
            buyer.tell(facts[step], ROADS[(number + step) % len(ROADS)])
        assert (buyer.coins, buyer.debt, buyer.refunded) == (66 - target(minor), 0, minor)
        buyer.assert_proved()
        seen.add(tuple(shown(row) for row in buyer.refunds()))
    assert len(seen) == 1, seen
    buyer.assert_balanced()


def shown(row: AnyRow) -> tuple[object, ...]:
    """What GET /v1/refunds shows of it but for our own numbers."""
    coins = tuple(tuple(sorted(entry.items())) for entry in row.coins)
    told = (row.number_there, row.origin, row.amount_minor, row.currency, row.undone_minor, row.status, row.problem)
    return (*told, coins, row.created_at, row.done_at)


@pytest.mark.parametrize("undone_first", [True, False])
def test_a_taking_back_that_is_told_before_its_refund_leaves_one_of_ours_standing(
    world: World, undone_first: bool
) -> None:
    buyer = Buyer(world)
    buyer.pay()
    ours = buyer.ask(300)
    assert buyer.work(ours) == "done"
    undone = buyer.fact(Kind.REFUND_UNDONE, 300, refund="r2")
    done = buyer.fact(Kind.REFUNDED, 299, refund="r2", money=200)
    for fact in (undone, done) if undone_first else (done, undone):
        buyer.tell(fact)
        buyer.assert_balanced()
    assert (buyer.refund(ours).status, buyer.coins, buyer.refunded) == ("done", 33, 300)
    assert sorted((row.status, row.amount_minor) for row in buyer.refunds()) == [("done", 300), ("undone", 200)]
    rest = buyer.ask()
    assert buyer.refund(rest).amount_minor == 300
    assert buyer.work(rest) == "done"
    assert (buyer.coins, buyer.refunded) == (0, 600)
    buyer.assert_balanced()


def test_one_of_ours_that_fails_after_it_was_done_gives_coins_and_money_back(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    ours = buyer.ask(300)
    assert buyer.work(ours) == "done"
    buyer.tell(buyer.fact(Kind.REFUND_FAILED, 300, refund=str(ours)), "query")
    row = buyer.refund(ours)
    assert (row.status, row.coins, buyer.coins, buyer.refunded) == ("declined", [], 66, 0)
    assert row.recheck_at is not None
    buyer.assert_balanced()
    again = buyer.ask(600)
    assert buyer.refund(again).status == "created"


def test_one_of_ours_that_is_undone_before_it_was_told_lets_its_coins_go(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    ours = buyer.ask(300)
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, 2, refund=str(ours)))
    assert (buyer.refund(ours).status, buyer.account.held, buyer.coins) == ("undone", 0, 66)
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund=str(ours), money=300))
    assert (buyer.refund(ours).status, buyer.coins, buyer.refunded) == ("undone", 66, 0)
    buyer.assert_balanced()


def test_a_refund_without_its_payment_leaves_the_books_of_all_slots_balanced(world: World) -> None:
    Buyer(world).pay()
    Buyer(world).tell(Buyer(world).fact(Kind.REFUNDED, 1, refund="early", money=100))
    world.assert_balanced()


# --- what happened is written down ---


def test_a_refund_by_the_provider_is_a_refund_with_what_happened_on_it(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(50)
    console = world.simulator.console_refund(world.at_provider(buyer.payment_id), 600)
    world.deliver()
    (refund,) = buyer.refunds()
    assert (refund.origin, refund.status, refund.number_there) == ("provider", "done", console.number)
    assert (refund.amount_minor, refund.currency) == (600, "CNY")
    assert refund.coins == [{"asset": "coin", "taken": 16, "debt": 50, "forgiven": 0}]
    assert buyer.lines() == [("purchase", 60), ("bonus", 6), ("spend", -50), ("clawback", -16)]
    buyer.earn(80)
    assert (buyer.coins, buyer.debt) == (30, 0)
    assert buyer.lines()[-2:] == [("grant", 80), ("debt_repayment", -50)]


def test_a_reversal_at_the_provider_gives_back_exactly_what_was_taken(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(26)
    refund = world.simulator.console_refund(world.at_provider(buyer.payment_id), 600)
    world.deliver()
    assert (buyer.coins, buyer.debt, buyer.refunded) == (0, 26, 600)
    world.simulator.decide_refund(world.at_provider(buyer.payment_id), refund, "REVERSED")
    world.deliver()
    assert (buyer.coins, buyer.debt, buyer.refunded) == (40, 0, 0)
    assert [row.status for row in buyer.refunds()] == ["undone"]


def test_two_roads_that_tell_different_sizes_of_one_refund_add_what_they_know(world: World) -> None:
    """One road tells our refund alone; another, later and about the same refund, the total with a console refund."""
    buyer = Buyer(world)
    buyer.tell(buyer.paid())
    buyer.tell(buyer.fact(Kind.REFUNDED, 2, refund="r2", money=100), "query")
    assert buyer.refunded == 100
    buyer.tell(buyer.fact(Kind.REFUNDED, 2, refund="r2", total=250), "notification")
    assert buyer.refunded == 250
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=150), "bill")
    assert buyer.refunded == 250


def test_a_refund_in_another_currency_or_without_a_size_waits_for_a_person(world: World) -> None:
    buyer = Buyer(world)
    buyer.tell(buyer.paid())
    applied = buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1"))
    assert (applied.outcome, applied.reason) == ("parked", "no_amount")
    ours = buyer.fact(Kind.REFUNDED, 1, refund="r2", money=100)
    assert buyer.tell(replace(ours, money=Money(100, "JPY"))).reason == "other_currency"
    stranger = replace(ours, ref=replace(ours.ref, refund="r3"), account="m-2")
    assert buyer.tell(stranger).reason == "other_account"
    assert (buyer.coins, buyer.refunded) == (66, 0)


def test_a_refund_asked_for_or_declined_by_the_provider_moves_nothing(world: World) -> None:
    buyer = Buyer(world)
    buyer.tell(buyer.paid())
    for kind in (Kind.REFUND_ASKED, Kind.REFUND_PENDING, Kind.REFUND_FAILED):
        assert buyer.tell(buyer.fact(kind, 1, refund="r1")).outcome == "noted"
    assert (buyer.coins, buyer.refunded) == (66, 0)


def test_a_refund_before_its_payment_makes_us_ask_about_the_payment_at_once(world: World) -> None:
    buyer = Buyer(world)
    applied = buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    assert (applied.outcome, applied.reason) == ("parked", "before_payment")
    assert world.payment(buyer.payment_id).next_query_at == world.clock.now()
    buyer.tell(buyer.paid())
    assert (buyer.coins, buyer.debt, buyer.refunded) == (0, 0, 600)
    assert [row.status for row in buyer.refunds()] == ["done"]


@pytest.mark.parametrize("policy", list(Clawback))
def test_the_bonus_goes_back_with_the_paid_share_under_each_policy(world: World, policy: Clawback) -> None:
    """Half is refunded when only 10 coins are left: 33 are wanted, 23 of them are spent."""
    other = world.with_rules(Rules(clawback=policy))
    buyer = Buyer(other)
    buyer.tell(buyer.paid())
    buyer.spend(56)
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300))
    (refund,) = buyer.refunds()
    owes = policy is not Clawback.FORGIVE
    assert refund.coins == [{"asset": "coin", "taken": 10, "debt": 23 * owes, "forgiven": 23 * (not owes)}]
    assert (buyer.coins, buyer.debt, buyer.account.frozen) == (0, 23 * owes, policy is Clawback.FREEZE)
    buyer.earn(30)
    assert (buyer.coins, buyer.debt) == (30 - 23 * owes, 0)
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, 2, refund="u2"))
    assert (buyer.coins, buyer.debt) == (40, 0)
    buyer.assert_balanced()


@pytest.mark.parametrize("refunded", [1, 4, 5, 6, 14, 15, 299, 300, PAID])
def test_the_value_of_unspent_coins_is_the_money_that_was_not_refunded(world: World, refunded: int) -> None:
    """Four minor units are less than half a coin: no coin is taken, and the value still follows the money."""
    before = _value(world)
    buyer = Buyer(world)
    buyer.pay()
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=refunded))
    assert _value(world) - before == PAID - refunded
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, 2, refund="r1"))
    assert PAID - 1 <= _value(world) - before <= PAID
    buyer.spend(BONUS + COINS)
    assert _value(world) == before
    buyer.assert_balanced()


def _value(world: World) -> int:
    return sum(found.value_minor for found in world.core.whole.read(deferred_revenue).values())
