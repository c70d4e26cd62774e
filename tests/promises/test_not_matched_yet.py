"""Verified facts that match nothing yet, by any roads, any number of times, in any order: the books stay right, and
once their cause is here they are credited and taken back as if they had come then. No telling ends in a conflict."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from app.domain.facts import Fact, Kind, Ref
from app.domain.money import Money
from app.domain.status import Outcome
from app.models.orders import FactRow, Order, Payment
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import ensure_user
from app.services.base.reported_fact import ReportedFact, Road
from app.services.facts import claims, parked, waiting_refunds
from app.services.facts.owner import tell
from tests.promises.test_reexamined import STORE_CATALOGUE, forgotten
from tests.support.buyer import BONUS, COINS, PAID, Buyer, target
from tests.support.facts import paid_fact, told
from tests.support.world import World

ALL_ROADS: tuple[Road, ...] = get_args(Road)
SWEEP = None
"""A step in which the worker looks at what waits."""
Step = tuple[int, Road] | None
"""ReportedFact the fact of that index by that road, or a sweep."""
_numbers = itertools.count(1)


@pytest.fixture
def shared(world: World) -> World:
    """One Tillbook for all examples of a test, each with a user of its own."""
    import_products(world.core, parse_catalogue(STORE_CATALOGUE))
    return world


def steps(facts: int) -> st.SearchStrategy[list[Step]]:
    telling = st.tuples(st.integers(0, facts - 1), st.sampled_from(ALL_ROADS))
    return st.lists(st.one_of(telling, st.just(SWEEP)), max_size=10)


def retold(facts: int) -> st.SearchStrategy[list[tuple[int, Road]]]:
    """Each fact once more, in any order, by any road."""
    roads = st.lists(st.sampled_from(ALL_ROADS), min_size=facts, max_size=facts)
    return st.tuples(st.permutations(range(facts)), roads).map(lambda pair: list(zip(*pair, strict=True)))


def examples(world: World) -> settings:
    """A round trip to a server takes longer: there fewer have to do."""
    on_a_server = world.core.whole.sessions.kw["bind"].dialect.name == "postgresql"
    return settings(
        max_examples=6 if on_a_server else 20,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )


@dataclass
class Teller:
    world: World
    facts: Sequence[Fact]
    holder: str | None = None

    def go(self, chosen: Sequence[Step]) -> None:
        for step in chosen:
            self.world.clock.advance(1)
            if step is None:
                parked.look_at_parked(self.world.core, parked.PARKED_START)
                waiting_refunds.look_at_waiting_refunds(self.world.core, 0)
            else:
                fact, road = self.facts[step[0]], step[1]
                applied = tell(self.world.core, ReportedFact(self.world.account, fact, road), holder=self.holder)
                assert applied.outcome is not Outcome.CONFLICT


def forget(world: World, buyer: Buyer) -> Any:
    """The order is not here, as after a restore from an older copy; what puts it back."""
    order, payment = world.order_row(buyer.order_id), world.payment(buyer.payment_id)

    def gone(tx: Any) -> None:
        tx.execute(delete(FactRow).where(FactRow.slot == order.slot, FactRow.payment_id == payment.id))
        tx.execute(delete(Payment).where(Payment.slot == order.slot, Payment.id == payment.id))
        tx.execute(delete(Order).where(Order.slot == order.slot, Order.id == order.id))

    def back(tx: Any) -> None:
        tx.execute(insert(Order).values(**order._asdict()))
        tx.execute(insert(Payment).values(**payment._asdict()))

    world.core.whole.transact(gone)
    return back


@pytest.mark.parametrize("sizes", [(), (180,), (180, 420)], ids=str)
def test_facts_about_an_order_that_is_not_here_are_applied_once_it_is(shared: World, sizes: tuple[int, ...]) -> None:
    @examples(shared)
    @given(before=steps(1 + len(sizes)), after=steps(1 + len(sizes)), again=retold(1 + len(sizes)))
    def lives(before: list[Step], after: list[Step], again: list[tuple[int, Road]]) -> None:
        buyer = Buyer(shared)
        refunds = [
            buyer.fact(Kind.REFUNDED, hour, refund=f"r{hour}", money=size) for hour, size in enumerate(sizes, start=1)
        ]
        teller = Teller(shared, [buyer.paid(), *refunds])
        put_back = forget(shared, buyer)
        teller.go(before)
        buyer.assert_proved()
        shared.core.whole.transact(put_back)
        teller.go(after)
        teller.go(again)
        level = sum(sizes)
        assert (shared.coins(buyer.user), buyer.refunded) == (COINS + BONUS - target(level), level)
        buyer.assert_proved()

    lives()
    shared.assert_balanced()


@pytest.mark.parametrize("money", [None, Money(PAID, "CNY")], ids=["no price", "priced"])
@pytest.mark.parametrize("shares", [(), (30_000,), (30_000, 100_000)], ids=str)
def test_facts_about_a_purchase_of_nobody_are_applied_once_its_buyer_is_known(
    shared: World, shares: tuple[int, ...], money: Money | None
) -> None:
    @examples(shared)
    @given(before=steps(1 + len(shares)), after=steps(1 + len(shares)), again=retold(1 + len(shares)))
    def lives(before: list[Step], after: list[Step], again: list[tuple[int, Road]]) -> None:
        number = next(_numbers)
        user, theirs = f"shopper-{number}", f"store-{number}"
        shared.core.whole.transact(lambda tx: ensure_user(tx, user))
        paid = Fact(
            Kind.PAID, Ref(theirs=theirs), shared.clock.now(), money, product="store.60", account="m-1", live=False
        )
        back = replace(paid, kind=Kind.REFUNDED, money=None)
        refunds = [
            replace(back, ref=Ref(theirs=theirs, refund=f"r{hour}"), share=share, at=paid.at + timedelta(hours=hour))
            for hour, share in enumerate(shares, start=1)
        ]
        teller = Teller(shared, [paid, *refunds])
        teller.go(before)
        assert shared.coins(user) == 0
        claims.claim(shared.core, "sandbox", "sandbox", theirs, user)
        teller.go(after)
        teller.go(again)
        level = max(shares, default=0) * PAID // 100_000
        assert shared.coins(user) == COINS + BONUS - target(level)

    lives()
    shared.assert_balanced()


# --- the case that was found in other people's books ---


@pytest.mark.parametrize("scanned", [False, True])
@pytest.mark.parametrize("by", ["sweep", "notification", "query", "scan"])
def test_a_parked_payment_that_a_history_tells_again_keeps_its_booking_and_is_credited_later(
    world: World, scanned: bool, by: str
) -> None:
    fact, restore = forgotten(world, "alice")
    told(world, fact)
    assert world.money("suspense") == 600
    if scanned:
        for road in ("scan", "bill"):
            again = tell(world.core, ReportedFact(world.account, fact, road))
            assert again.outcome is Outcome.PARKED
        assert world.money("suspense") == 600
    world.assert_balanced()
    restore()
    if by == "sweep":
        parked.look_at_parked(world.core, parked.PARKED_START)
    else:
        tell(world.core, ReportedFact(world.account, fact, by))  # type: ignore[arg-type]
    assert (world.coins(), world.money("suspense"), world.money("sales")) == (66, 0, 600)
    assert told(world, fact).outcome is Outcome.DUPLICATE, "the provider's repeat is refused for ever"
    world.assert_balanced()


def test_a_history_that_tells_a_payment_first_books_nothing_and_a_notification_books_it_once(world: World) -> None:
    payment_id = world.order().payments[0].id
    fact = paid_fact(world, payment_id, ref=Ref(ours="999999999", theirs="T-other"), owner=None)
    for road in ("scan", "notification", "scan", "query", "bill", "notification"):
        tell(world.core, ReportedFact(world.account, fact, road))
    assert world.money("suspense") == 600
    world.assert_balanced()
