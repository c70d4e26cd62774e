"""Promise 4: order state, postings and what goes with them commit together, or none of it does.

A failure is injected at every step of every transaction, one after the other. After each: everything or nothing. Then
the same thing again, which must succeed, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from app.domain.numbers import slot_of_user
from app.domain.status import Outcome
from app.models.base import Base
from app.services.base.idempotency import keyed
from app.services.payments import orders
from app.services.payments.expiry import lapse_payment
from app.services.payments.orders import NewOrder, PayBy
from tests.conftest import create_schema
from tests.support import databases
from tests.support.faults import Fuse, Injected, fused_engine, losing_the_connection, raising
from tests.support.world import World, build_world

TABLES = ("users", "orders", "payments", "facts", "messages", "idempotency", "accounts", "transfers", "lots")
Snapshot = dict[str, list[str]]


@dataclass
class Action:
    """Something that is one transaction: what to set up for it, and how often it may be repeated until it works."""

    prepare: Callable[[World, str], Callable[[], None]]
    tables: frozenset[str]
    """What it changes, when it works."""


def _paid(world: World, user: str) -> Callable[[], None]:
    payment_id = world.order(user).payments[0].id
    world.pay(payment_id)
    return lambda: _accepted(world, payment_id)


def _surplus(world: World, user: str) -> Callable[[], None]:
    """A second trade of a paid payment: fact, money and the kept message belong together."""
    first = world.order(user).payments[0].id
    world.pay(first)
    _accepted(world, first)
    world.at_provider(first).id += "x"
    return lambda: _accepted(world, first)


def _accepted(world: World, payment_id: int) -> None:
    if world.receive(world.notification(payment_id)).status != 200:
        raise Injected


def _ordered(world: World, user: str) -> Callable[[], None]:
    wanted = NewOrder(user, "coins-60", 1, PayBy("sandbox", "page"), "CNY")
    request = keyed(f"user:{user}", "k", "create_order", {})

    def work() -> None:
        orders.create_order(world.core, wanted, request)

    return work


def _tried_again(world: World, user: str) -> Callable[[], None]:
    order_id = world.order(user).order.id
    request = keyed(f"user:{user}", "again", "add_payment", {})

    def work() -> None:
        orders.add_payment(world.core, user, order_id, PayBy("sandbox", "qr"), request)

    return work


def _lapsed(world: World, user: str) -> Callable[[], None]:
    payment = world.order(user).payments[0]
    world.clock.advance(timedelta(hours=2).total_seconds())

    def work() -> None:
        row = world.payment(payment.id)
        world.core.whole.transact(lambda tx: lapse_payment(tx, row))

    return work


ACTIONS = {
    "paid": Action(_paid, frozenset({"orders", "payments", "facts", "accounts", "transfers", "lots"})),
    "surplus": Action(_surplus, frozenset({"facts", "messages", "accounts", "transfers"})),
    "ordered": Action(_ordered, frozenset({"users", "orders", "payments", "idempotency"})),
    "tried again": Action(_tried_again, frozenset({"payments", "idempotency"})),
    "lapsed": Action(_lapsed, frozenset({"orders", "payments"})),
}


@pytest.fixture
def fuse() -> Fuse:
    return Fuse(raising)


@pytest.fixture
def engine(database_url: str, fuse: Fuse) -> Iterator[Engine]:
    engine = fused_engine(database_url, fuse)
    yield engine
    engine.dispose()


def snapshot(world: World, user: str) -> Snapshot:
    """Every row that the user's payments can touch: they are all in one slot."""

    def rows(table: str) -> list[str]:
        found = Base.metadata.tables[table]
        wanted = select(found).where(found.c.slot == slot_of_user(user))
        return sorted(map(repr, world.core.whole.read(lambda tx: tx.execute(wanted).all())))

    return {table: rows(table) for table in TABLES}


@pytest.mark.one_database
@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_a_failure_at_any_step_leaves_everything_or_nothing_and_a_repeat_does_it_once(
    world: World, fuse: Fuse, name: str
) -> None:
    action = ACTIONS[name]
    work = action.prepare(world, "counted")
    with fuse.armed(0):
        work()
    steps = list(fuse.steps)
    assert len(steps) >= 5
    assert steps[-2:] == ["before commit", "after commit"] or "before commit" in steps
    for at in range(1, len(steps) + 1):
        _fails_once(world, fuse, action, at)
    world.assert_balanced()


def _fails_once(world: World, fuse: Fuse, action: Action, at: int) -> None:
    user = f"user-{at}"
    work = action.prepare(world, user)
    before = snapshot(world, user)
    with fuse.armed(at), pytest.raises(Injected):
        work()
    changed = {table for table, rows in snapshot(world, user).items() if rows != before[table]}
    assert changed in (set(), action.tables), f"half done at step {at}: {fuse.steps[-1]}"
    work()
    done = snapshot(world, user)
    assert {table for table, rows in done.items() if rows != before[table]} == action.tables
    work()
    assert snapshot(world, user) == done


@pytest.mark.postgres
@pytest.mark.parametrize("at_commit", ["before commit", "after commit"])
def test_a_connection_lost_in_commit_leaves_no_doubt(at_commit: str) -> None:
    """Whether the commit was done is not known; the repeat finds out, and the caller never notices."""
    fuse = Fuse(losing_the_connection)
    with databases.postgres_database() as url:
        create_schema(url)
        engine = fused_engine(url, fuse)
        try:
            _survives(build_world(engine, databases.sessions_for(engine)), fuse, at_commit)
        finally:
            engine.dispose()


def _survives(world: World, fuse: Fuse, at_commit: str) -> None:
    for name, action in ACTIONS.items():
        work = action.prepare(world, f"{name.replace(' ', '-')}-counted")
        with fuse.armed(0):
            work()
        place = len(fuse.steps) - fuse.steps[::-1].index(at_commit)
        user = name.replace(" ", "-")
        work = action.prepare(world, user)
        before = snapshot(world, user)
        with fuse.armed(place):
            work()
            assert fuse.has_blown
        done = snapshot(world, user)
        assert {table for table, rows in done.items() if rows != before[table]} == action.tables
    world.assert_balanced()


def test_the_reply_is_only_given_after_the_commit(world: World, fuse: Fuse) -> None:
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    message = world.notification(payment_id)
    with fuse.armed(0):
        assert world.receive(message).status == 200
    place = fuse.steps.index("before commit") + 1
    other = world.order("bob").payments[0].id
    world.pay(other)
    with fuse.armed(place):
        assert world.receive(world.notification(other)).status == 503
    assert world.coins("bob") == 0
    assert world.receive(world.notification(other)).status == 200
    assert world.coins("bob") == 66
    assert {outcome for _, outcome, _ in world.outcomes()} <= {Outcome.APPLIED, Outcome.NOTED}
