"""The main job on two databases that share the slots: each payment stays in its own, and gifts go over both."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Engine, create_engine, text

from app.domain.numbers import slot_of_user
from app.domain.refunding import Clawback
from app.domain.spending import Spend
from app.services import ledger
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.context import Core
from app.services.base.databases import SharedSlots
from app.services.base.idempotency import keyed
from app.services.base.transaction import Sessions
from app.services.calls import refund_calls
from app.services.ledger.trial_balance import trial_balance
from app.services.payments.orders import OrderFilter, list_orders
from app.services.refunds.requests import Wanted
from tests.promises.test_store_purchases import CATALOGUE as STORE_CATALOGUE
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support import databases
from tests.support.friends import friends_in
from tests.support.two_databases import HALF, two_databases
from tests.support.world import CATALOGUE, World

pytestmark = pytest.mark.one_database

LIVE = "sandbox"
"""The environment of the sandbox provider's coins."""
LOW, HIGH = "alice", "carol"
"""Users of the first and of the second database."""


@pytest.fixture
def second(second_engine: Engine) -> Sessions:
    return databases.sessions_for(second_engine)


@pytest.fixture
def shared(world: World, sessions: Sessions, second: Sessions) -> World:
    assert slot_of_user(LOW) < HALF <= slot_of_user(HIGH)
    world.core = _over(world.core, two_databases(sessions, second), CATALOGUE)
    return world


def _over(core: Core, two: SharedSlots, *catalogues: str) -> Core:
    """The service over both, each with the whole catalogue."""
    core = replace(core, databases=two)
    for catalogue in catalogues:
        import_products(core, parse_catalogue(catalogue))
    return core


def coins(core: Core, user: str) -> int:
    found = core.of_user(user).read(lambda tx: ledger.balances(tx, slot_of_user(user), user))
    return sum(one.balance for one in found if one.asset == "coin")


def rows(sessions: Sessions, table: str) -> int:
    with sessions() as session:
        return int(session.execute(text(f"/* sweep: audit */ SELECT count(*) FROM {table}")).scalar_one())


def bought(world: World, user: str) -> int:
    """An order of the user's that is paid and told; its payment."""
    order = world.order(user, key=f"order-{user}")
    payment: int = order.payments[-1].id
    world.pay(payment)
    world.deliver()
    return payment


def test_each_user_pays_spends_and_is_refunded_in_a_database_of_their_own(shared: World) -> None:
    core = shared.core
    payments = {user: bought(shared, user) for user in (LOW, HIGH)}
    for user, payment in payments.items():
        spend = partial(ledger.spend, slot=slot_of_user(user), request=Spend(user, "coin", 10, "one", environment=LIVE))
        assert coins(core, user) == 66
        core.of_user(user).transact(lambda tx, spend=spend: spend(tx))  # type: ignore[misc]
        assert coins(core, user) == 56
        wanted = Wanted(payment, None, None, "a test", Clawback.FORGIVE, "backend:test")
        refund = refund_calls.request_refund(core, wanted, keyed("backend:test", f"refund-{user}", "refund", {}))
        assert (refund.status, coins(core, user)) == ("done", 0)
    for sessions in core.databases.all:
        assert (rows(sessions, "orders"), rows(sessions, "refunds")) == (1, 1)
        assert run.audit(sessions, AsOf(core.rules.ledger, core.clock.now)) == []


def test_a_gift_goes_from_one_database_to_the_other_and_back(shared: World) -> None:
    friends = friends_in(shared)
    core = friends.world.core
    for user in (LOW, HIGH):
        bought(shared, user)
    gift = friends.give(LOW, HIGH, 20)
    assert gift.status == "received"
    assert (coins(core, LOW), coins(core, HIGH)) == (46, 86)
    friends.give(HIGH, LOW, 30)
    assert (coins(core, LOW), coins(core, HIGH)) == (76, 56)
    assert [rows(sessions, "gifts") for sessions in core.databases.all] == [1, 1]


def test_a_store_purchase_is_claimed_where_its_own_number_says(
    world: World, sessions: Sessions, second: Sessions
) -> None:
    store = Store(world)
    store.core = world.core = _over(store.core, two_databases(sessions, second), STORE_CATALOGUE)
    for user in (LOW, HIGH):
        device = store.device(user)
        numbers = [device.buy(PRODUCT) for _ in range(6)]
        store.deliver()
        assert all(device.resubmit(number) for number in numbers)
        assert coins(store.core, user) == 6 * 600
    claimed = [rows(each, "claims") for each in store.core.databases.all]
    assert sum(claimed) == 12
    assert min(claimed) > 0, "a claim does not lie where its user does"
    assert [rows(each, "orders") for each in store.core.databases.all] == [6, 6]


def test_a_database_that_is_down_stops_only_its_own_users(shared: World, sessions: Sessions) -> None:
    payments = [shared.order(user, key=f"order-{user}").payments[-1].id for user in (LOW, HIGH)]
    up = shared.core
    gone = databases.sessions_for(create_engine("sqlite:////nowhere/at/all.sqlite3"))
    shared.core = replace(up, databases=two_databases(sessions, gone))
    for payment in payments:
        shared.pay(payment)
    first, other = (shared.notification(payment) for payment in payments)
    assert shared.receive(first).status == 200
    assert coins(shared.core, LOW) == 66
    assert shared.receive(other).status >= 500
    shared.core = up
    assert shared.receive(other).status == 200, "the provider tells it again"
    assert coins(up, HIGH) == 66


def test_lists_of_all_users_are_merged_from_both(shared: World) -> None:
    placed = []
    for n in range(7):
        placed.append(shared.order((LOW, HIGH)[n % 3 % 2], key=f"order-{n}").order.id)
        shared.clock.advance(1)
    listed, place = [], None
    for _ in range(4):
        page = list_orders(shared.core, OrderFilter(), place, 2)
        listed += [view.order.id for view in page.rows]
        place = page.next
    assert place is None
    assert listed == placed[::-1]


def test_the_audit_and_the_trial_balance_sum_over_both(shared: World) -> None:
    friends = friends_in(shared)
    shared = friends.world
    for user in (LOW, HIGH):
        bought(shared, user)
    friends.give(LOW, HIGH, 20)
    core = shared.core
    shared.assert_balanced()
    found = core.whole.read(lambda tx: trial_balance(tx, now=core.clock.now()), snapshot=True)
    assert found.balanced
    of_users = sum(
        line.balance for sheet in found.sheets for line in sheet.lines if line.of_users and sheet.asset == "coin"
    )
    assert of_users == 2 * 66
