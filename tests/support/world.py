"""A whole Tillbook over one database and a simulated provider, without sockets: for tests of services and the web."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import Engine, text

from app.domain.numbers import NumberSource, slot_of_number, slot_of_user
from app.models.base import AnyRow
from app.providers.facts import Message, Reply
from app.providers.registry import ProviderAccount, Registry
from app.providers.testing.doubles import FixedClock, MemoryKeys, WsgiClient
from app.providers.tools import Tools
from app.services import ledger
from app.services.accounts import users
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.context import Core, ProviderClock, Rules
from app.services.base.idempotency import keyed
from app.services.base.transaction import Sessions
from app.services.calls import payment_starts
from app.services.intake import notifications
from app.services.ledger import expiry as ledger_expiry
from app.services.payments import orders, payment_rows
from app.services.payments.orders import NewOrder, OrderView, PayBy
from plugins.sandbox import plugin
from plugins.sandbox.simulator import Simulator, SimulatorConfig, create_simulator
from tests.support.databases import databases_of

SECRET = "a shared secret of the tests, long enough"
OTHER_SECRET = "another merchant's shared secret, long enough"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CATALOGUE = """
[[products]]
sku = "coins-60"
title = "60 coins"
prices = { CNY = "6.00", JPY = "120" }
[[products.grants]]
asset = "coin"
amount = 60
[[products.grants]]
asset = "coin"
amount = 6
bonus = true
valid_days = 30
"""


class SharedClock(FixedClock):
    """A clock that several threads may read while a test moves it."""


@dataclass
class World:
    core: Core
    clock: FixedClock
    simulator: Simulator
    http: WsgiClient
    provider_app: Flask
    """The simulated provider, to be served over HTTP for other processes."""

    @property
    def account(self) -> ProviderAccount:
        account = self.core.registry.get("sandbox")
        assert account is not None
        return account

    def with_rules(self, rules: Rules) -> World:
        return replace(self, core=replace(self.core, rules=rules))

    def with_accounts(self, *accounts: ProviderAccount) -> World:
        """A service over the world's database that has these provider accounts and no others."""
        registry = Registry({account.name: account for account in accounts})
        return replace(self, core=replace(self.core, registry=registry))

    def serve(self, *accounts: ProviderAccount) -> None:
        """From now on the service has these provider accounts and no others."""
        self.core = self.with_accounts(*accounts).core

    def order(
        self,
        user: str = "alice",
        *,
        key: str = "k1",
        quantity: int = 1,
        way: str = "page",
        account: str = "sandbox",
    ) -> OrderView:
        """An order whose payment the provider has made."""
        wanted = NewOrder(user, "coins-60", quantity, PayBy(account, way), "CNY")
        request = keyed(f"user:{user}", key, "create_order", {"product": "coins-60", "quantity": quantity})
        order_id, payment_id = orders.create_order(self.core, wanted, request)
        payment_starts.start_payment(self.core, payment_id)
        return orders.view_order(self.core, user, order_id)

    def pay(self, payment_id: int) -> None:
        """The payer pays; notifications are queued, not sent."""
        self.simulator.pay(self.at_provider(payment_id))

    def at_provider(self, payment_id: int) -> Any:
        return self.simulator.books.find(None, number=str(payment_id))

    def deliver(self) -> int:
        return self.simulator.deliveries.run_due()

    def notification(self, payment_id: int) -> Message:
        """A genuine notification of how the payment stands at the provider."""
        payment = self.at_provider(payment_id)
        return self.simulator.notification(payment.merchant, {"event": "payment", "payment": payment.shown()})

    def receive(self, message: Message) -> Reply:
        return notifications.receive_notification(self.core, self.account, message)

    def payment(self, payment_id: int) -> AnyRow:
        slot = slot_of_number(payment_id)
        row = self.core.whole.read(lambda tx: payment_rows.find_payment(tx, slot, payment_id))
        assert row is not None
        return row

    def owner_of(self, payment_id: int) -> str:
        """The account token of the user whose payment it is."""
        order = self.order_row(self.payment(payment_id).order_id)
        return str(self.core.whole.read(lambda tx: users.ensure_user(tx, order.user_id)).token)

    def order_row(self, order_id: int) -> AnyRow:
        slot = slot_of_number(order_id)
        row = self.core.whole.read(lambda tx: payment_rows.find_order(tx, slot, order_id))
        assert row is not None
        return row

    def coins(self, user: str = "alice", asset: str = "coin") -> int:
        slot = slot_of_user(user)
        found = self.core.whole.read(lambda tx: ledger.balances(tx, slot, user))
        return sum(entry.balance for entry in found if entry.asset == asset and entry.environment == "sandbox")

    def money(self, code: str, asset: str = "CNY") -> int:
        """What has come in (+) or gone out (-) of a system account in all slots."""
        query = text(
            "/* sweep: audit */ SELECT COALESCE(SUM(CASE WHEN a.id = t.credit_id THEN t.amount ELSE -t.amount END), 0)"
            " FROM transfers t JOIN accounts a ON a.slot = t.slot AND a.id IN (t.debit_id, t.credit_id)"
            " WHERE a.code = :code AND a.asset = :asset"
        )
        return int(self.core.whole.read(lambda s: s.execute(query, {"code": code, "asset": asset}).scalar_one()))

    def expire_due(self) -> int:
        """One round of what time does to the ledger; how many things were due."""
        done = self.core.guarded(ledger_expiry.expire_due)
        return sum(done.values())

    def outcomes(self) -> list[tuple[str, str, str]]:
        """(kind, outcome, reason) of every fact, oldest first."""
        query = text(
            "/* sweep: audit */ SELECT kind, outcome, reason, recorded_at, id FROM facts ORDER BY recorded_at, id"
        )
        rows = self.core.whole.read(lambda tx: tx.execute(query).all())
        return [(row.kind, row.outcome, row.reason) for row in rows]

    def assert_balanced(self) -> None:
        as_of = AsOf(self.core.rules.ledger, self.core.clock.now, self.core.registry.bill_rules)
        assert run.audit(self.core.whole.sessions, as_of) == []


def build_world(engine: Engine, sessions: Sessions, rules: Rules | None = None) -> World:
    """A world on an empty database with the schema."""
    clock = SharedClock(START)
    lock = threading.Lock()

    def send(url: str, message: Message) -> Reply:
        assert url.endswith("/webhooks/sandbox")
        with lock:
            return notifications.receive_notification(world.core, world.account, message)

    config = SimulatorConfig({"m-1": SECRET, "m-2": OTHER_SECRET}, "https://sandbox.test", clock=clock, send=send)
    app = create_simulator(config, {"TILLBOOK_ENV": "test"})
    http = WsgiClient(app)
    provider = plugin.build(
        plugin.settings.model_validate({"base_url": "https://sandbox.test", "merchant": "m-1", "secret": SECRET}),
        Tools(http=http, clock=ProviderClock(clock), keys=MemoryKeys(), live=False),
    )
    core = Core(
        databases=databases_of(sessions),
        registry=Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)}),
        numbers=NumberSource(lambda: int(clock.now().timestamp() * 1000)),
        clock=clock,
        rules=rules or Rules(),
        public_url="https://pay.test",
    )
    import_products(core, parse_catalogue(CATALOGUE))
    world = World(core, clock, app.extensions["sandbox"], http, app)
    return world
