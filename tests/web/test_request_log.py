"""Each request has an id, in its answer and in each of its log lines, and leaves one line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from structlog.contextvars import merge_contextvars

from app.web.request_log import LONGEST_REQUEST_ID
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World

Lines = list[dict[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log as it is written, with what each line inherits from the request."""
    with structlog.testing.capture_logs(processors=[merge_contextvars]) as captured:
        yield captured  # type: ignore[misc]


def _requests(lines: Lines) -> Lines:
    return [line for line in lines if line["event"] == "request"]


@pytest.mark.parametrize(
    "given", ["a", "0af7651916cd43dd8448eb211c80319c", "x" * LONGEST_REQUEST_ID, "a/b:c=d+e@f.g_h-i"]
)
def test_a_plain_id_of_the_caller_is_the_id_of_the_request(http: FlaskClient, lines: Lines, given: str) -> None:
    answer = http.get("/v1/products", headers={"X-Request-Id": given})
    assert answer.headers.getlist("X-Request-Id") == [given]
    assert answer.get_json()["request_id"] == given
    assert [line["request_id"] for line in lines] == [given]


@pytest.mark.parametrize(
    "given", ["", " ", "x" * (LONGEST_REQUEST_ID + 1), "a b", 'a"b', "a\x00b", "\xff", "a,b", "{}"]
)
def test_another_id_is_replaced_and_never_written(http: FlaskClient, lines: Lines, given: str) -> None:
    answers = [http.get("/v1/products", headers={"X-Request-Id": given}) for _ in range(2)]
    made = [answer.headers["X-Request-Id"] for answer in answers]
    assert all(len(each) == 32 and each.isalnum() for each in made)
    assert made[0] != made[1]
    assert [line["request_id"] for line in _requests(lines)] == made
    assert [answer.get_json()["request_id"] for answer in answers] == made


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("DELETE", "/v1/products", 405, "method_not_allowed"),
        ("POST", "/v1/orders", 401, "unauthorized"),
        ("POST", "/webhooks/nobody", 404, "not_found"),
        ("GET", "/metrics", 401, "unauthorized"),
    ],
)
def test_every_problem_names_its_request(
    http: FlaskClient, lines: Lines, method: str, path: str, status: int, code: str
) -> None:
    answer = http.open(path, method=method, headers={"X-Request-Id": "r-1"})
    told = answer.get_json()
    assert (answer.status_code, told["code"], told["request_id"], answer.headers["X-Request-Id"]) == (
        status,
        code,
        "r-1",
        "r-1",
    )
    assert [(line["status"], line["code"], line["request_id"]) for line in _requests(lines)] == [(status, code, "r-1")]


def test_a_body_that_is_refused_before_the_application_sees_it_has_an_id_and_one_line(
    http: FlaskClient, lines: Lines
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ValueError("not a chunk")

    answer = http.post(
        "/v1/orders",
        input_stream=Broken(),
        headers={"X-Request-Id": "r-1"},
        environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked"},
    )
    assert (answer.status_code, answer.get_json()["request_id"], answer.headers["X-Request-Id"]) == (400, "r-1", "r-1")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert [(line["event"], line["request_id"]) for line in lines] == [("body_not_readable", "r-1")]


def test_the_line_of_a_request_says_who_what_and_how_long(world: World, engine: Engine, lines: Lines) -> None:
    http = build_client(world, engine)
    order = ApiClient(http, token("alice")).post("/v1/orders", order_body()).get_json()
    ApiClient(http, BACKEND_KEY).get(f"/v1/orders/{order['number']}")
    ApiClient(http, BACKEND_KEY).get("/v1/orders/12")
    http.get("/health/live")
    found = _requests(lines)
    assert [(each["method"], each["route"], each["caller"], each["status"], each["code"]) for each in found] == [
        ("POST", "/v1/orders", "user:alice", 201, None),
        ("GET", "/v1/orders/<number>", "backend:backend", 200, None),
        ("GET", "/v1/orders/<number>", "backend:backend", 404, "not_found"),
        ("GET", "/health/live", None, 200, None),
    ]
    assert all(0 <= each["ms"] < 60_000 and each["log_level"] == "info" for each in found)


def test_what_a_request_logs_bears_its_id_and_what_comes_later_does_not(http: FlaskClient, lines: Lines) -> None:
    log = structlog.get_logger("later")
    http.post("/webhooks/sandbox", data=b"forged", headers={"X-Request-Id": "r-1"}).close()
    log.info("later")
    assert len(lines) > 2, "the notification is refused with a line of its own"
    assert {line["request_id"] for line in lines[:-1]} == {"r-1"}
    assert "request_id" not in lines[-1]


def test_a_defect_has_an_id_a_line_and_no_more(world: World, engine: Engine, lines: Lines) -> None:
    http = build_client(world, engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE products"))
    answer = http.get("/v1/products", headers={"X-Request-Id": "r-1", "Authorization": f"Bearer {token('alice')}"})
    told = answer.get_json()
    assert (answer.status_code, told["code"], told["request_id"]) == (503, "database_unavailable", "r-1")
    assert [(line["event"], line["request_id"]) for line in lines] == [
        ("database_unavailable", "r-1"),
        ("request", "r-1"),
    ]


def test_the_line_can_be_switched_off_and_the_id_stays(world: World, engine: Engine, lines: Lines) -> None:
    http = build_client(world, engine, access_log=False)
    answer = http.get("/v1/nothing", headers={"X-Request-Id": "r-1"})
    assert (answer.headers["X-Request-Id"], answer.get_json()["request_id"]) == ("r-1", "r-1")
    assert _requests(lines) == []


def test_no_line_holds_a_credential_a_body_or_a_query(world: World, engine: Engine, lines: Lines) -> None:
    http = build_client(world, engine)
    secret = token("alice")
    ApiClient(http, secret).get("/v1/statement", asset="querytext")
    ApiClient(http, secret).post("/v1/orders", order_body(extra={"note": "bodytext"}))
    written = json.dumps(_requests(lines))
    for hidden in (secret, JWT_PART, "querytext", "bodytext"):
        assert hidden not in written


JWT_PART = "eyJ"
