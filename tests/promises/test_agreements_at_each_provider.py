"""Each way of signing at each provider, over HTTP: the user asks for an agreement, and the provider's signed messages
and answers do the rest.

One Tillbook for each product of each provider. Its users take one way each, so that all ways live side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.providers.facts import Message, Reply
from app.providers.registry import ProviderAccount
from app.providers.testing.doubles import MemoryKeys, WsgiClient
from app.providers.tools import Tools
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.agreements import agreement_rows
from app.services.base.context import Tx
from app.services.base.leases import LeaseQueue
from app.services.calls import agreement_queries, payment_closing, payment_queries
from plugins.alipay import plugin as alipay
from plugins.alipay import simulator as alipay_simulator
from plugins.alipay.debits import AlipayDebits
from plugins.alipay.simulated.keys import DemoKeys, demo_keys
from plugins.wechat import plugin as wechat
from plugins.wechat.agreements import CONTRACT_WAYS
from plugins.wechat.simulated.keys import SimulatorConfig, generate_config
from plugins.wechat.simulator import create_simulator
from tests.support.agreement_house import PLANS
from tests.support.databases import Sessions
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, token
from tests.support.world import CATALOGUE, World, build_world

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
URL = "http://provider.test"
WEBHOOK = "https://pay.test/webhooks/till"
OPENID = "oUpF8uMEb4qRXf22hE3X68TekukE"
PHONE = {"client_ip": "203.0.113.7"}
WORK = {
    agreement_rows.AGREEMENTS_DUE: agreement_queries.work_on_agreement,
    payment_queries.PAYMENTS_DUE: payment_closing.work_on_payment,
}
EXTRAS: Mapping[str, Mapping[str, str]] = {"jsapi": {"openid": OPENID}, "miniprogram": {"openid": OPENID}, "h5": PHONE}


@dataclass
class Payers:
    """What people do at the simulated provider. Agreements and payments are named by our numbers."""

    app: Flask
    signs: Callable[[Mapping[str, Any]], object]
    pays: Callable[[str, Mapping[str, Any]], object]
    """Pays the first period, and signs by the same act."""
    leaves: Callable[[str], object]
    lapses: Callable[[str], object]
    refuse_next: Callable[[str], object]
    decide: Callable[[str], object]
    """What was only accepted is carried out."""
    deliver: Callable[[], int]
    ways: tuple[str, ...]
    paying: frozenset[str]
    accepts_first: bool
    """A charge is accepted first, and carried out later."""
    no_money: str


@dataclass
class Shop:
    world: World
    client: FlaskClient
    payers: Payers
    backend: ApiClient
    extras: Mapping[str, Mapping[str, str]]
    numbers: dict[str, str] = field(default_factory=dict)

    def user(self, name: str) -> ApiClient:
        return ApiClient(self.client, token(name))

    def ask(self, way: str, *, pay_now: bool = False, user: str | None = None) -> dict[str, Any]:
        """A user who is called as the way asks for an agreement."""
        body = {"product": "vip", "provider_account": "till", "way": way, "zone": "Asia/Shanghai", "pay_now": pay_now}
        made = self.user(user or way).post("/v1/agreements", {**body, "extra": self.extras.get(way, {})})
        assert made.status_code == 201, made.get_json()
        self.numbers[user or way] = made.get_json()["number"]
        return dict(made.get_json())

    def shown(self, user: str) -> dict[str, Any]:
        return dict(self.user(user).get(f"/v1/agreements/{self.numbers[user]}").get_json())

    def periods(self, user: str) -> list[dict[str, Any]]:
        found = self.user(user).get(f"/v1/agreements/{self.numbers[user]}/periods").get_json()["periods"]
        return list(found)[::-1]

    def payments(self, user: str) -> list[dict[str, Any]]:
        """Of the newest period; none where that has no order yet."""
        number = self.periods(user)[-1]["order"] if self.periods(user) else None
        return [] if number is None else list(self.user(user).get(f"/v1/orders/{number}").get_json()["payments"])

    def active(self, user: str) -> dict[str, str]:
        rows = self.user(user).get("/v1/entitlements").get_json()["entitlements"]
        return {row["name"]: row["agreement"] for row in rows}

    def later(self, days: int) -> None:
        """What the worker does about agreements and payments each day, and what the provider sends."""
        core = self.world.core
        for _ in range(days):
            self.world.clock.advance(86_400)
            for _ in range(3):
                for queue, work in WORK.items():
                    for number in core.rows_everywhere(partial(_due, queue=queue)):
                        work(core, number)
            self.payers.deliver()


@cache
def alipay_keys() -> DemoKeys:
    return demo_keys()


def _due(tx: Tx, queue: LeaseQueue) -> Sequence[int]:
    return queue.numbers(tx, tx.now, 100)


def _alipay(settings: Mapping[str, str], world: World, send: Any) -> tuple[Any, dict[str, Any], Payers]:
    keys = alipay_keys()
    config = alipay_simulator.SimulatorConfig(
        keys=keys,
        base_url=URL,
        clock=world.clock.now,
        monotonic=lambda: world.clock.now().timestamp(),
        send=send,
        application_gateway=WEBHOOK,
    )
    app = alipay_simulator.create_simulator(config)
    simulated = alipay_simulator.simulated(app)
    gateway = simulated.gateway

    def lapse(number: str) -> None:
        gateway.agreements.find(number).valid_until = world.clock.now()

    def refuse(code: str) -> None:
        gateway.deductions.refusals = [code]

    def decide(number: str) -> None:
        gateway.deductions.succeed(gateway.trades.find(number))

    payers = Payers(
        app,
        signs=simulated.sign,
        pays=lambda _, action: simulated.pay(simulated.order_of(action)),
        leaves=simulated.unsign,
        lapses=lapse,
        refuse_next=refuse,
        decide=decide,
        deliver=simulated.deliveries.run_due,
        ways=tuple(AlipayDebits.agreement_ways),
        paying=AlipayDebits.paying_ways,
        accepts_first=False,
        no_money="ACQ.BUYER_BALANCE_NOT_ENOUGH",
    )
    contract = {"sign_scene": "INDUSTRY|DIGITAL_MEDIA", **settings}
    return alipay, keys.settings(f"{URL}/gateway.do") | {"agreements": contract}, payers


def _wechat(
    settings: Mapping[str, str], world: World, send: Any, *, config: SimulatorConfig, v2: bool
) -> tuple[Any, dict[str, Any], Payers]:
    app = create_simulator(
        config, public_url=URL, now=world.clock.now, send=send, tick=lambda: world.clock.now().timestamp()
    )
    simulated = app.extensions["wechat"]
    simulated.plan_url, simulated.situation.kind = WEBHOOK, "public_key"

    def lapse(number: str) -> None:
        simulated.contracts.find(number).expires_at = world.clock.now()

    def refuse(code: str) -> None:
        (simulated.papay_v2 if v2 else simulated.papay_v3).refusals = [code]

    payers = Payers(
        app,
        signs=simulated.sign,
        pays=lambda payment, _: simulated.pay(payment),
        leaves=simulated.end_contract,
        lapses=lapse,
        refuse_next=refuse,
        decide=simulated.deduct,
        deliver=simulated.deliveries.run_due,
        ways=tuple(CONTRACT_WAYS),
        paying=frozenset(CONTRACT_WAYS) if v2 else frozenset(CONTRACT_WAYS) - {"h5"},
        accepts_first=True,
        no_money="NOTENOUGH",
    )
    table = (
        config.settings_v2(URL, debits=True)
        if v2
        else config.settings_v3(URL, certificates=False, public_key=True, debits=True)
    )
    return wechat, {**table, "plan_ids": ["12535"], **settings}, payers


KINDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "alipay cycle": ("alipay", {"product_code": "CYCLE_PAY_AUTH"}),
    "alipay general": ("alipay", {"product_code": "GENERAL_WITHHOLDING"}),
    "alipay general, older": (
        "alipay",
        {"product_code": "GENERAL_WITHHOLDING", "personal_product_code": "GENERAL_WITHHOLDING_P"},
    ),
    "wechat v2": ("v2", {}),
    "wechat v3 scheduled": ("v3", {"deduction": "scheduled"}),
    "wechat v3 notified": ("v3", {"deduction": "notified"}),
}


@pytest.fixture(scope="module")
def wechat_config() -> SimulatorConfig:
    return generate_config()


@pytest.fixture(params=list(KINDS))
def shop(
    request: pytest.FixtureRequest,
    engine: Engine,
    sessions: Sessions,
    wechat_config: SimulatorConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    world = build_world(engine, sessions)
    receiver: list[FlaskClient] = []

    def send(url: str, message: Message) -> Reply:
        path = urlsplit(url).path
        answer = receiver[0].post(path, data=message.body, headers=dict(message.headers))
        return Reply(answer.status_code, answer.content_type or "", answer.data)

    kind, settings = KINDS[request.param]
    if kind == "alipay":
        plugin, table, payers = _alipay(settings, world, send)
    else:
        plugin, table, payers = _wechat(settings, world, send, config=wechat_config, v2=kind == "v2")
    tools = Tools(http=WsgiClient(payers.app), clock=world.clock, keys=MemoryKeys(), live=False)
    provider = plugin.build(plugin.settings.model_validate(table), tools)
    world.serve(world.account, ProviderAccount("till", plugin.name, False, provider))
    import_products(world.core, parse_catalogue(CATALOGUE + PLANS))
    receiver.append(build_client(world, engine))
    extras = {} if kind == "alipay" else EXTRAS
    return Shop(world, receiver[0], payers, ApiClient(receiver[0], BACKEND_KEY), extras)


def _carry_out(shop: Shop) -> None:
    """Where charges are accepted first: nothing is paid before the provider says so."""
    if not shop.payers.accepts_first:
        return
    accepted = text("/* sweep: audit */ SELECT id FROM payments WHERE status = 'pending'")
    for number in shop.world.core.rows_everywhere(lambda tx: tx.execute(accepted).scalars().all()):
        shop.payers.decide(str(number))
    shop.payers.deliver()


def test_all_ways_of_signing_are_charged_renewed_refused_once_and_ended(shop: Shop) -> None:
    ways = shop.payers.ways
    for way in ways:
        shop.payers.signs(shop.ask(way)["action"])
    shop.payers.deliver()
    assert {way: shop.shown(way)["status"] for way in ways} == dict.fromkeys(ways, "active")
    for _ in range(3):  # some are announced two days before
        if not all(shop.payments(way) for way in ways):
            shop.later(days=1)
    if shop.payers.accepts_first:
        assert {shop.payments(way)[0]["status"] for way in ways} == {"pending"}
        assert sum(shop.world.coins(way) for way in ways) == 0, "accepted is not paid"
    _carry_out(shop)
    assert {way: shop.world.coins(way) for way in ways} == dict.fromkeys(ways, 100)
    assert all(shop.active(way) == {"vip": shop.numbers[way]} for way in ways)

    shop.world.clock.advance(23 * 86_400)
    shop.later(days=3)
    shop.payers.refuse_next(shop.payers.no_money)
    for _ in range(6):
        shop.later(days=1)
        _carry_out(shop)
    assert {way: shop.world.coins(way) for way in ways} == dict.fromkeys(ways, 200)
    tries = sorted([payment["status"] for payment in shop.payments(way)] for way in ways)
    assert tries == [["failed", "paid"], *[["paid"]] * (len(ways) - 1)]
    assert {way: shop.shown(way)["status"] for way in ways} == dict.fromkeys(ways, "active")

    ended_by = {way: ("us", "payer", "time")[n % 3] for n, way in enumerate(ways)}
    for way, who in ended_by.items():
        number = shop.numbers[way]
        if who == "us":
            assert shop.user(way).post(f"/v1/agreements/{number}/cancel", {"at_once": True}).status_code == 200
        else:
            (shop.payers.leaves if who == "payer" else shop.payers.lapses)(number)
    shop.payers.deliver()
    assert {way for way in ways if shop.shown(way)["status"] == "active"} == {
        way for way in ways if ended_by[way] == "time"
    }, "nobody is told that a validity is over"
    shop.later(days=3)
    for way in ways:
        assert shop.shown(way)["status"] == "ended", "the daily question finds it"
    shop.world.clock.advance(70 * 86_400)
    shop.later(days=1)
    shown = {way: shop.shown(way) for way in ways}
    assert {way: (row["status"], row["ended_by"]) for way, row in shown.items()} == {
        way: ("ended", who) for way, who in ended_by.items()
    }
    assert {way: shop.world.coins(way) for way in ways} == dict.fromkeys(ways, 200), "nothing is charged after the end"
    shop.world.assert_balanced()


def test_one_act_pays_and_signs_and_the_next_period_is_charged(shop: Shop) -> None:
    paying = sorted(shop.payers.paying)
    for way in paying:
        made = shop.ask(way, pay_now=True)
        first = shop.user(way).get("/v1/orders").get_json()["orders"][0]["payments"][0]["number"]
        shop.payers.pays(first, made["action"])
    shop.payers.deliver()
    assert {way: (shop.shown(way)["status"], shop.world.coins(way)) for way in paying} == dict.fromkeys(
        paying, ("active", 100)
    )
    shop.world.clock.advance(23 * 86_400)
    shop.later(days=3)
    for _ in range(7):
        shop.later(days=1)
        _carry_out(shop)
    assert {way: shop.world.coins(way) for way in paying} == dict.fromkeys(paying, 200)
    assert all([period["status"] for period in shop.periods(way)] == ["paid", "paid"] for way in paying)
    for way in set(shop.payers.ways) - set(paying):
        body = {"product": "vip", "provider_account": "till", "way": way, "pay_now": True}
        refused = shop.user(way).post("/v1/agreements", {**body, "extra": shop.extras.get(way, {})})
        assert refused.get_json()["code"] == "cannot_pay_now"
    shop.world.assert_balanced()
