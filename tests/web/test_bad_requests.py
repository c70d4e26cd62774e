"""Every malformed request gets a clear 4xx with a stable code, as a problem document, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, select
from werkzeug.test import TestResponse

from app.models.orders import Order, Payment, User
from app.models.slot_guard import sweep
from tests.support.web_client import ApiClient, order_body, token
from tests.support.world import World

CODES = {
    "bad_request",
    "invalid_request",
    "not_found",
    "unsupported_media_type",
    "too_large",
    "unknown_product",
    "unknown_provider_account",
    "unknown_way",
    "no_price",
    "extra_not_accepted",
    "not_a_cursor",
}


def rows(world: World) -> int:
    """How much there is of everything that an order writes. What a key stands for is kept for a refusal, too."""
    counted = [select(func.count()).select_from(table).prefix_with(sweep("audit")) for table in (Order, Payment, User)]
    return world.core.whole.read(lambda tx: sum(tx.execute(wanted).scalar_one() for wanted in counted))


def is_problem(answer: TestResponse) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert problem["status"] == answer.status_code
    assert problem["code"] in CODES, problem
    assert problem["title"]


def send(http: FlaskClient, body: bytes, content_type: str | None = "application/json", key: str = "k") -> TestResponse:
    headers = {"Authorization": f"Bearer {token('alice')}", "Idempotency-Key": key}
    return http.post("/v1/orders", data=body, content_type=content_type, headers=headers)


GOOD = json.dumps(order_body())
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a text": b'"x"',
    "a number": b"1",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "not UTF-8": b'{"product": "\xff\xfe"}',
    "a name twice": GOOD.replace('"way"', '"product": "coins-60", "way"').encode(),
    "a name twice deep inside": GOOD[:-1].encode() + b', "extra": {"a": 1, "a": 2}}',
    "not a number": GOOD[:-1].encode() + b', "quantity": NaN}',
    "infinity": GOOD[:-1].encode() + b', "quantity": Infinity}',
    "a number of ten thousand digits": GOOD[:-1].encode() + b', "quantity": ' + b"9" * 10_000 + b"}",
    "nested a hundred thousand deep": b'{"extra": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested nine hundred deep": GOOD[:-1].encode() + b', "extra": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
}
MEMBERS: dict[str, dict[str, Any]] = {
    "an unknown member": {"amount_minor": 1},
    "no product": {"product": None},
    "a product that is not for sale": {"product": "nothing"},
    "a product with a slash": {"product": "../etc/passwd"},
    "a product with NUL": {"product": "coins\x00"},
    "a product with half a character": {"product": "coins\ud800"},
    "another account": {"provider_account": "elsewhere"},
    "another way": {"way": "barter"},
    "an empty way": {"way": ""},
    "a way with NUL": {"way": "pa\x00ge"},
    "a way with half a character": {"way": "\udfff"},
    "quantity zero": {"quantity": 0},
    "a negative quantity": {"quantity": -1},
    "too many": {"quantity": 1001},
    "far too many": {"quantity": 2**63},
    "many more": {"quantity": 10**400},
    "a quantity as text": {"quantity": "1"},
    "a quantity with parts": {"quantity": 1.5},
    "a quantity as truth": {"quantity": True},
    "a quantity as list": {"quantity": [1]},
    "a currency in small letters": {"currency": "cny"},
    "a currency that is not priced": {"currency": "USD"},
    "a user with a blank": {"user": "a b"},
    "a user that is a number": {"user": 1},
    "what the way does not need": {"extra": {"bank": "abc"}},
    "a way that needs more": {"way": "bank"},
    "a way with a wrong extra": {"way": "bank", "extra": {"bank": "'; DROP TABLE orders"}},
    "an extra with NUL": {"way": "bank", "extra": {"bank": "a\x00"}},
    "an extra with a strange name": {"extra": {"\x00": 1}},
    "an extra that is a list": {"extra": []},
    "too much extra": {"extra": {str(number): 1 for number in range(17)}},
    "a return address that runs code": {"return_url": "javascript:alert(1)"},
    "a return address that breaks the line": {"return_url": "https://a\r\nSet-Cookie: x"},
    "a return address that is too long": {"return_url": "https://" + "a" * 512},
}


@pytest.mark.parametrize("fault", sorted(BODIES))
def test_a_body_that_cannot_be_read_is_refused(http: FlaskClient, world: World, fault: str) -> None:
    before = rows(world)
    is_problem(send(http, BODIES[fault]))
    assert rows(world) == before


@pytest.mark.parametrize("fault", sorted(MEMBERS))
def test_a_member_that_does_not_fit_is_refused(http: FlaskClient, world: World, fault: str) -> None:
    before = rows(world)
    is_problem(send(http, json.dumps(order_body(**MEMBERS[fault])).encode()))
    assert rows(world) == before


def test_the_fault_is_named_with_its_field(http: FlaskClient) -> None:
    problem = send(http, json.dumps(order_body(quantity=0, more=1)).encode()).get_json()
    assert problem["code"] == "invalid_request"
    assert {fault["field"] for fault in problem["errors"]} == {"quantity", "more"}


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", ""],
)
def test_another_content_type_is_refused(http: FlaskClient, world: World, content_type: str | None) -> None:
    before = rows(world)
    is_problem(send(http, GOOD.encode(), content_type))
    assert rows(world) == before


def test_a_body_that_is_too_large_is_refused(http: FlaskClient) -> None:
    answer = send(http, b'{"product": "' + b"x" * 1024 * 1024 + b'"}')
    is_problem(answer)
    assert answer.status_code == 413


@pytest.mark.parametrize("key", ["", "x" * 129, "ünïcode", "tab\there"])
def test_a_change_needs_a_usable_key(http: FlaskClient, world: World, key: str) -> None:
    before = rows(world)
    answer = send(http, GOOD.encode(), key=key)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "idempotency_key_missing")
    assert rows(world) == before
    assert send(http, GOOD.encode(), key="x" * 128).status_code == 201


def test_a_change_without_a_key_is_refused(http: FlaskClient, world: World) -> None:
    answer = http.post("/v1/orders", json=order_body(), headers={"Authorization": f"Bearer {token('alice')}"})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "idempotency_key_missing")


@pytest.mark.parametrize(
    "number",
    ["0", "-1", "007", "1.0", "1e3", "abc", "%00", "%ff", "9" * 19, "9" * 400, "١٢", "1%20", "1%0a", "..", "12345"],
)
def test_a_number_that_is_none_of_mine_is_not_found(alice: ApiClient, number: str) -> None:
    for answer in (
        alice.get(f"/v1/orders/{number}"),
        alice.post(f"/v1/orders/{number}/payments", {"provider_account": "sandbox", "way": "page"}),
    ):
        is_problem(answer)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "x"},
        {"limit": "9" * 5000},
        {"before": "0"},
        {"before": "x"},
        {"before": "9" * 19},
        {"before": "9" * 20},
        {"user": "a b"},
        {"user": "a\x00"},
        {"unknown": "1"},
    ],
)
def test_a_query_that_does_not_fit_is_refused(alice: ApiClient, query: dict[str, str]) -> None:
    is_problem(alice.get("/v1/orders", **query))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/orders/", 404),
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/orders", 405),
        ("PUT", "/v1/orders/1", 405),
        ("GET", "/webhooks/sandbox", 405),
        ("TRACE", "/v1/products", 405),
        ("BREW", "/v1/products", 405),
    ],
)
def test_a_path_or_method_that_there_is_not_is_a_problem_too(
    http: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = http.open(path, method=method)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["code"] in {"not_found", "method_not_allowed"}
    if status == 405:
        assert answer.headers["Allow"]


def test_a_declined_payment_and_a_provider_that_is_away_have_codes_of_their_own(alice: ApiClient, world: World) -> None:
    world.simulator.faults.error500 = 1
    away = alice.post("/v1/orders", order_body(), key="k1")
    assert (away.status_code, away.get_json()["code"]) == (503, "provider_unavailable")
    again = alice.post("/v1/orders", order_body(), key="k1")
    assert again.status_code == 201
    assert again.get_json()["number"] == away.get_json()["order"]
    world.simulator.books.close(world.at_provider(int(again.get_json()["payments"][0]["number"])))


def test_the_last_page_ends_and_pages_do_not_overlap(alice: ApiClient) -> None:
    made = [alice.post("/v1/orders", order_body()).get_json()["number"] for _ in range(5)]
    seen: list[str] = []
    query = {"limit": "2"}
    for _ in range(3):
        page = alice.get("/v1/orders", **query).get_json()
        seen += [order["number"] for order in page["orders"]]
        query["before"] = page["next"] or "1"
    assert seen == made[::-1]
    assert page["next"] is None


def test_health_is_told_without_credentials(http: FlaskClient) -> None:
    assert http.get("/health/live").get_json() == {"status": "ok"}
    assert http.get("/health/ready").status_code == 200


def test_a_database_at_another_schema_is_not_ready(http: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    answer = http.get("/health/ready")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "schema_outdated")
