"""Promise 2: a parked fact is looked at again when its cause may have come, by the worker and by hand; whatever happens
at the same time, and wherever it is interrupted, it credits once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text

from app.domain.deciding import Late, PaymentPolicy
from app.domain.facts import content_of
from app.domain.money import Money
from app.domain.numbers import slot_of_reference, slot_of_user
from app.domain.raw_documents import NO_WORDS
from app.models.orders import FactRow, IdempotencyKey, Order, Payment
from app.providers.facts import Fact, Kind, Ref
from app.providers.registry import ProviderAccount, Registry
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import ensure_user
from app.services.base.context import Rules
from app.services.base.reported_fact import ReportedFact
from app.services.events import feed
from app.services.facts import claims
from app.services.facts import parked as parked_facts
from app.services.facts.parked import PARKED_BATCH, PARKED_START, NotReexamined, reexamine
from app.worker import Worker
from tests.support import databases
from tests.support.facts import paid_fact, told
from tests.support.faults import Fuse, Injected, fused_engine, raising
from tests.support.world import CATALOGUE, World, build_world

STORE_CATALOGUE = CATALOGUE.replace('title = "60 coins"', 'title = "60 coins"\nstore_ids = { sandbox = "store.60" }')
Situation = Callable[[World, str], int]
"""Makes a parked fact of that user's and then its cause; the number of the fact."""


def parked(world: World, outcome: str = "parked") -> list[Any]:
    return list(world.core.whole.read(lambda tx: parked_facts.list_parked(tx, outcome, 1000)))


def forgotten(world: World, user: str) -> tuple[Fact, Callable[[], None]]:
    """An order that is gone, as after a restore from a backup; what the provider says of it, and how it comes back."""
    view = world.order(user)
    order, payment = view.order, world.payment(view.payments[0].id)
    fact = paid_fact(world, payment.id, ref=Ref(ours=str(payment.id), theirs=payment.theirs))

    keys: list[Any] = []

    def forget(session: Any) -> None:
        mine = (IdempotencyKey.slot == order.slot, IdempotencyKey.resource_id == order.id)
        keys.extend(row._asdict() for row in session.execute(select(*IdempotencyKey.__table__.c).where(*mine)))
        session.execute(delete(IdempotencyKey).where(*mine))
        session.execute(delete(FactRow).where(FactRow.slot == order.slot, FactRow.payment_id == payment.id))
        session.execute(delete(Payment).where(Payment.slot == order.slot, Payment.id == payment.id))
        session.execute(delete(Order).where(Order.slot == order.slot, Order.id == order.id))

    def remember(session: Any) -> None:
        session.execute(insert(Order).values(**order._asdict()))
        session.execute(insert(Payment).values(**payment._asdict()))
        session.execute(insert(IdempotencyKey), keys)

    world.core.whole.transact(forget)
    return fact, lambda: world.core.whole.transact(remember)


def an_order_restored(world: World, user: str) -> int:
    fact, restore = forgotten(world, user)
    number = told(world, fact).fact_id
    restore()
    return number


def store_fact(world: World, user: str, **changes: Any) -> Fact:
    """A purchase in a store that knows no number of ours."""
    ref = Ref(theirs=f"store-{user}")
    return Fact(Kind.PAID, ref, world.clock.now(), None, product="store.60", account="m-1", live=False, **changes)


def import_text(world: World, catalogue: str) -> None:
    import_products(world.core, parse_catalogue(catalogue))


def a_product_imported(world: World, user: str) -> int:
    import_text(world, CATALOGUE)
    owner = str(world.core.whole.transact(lambda tx: ensure_user(tx, user)).token)
    applied = told(world, store_fact(world, user, owner=owner))
    assert applied.reason == "unknown_product"
    import_text(world, STORE_CATALOGUE)
    return applied.fact_id


def a_buyer_known(world: World, user: str) -> int:
    """A parked fact of a store: it lies in the slot of the store's number, and its buyer's data in another slot."""
    import_text(world, STORE_CATALOGUE)
    applied = told(world, store_fact(world, user))
    assert applied.slot == slot_of_reference(f"store-{user}") != slot_of_user(user)
    claims.claim(world.core, "sandbox", "sandbox", f"store-{user}", user)
    return applied.fact_id


def kept_by_an_older_version(world: World, user: str) -> int:
    """A kind of fact that it did nothing about: the payment is here, the fact is not handled."""
    payment_id = world.order(user).payments[0].id
    fact = paid_fact(world, payment_id)
    telling = ReportedFact(world.account, fact, "notification")
    row = {
        "slot": telling.slot,
        "id": world.core.numbers.next(telling.slot),
        "provider_account": "sandbox",
        "environment": "sandbox",
        "key": telling.key,
        "kind": fact.kind,
        "payment_id": payment_id,
        "content": content_of(fact),
        "raw": NO_WORDS,
        "road": "notification",
        "outcome": "parked",
        "reason": "not_handled",
        "booking": "nothing",
        "from_suspense": False,
        "at": fact.at,
        "recorded_at": world.clock.now(),
    }
    world.core.whole.transact(lambda tx: tx.execute(insert(FactRow).values(**row)))
    return int(row["id"])


SITUATIONS: list[Situation] = [an_order_restored, a_product_imported, a_buyer_known, kept_by_an_older_version]
each_situation = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda made: made.__name__)


@each_situation
def test_the_worker_applies_it_once_its_cause_is_there(world: World, situation: Situation) -> None:
    situation(world, "alice")
    assert (world.coins(), len(parked(world))) == (0, 1)
    for _ in range(2):
        Worker(world.core).run_once()
        assert (world.coins(), parked(world)) == (66, [])
    world.assert_balanced()


@each_situation
def test_an_operator_applies_it_by_hand_once(world: World, situation: Situation) -> None:
    number = situation(world, "alice")
    assert reexamine(world.core, number).outcome == "applied"
    with pytest.raises(NotReexamined, match="that is decided"):
        reexamine(world.core, number)
    assert world.coins() == 66
    world.assert_balanced()


@each_situation
def test_found_by_many_at_once_it_is_applied_once(world: World, situation: Situation) -> None:
    number = situation(world, "alice")

    def look(turn: int) -> None:
        try:
            if turn % 2:
                reexamine(world.core, number)
            else:
                parked_facts.look_at_parked(world.core, PARKED_START)
        except NotReexamined:
            pass  # another one was faster

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(16)))
    assert (world.coins(), parked(world)) == (66, [])
    world.assert_balanced()


@each_situation
def test_interrupted_at_any_step_it_is_taken_up_again(database_url: str, situation: Situation) -> None:
    fuse = Fuse(raising)
    engine = fused_engine(database_url, fuse)
    world = build_world(engine, databases.sessions_for(engine))
    at, blown = 0, True
    while blown:
        at += 1
        number = situation(world, f"user-{at}")
        with fuse.armed(at):
            try:
                reexamine(world.core, number)
            except Injected:
                assert world.coins(f"user-{at}") in (0, 66)
            blown = fuse.has_blown
        parked_facts.look_at_parked(world.core, PARKED_START)
        assert (world.coins(f"user-{at}"), parked(world)) == (66, []), f"interrupted at step {at}"
    assert at > 5
    world.assert_balanced()
    engine.dispose()


def test_a_refund_that_an_older_version_only_kept_is_carried_out(world: World) -> None:
    payment_id = world.order().payments[0].id
    paid = paid_fact(world, payment_id)
    told(world, paid)
    refund = replace(paid, kind=Kind.REFUNDED, ref=replace(paid.ref, refund="r-1"), owner=None)
    number = told(_with_mistyped_settings(world), refund).fact_id
    _set(world, number, reason="not_handled")
    assert world.coins() == 66
    Worker(world.core).run_once()
    assert (world.coins(), world.money("sales"), parked(world)) == (0, 0, [])
    world.assert_balanced()


def test_a_word_about_an_agreement_that_nobody_knows_stays_and_is_not_kept_twice(world: World) -> None:
    payment_id = world.order().payments[0].id
    signed = Fact(Kind.SIGNED, Ref(ours=str(payment_id), agreement="a-1"), world.clock.now(), account="m-1", live=False)
    assert [(told(world, signed).reason, told(world, signed).outcome) for _ in range(2)] == [
        ("unknown_number", "parked")
    ] * 2
    Worker(world.core).run_once()
    assert [row.reason for row in parked(world)] == ["unknown_number"]


def _with_mistyped_settings(world: World) -> World:
    """The world as it is with a wrong merchant number in the settings."""

    class Mistyped:
        account = "m-9"

        def __getattr__(self, name: str) -> Any:
            return getattr(world.account.provider, name)

    provider: Any = Mistyped()
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def _set(world: World, fact_id: int, **values: Any) -> None:
    changes = ", ".join(f"{name} = :{name}" for name in values)
    query = text(f"UPDATE facts SET {changes} WHERE slot = :slot AND id = :id")
    world.core.whole.transact(lambda s: s.execute(query, {**values, "slot": fact_id & 4095, "id": fact_id}))


def test_what_was_parked_by_wrong_settings_is_applied_by_hand_once_they_are_right(world: World) -> None:
    wrong = _with_mistyped_settings(world)
    number = told(wrong, paid_fact(world, world.order().payments[0].id)).fact_id
    assert reexamine(wrong.core, number).reason == "other_account"
    Worker(world.core).run_once()
    assert world.coins() == 0, "the worker does not guess that settings have changed"
    assert reexamine(world.core, number).outcome == "applied"
    assert world.coins() == 66
    world.assert_balanced()


def test_what_was_decided_against_a_payment_stays_decided(world: World) -> None:
    world = world.with_rules(Rules(policy=PaymentPolicy(late=Late.PARK)))
    held = told(world, paid_fact(world, world.order("bob").payments[0].id, money=Money(599, "CNY"))).fact_id
    used = told(world, paid_fact(world, world.order("carol").payments[0].id)).fact_id
    unusable = told(world, paid_fact(world, world.order("dave").payments[0].id, quantity=0)).fact_id
    view = world.order("erin")
    world.clock.advance(1800 + 900)
    Worker(world.core).run_once()
    late = told(world, paid_fact(world, view.payments[0].id)).fact_id
    before = world.outcomes()
    for number in (held, used, unusable, late):
        with pytest.raises(NotReexamined, match="that is decided"):
            reexamine(world.core, number)
    with pytest.raises(NotReexamined, match="no such fact"):
        reexamine(world.core, 12345)
    Worker(world.core).run_once()
    assert world.outcomes() == before
    world.assert_balanced()


def test_a_fact_of_an_account_that_is_not_configured_any_more_waits(world: World) -> None:
    number = an_order_restored(world, "alice")
    without = world.with_accounts().core
    with pytest.raises(NotReexamined, match="'sandbox' is not configured"):
        reexamine(without, number)
    assert parked_facts.look_at_parked(without, PARKED_START) == (0, PARKED_START)
    assert len(parked(world)) == 1


def test_a_parked_fact_without_a_cause_is_only_read(world: World) -> None:
    fact, _ = forgotten(world, "alice")
    number = told(world, fact).fact_id
    assert reexamine(world.core, number).reason == "unknown_number"
    feed.place_events(world.core)
    assert Worker(world.core).run_once() == 0
    assert (world.money("suspense"), world.coins()) == (600, 0)
    world.assert_balanced()


def test_after_thirty_days_only_a_person_looks_again(world: World) -> None:
    number = an_order_restored(world, "alice")
    world.clock.advance(timedelta(days=30).total_seconds() + 1)
    assert parked_facts.look_at_parked(world.core, PARKED_START) == (0, PARKED_START)
    assert reexamine(world.core, number).outcome == "applied"


def test_a_sweep_goes_on_where_the_last_one_stopped_and_begins_again_at_the_end(world: World) -> None:
    fact, restore = forgotten(world, "alice")
    for number in range(PARKED_BATCH):
        told(world, replace(fact, ref=Ref(ours=str(4096 + number), theirs=f"T-{number}")))
    world.clock.advance(1)
    told(world, fact)
    restore()
    done, place = parked_facts.look_at_parked(world.core, PARKED_START)
    assert (done, world.coins()) == (0, 0)
    assert parked_facts.look_at_parked(world.core, place) == (1, PARKED_START)
    assert world.coins() == 66


def test_one_fact_that_cannot_be_looked_at_does_not_keep_the_others_waiting(world: World) -> None:
    broken = an_order_restored(world, "bob")
    _set(world, broken, kind="unheard_of")
    an_order_restored(world, "alice")
    assert parked_facts.look_at_parked(world.core, PARKED_START)[0] == 1
    assert (world.coins("alice"), world.coins("bob")) == (66, 0)
