"""A request that comes again when its idempotency key is deleted makes no second order and no second attempt."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from app.domain.numbers import slot_of_user
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World

ATTEMPT = {"provider_account": "sandbox", "way": "page"}


@pytest.fixture
def alice(world: World, engine: Engine) -> ApiClient:
    return ApiClient(build_client(world, engine), token("alice"))


@pytest.fixture
def forget(world: World) -> Callable[[], None]:
    """Deletes every key of the user, as an operator may who keeps them for some months only."""
    values = {"slot": slot_of_user("alice")}
    return lambda: world.core.whole.transact(
        lambda tx: tx.execute(text("DELETE FROM idempotency WHERE slot = :slot"), values).close()
    )


def test_an_order_is_found_again(alice: ApiClient, forget: Callable[[], None]) -> None:
    first = alice.post("/v1/orders", order_body(), key="k").get_json()
    for _ in range(2):  # the second repeat finds the key again
        forget()
        again = alice.post("/v1/orders", order_body(), key="k")
        assert (again.status_code, again.get_json()["number"]) == (201, first["number"])
        assert again.get_json()["payments"] == first["payments"]
    assert len(alice.get("/v1/orders").get_json()["orders"]) == 1
    assert alice.post("/v1/orders", order_body(), key="k").get_json()["number"] == first["number"]


def test_an_order_that_was_paid_is_found_again_when_it_could_not_be_made_any_more(
    alice: ApiClient, world: World, forget: Callable[[], None]
) -> None:
    first = alice.post("/v1/orders", order_body(), key="k").get_json()
    world.pay(int(first["payments"][0]["number"]))
    world.deliver()
    forget()
    world.clock.advance(400 * 24 * 3600)
    retired = text("UPDATE products SET active = false")
    world.core.whole.transact(lambda tx: tx.execute(retired).close())
    again = alice.post("/v1/orders", order_body(), key="k").get_json()
    assert (again["number"], again["status"]) == (first["number"], "paid")


@pytest.mark.parametrize("change", [{"quantity": 2}, {"way": "qr"}])
def test_a_forgotten_key_is_not_used_for_another_order(
    alice: ApiClient, forget: Callable[[], None], change: dict[str, object]
) -> None:
    alice.post("/v1/orders", order_body(), key="k")
    forget()
    other = alice.post("/v1/orders", order_body(**change), key="k")
    assert (other.status_code, other.get_json()["code"]) == (409, "idempotency_key_reused")
    assert len(alice.get("/v1/orders").get_json()["orders"]) == 1


def test_keys_of_two_callers_are_apart(alice: ApiClient, forget: Callable[[], None]) -> None:
    first = alice.post("/v1/orders", order_body(), key="k").get_json()["number"]
    backend = ApiClient(alice.client, BACKEND_KEY)
    other = backend.post("/v1/orders", order_body(user="alice"), key="k").get_json()["number"]
    forget()
    assert alice.post("/v1/orders", order_body(), key="k").get_json()["number"] == first
    assert backend.post("/v1/orders", order_body(user="alice"), key="k").get_json()["number"] == other
    assert first != other


def test_an_attempt_is_found_again_and_shuts_no_other(alice: ApiClient, forget: Callable[[], None]) -> None:
    path = f"/v1/orders/{alice.post('/v1/orders', order_body()).get_json()['number']}/payments"
    first = alice.post(path, ATTEMPT, key="a").get_json()["payments"]
    forget()
    again = alice.post(path, ATTEMPT, key="a")
    assert (again.status_code, again.get_json()["payments"]) == (201, first)
    assert [payment["status"] for payment in first] == ["closed", "pending"]


def test_a_forgotten_key_is_not_used_for_another_kind_of_request(alice: ApiClient, forget: Callable[[], None]) -> None:
    number = alice.post("/v1/orders", order_body(), key="k").get_json()["number"]
    alice.post(f"/v1/orders/{number}/payments", ATTEMPT, key="a")
    forget()
    refused = [
        alice.post(f"/v1/orders/{number}/payments", ATTEMPT, key="k"),
        alice.post("/v1/orders", order_body(), key="a"),
    ]
    assert [each.get_json()["code"] for each in refused] == ["idempotency_key_reused"] * 2
    assert len(alice.get(f"/v1/orders/{number}").get_json()["payments"]) == 2
