"""The API for orders, as the app's client and its backend see it."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.support.web_client import ApiClient, order_body, token
from tests.support.world import World


def test_a_user_orders_pays_and_sees_the_order_paid(alice: ApiClient, world: World) -> None:
    made = alice.post("/v1/orders", order_body())
    assert made.status_code == 201, made.text
    order = made.get_json()
    assert order["status"] == "open"
    assert order["amount_minor"] == 600
    payment = order["payments"][0]
    assert payment["action"]["type"] == "redirect"
    world.pay(int(payment["number"]))
    world.deliver()
    shown = alice.get(f"/v1/orders/{order['number']}").get_json()
    assert shown["status"] == "paid"
    assert shown["payments"][0]["action"] is None


def test_reading_an_open_order_asks_the_provider(alice: ApiClient, world: World) -> None:
    order = alice.post("/v1/orders", order_body()).get_json()
    world.simulator.faults.lose = 1
    world.pay(int(order["payments"][0]["number"]))
    assert alice.get(f"/v1/orders/{order['number']}").get_json()["status"] == "paid"
    assert world.coins() == 66


def test_the_same_key_gives_the_same_order(alice: ApiClient) -> None:
    first = alice.post("/v1/orders", order_body(), key="once")
    again = alice.post("/v1/orders", order_body(), key="once")
    assert first.get_json()["number"] == again.get_json()["number"]
    other = alice.post("/v1/orders", order_body(quantity=2), key="once")
    assert other.status_code == 409
    assert other.get_json()["code"] == "idempotency_key_reused"


def test_another_users_order_is_not_there(alice: ApiClient, http: FlaskClient) -> None:
    number = alice.post("/v1/orders", order_body()).get_json()["number"]
    answer = ApiClient(http, token("mallory")).get(f"/v1/orders/{number}")
    assert answer.status_code == 404
    assert answer.get_json()["code"] == "not_found"
    assert answer.content_type == "application/problem+json"


def test_a_paid_order_takes_no_further_payment_and_says_so(alice: ApiClient, world: World) -> None:
    order = alice.post("/v1/orders", order_body()).get_json()
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    answer = alice.post(f"/v1/orders/{order['number']}/payments", {"provider_account": "sandbox", "way": "page"})
    assert answer.status_code == 409
    document = answer.get_json()
    assert (document["code"], document["status"], document["order_status"]) == ("order_not_open", 409, "paid")


def test_the_openapi_document_and_the_docs_page_are_served_locally(http: FlaskClient) -> None:
    spec = http.get("/openapi.json").get_json()
    assert "/v1/orders" in spec["paths"]
    page = http.get("/docs/")
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://github.com", "")
