"""Promise 9: the app's backend is told of every change that concerns it, with the thing as the API shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.domain.deciding import Late, PaymentPolicy, Surplus
from app.domain.refunding import Clawback
from app.providers.facts import Kind
from app.services.base.context import Rules
from app.services.events import feed
from app.services.payments import expiry
from app.worker import Worker
from tests.support.buyer import Buyer
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client
from tests.support.world import World


class Told:
    """What a backend has read of the feed."""

    def __init__(self, world: World, api: ApiClient) -> None:
        self.world, self.api = world, api
        self.cursor: str | None = None

    def news(self) -> list[dict[str, Any]]:
        while feed.place_events(self.world.core):
            pass
        answer = self.api.get("/v1/events", limit="200", **({"after": self.cursor} if self.cursor else {}))
        assert answer.status_code == 200, answer.text
        assert answer.json is not None
        self.cursor = answer.json["next"]
        events: list[dict[str, Any]] = answer.json["events"]
        return events

    def types(self) -> list[str]:
        return [event["type"] for event in self.news()]


@pytest.fixture
def api(world: World, engine: Engine) -> ApiClient:
    return ApiClient(build_client(world, engine), BACKEND_KEY)


@pytest.fixture
def told(world: World, api: ApiClient) -> Iterator[Told]:
    yield Told(world, api)
    world.assert_balanced()


def test_a_paid_order_is_told_with_its_coins_as_the_api_shows_both(world: World, told: Told, api: ApiClient) -> None:
    buyer = Buyer(world)
    assert told.types() == []
    buyer.pay()
    events = told.news()
    assert [event["type"] for event in events] == ["order.paid", "coins.credited", "coins.credited"]
    paid, coins, bonus = events
    assert paid["data"]["order"] == api.get(f"/v1/orders/{buyer.order_id}").json
    lines = api.get("/v1/statement", user=buyer.user, environment="sandbox").json
    assert lines is not None
    assert [coins["data"]["line"], bonus["data"]["line"]] == lines["lines"]
    assert coins["data"]["wallet"] == {"user": buyer.user, "asset": "coin", "environment": "sandbox"}
    for event in events:
        assert event["user"] == buyer.user
        cause = event["cause"]
        assert (cause["by"], cause["road"], cause["provider_account"]) == ("fact", "notification", "sandbox")
        assert cause["fact"].isdecimal()
    assert [event["version"] for event in events] == sorted({event["version"] for event in events})


def test_the_same_news_by_another_road_tells_nothing_more(world: World, told: Told) -> None:
    buyer = Buyer(world)
    buyer.pay()
    told.news()
    buyer.pay()
    buyer.tell(buyer.paid(), "query")
    assert told.types() == []


def test_an_order_with_two_payments_is_told_with_both(world: World, told: Told, api: ApiClient) -> None:
    buyer = Buyer(world)
    body = {"provider_account": "sandbox", "way": "page", "user": buyer.user}
    order = api.post(f"/v1/orders/{buyer.order_id}/payments", body).json
    assert order is not None
    world.pay(int(order["payments"][-1]["number"]))
    world.deliver()
    (paid,) = [event for event in told.news() if event["type"] == "order.paid"]
    assert len(paid["data"]["order"]["payments"]) == 2
    assert paid["data"]["order"] == api.get(f"/v1/orders/{buyer.order_id}").json


def test_an_order_that_nobody_paid_is_told_as_expired(world: World, told: Told, api: ApiClient) -> None:
    buyer = Buyer(world)
    world.clock.advance(86400)
    Worker(world.core).run_once()
    world.clock.advance(8 * 86400)
    Worker(world.core).run_once()
    expiry.expire_due_orders(world.core, 10)
    (expired,) = told.news()
    assert (expired["type"], expired["cause"]["by"], expired["cause"]["road"]) == ("order.expired", "fact", "query")
    assert expired["data"]["order"] == api.get(f"/v1/orders/{buyer.order_id}").json


def test_money_that_is_not_as_asked_is_told_as_held(world: World, told: Told) -> None:
    buyer = Buyer(world)
    buyer.tell(replace(buyer.paid(), money=replace(buyer.paid().money, minor=599)))  # type: ignore[type-var]
    (held,) = told.news()
    assert held["type"] == "payment.held"
    assert held["data"]["payment"]["status"] == "held"
    assert held["data"]["order"] == str(buyer.order_id)
    buyer.tell(replace(buyer.paid(), money=replace(buyer.paid().money, minor=599)), "query")  # type: ignore[type-var]
    assert told.types() == []


def test_money_for_a_paid_order_is_told_as_surplus_and_late_money_by_the_policy(world: World, told: Told) -> None:
    buyer = Buyer(world)
    buyer.pay()
    told.news()
    second = replace(buyer.paid(), ref=replace(buyer.paid().ref, theirs="another-trade"))
    buyer.tell(second)
    buyer.tell(second, "query")
    (surplus,) = told.news()
    assert (surplus["type"], surplus["data"]["payment"]["number"]) == ("payment.surplus", str(buyer.payment_id))


def test_late_money_that_the_policy_gives_back_is_told_with_its_refund(world: World, told: Told) -> None:
    strict = world.with_rules(Rules(policy=PaymentPolicy(late=Late.REFUND, surplus=Surplus.REFUND)))
    buyer = Buyer(strict)
    world.clock.advance(8 * 86400)
    Worker(strict.core).run_once()
    expiry.expire_due_orders(strict.core, 10)
    assert "order.expired" in told.types()
    buyer.tell(buyer.paid())
    assert told.types() == ["payment.surplus", "refund.requested"]


def test_money_that_matches_no_order_is_told_as_parked_once(world: World, told: Told) -> None:
    buyer = Buyer(world)
    stranger = replace(buyer.paid(), ref=replace(buyer.paid().ref, ours="28677", theirs="unheard-of"))
    buyer.tell(stranger)
    buyer.tell(stranger, "query")
    Worker(world.core).run_once()
    (parked,) = told.news()
    assert (parked["type"], parked["user"]) == ("payment.parked", None)
    fact = parked["data"]["fact"]
    assert (fact["provider_number"], fact["amount_minor"], fact["currency"]) == ("unheard-of", 600, "CNY")


def test_each_step_of_a_refund_is_told_with_its_coins(world: World, told: Told, api: ApiClient) -> None:
    buyer = Buyer(world)
    buyer.pay()
    told.news()
    refund = buyer.ask(300)
    (requested,) = told.news()
    assert (requested["type"], requested["cause"]["name"]) == ("refund.requested", "backend:test")
    assert requested["data"]["refund"] == api.get("/v1/refunds", order=str(buyer.order_id)).json["refunds"][0]  # type: ignore[index]
    buyer.work(refund)
    events = told.news()
    assert [event["type"] for event in events] == ["coins.clawed_back", "coins.clawed_back", "refund.done"]
    assert events[-1]["data"]["refund"] == api.get(f"/v1/refunds/{refund}").json
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, 9, refund=str(refund)))
    assert told.types() == ["coins.returned", "coins.returned", "refund.undone"]


def test_a_refund_that_is_declined_and_one_without_an_answer_are_told(world: World, told: Told) -> None:
    buyer = Buyer(world)
    buyer.pay()
    told.news()
    world.simulator.books.next_refunds.append("REFUSED")
    buyer.work(buyer.ask())
    assert told.types() == ["refund.requested", "refund.declined"]
    world.simulator.faults.set(timeout_after=1)
    refund = buyer.ask()
    assert buyer.work(refund) == "unknown"
    requested, pending = told.news()
    assert (requested["type"], pending["type"]) == ("refund.requested", "refund.pending")
    assert pending["data"]["refund"]["status"] == "unknown"


def test_a_providers_refund_of_spent_coins_opens_a_debt_that_later_coins_repay(world: World, told: Told) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(50)
    told.news()
    buyer.tell(buyer.fact(Kind.REFUNDED, 5, refund="theirs-1", money=600))
    types = told.types()
    assert {"coins.clawed_back", "debt.opened", "refund.done"} == set(types)
    buyer.earn(60)
    events = told.news()
    assert [event["type"] for event in events] == ["coins.credited", "coins.clawed_back", "debt.repaid"]
    assert events[-1]["data"]["line"]["balance"] == 0


def test_a_refund_under_the_policy_freeze_is_told_with_the_freezing(world: World, told: Told) -> None:
    buyer = Buyer(world.with_rules(Rules(clawback=Clawback.FREEZE)))
    buyer.pay()
    buyer.spend(66)
    told.news()
    buyer.tell(buyer.fact(Kind.REFUNDED, 5, refund="theirs-1", money=600))
    frozen = [event for event in told.news() if event["type"] == "wallet.frozen"]
    assert [event["data"]["freeze"]["frozen"] for event in frozen] == [True]


def test_holds_are_told_with_how_they_stand(world: World, told: Told, api: ApiClient) -> None:
    buyer = Buyer(world)
    buyer.pay()
    told.news()
    body = {"user": buyer.user, "asset": "coin", "amount": 20, "seconds": 600, "environment": "sandbox"}
    hold = api.post("/v1/holds", body).json
    assert hold is not None
    (made,) = told.news()
    assert made["type"] == "hold.made"
    assert made["data"]["hold"] == {name: value for name, value in hold.items() if name != "repeated"}
    api.post(f"/v1/holds/{hold['id']}/capture", {"amount": 5})
    assert told.types() == ["coins.spent", "hold.captured"]
    released = api.post(f"/v1/holds/{hold['id']}/release", {}).json
    (event,) = told.news()
    assert released is not None
    assert (event["type"], event["data"]["hold"]["released"]) == ("hold.released", 15)
    api.post("/v1/holds", body)
    world.clock.advance(601)
    Worker(world.core).run_once()
    assert told.types() == ["hold.made", "hold.expired"]


def test_grants_spends_reversals_and_freezes_are_told(world: World, told: Told, api: ApiClient) -> None:
    about = {"user": "alice", "asset": "coin"}
    api.post("/v1/grants", {**about, "amount": 50, "reason": "a prize"})
    spent = api.post("/v1/spends", {**about, "amount": 20, "reference": "sword"})
    assert spent.json is not None
    api.post(f"/v1/transfers/{spent.json['id']}/reverse", {"reason": "a mistake"})
    api.post("/v1/debits", {**about, "amount": 5, "reason": "a correction"})
    api.post("/v1/wallets/freeze", {**about, "reason": "a look"})
    api.post("/v1/wallets/unfreeze", {**about, "reason": "looked"})
    events = told.news()
    assert [event["type"] for event in events] == [
        "coins.credited",
        "coins.spent",
        "coins.returned",
        "coins.spent",
        "wallet.frozen",
        "wallet.unfrozen",
    ]
    assert {event["cause"]["by"] for event in events} == {"caller"}
    assert len({event["cause"]["name"] for event in events}) == 1
    lines = api.get("/v1/statement", user="alice").json
    assert lines is not None
    assert [event["data"]["line"] for event in events[:4]] == lines["lines"]
    freezes = api.get("/v1/wallets/freezes", user="alice").json
    assert freezes is not None
    assert [event["data"]["freeze"] for event in events[4:]] == freezes["freezes"]


def test_a_refused_or_repeated_spend_tells_nothing(world: World, told: Told, api: ApiClient) -> None:
    about = {"user": "alice", "asset": "coin"}
    api.post("/v1/grants", {**about, "amount": 50, "reason": "a prize"})
    told.news()
    assert api.post("/v1/spends", {**about, "amount": 60}).status_code == 409
    for _ in range(3):
        api.post("/v1/spends", {**about, "amount": 7}, key="once")
    assert told.types() == ["coins.spent"]


def test_every_coin_that_moves_is_told_so_that_a_reader_can_keep_the_same_books(world: World, told: Told) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(1)
    buyer.work(buyer.ask(300))
    buyer.earn(13)
    events = told.news()
    world.clock.advance(40 * 86400)
    Worker(world.core).run_once()
    events += told.news()
    assert "coins.expired" in {event["type"] for event in events}
    coins = sum(event["data"]["line"]["amount"] for event in events if event["type"].startswith("coins."))
    assert coins == world.coins(buyer.user)
    query = text("/* sweep: audit */ SELECT count(*) FROM events WHERE position IS NULL")
    assert world.core.whole.read(lambda tx: tx.execute(query).scalar_one()) == 0


@pytest.mark.one_database
def test_the_feed_waits_for_an_event_and_is_not_for_users(world: World, api: ApiClient, told: Told) -> None:
    assert api.get("/v1/events", wait="1").json == {
        "events": [],
        "next": "MTow",
        "more": False,
        "missing_databases": [],
    }
    for bad in ({"wait": "21"}, {"types": "coins.stolen"}, {"after": "nonsense"}, {"limit": "0"}):
        answer = api.get("/v1/events", **bad)
        assert answer.status_code == (404 if "after" in bad else 422)
        assert answer.json["code"] == ("not_a_cursor" if "after" in bad else "invalid_request")  # type: ignore[index]
    Buyer(world).pay()
    (first, *_) = told.news()
    assert api.get(f"/v1/events/{first['id']}").json == first
