"""The house of the simulated quarter: a Tillbook with the real plugins of Alipay, WeChat Pay, the App Store and the
sandbox (`plaza`, which takes two currencies), over their simulators in this process. Nobody uses a network, and the
clock moves only when told to."""

from __future__ import annotations

import itertools
import os
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any
from unittest import mock

from app.domain.gifts import GiftRequest, GiftRules, GiftStatus
from app.domain.limits import LedgerRules
from app.domain.numbers import NumberSource, slot_of_user
from app.domain.spending import Capture, HoldRequest, Spend
from app.providers import Message, Reply, Tools
from app.providers.registry import ProviderAccount, Registry
from app.providers.testing.doubles import FixedClock, MemoryKeys, WsgiClient
from app.services import ledger
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import ensure_user
from app.services.base.context import Core, ProviderClock, Rules
from app.services.base.idempotency import keyed
from app.services.base.transaction import Sessions
from app.services.calls import payment_starts, refund_calls
from app.services.gifts import journey
from app.services.intake import notifications
from app.services.ledger import holds
from app.services.ledger.hold_rows import Held
from app.services.payments import orders
from app.services.payments.orders import NewOrder, PayBy
from app.services.refunds.requests import Wanted
from app.worker import Worker
from plugins.alipay import plugin as alipay_plugin
from plugins.alipay import simulator as alipay
from plugins.alipay.simulated.keys import demo_keys
from plugins.apple import plugin as apple_plugin
from plugins.apple import simulator as apple
from plugins.sandbox import plugin as sandbox_plugin
from plugins.sandbox import simulator as sandbox
from plugins.wechat import plugin as wechat_plugin
from plugins.wechat import simulator as wechat
from plugins.wechat.simulated.keys import generate_config
from tests.quarter.calendar import CHINA
from tests.quarter.packs import catalogue_text
from tests.support.databases import databases_of

MOST_ROUNDS = 200
"""Rounds of the worker in one go. More means that the worker does not come to rest."""
MERCHANT = "quarter-plaza"
_SECRET = "the plaza of the simulated quarter, and no other"
_PUBLIC = "https://pay.quarter.test"
_URLS = {name: f"https://{name}.quarter.test" for name in ("alipay", "wechat", "apple", "plaza")}
_SCANS = {
    "alipay": {"trade_bill": 60, "account_bill": 60},
    "wechat": {"fund_bill": 60},
    "apple": {"sales_report": 60, "finance_detail": 60},
    "plaza": {"trade_bill": 60, "fund_bill": 60},
}
"""Finance brings WeChat Pay's trade bills by hand: nothing is applied from them before they are compared."""


@dataclass
class Simulators:
    """What the providers know."""

    alipay: Any
    wechat: Any
    store: Any
    plaza: Any
    accounts: dict[str, ProviderAccount]


@dataclass
class House:
    """The installation, and what its users and its backend do."""

    core: Core
    clock: FixedClock
    simulators: Simulators
    worker: Worker
    keys: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def go_to(self, moment: datetime) -> None:
        """Time passes; what providers want to tell by then is told."""
        self.clock.advance(max(0.0, (moment - self.clock.now()).total_seconds()))
        self.deliver()

    def deliver(self) -> None:
        self.simulators.alipay.deliveries.run_due()
        self.simulators.wechat.deliveries.run_due()
        self.simulators.store.notifications.run_due()
        self.simulators.plaza.deliveries.run_due()

    def work(self) -> None:
        """The worker's rounds until nothing is left to do. Lanes that pause after an idle round get their pause."""
        for _ in range(MOST_ROUNDS):
            if not self.worker.run_once():
                return
            self.deliver()
        raise AssertionError("the worker does not come to rest")

    def configure(self, name: str, **settings: Any) -> None:
        """The house starts anew with other settings of that provider account."""
        self.simulators.accounts[name] = replace(self.simulators.accounts[name], **settings)
        self.core = replace(self.core, registry=Registry(dict(self.simulators.accounts)))
        self.worker = Worker(self.core)

    def order(self, user: str, sku: str, account: str, way: str, currency: str = "CNY") -> tuple[int, int, Any]:
        """The numbers of a new order and of its payment, and what the payer's device gets."""
        wanted = NewOrder(user, sku, 1, PayBy(account, way), currency)
        request = keyed(f"user:{user}", f"order-{user}", "create_order", {"product": sku, "quantity": 1})
        order_id, payment_id = orders.create_order(self.core, wanted, request)
        payment_starts.start_payment(self.core, payment_id)
        [payment] = orders.view_order(self.core, user, order_id).payments
        return order_id, payment_id, payment.action

    def token(self, user: str) -> str:
        return str(self.core.whole.transact(lambda tx: ensure_user(tx, user)).token)

    def use(self, user: str, coins: int) -> None:
        wanted = Spend(user, "coin", coins, f"use-{next(self.keys)}", environment="sandbox")
        done = self.core.whole.transact(lambda tx: ledger.spend(tx, slot_of_user(user), wanted))
        assert hasattr(done, "balance"), done

    def reserve(self, user: str, coins: int, seconds: int) -> uuid.UUID:
        """A hold; its name, by which the coins are taken later."""
        wanted = HoldRequest(user, "coin", coins, f"hold-{next(self.keys)}", seconds, environment="sandbox")
        slot = slot_of_user(user)
        held = self.core.whole.transact(lambda tx: holds.hold(tx, slot, wanted))
        assert isinstance(held, Held), held
        return held.id

    def take_reserved(self, user: str, hold: uuid.UUID) -> None:
        slot = slot_of_user(user)
        wanted = Capture(hold, f"capture-{next(self.keys)}")
        done = self.core.whole.transact(lambda tx: holds.capture(tx, slot, wanted))
        assert hasattr(done, "balance"), done

    def give(self, giver: str, receiver: str, coins: int) -> None:
        wanted = GiftRequest(giver, receiver, "coin", coins, environment="sandbox")
        key = keyed("backend", f"gift-{next(self.keys)}", "gift", {"from": giver, "to": receiver})
        assert journey.give(self.core, wanted, key).status == GiftStatus.RECEIVED

    def refund(self, payment: int, fen: int) -> None:
        wanted = Wanted(payment, None, fen, "asked", None, "backend")
        key = keyed("backend", f"refund-{payment}-{next(self.keys)}", "refund", {"payment": str(payment)})
        refund_calls.request_refund(self.core, wanted, key)


def build_house(sessions: Sessions, start: datetime, zone: tzinfo = CHINA) -> House:
    """A house on an empty database with the schema."""
    clock = FixedClock(start)
    made: dict[str, House] = {}

    def receive(url: str, message: Message) -> Reply:
        account = made["house"].simulators.accounts[url.rpartition("/")[2]]
        return notifications.receive_notification(made["house"].core, account, message)

    simulators = _simulators(clock, receive)
    core = Core(
        databases=databases_of(sessions),
        registry=Registry(dict(simulators.accounts)),
        numbers=NumberSource(lambda: int(clock.now().timestamp() * 1000)),
        clock=clock,
        rules=Rules(ledger=LedgerRules(zone=zone), gifts=GiftRules(enabled=True)),
        public_url=_PUBLIC,
    )
    import_products(core, parse_catalogue(catalogue_text()))
    made["house"] = House(core, clock, simulators, Worker(core))
    return made["house"]


def _simulators(clock: FixedClock, receive: Any) -> Simulators:
    def seconds() -> float:
        return clock.now().timestamp()

    keys, config = demo_keys(), generate_config()
    with mock.patch.dict(os.environ, {"TILLBOOK_ENV": "test"}):
        alipay_config = alipay.SimulatorConfig(
            keys=keys, base_url=_URLS["alipay"], clock=clock.now, monotonic=seconds, send=receive
        )
        alipay_app = alipay.create_simulator(alipay_config)
        wechat_app = wechat.create_simulator(
            config, public_url=_URLS["wechat"], now=clock.now, tick=seconds, send=receive
        )
        notify = f"{_PUBLIC}/webhooks/apple"
        apple_app = apple.create_simulator(
            apple.SimulatorConfig(
                now=clock.now, monotonic=seconds, send=receive, notify_urls={"Production": notify, "Sandbox": notify}
            )
        )
        config_of_plaza = sandbox.SimulatorConfig({MERCHANT: _SECRET}, _URLS["plaza"], clock=clock, send=receive)
        plaza_app = sandbox.create_simulator(config_of_plaza)
    simulated_wechat, store = wechat_app.extensions["wechat"], apple.simulated_store(apple_app)
    simulated_wechat.situation.kind = "public_key"
    settings = {
        "alipay": keys.settings(f"{_URLS['alipay']}/gateway.do"),
        "wechat": config.settings_v3(_URLS["wechat"], certificates=False),
        "apple": store.settings(_URLS["apple"]) | {"confirm": "no"},
        "plaza": {"base_url": _URLS["plaza"], "merchant": MERCHANT, "secret": _SECRET},
    }
    plugins = {"alipay": (alipay_plugin, alipay_app), "wechat": (wechat_plugin, wechat_app)}
    plugins |= {"apple": (apple_plugin, apple_app), "plaza": (sandbox_plugin, plaza_app)}
    accounts = {
        name: ProviderAccount(
            name,
            plugin.name,
            False,
            plugin.build(
                plugin.settings.model_validate(settings[name]),
                Tools(http=WsgiClient(app), clock=ProviderClock(clock), keys=MemoryKeys(), live=False),
            ),
            scan=_SCANS[name],
            shared=name == "alipay",
        )
        for name, (plugin, app) in plugins.items()
    }
    return Simulators(alipay.simulated(alipay_app), simulated_wechat, store, plaza_app.extensions["sandbox"], accounts)
