"""The notification route: both spellings, its size limit, the provider's own words, and a fuzz of everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select
from werkzeug.test import TestResponse

from app.models.base import Base
from app.models.slot_guard import sweep
from app.providers.facts import Message
from app.web.webhooks import LARGEST_NOTIFICATION
from tests.conftest import create_schema
from tests.support import databases
from tests.support.web_client import build_client
from tests.support.world import World, build_world

PATHS = ["/webhooks/sandbox", "/webhooks/sandbox/"]


def post(http: FlaskClient, message: Message, path: str = PATHS[0]) -> TestResponse:
    return http.post(path, data=message.body, headers=dict(message.headers))


def paid(world: World, user: str = "alice") -> Message:
    payment_id = world.order(user).payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    return world.notification(payment_id)


@pytest.mark.parametrize("path", PATHS)
def test_both_spellings_of_the_address_work(http: FlaskClient, world: World, path: str) -> None:
    answer = post(http, paid(world), path)
    assert (answer.status_code, answer.get_json()) == (200, {"status": "stored"})
    assert world.coins() == 66


def test_a_forgery_is_answered_in_the_providers_words(http: FlaskClient) -> None:
    answer = http.post(PATHS[0], data=b"{}")
    assert (answer.status_code, answer.get_json()) == (400, {"status": "refused"})


@pytest.mark.parametrize("account", ["nobody", "..", "%00", "%ff", "a" * 5000, "sandbox/x"])
def test_an_account_that_there_is_not_is_not_found(http: FlaskClient, account: str) -> None:
    answer = http.post(f"/webhooks/{account}", data=b"{}")
    assert answer.status_code == 404
    assert answer.get_json()["code"] == "not_found"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(http: FlaskClient) -> None:
    assert http.post(PATHS[0], data=b"x" * LARGEST_NOTIFICATION).status_code == 400
    answer = http.post(PATHS[0], data=b"x" * (LARGEST_NOTIFICATION + 1))
    assert (answer.status_code, answer.get_json()["code"]) == (413, "too_large")


def test_the_raw_bytes_reach_the_plugin_whatever_the_content_type_says(http: FlaskClient, world: World) -> None:
    message = paid(world)
    headers = {**message.headers, "content-type": "application/x-www-form-urlencoded"}
    assert http.post(PATHS[0], data=message.body, headers=headers).status_code == 200
    assert world.coins() == 66


# --- fuzz ---


_COUNTS = select(
    *(select(func.count()).select_from(table).scalar_subquery() for table in Base.metadata.sorted_tables)
).prefix_with(sweep("audit"))
"""How many rows each table has."""


class Shop:
    """One database for all examples: each must leave it as it is."""

    def __init__(self, engine: Engine) -> None:
        self.world = build_world(engine, databases.sessions_for(engine))
        self.http = build_client(self.world, engine)
        self.message = paid(self.world)

    def rows(self) -> list[Any]:
        def work(session: Any) -> list[Any]:
            payments = select(Base.metadata.tables["payments"]).prefix_with(sweep("audit"))
            return [*session.execute(_COUNTS).one(), *map(tuple, session.execute(payments).all())]

        return self.world.core.whole.read(work)

    def refuses(self, message: Message, query: str = "") -> None:
        before = self.rows()
        answer = self.http.post(f"{PATHS[0]}?{query}", data=message.body, headers=dict(message.headers))
        assert answer.status_code == 400, answer.text
        assert self.rows() == before


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    url = f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/fuzz.sqlite3"
    create_schema(url)
    with databases.engine_for(url) as engine:
        yield Shop(engine)


bounded = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80)


@bounded
@given(body=st.binary(max_size=300), headers=st.dictionaries(
    st.sampled_from(["sandbox-id", "sandbox-timestamp", "sandbox-signature", "content-type", "x-other"]), header_values
))  # fmt: skip
def test_random_bytes_change_nothing(shop: Shop, body: bytes, headers: dict[str, str]) -> None:
    shop.refuses(Message("notification", body, headers))


@bounded
@given(data=st.data())
def test_a_genuine_message_changed_anywhere_changes_nothing(shop: Shop, data: st.DataObject) -> None:
    message = shop.message
    kind = data.draw(st.sampled_from(["flip", "cut", "add", "header", "lose"]))
    body, headers = message.body, dict(message.headers)
    at = data.draw(st.integers(0, len(body) - 1))
    signed = sorted(set(headers) - {"content-type"})
    if kind == "flip":
        body = body[:at] + bytes([body[at] ^ (1 << data.draw(st.integers(0, 7)))]) + body[at + 1 :]
    elif kind == "cut":
        body = body[:at]
    elif kind == "add":
        body = body[:at] + data.draw(st.binary(min_size=1, max_size=5)) + body[at:]
    elif kind == "lose":
        del headers[data.draw(st.sampled_from(signed))]
    else:
        name = data.draw(st.sampled_from(signed))
        changed = data.draw(header_values.filter(lambda value: value.strip() != headers[name]))
        headers[name] = changed
    shop.refuses(Message("notification", body, headers))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@bounded
@given(data=st.data(), odd=values)
def test_an_odd_document_that_is_well_signed_is_refused_or_parked_and_credits_nothing(
    shop: Shop, data: st.DataObject, odd: Any
) -> None:
    """The provider itself goes mad: no crash, and no coins."""
    document = json.loads(shop.message.body)
    member = data.draw(st.sampled_from(["id", "number", "status", "amount", "currency", "owner", "at", "refunds"]))
    document["payment"][member] = odd
    if data.draw(st.booleans()):
        del document[data.draw(st.sampled_from(["merchant", "live", "event"]))]
    document["payment"]["amount"] = document["payment"]["amount"] if member == "amount" else 1
    content = {name: value for name, value in document.items() if name not in ("merchant", "live")}
    message = shop.world.simulator.notification("m-1", content)
    assert post(shop.http, message).status_code in (200, 400)
    assert shop.world.coins() == 0
