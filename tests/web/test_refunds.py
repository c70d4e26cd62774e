"""The API for refunds and frozen wallets, as the app's backend sees it."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import text

from tests.support.web_client import ApiClient, order_body, token
from tests.support.world import World


def paid_order(alice: ApiClient, world: World) -> dict[str, Any]:
    order: dict[str, Any] = alice.post("/v1/orders", order_body()).get_json()
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    return order


def test_the_backend_refunds_an_order_and_its_coins_are_gone(
    alice: ApiClient, backend: ApiClient, world: World
) -> None:
    order = paid_order(alice, world)
    answer = backend.post("/v1/refunds", {"order": order["number"], "reason": "a mistake"})
    assert answer.status_code == 201, answer.text
    refund = answer.get_json()
    assert refund["status"] == "done"
    assert (refund["amount_minor"], refund["currency"], refund["origin"]) == (600, "CNY", "asked")
    assert refund["coins"] == [{"asset": "coin", "taken": 66, "debt": 0, "forgiven": 0}]
    assert backend.get(f"/v1/refunds/{refund['number']}").get_json() == refund
    assert backend.get("/v1/refunds", order=order["number"]).get_json()["refunds"] == [refund]
    assert world.coins() == 0
    assert world.money("sales") == 0
    assert world.money("clearing:sandbox") == 0
    lines = alice.get("/v1/statement", environment="sandbox").get_json()["lines"]
    assert [(line["kind"], line["amount"]) for line in lines] == [
        ("purchase", 60),
        ("bonus", 6),
        ("clawback", -60),
        ("clawback", -6),
    ]
    assert {line["reference"] for line in lines[2:]} == {refund["number"]}
    world.assert_balanced()


def test_one_key_is_one_refund_however_often_it_is_sent(alice: ApiClient, backend: ApiClient, world: World) -> None:
    order = paid_order(alice, world)
    body = {"order": order["number"], "amount_minor": 200, "reason": "a third"}
    numbers = {backend.post("/v1/refunds", body, key="once").get_json()["number"] for _ in range(3)}
    assert len(numbers) == 1
    assert world.money("sales") == 400
    other = backend.post("/v1/refunds", {**body, "amount_minor": 201}, key="once")
    assert (other.status_code, other.get_json()["code"]) == (409, "idempotency_key_reused")
    world.assert_balanced()


def test_more_than_is_left_is_refused(alice: ApiClient, backend: ApiClient, world: World) -> None:
    number = paid_order(alice, world)["payments"][0]["number"]
    assert backend.post("/v1/refunds", {"payment": number, "amount_minor": 400, "reason": "r"}).status_code == 201
    world.clock.advance(10)
    answer = backend.post("/v1/refunds", {"payment": number, "amount_minor": 201, "reason": "r"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "refund_exceeds_payment")
    assert answer.get_json()["left_minor"] == 200
    rest = backend.post("/v1/refunds", {"payment": number, "reason": "the rest"}).get_json()
    assert (rest["amount_minor"], rest["status"]) == (200, "done")
    assert world.coins() == 0
    world.assert_balanced()


def test_an_unpaid_order_has_nothing_to_refund(alice: ApiClient, backend: ApiClient) -> None:
    order = alice.post("/v1/orders", order_body()).get_json()
    for body in ({"order": order["number"]}, {"payment": order["payments"][0]["number"]}):
        answer = backend.post("/v1/refunds", {**body, "reason": "r"})
        assert (answer.status_code, answer.get_json()["code"]) == (409, "payment_not_paid")
    assert backend.post("/v1/refunds", {"order": "4096", "reason": "r"}).status_code == 404
    assert backend.post("/v1/refunds", {"reason": "r"}).status_code == 422


def test_users_may_neither_refund_nor_freeze(alice: ApiClient, world: World) -> None:
    order = paid_order(alice, world)
    assert alice.post("/v1/refunds", {"order": order["number"], "reason": "mine"}).status_code == 403
    assert alice.post("/v1/wallets/unfreeze", {"user": "alice", "reason": "mine"}).status_code == 403


def test_a_frozen_wallet_refuses_spends_takes_credits_and_says_who_froze_it(
    alice: ApiClient, backend: ApiClient, world: World
) -> None:
    paid_order(alice, world)
    frozen = backend.post("/v1/wallets/freeze", {"user": "alice", "environment": "sandbox", "reason": "a dispute"})
    assert frozen.status_code == 201, frozen.text
    spend = {"user": "alice", "asset": "coin", "amount": 1, "environment": "sandbox"}
    refused = backend.post("/v1/spends", spend)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "wallet_frozen")
    paid_order(alice, world)
    assert world.coins() == 132
    body = {"user": "alice", "environment": "sandbox", "reason": "settled"}
    assert backend.post("/v1/wallets/unfreeze", body, key="u").get_json()["frozen"] is False
    assert backend.post("/v1/spends", spend).status_code == 201
    entries = backend.get("/v1/wallets/freezes", user="alice").get_json()["freezes"]
    assert [(e["frozen"], e["reason"], e["actor"]) for e in entries] == [
        (True, "a dispute", "backend:backend"),
        (False, "settled", "backend:backend"),
    ]


def test_the_entries_about_frozen_wallets_come_in_pages(alice: ApiClient, backend: ApiClient, world: World) -> None:
    paid_order(alice, world)
    body = {"user": "alice", "environment": "sandbox"}
    for number in range(5):
        backend.post(f"/v1/wallets/{'unfreeze' if number % 2 else 'freeze'}", {**body, "reason": f"r{number}"})
    found: list[str] = []
    query = {"user": "alice", "limit": "2"}
    for _ in range(3):
        page = backend.get("/v1/wallets/freezes", **query).get_json()
        found += [entry["reason"] for entry in page["freezes"]]
        query["cursor"] = page["next"] or ""
    assert found == ["r0", "r1", "r2", "r3", "r4"]
    assert page["next"] is None


def test_repeating_an_unfreeze_does_not_undo_a_later_freeze(backend: ApiClient, alice: ApiClient, world: World) -> None:
    paid_order(alice, world)
    body = {"user": "alice", "asset": "coin", "environment": "sandbox", "reason": "r"}
    first = backend.post("/v1/wallets/unfreeze", body, key="same")
    backend.post("/v1/wallets/freeze", body)
    assert backend.post("/v1/wallets/unfreeze", body, key="same").get_json() == first.get_json()
    spend = {"user": "alice", "asset": "coin", "amount": 1, "environment": "sandbox"}
    assert backend.post("/v1/spends", spend).get_json()["code"] == "wallet_frozen"


def test_freezing_a_user_who_has_no_wallet_says_so(backend: ApiClient) -> None:
    answer = backend.post("/v1/wallets/freeze", {"user": "alcie", "reason": "a dispute"})
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")


def test_the_wallet_shows_what_is_owed(alice: ApiClient, backend: ApiClient, world: World) -> None:
    order = paid_order(alice, world)
    spend = {"user": "alice", "asset": "coin", "amount": 60, "environment": "sandbox"}
    assert backend.post("/v1/spends", spend).status_code == 201
    backend.post("/v1/refunds", {"order": order["number"], "reason": "r"})
    wallet = alice.get("/v1/wallet").get_json()
    assert wallet["debts"] == [{"asset": "coin", "environment": "sandbox", "amount": 60}]
    assert wallet["balances"][0]["balance"] == 0
    paid_order(alice, world)
    assert alice.get("/v1/wallet").get_json()["debts"] == []
    assert world.coins() == 6


def test_another_users_token_does_not_see_refunds(
    alice: ApiClient, backend: ApiClient, http: FlaskClient, world: World
) -> None:
    order = paid_order(alice, world)
    refund = backend.post("/v1/refunds", {"order": order["number"], "reason": "r"}).get_json()
    mallory = ApiClient(http, token("mallory"))
    assert mallory.get(f"/v1/refunds/{refund['number']}").status_code == 404
    assert mallory.get("/v1/refunds").get_json()["refunds"] == []
    assert mallory.get("/v1/refunds", order=order["number"]).get_json()["refunds"] == []
    assert mallory.get("/v1/refunds", user="alice").status_code == 403


# --- one key, one answer ---


def test_a_refund_that_was_refused_stays_refused_under_its_key(
    alice: ApiClient, backend: ApiClient, world: World
) -> None:
    order: dict[str, Any] = alice.post("/v1/orders", order_body()).get_json()
    body = {"order": order["number"], "reason": "r"}
    early = backend.post("/v1/refunds", body, key="early")
    assert (early.status_code, early.get_json()["code"]) == (409, "payment_not_paid")
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    again = backend.post("/v1/refunds", body, key="early")
    assert (again.status_code, again.get_json()["code"]) == (409, "payment_not_paid")
    assert backend.get("/v1/refunds", order=order["number"]).get_json()["refunds"] == []
    assert backend.post("/v1/refunds", {**body, "reason": "other"}, key="early").get_json()["code"] == (
        "idempotency_key_reused"
    )
    assert backend.post("/v1/refunds", body, key="later").status_code == 201


def test_too_much_stays_too_much_under_its_key_though_money_came_back(
    alice: ApiClient, backend: ApiClient, world: World
) -> None:
    number = paid_order(alice, world)["payments"][0]["number"]
    world.simulator.books.next_refunds.append("WAITING")
    first = backend.post("/v1/refunds", {"payment": number, "amount_minor": 400, "reason": "r"}).get_json()
    assert first["status"] == "pending"
    body = {"payment": number, "amount_minor": 300, "reason": "r"}
    refused = backend.post("/v1/refunds", body, key="much")
    there = world.at_provider(int(number))
    world.simulator.decide_refund(there, there.refunds[0], "FAILED")
    world.deliver()
    world.clock.advance(10)
    again = backend.post("/v1/refunds", body, key="much")
    for answer in (refused, again):
        assert (answer.status_code, answer.get_json()["code"]) == (409, "refund_exceeds_payment")
    assert backend.post("/v1/refunds", body, key="new").status_code == 201


def test_a_request_that_comes_again_after_its_key_was_forgotten_is_one_refund(
    alice: ApiClient, backend: ApiClient, world: World
) -> None:
    order = paid_order(alice, world)
    body = {"order": order["number"], "amount_minor": 200, "reason": "a third"}
    first = backend.post("/v1/refunds", body, key="once").get_json()
    forget = text("/* sweep: audit */ DELETE FROM idempotency WHERE key = 'once'")
    world.core.whole.transact(lambda tx: tx.execute(forget))
    world.clock.advance(10)
    again = backend.post("/v1/refunds", body, key="once")
    assert (again.status_code, again.get_json()["number"]) == (201, first["number"])
    assert world.at_provider(int(order["payments"][0]["number"])).refunded == 200
    world.core.whole.transact(lambda tx: tx.execute(forget))
    other = backend.post("/v1/refunds", {**body, "amount_minor": 100}, key="once")
    assert (other.status_code, other.get_json()["code"]) == (409, "idempotency_key_reused")
    world.assert_balanced()


def test_a_refund_in_progress_that_is_not_ours_is_shown(alice: ApiClient, backend: ApiClient, world: World) -> None:
    order = paid_order(alice, world)
    world.simulator.books.next_refunds.append("WAITING")
    there = world.at_provider(int(order["payments"][0]["number"]))
    console = world.simulator.console_refund(there, 200)
    world.deliver()
    (shown,) = backend.get("/v1/refunds", order=order["number"]).get_json()["refunds"]
    assert (shown["origin"], shown["status"], shown["amount_minor"], shown["undone_minor"]) == (
        "provider",
        "pending",
        200,
        0,
    )
    world.simulator.faults.set(lose=9)
    world.simulator.decide_refund(there, console, "DONE")
    world.clock.advance(120)
    assert backend.get(f"/v1/refunds/{shown['number']}").get_json()["status"] == "done"
    assert world.coins() == 44
