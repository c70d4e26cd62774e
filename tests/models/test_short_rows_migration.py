"""Orders and keys of before they were short are understood after the migration; and the migration can be taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, text

from app.models import schema
from app.models.orders import IDEMPOTENCY, Order
from app.models.slot_guard import sweep
from app.services.base.idempotency import keyed
from tests.support import databases
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World, build_world

LONG = [
    {"asset": "coin", "amount": 60, "bonus": False, "valid_days": None},
    {"asset": "coin", "amount": 6, "bonus": True, "valid_days": 30},
]
SPEND = {"user": "alice", "asset": "coin", "amount": 10, "environment": "sandbox"}
"""Of both lots."""
MARKED = "/* sweep: audit */"


@pytest.fixture
def engine(empty: Engine) -> Engine:
    return empty


@pytest.fixture
def world(engine: Engine) -> World:
    schema.migrate(engine)
    return build_world(engine, databases.sessions_for(engine))


def rows(world: World, table: Any) -> list[dict[str, Any]]:
    wanted = table.select().prefix_with(sweep("audit"))
    return [row._asdict() for row in world.core.whole.read(lambda tx: tx.execute(wanted).all())]


def raw(engine: Engine, what: str) -> list[Any]:
    with engine.begin() as connection:
        return [json.loads(one) if isinstance(one, str) else one for one in connection.scalars(text(what))]


def test_orders_and_keys_of_an_older_version_are_understood(engine: Engine, world: World) -> None:
    alice = ApiClient(build_client(world, engine), token("alice"))
    first = alice.post("/v1/orders", order_body(), key="k").get_json()
    world.pay(int(first["payments"][0]["number"]))
    world.deliver()
    backend = ApiClient(build_client(world, engine), BACKEND_KEY)
    spent = backend.post("/v1/spends", SPEND, key="s").get_json()
    orders, keys = rows(world, Order.__table__), rows(world, IDEMPOTENCY)
    assert [row["grants"] for row in orders] == [LONG]
    assert raw(engine, f"SELECT {MARKED} grants FROM orders") == [["60 coin", "6 bonus coin 30d"]]
    with engine.begin() as connection:
        command.downgrade(schema._config(connection), "0036")
    assert raw(engine, f"SELECT {MARKED} grants FROM orders") == [LONG]
    assert len(raw(engine, f"SELECT {MARKED} lot FROM lot_uses")) == 2
    with engine.begin() as connection:
        found = connection.execute(text(f"SELECT {MARKED} fingerprint, fields FROM idempotency")).all()
        assert found == [(keys[0]["fingerprint"], None)]
        # As that version wrote it.
        fields = keyed("user:alice", "k", "create_order", {"product": "another"}).fields
        connection.execute(text(f"UPDATE {MARKED} idempotency SET fields = :fields"), {"fields": json.dumps(fields)})
    schema.migrate(engine)
    assert rows(world, Order.__table__) == orders
    assert [row["fingerprint"] for row in rows(world, IDEMPOTENCY)] == [keys[0]["fingerprint"]]
    again = alice.post("/v1/orders", order_body(), key="k").get_json()
    assert (again["number"], again["status"]) == (first["number"], "paid")
    other = alice.post("/v1/orders", order_body(quantity=2), key="k")
    assert (other.status_code, other.get_json()["code"]) == (409, "idempotency_key_reused")
    whole = backend.get(f"/v1/transfers/{spent['id']}").get_json()["lots"]
    assert [one["amount"] for one in whole] == [6, 4]
    backend.post("/v1/spends", SPEND | {"amount": 1}, key="t")
    assert other.get_json()["field"] == "currency"  # the first by name that the row of before does not have
    world.assert_balanced()
