"""One user's client cannot take the service for itself, and is told how it stands."""

from __future__ import annotations

import re
import threading

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from app.web.user_rates import MOST_BUCKETS, UserRates
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, token
from tests.support.world import World


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def _limited(world: World, engine: Engine, seconds: Seconds, per_minute: int) -> FlaskClient:
    http = build_client(world, engine)
    http.application.extensions["tillbook_rates"] = UserRates(per_minute, seconds)
    return http


def _fields(answer: TestResponse) -> tuple[str, str]:
    return answer.headers["RateLimit-Policy"], answer.headers["RateLimit"]


def test_the_answers_say_what_is_left_in_the_fields_of_the_draft_and_of_its_forerunner(
    world: World, engine: Engine, seconds: Seconds
) -> None:
    alice = ApiClient(_limited(world, engine, seconds, 3), token("alice"))
    seen = [_fields(alice.get("/v1/products")) for _ in range(3)]
    assert seen == [('"user";q=3;w=60', f'"user";r={left};t={wait}') for left, wait in ((2, 20), (1, 40), (0, 60))]
    refused = alice.get("/v1/products")
    told = refused.get_json()
    assert (refused.status_code, told["code"], told["retry_after"], told["limit"]) == (429, "too_many_requests", 20, 3)
    assert refused.headers["Retry-After"] == "20"
    assert [refused.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")] == ["3", "0", "60"]


def test_what_is_used_up_comes_back_steadily_and_never_beyond_the_limit(
    world: World, engine: Engine, seconds: Seconds
) -> None:
    alice = ApiClient(_limited(world, engine, seconds, 3), token("alice"))

    def statuses(times: int) -> list[int]:
        return [alice.get("/v1/products").status_code for _ in range(times)]

    assert statuses(4) == [200, 200, 200, 429]
    seconds.now += 19.9
    assert statuses(1) == [429], "being refused costs nothing, and wins nothing"
    seconds.now += 0.2
    assert statuses(2) == [200, 429]
    seconds.now += 3600
    assert statuses(4) == [200, 200, 200, 429]


def test_users_have_buckets_of_their_own_and_backends_none(world: World, engine: Engine, seconds: Seconds) -> None:
    http = _limited(world, engine, seconds, 1)
    for user in ("alice", "bob"):
        assert ApiClient(http, token(user)).get("/v1/products").status_code == 200
        assert ApiClient(http, token(user)).get("/v1/products").status_code == 429
    backend = ApiClient(http, BACKEND_KEY)
    answers = [backend.get("/v1/products") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any(name.startswith("RateLimit") for answer in answers for name, _ in answer.headers)


def test_another_token_of_the_user_is_the_same_bucket(world: World, engine: Engine, seconds: Seconds) -> None:
    http = _limited(world, engine, seconds, 1)
    assert ApiClient(http, token("alice", seconds=600)).get("/v1/products").status_code == 200
    assert ApiClient(http, token("alice", seconds=700)).get("/v1/products").status_code == 429


def test_a_notification_and_a_wrong_token_take_nothing_from_anybody(
    world: World, engine: Engine, seconds: Seconds
) -> None:
    http = _limited(world, engine, seconds, 1)
    for _ in range(5):
        assert http.post("/webhooks/sandbox", data=b"x").status_code != 429
        assert ApiClient(http, token("alice", secret="x" * 40)).get("/v1/products").status_code == 401
    assert ApiClient(http, token("alice")).get("/v1/products").status_code == 200


def test_no_limit_is_a_limit_of_zero(world: World, engine: Engine) -> None:
    alice = ApiClient(build_client(world, engine, user_requests_per_minute=0), token("alice"))
    answers = [alice.get("/v1/products") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0].headers


def test_the_setting_is_the_limit(world: World, engine: Engine) -> None:
    alice = ApiClient(build_client(world, engine, user_requests_per_minute=7), token("alice"))
    assert _fields(alice.get("/v1/products"))[0] == '"user";q=7;w=60'


def test_fields_are_structured_fields_of_rfc_9651(world: World, engine: Engine) -> None:
    answer = ApiClient(build_client(world, engine), token("alice")).get("/v1/products")
    policy, standing = _fields(answer)
    assert re.fullmatch(r'"[a-z]+";q=[0-9]{1,15};w=[0-9]{1,15}', policy)
    assert re.fullmatch(r'"[a-z]+";r=[0-9]{1,15};t=[0-9]{1,15}', standing)


def test_threads_at_once_take_no_more_than_the_limit(seconds: Seconds) -> None:
    rates, waits = UserRates(100, seconds), list[float]()
    threads = [
        threading.Thread(target=lambda: waits.extend(rates.take("alice")[1] for _ in range(50))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (waits.count(0.0), len(waits)) == (100, 400)


def test_the_buckets_of_a_process_are_bounded(seconds: Seconds) -> None:
    rates = UserRates(2, seconds)
    assert rates.take("first")[0].left == 1
    for number in range(MOST_BUCKETS):
        rates.take(f"user-{number}")
    assert rates.take("first")[0].left == 1, "forgotten, and so full again"
    assert rates.take(f"user-{MOST_BUCKETS - 1}")[0].left == 0, "not forgotten"
