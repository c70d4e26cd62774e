"""The audit proves that every payment is credited once, not only that the books balance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from app.models.guards import APPEND_ONLY, IMMUTABLE_COLUMNS
from app.services.audit.ledger import AsOf
from app.services.audit.run import audit
from app.services.base.transaction import Sessions
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.world import World, build_world

pytestmark = pytest.mark.one_database

Edit = Callable[[str], None]


def found(world: World) -> dict[str, str]:
    core = world.core
    return {
        finding.what: finding.detail for finding in audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now))
    }


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    return Store(build_world(engine, sessions))


@pytest.fixture
def edit(engine: Engine) -> Edit:
    """As somebody with a database console: past every guard of ours."""
    with engine.begin() as connection:
        for table in (*APPEND_ONLY, *IMMUTABLE_COLUMNS):
            for event in ("update", "delete"):
                on = f" ON {table}" if engine.dialect.name == "postgresql" else ""
                connection.execute(text(f"DROP TRIGGER {table}_no_{event}{on}"))

    def run(sql: str) -> None:
        with engine.begin() as connection:
            assert connection.execute(text(f"/* sweep: operator */ {sql}")).rowcount >= 1

    return run


def test_purchases_that_were_claimed_and_credited_once_are_no_finding(store: Store) -> None:
    store.submit("bob", store.device("bob", token=False).buy(PRODUCT), "bob")
    assert found(store.world) == {}


def test_a_deleted_claim_is_found_before_anybody_uses_it(store: Store, edit: Edit) -> None:
    number = store.device("bob", token=False).buy(PRODUCT)
    store.submit("bob", number, "bob")
    edit("DELETE FROM claims")
    said = f"purchase {number} of apple was credited to user bob, and nobody has claimed it"
    assert found(store.world) == {"claim": f"{said} (paid {number} of apple; see `tillbook facts find {number}`)"}


def test_a_purchase_that_two_users_were_credited_is_found_with_its_number(store: Store, edit: Edit) -> None:
    number = store.device("bob", token=False).buy(PRODUCT)
    store.submit("bob", number, "bob")
    edit("DELETE FROM claims")
    store.submit("mallory", number, "bob")
    findings = found(store.world)
    assert set(findings) == {"booked_twice", "claim"}
    assert number in findings["booked_twice"]
    assert "credited to user bob, and user mallory has claimed it" in findings["claim"]


def test_a_fact_whose_number_was_changed_is_found(store: Store, edit: Edit) -> None:
    store.submit("bob", store.device("bob", token=False).buy(PRODUCT), "bob")
    edit("UPDATE facts SET key = 'paid:another' WHERE kind = 'paid'")
    assert "its content says paid:" in found(store.world)["fact_key"]
