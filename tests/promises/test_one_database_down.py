"""One of two PostgreSQL servers is killed: its own users are answered 503 within two seconds, all others as always."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import Engine, create_engine

from app import create_app
from app.composition import House
from app.domain.numbers import slot_of_user
from app.domain.slot_map import map_of
from app.models.engine import engine_options
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.databases import SharedSlots
from app.services.base.slot_maps import SlotMaps, write_missing
from tests.conftest import create_schema
from tests.support import databases
from tests.support.own_server import Server, own_server
from tests.support.two_databases import HALF, by_hand
from tests.support.web_client import BACKEND_KEY, test_settings, token
from tests.support.world import CATALOGUE, World

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True),
]
MAP = map_of([("first", [(0, HALF - 1)]), ("second", [(HALF, 2 * HALF - 1)])])
USERS = [f"user-{number}" for number in range(12)]
LOW = [user for user in USERS if slot_of_user(user) < HALF]
HIGH = [user for user in USERS if slot_of_user(user) >= HALF]
PATIENCE_SECONDS = 2.0
SUPPORT = {"Authorization": f"Bearer {BACKEND_KEY}"}


@contextmanager
def second_server() -> Iterator[tuple[Server, Engine]]:
    with own_server() as server:
        create_schema(server.url)
        engine = databases.as_in_service(create_engine(server.url, **engine_options(server.url)))
        try:
            yield server, engine
        finally:
            engine.dispose()


def test_a_killed_server_stops_only_its_own_users(world: World, engine: Engine) -> None:
    with second_server() as (server, second):
        write_missing({"first": engine, "second": second}, MAP)
        maps = SlotMaps({"first": engine, "second": second}, MAP)
        each = [databases.sessions_for(one) for one in maps.engines.values()]
        world.core = replace(world.core, databases=by_hand(SharedSlots(each, MAP.numbers, names=MAP.names)))
        import_products(world.core, parse_catalogue(CATALOGUE))
        app = create_app(test_settings(), house=House(world.core, engine, {}, maps))
        _be_paid_while_it_dies(world, server, app)


def _be_paid_while_it_dies(world: World, server: Server, app: APIFlask) -> None:
    payments = {user: world.order(user).payments[0].id for user in USERS}
    for payment in payments.values():
        world.simulator.faults.lose = 1
        world.pay(payment)

    def tell(user: str) -> int:
        message = world.notification(payments[user])
        begun = time.monotonic()
        answer = app.test_client().post("/webhooks/sandbox", data=message.body, headers=dict(message.headers))
        assert time.monotonic() - begun < PATIENCE_SECONDS
        return answer.status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(tell, HIGH[:3])) == {200}, "connections lie in the pool"
        server.kill()
        told = dict(zip(USERS, pool.map(tell, USERS), strict=True))
        assert {told[user] for user in LOW} == {200}
        assert min(told[user] for user in HIGH) >= 500, "the provider tells it again"
        begun = time.monotonic()
        seen = [_wallet(app, user) for user in (LOW[0], HIGH[0])]
        assert seen == [200, 503]
        _support_sees_the_others(app, payments)
        states = app.test_client().get("/health/ready").get_json()["databases"]
        assert states == {"first": "ok", "second": "down"}
        assert time.monotonic() - begun < PATIENCE_SECONDS
        server.start()
        assert set(pool.map(tell, HIGH)) == {200}
    assert [world.coins(user) for user in USERS] == [66] * len(USERS)
    assert app.test_client().get("/health/ready").get_json()["databases"]["second"] == "ok"
    world.assert_balanced()


def _support_sees_the_others(app: APIFlask, payments: dict[str, int]) -> None:
    listed = _asked(app, "/v1/orders")
    assert ({one["user"] for one in listed["orders"]}, listed["missing_databases"]) == ({*LOW}, ["second"])
    for user, missing in ((LOW[0], []), (HIGH[0], ["second"])):
        found = _asked(app, f"/v1/search?number={payments[user]}")
        assert ([thing["user"] for thing in found["found"]], found["missing_databases"]) == (
            [user][: not missing],
            missing,
        )
    found = _asked(app, "/v1/search?number=a-number-of-nobody")
    assert found == {"found": [], "missing_databases": ["second"]}
    refused = app.test_client().get("/v1/ledger/trial-balance", headers=SUPPORT)
    assert (refused.status_code, refused.get_json()["detail"]) == (503, "The database 'second' does not answer.")


def _asked(app: APIFlask, path: str) -> Any:
    answer = app.test_client().get(path, headers=SUPPORT)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def _wallet(app: APIFlask, user: str) -> int:
    answer = app.test_client().get("/v1/wallet", headers={"Authorization": f"Bearer {token(user)}"})
    assert answer.status_code == 200 or answer.headers["Retry-After"]
    return answer.status_code
