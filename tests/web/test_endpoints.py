"""Endpoints and deliveries over the API, for the app's backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from app.domain.endpoints import MOST_ENDPOINTS, MOST_SECRETS, DeclaredEndpoint, PushRules
from app.domain.webhook_signatures import new_secret
from app.services.events import endpoints
from app.services.events.delivery_rounds import Dispatcher
from tests.support.receiver import answering, pushing, receiving, tell
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, token
from tests.support.world import World


@pytest.fixture
def here(world: World) -> World:
    return pushing(world)


@pytest.fixture
def http(here: World, engine: Engine) -> FlaskClient:
    return build_client(here, engine)


@pytest.fixture
def backend(http: FlaskClient) -> ApiClient:
    return ApiClient(http, BACKEND_KEY)


def added(backend: ApiClient, url: str = "https://game.example/events", name: str = "game", **more: Any) -> Any:
    answer = backend.post("/v1/endpoints", {"name": name, "url": url, **more})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_an_endpoint_is_added_once_for_a_key_and_its_secret_is_told(backend: ApiClient) -> None:
    body = {"name": "game", "url": "https://game.example/events", "types": ["coins.credited"]}
    first = backend.post("/v1/endpoints", body, key="k")
    again = backend.post("/v1/endpoints", body, key="k")
    assert (first.status_code, again.json) == (201, first.json)
    assert first.json["secret"].startswith("whsec_")
    assert first.json["secrets"] == [{"ends_in": first.json["secret"][-4:], "until": None}]
    shown = backend.get("/v1/endpoints/game").json
    assert shown == {name: value for name, value in first.json.items() if name != "secret"}
    assert (shown["status"], shown["made_by"], shown["types"]) == ("active", "backend:backend", ["coins.credited"])
    missing = {"missing_databases": shown.pop("missing_databases")}
    assert backend.get("/v1/endpoints").json == {"endpoints": [shown], **missing}
    other = backend.post("/v1/endpoints", body, key="k2")
    assert (other.status_code, other.json["code"]) == (409, "endpoint_exists")


def test_the_audit_misses_no_row_for_the_keys_of_requests_about_endpoints(world: World, backend: ApiClient) -> None:
    backend.post("/v1/endpoints", {"name": "game", "url": "https://game.example/events"})
    backend.post("/v1/endpoints/game/rotate", {})
    backend.post("/v1/endpoints/game/pause", {"reason": "a move"})
    backend.post("/v1/endpoints/game/resume", {})
    assert backend.post("/v1/endpoints/game/resend", {"since": "2026-01-01T00:00:00Z"}).status_code == 200
    world.assert_balanced()


def test_a_users_token_sees_no_endpoint(http: FlaskClient) -> None:
    alice = ApiClient(http, token("alice"))
    assert alice.get("/v1/endpoints").status_code == 403
    assert alice.post("/v1/endpoints", {"name": "mine", "url": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "url",
    [
        "http://game.example/events",
        "https://127.0.0.1/events",
        "https://[::1]/events",
        "https://[::ffff:10.0.0.1]/events",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/events",
        "https://user:word@game.example/events",
        "https://game.example/events#part",
        "https://game.example:99999/events",
        "https:///events",
        "ftp://game.example/events",
    ],
)
def test_an_address_that_no_endpoint_may_have_is_refused(world: World, engine: Engine, url: str) -> None:
    backend = ApiClient(build_client(world, engine), BACKEND_KEY)
    answer = backend.post("/v1/endpoints", {"name": "game", "url": url})
    assert answer.status_code in (409, 422)
    assert answer.json["code"] == ("address_refused" if answer.status_code == 409 else "invalid_request")
    assert backend.get("/v1/endpoints").json["endpoints"] == []


def test_there_are_so_many_endpoints_and_no_more(backend: ApiClient) -> None:
    for number in range(MOST_ENDPOINTS):
        added(backend, name=f"game-{number}")
    answer = backend.post("/v1/endpoints", {"name": "more", "url": "https://game.example"})
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_endpoints")


def test_secrets_are_rotated_and_no_more_than_some_sign_at_one_time(backend: ApiClient, here: World) -> None:
    secrets = [added(backend)["secret"]]
    for _ in range(MOST_SECRETS - 1):
        answer = backend.post("/v1/endpoints/game/rotate", {"overlap_hours": 24})
        secrets.insert(0, answer.json["secret"])
        assert [each["ends_in"] for each in answer.json["secrets"]] == [secret[-4:] for secret in secrets]
    assert backend.post("/v1/endpoints/game/rotate", {}).json["code"] == "too_many_secrets"
    here.clock.advance(24 * 3600 + 1)
    assert len(backend.post("/v1/endpoints/game/rotate", {}).json["secrets"]) == 2


def test_an_endpoint_is_paused_resumed_and_removed(backend: ApiClient) -> None:
    added(backend)
    paused = backend.post("/v1/endpoints/game/pause", {"reason": "a move"}).json
    assert (paused["status"], paused["reason"], paused["paused_by"]) == ("paused", "a move", "backend:backend")
    assert backend.post("/v1/endpoints/game/resume", None).json["status"] == "active"
    gone = backend.client.delete("/v1/endpoints/game", headers=backend.headers)
    assert (gone.status_code, gone.data) == (204, b"")
    assert backend.get("/v1/endpoints/game").status_code == 404
    assert backend.post("/v1/endpoints/game/pause", {"reason": "?"}).json["code"] == "not_found"
    added(backend)


def test_deliveries_are_listed_by_pages_and_status_resent_and_given_up(backend: ApiClient, here: World) -> None:
    with receiving(lambda h, m: answering(500 if m.user == "bob" else 200, b"x" * 5000)(h, m)) as receiver:
        added(backend, receiver.url)
        events = [tell(here.core, user, number) for number, user in enumerate(["alice", "bob", "carol"])]
        dispatcher = Dispatcher(here.core)
        while dispatcher.run_once():
            pass
        page = backend.get("/v1/endpoints/game/deliveries", limit="2").json
        assert [each["event"] for each in page["deliveries"]] == [str(events[2]), str(events[1])]
        rest = backend.get("/v1/endpoints/game/deliveries", cursor=str(page["next"])).json
        assert ([each["event"] for each in rest["deliveries"]], rest["next"]) == ([str(events[0])], None)
        (failed,) = backend.get("/v1/endpoints/game/deliveries", status="failed").json["deliveries"]
        assert (failed["user"], failed["code"], failed["attempts"], failed["problem"]) == ("bob", 500, 1, "HTTP 500")
        assert failed["answer"] == "x" * 1024
        assert failed["latency_ms"] >= 0
        given_up = backend.post(f"/v1/endpoints/game/deliveries/{events[1]}/give-up", None)
        assert given_up.json["status"] == "given_up"
        again = backend.post(f"/v1/endpoints/game/deliveries/{events[1]}/give-up", None)
        assert (again.status_code, again.json["code"]) == (409, "delivery_ended")
        resent = backend.post(f"/v1/endpoints/game/deliveries/{events[0]}/resend", None)
        assert (resent.json["status"], resent.json["attempts"]) == ("waiting", 0)
        since = here.clock.now().isoformat()
        assert backend.post("/v1/endpoints/game/resend", {"since": since}).json == {"events": 3}
        receiver.got.clear()
        while dispatcher.run_once():
            pass
        assert sorted(message.user for message in receiver.got) == ["alice", "bob", "carol"]


def test_a_test_message_is_sent_once_and_its_answer_shown(backend: ApiClient) -> None:
    with receiving(answering(418, b"no tea")) as receiver:
        secret = added(backend, receiver.url)["secret"]
        answer = backend.post("/v1/endpoints/game/test", None).json
        (message,) = receiver.got
    assert (answer["taken"], answer["code"], answer["answer"]) == (False, 418, "no tea")
    assert message.is_signed_with(secret)
    assert (message.content["type"], message.content["cause"]) == ("endpoint.test", {"by": "test"})
    assert backend.get("/v1/endpoints/game/deliveries").json["deliveries"] == []
    assert backend.get("/v1/events").json["events"] == []


def test_an_endpoint_of_the_settings_is_changed_by_the_settings_alone(here: World, engine: Engine) -> None:
    secret = new_secret()
    declared = {"set": DeclaredEndpoint("set", "https://game.example/a", frozenset(), (secret,))}
    world = here.with_rules(replace(here.core.rules, push=PushRules(declared)))
    endpoints.follow_settings(world.core)
    endpoints.follow_settings(world.core)
    backend = ApiClient(build_client(world, engine), BACKEND_KEY)
    (shown,) = backend.get("/v1/endpoints").json["endpoints"]
    assert (shown["origin"], shown["secrets"]) == ("settings", [{"ends_in": secret[-4:], "until": None}])
    for refused in (
        backend.client.delete("/v1/endpoints/set", headers=backend.headers),
        backend.post("/v1/endpoints/set/rotate", {}),
    ):
        assert (refused.status_code, refused.json["code"]) == (409, "endpoint_in_settings")
    unnamed = here.with_rules(replace(here.core.rules, push=PushRules()))
    endpoints.follow_settings(unnamed.core)
    assert backend.get("/v1/endpoints/set").json["reason"] == "the settings do not name it any more"
    endpoints.follow_settings(world.core)
    assert backend.get("/v1/endpoints/set").json["status"] == "active"
