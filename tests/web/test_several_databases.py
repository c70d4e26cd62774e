"""Over HTTP with two databases: one that is down stops only its own users, and health says which it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, event
from werkzeug.test import TestResponse

from app import create_app
from app.composition import House
from app.domain.numbers import slot_of_user
from app.domain.slot_map import SlotMap, map_of
from app.models.engine import engine_options, prepare
from app.services.accounts import users
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.databases import SharedSlots
from app.services.base.slot_maps import MAP_LOOK_SECONDS, SlotMapDiffers, SlotMaps, write_missing
from app.services.events import feed
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
        world.core = replace(world.core, databases=by_hand(SharedSlots(each, wanted.numbers, names=list(maps.engines))))
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


HEADERS = {"Authorization": f"Bearer {BACKEND_KEY}"}
A_DAY = "since=2026-11-28T00:00:00Z&until=2026-11-28T12:00:00Z"


@pytest.mark.parametrize("path", ["ledger/trial-balance", "orders?format=csv"])
def test_what_would_be_a_lie_in_part_is_refused_by_name_while_one_is_down(
    serve: Serve, gone: Engine, path: str
) -> None:
    answer = serve(second=gone).get(f"/v1/{path}", headers=HEADERS)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database_unavailable")
    assert answer.get_json()["detail"] == "The database 'second' does not answer."
    assert serve().get(f"/v1/{path}", headers=HEADERS).status_code == 200


def test_what_helps_people_answers_what_is_there_and_names_what_is_missing(serve: Serve, gone: Engine) -> None:
    endpoint = {"name": "game", "url": "https://game.test/tillbook"}
    added = serve().post("/v1/endpoints", headers={**HEADERS, "Idempotency-Key": "k"}, json=endpoint)
    assert (added.status_code, added.get_json()["missing_databases"]) == (201, [])
    paths = [
        *("orders", "refunds", "agreements", f"transfers?{A_DAY}", "fulfilments", "events", "search?number=sbx_9"),
        *("endpoints", "endpoints/game", "endpoints/game/deliveries"),
    ]
    for client, missing in ((serve(second=gone), ["second"]), (serve(), [])):
        answers = {path: client.get(f"/v1/{path}", headers=HEADERS).get_json() for path in paths}
        assert {path: answer.get("missing_databases") for path, answer in answers.items()} == dict.fromkeys(
            paths, missing
        )


def test_a_list_of_all_users_has_those_whose_database_answers(serve: Serve, gone: Engine) -> None:
    numbers = {user: order(serve(), user).get_json()["number"] for user in (LOW, HIGH)}
    listed = serve(second=gone).get("/v1/orders", headers=HEADERS).get_json()
    assert [one["number"] for one in listed["orders"]] == [numbers[LOW]]
    listed = serve().get("/v1/orders", headers=HEADERS).get_json()
    assert {one["number"] for one in listed["orders"]} == {*numbers.values()}
    searched = serve(second=gone).get(f"/v1/search?number={numbers[HIGH]}", headers=HEADERS).get_json()
    assert searched == {"found": [], "missing_databases": ["second"]}


def test_a_number_of_ours_is_looked_for_in_its_own_database_alone(serve: Serve, gone: Engine, world: World) -> None:
    made = order(serve(), LOW).get_json()
    token_of = world.core.of_user(LOW).read(lambda tx: users.find_user(tx, LOW).token)
    asked: list[bool] = []
    client = serve(second=gone)
    event.listen(gone, "do_connect", lambda *_: asked.append(True))
    for number in (made["number"], made["payments"][0]["number"], token_of):
        answer = client.get(f"/v1/search?number={number}", headers=HEADERS).get_json()
        assert ([thing["user"] for thing in answer["found"]], answer["missing_databases"], asked) == ([LOW], [], [])


def test_an_endpoint_is_paused_and_resumed_while_one_is_down(serve: Serve, gone: Engine) -> None:
    """A person does that in just such an hour, and the events of all other users wait for it."""
    endpoint = {"name": "game", "url": "https://game.test/tillbook"}
    assert serve().post("/v1/endpoints", headers={**HEADERS, "Idempotency-Key": "k"}, json=endpoint).status_code == 201
    client = serve(second=gone)
    for verb, status in (("pause", "paused"), ("resume", "active")):
        headers = {**HEADERS, "Idempotency-Key": verb}
        body = {"reason": "a test"} if verb == "pause" else None
        answer = client.post(f"/v1/endpoints/game/{verb}", headers=headers, json=body)
        assert (answer.status_code, answer.get_json()["status"]) == (200, status), answer.text
        assert answer.get_json()["missing_databases"] == ["second"]
    headers = {**HEADERS, "Idempotency-Key": "again"}
    again = client.post("/v1/endpoints/game/resend", headers=headers, json={"since": "2026-11-28T00:00:00Z"})
    assert again.status_code == 503, "what is to be sent again everywhere is not sent again in a part"


def test_feeds_go_on_from_a_database_that_was_down(serve: Serve, gone: Engine, world: World) -> None:
    client = serve()
    for user in (LOW, HIGH):
        world.pay(int(order(client, user).get_json()["payments"][0]["number"]))
    world.deliver()
    feed.place_events(world.core)
    page = serve(second=gone).get("/v1/events", headers=HEADERS).get_json()
    assert ({one["user"] for one in page["events"]}, page["missing_databases"]) == ({LOW}, ["second"])
    later = serve().get(f"/v1/events?after={page['next']}", headers=HEADERS).get_json()
    assert ({one["user"] for one in later["events"]}, later["missing_databases"]) == ({HIGH}, [])
