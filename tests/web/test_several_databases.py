"""Over HTTP with two databases: one that is down stops only its own users, and health says which it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine
from werkzeug.test import TestResponse

from app import create_app
from app.composition import House
from app.domain.numbers import slot_of_user
from app.domain.slot_map import SlotMap, map_of
from app.models.engine import engine_options, prepare
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.databases import SharedSlots
from app.services.base.slot_maps import MAP_LOOK_SECONDS, SlotMapDiffers, SlotMaps, write_missing
from tests.support import databases
from tests.support.two_databases import HALF, by_hand
from tests.support.web_client import BACKEND_KEY, order_body, test_settings, token
from tests.support.world import CATALOGUE, World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MAP = map_of([("first", [(0, HALF - 1)]), ("second", [(HALF, 2 * HALF - 1)])])
OTHER_MAP = map_of([("first", [(0, HALF)]), ("second", [(HALF + 1, 2 * HALF - 1)])])
LOW, HIGH = "alice", "carol"
"""Users of the first and of the second database."""
Serve = Callable[..., FlaskClient]


@pytest.fixture
def clock() -> list[float]:
    """The seconds by which a process measures when to look for a newer map."""
    return [1000.0]


@pytest.fixture
def serve(world: World, engine: Engine, second_engine: Engine, clock: list[float]) -> Serve:
    """A web process over both databases, or with others in their places."""
    assert slot_of_user(LOW) < HALF <= slot_of_user(HIGH)
    write_missing({"first": engine, "second": second_engine}, MAP)

    def served(first: Engine = engine, second: Engine = second_engine, wanted: SlotMap = MAP) -> FlaskClient:
        maps = SlotMaps({"first": first, "second": second}, wanted, clock=lambda: clock[0])
        maps.check_all()
        each = [databases.sessions_for(one) for one in maps.engines.values()]
        world.core = replace(world.core, databases=by_hand(SharedSlots(each, wanted.numbers)))
        return create_app(test_settings(), house=House(world.core, first, {}, maps)).test_client()

    client = served()
    import_products(world.core, parse_catalogue(CATALOGUE))
    assert client.get("/health/ready").get_json() == {"status": "ok", "databases": {"first": "ok", "second": "ok"}}
    return served


@pytest.fixture
def gone(tmp_path: Path) -> Engine:
    url = f"sqlite:///{tmp_path}/no/such/folder/books.sqlite3"
    return prepare(create_engine(url, **engine_options(url)))


def order(client: FlaskClient, user: str) -> TestResponse:
    headers = {"Authorization": f"Bearer {token(user)}", "Idempotency-Key": f"key-{user}"}
    return client.post("/v1/orders", headers=headers, json=order_body())


def test_a_database_that_is_down_is_named_and_stops_only_its_own_users(serve: Serve, gone: Engine) -> None:
    client = serve(second=gone)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["databases"]) == (200, {"first": "ok", "second": "down"})
    assert order(client, LOW).status_code == 201
    begun = time.monotonic()
    refused = order(client, HIGH)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "database_unavailable")
    assert refused.get_json()["detail"] == "The database 'second' does not answer."
    assert refused.headers["Retry-After"]
    assert time.monotonic() - begun < 2
    assert order(serve(), HIGH).status_code == 201, "with the same key, when it is back"


def test_without_home_nobody_is_served_and_the_process_starts_all_the_same(serve: Serve, gone: Engine) -> None:
    client = serve(first=gone)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database_unavailable")
    assert client.get("/health/live").status_code == 200


def test_a_database_at_another_schema_is_named(serve: Serve, second_engine: Engine) -> None:
    client = serve()
    with second_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["databases"]["second"]) == (200, "other_schema")


def test_a_process_with_an_old_map_is_not_ready_and_does_nothing(
    serve: Serve, engine: Engine, clock: list[float]
) -> None:
    client = serve()
    with engine.begin() as connection:
        document = str(OTHER_MAP.document).replace("'", '"')
        connection.exec_driver_sql("UPDATE slot_map SET version = 2, document = ?", (document,))
    assert order(client, LOW).status_code == 201, "it looks every second"
    clock[0] += MAP_LOOK_SECONDS
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "slot_map_outdated")
    refused = order(client, LOW)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "database_unavailable")
    assert client.post("/webhooks/sandbox", data=b"{}").status_code == 503, "the provider tells it again"
    with pytest.raises(SlotMapDiffers, match="since version 2 of the map"):
        serve()
    engine.dispose()
    assert client.get("/health/ready").get_json()["code"] == "slot_map_outdated", "what connects anew is refused, too"


def test_a_request_finds_a_newer_map_without_anybody_asking_for_health(
    serve: Serve, engine: Engine, clock: list[float]
) -> None:
    client = serve()
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE slot_map SET name = 'second'")
    clock[0] += MAP_LOOK_SECONDS
    assert order(client, LOW).status_code == 503


def test_a_second_database_that_bears_another_map_is_named(serve: Serve, second_engine: Engine) -> None:
    client = serve()
    with second_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE slot_map SET name = 'third'")
    second_engine.dispose()
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["databases"]["second"]) == (200, "other_map")
    assert order(client, LOW).status_code == 201
    assert order(client, HIGH).status_code == 503


def test_a_user_whose_slot_is_being_moved_is_told_to_come_again(serve: Serve, world: World) -> None:
    client, shared = serve(), world.core.databases
    assert isinstance(shared, SharedSlots)
    shared.take_over(MAP.numbers, {slot_of_user(LOW)})
    refused = order(client, LOW)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "slots_frozen")
    assert refused.headers["Retry-After"] == "2"
    assert order(client, HIGH).status_code == 201
    shared.take_over(MAP.numbers, set())
    assert order(client, LOW).status_code == 201, "with the same key"


@pytest.mark.parametrize("path", ["ledger/trial-balance", "orders", "endpoints", "endpoints/game/deliveries"])
def test_what_reads_all_databases_is_refused_by_name_while_one_is_down(serve: Serve, gone: Engine, path: str) -> None:
    headers = {"Authorization": f"Bearer {BACKEND_KEY}", "Idempotency-Key": "key-1"}
    endpoint = {"name": "game", "url": "https://game.test/tillbook"}
    assert serve().post("/v1/endpoints", headers=headers, json=endpoint).status_code == 201
    answer = serve(second=gone).get(f"/v1/{path}", headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database_unavailable")
    assert answer.get_json()["detail"] == "The database 'second' does not answer."
    assert serve().get(f"/v1/{path}", headers=headers).status_code == 200
