"""A refund of what an earlier system sold, ended over HTTP by two persons."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.imported_periods import paid_before, refund_before, take_over_subscription
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


@pytest.fixture
def http(house: AgreementHouse, engine: Engine) -> FlaskClient:
    return build_client(house.world, engine)


def test_it_is_shown_proposed_and_ended_by_another_person(house: AgreementHouse, http: FlaskClient) -> None:
    take_over_subscription(house)
    house.world.clock.advance(86_400)
    house.tell(paid_before(price=None), "store")
    fact = house.tell(refund_before(None), "store").fact_id
    mei, li = (ApiClient(http, BACKEND_KEY) for _ in "12")
    mei.headers["Tillbook-Actor"], li.headers["Tillbook-Actor"] = "mei", "li"
    path = f"/v1/facts/{fact}/end"
    shown = mei.get(path).get_json()
    assert (shown["state"], shown["user"], shown["refunded_minor"], shown["entry"]) == ("open", "alice", None, None)
    assert mei.post(path, {"reason": "gone"}).get_json()["code"] == "fact_not_ended"
    priced = {"price_minor": 900, "currency": "CNY"}
    assert mei.get(path, **priced).get_json()["refunded_minor"] == 900
    proposed = mei.post(path, {"reason": "gone", **priced}).get_json()
    assert (proposed["state"], proposed["booked_minor"]) == ("proposed", 0)
    assert mei.post(f"{path}/confirm", {}).get_json()["code"] == "needs_another_person"
    for _ in range(2):
        assert li.post(f"{path}/confirm", {}).get_json()["state"] == "ended"
    assert mei.get("/v1/facts/77/end").status_code == 404
    assert (house.world.money("opening"), house.world.money("clearing:store")) == (-900, 900)
