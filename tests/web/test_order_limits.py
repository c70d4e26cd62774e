"""What a user may have going at one time, and how much time a payment needs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from app.composition import build_house
from app.config import BadSettings
from app.providers.registry import ProviderAccount, Registry
from app.services.base.errors import TooLittleTime, TooManyOpenOrders
from app.services.base.idempotency import keyed
from app.services.calls import payment_starts
from app.services.payments import orders
from app.services.payments.orders import NewOrder, PayBy
from plugins.sandbox.provider import SandboxProvider
from tests.support.web_client import ApiClient, build_client, order_body, test_settings, token
from tests.support.world import SECRET, World

PAGE = PayBy("sandbox", "page")


def _limited(world: World, engine: Engine, *, most_open: int = 50, most_starts: int = 30) -> ApiClient:
    rules = replace(world.core.rules, most_open_orders=most_open, most_starts_per_minute=most_starts)
    return ApiClient(build_client(world.with_rules(rules), engine), token("alice"))


def test_a_user_has_a_limit_of_open_orders_and_is_told_when_one_ends(world: World, engine: Engine) -> None:
    alice = _limited(world, engine, most_open=2)
    first = alice.post("/v1/orders", order_body()).get_json()
    world.clock.advance(60)
    alice.post("/v1/orders", order_body())
    refused = alice.post("/v1/orders", order_body(), key="third")
    told = refused.get_json()
    assert (refused.status_code, told["code"], told["limit"]) == (429, "too_many_open_orders", 2)
    assert refused.headers["Retry-After"] == str(told["retry_after"]) == "1740"
    assert len(alice.get("/v1/orders").get_json()["orders"]) == 2
    world.pay(int(first["payments"][0]["number"]))
    world.deliver()
    assert alice.post("/v1/orders", order_body(), key="third").status_code == 201, "a limit is no answer for the key"
    bob = ApiClient(alice.client, token("bob"))
    assert bob.post("/v1/orders", order_body()).status_code == 201


def test_an_order_whose_time_is_over_does_not_count(world: World, engine: Engine) -> None:
    alice = _limited(world, engine, most_open=1)
    alice.post("/v1/orders", order_body())
    world.clock.advance(1800)
    assert alice.post("/v1/orders", order_body()).status_code == 201


def test_orders_at_once_do_not_pass_the_limit(world: World) -> None:
    limited = world.with_rules(replace(world.core.rules, most_open_orders=3))

    def attempt(number: int) -> bool:
        request = keyed("user:alice", f"k{number}", "create_order", {"n": number})
        try:
            orders.create_order(limited.core, NewOrder("alice", "coins-60", 1, PAGE), request)
        except TooManyOpenOrders:
            return False
        return True

    attempt(0)  # the user is there
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(attempt, range(1, 13)))
    assert made.count(True) == 2


def test_starts_are_limited_by_the_minute_attempts_included(world: World, engine: Engine) -> None:
    alice = _limited(world, engine, most_starts=2)
    number = alice.post("/v1/orders", order_body()).get_json()["number"]
    world.clock.advance(20)
    attempt = {"provider_account": "sandbox", "way": "page"}
    assert alice.post(f"/v1/orders/{number}/payments", attempt).status_code == 201
    for path, body in ((f"orders/{number}/payments", attempt), ("orders", order_body())):
        refused = alice.post(f"/v1/{path}", body, key=f"again-{path}")
        told = refused.get_json()
        assert (refused.status_code, told["code"], told["retry_after"]) == (429, "too_many_starts", 40), path
    shown = alice.get(f"/v1/orders/{number}").get_json()["payments"]
    assert shown[1]["status"] == "pending", "a refused attempt shuts no other"
    world.clock.advance(41)
    assert alice.post("/v1/orders", order_body(), key="again-orders").status_code == 201


class Impatient(SandboxProvider):
    """Takes only payments with more than a minute left."""

    least_seconds = 60


def _impatient(world: World) -> World:
    account = world.account
    assert isinstance(account.provider, SandboxProvider)
    provider = object.__new__(Impatient)
    provider.__dict__.update(account.provider.__dict__)
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def test_a_payment_with_too_little_time_left_is_refused_before_anything_is_written(world: World) -> None:
    house = _impatient(world)
    order = house.order()
    world.clock.advance(29 * 60 + 20)
    request = keyed("user:alice", "again", "add_payment", {})
    for _ in range(2):
        with pytest.raises(TooLittleTime) as refused:
            payment_starts.pay_again(house.core, "alice", order.order.id, PAGE, request)
        assert refused.value.members == {"seconds_left": 40, "least_seconds": 60}
    view = orders.view_order(house.core, "alice", order.order.id)
    assert [payment.status for payment in view.payments] == ["pending"], "the payment that can be paid stays"


def test_an_order_that_could_never_be_paid_is_refused(world: World, engine: Engine) -> None:
    house = _impatient(world)
    short = house.with_rules(replace(house.core.rules, order_minutes=1))
    alice = ApiClient(build_client(short, engine), token("alice"))
    refused = alice.post("/v1/orders", order_body())
    assert (refused.status_code, refused.get_json()["code"]) == (409, "too_little_time")
    assert alice.get("/v1/orders").get_json()["orders"] == []


def test_settings_that_make_orders_which_cannot_be_paid_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {
        "plugin": "sandbox",
        "live": False,
        "base_url": "https://sandbox.test",
        "merchant": "m-1",
        "secret": SECRET,
    }
    short = test_settings(database_url="sqlite://", provider_accounts={"till": table}, order_minutes=1)
    build_house(short)
    monkeypatch.setattr(SandboxProvider, "least_seconds", 60, raising=False)
    with pytest.raises(BadSettings, match=r"order_minutes: 1 is too short for the provider account 'till'.*2 or more"):
        build_house(short)
    build_house(short.model_copy(update={"order_minutes": 2}))
