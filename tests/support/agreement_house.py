"""A Tillbook that charges agreements at a hand-written provider, for tests of the services and the web."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text

from app.domain.numbers import slot_of_number, slot_of_user
from app.models.base import AnyRow
from app.models.events import EVENTS
from app.providers.facts import Fact
from app.providers.registry import ProviderAccount
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.agreements import agreement_rows, entitlements, signing_requests
from app.services.agreements.signing_requests import NewAgreement
from app.services.base.context import Core
from app.services.base.idempotency import keyed
from app.services.base.reported_fact import ReportedFact
from app.services.calls import agreement_queries, agreement_signing, payment_closing
from app.services.facts.owner import tell
from app.services.facts.record import Applied
from app.services.payments import payment_rows
from app.services.payments.expiry import expire_due_orders
from app.services.payments.orders import PayBy
from tests.support.debit_provider import DebitProvider
from tests.support.world import CATALOGUE, World

PLANS = """
[[products]]
sku = "vip"
title = "VIP, a month"
prices = { CNY = "15.00" }
entitlements = ["vip"]
plan = { period = "1 month" }
[[products.grants]]
amount = 100

[[products]]
sku = "basic"
title = "Basic, a month"
prices = { CNY = "9.00" }
entitlements = ["basic"]
plan = { period = "1 month" }

[[products]]
sku = "gold"
title = "Gold, a month"
prices = { CNY = "30.00" }
entitlements = ["vip", "gold"]
plan = { period = "1 month" }

[[products]]
sku = "trial"
title = "A week free, then paid"
prices = { CNY = "3.00" }
entitlements = ["trial"]
plan = { period = "7 days", first_prices = { CNY = "0" }, grace_days = 0 }

[[products]]
sku = "store-basic"
title = "Basic of the store"
store_ids = { store = "basic.monthly" }
entitlements = ["basic"]
plan = { period = "1 month" }

[[products]]
sku = "store-vip"
title = "VIP of the store"
store_ids = { store = "vip.monthly" }
entitlements = ["vip"]
plan = { period = "1 month" }
"""


@dataclass
class AgreementHouse:
    world: World
    debit: DebitProvider
    store: DebitProvider

    @property
    def core(self) -> Core:
        return self.world.core

    def sign(
        self,
        user: str = "alice",
        sku: str = "vip",
        *,
        key: str = "k",
        pay_now: bool = False,
        zone: str = "UTC",
        account: str = "debit",
        replaces: int | None = None,
    ) -> int:
        """An agreement that the provider knows, and nobody has signed."""
        wanted = NewAgreement(user, sku, PayBy(account, "page"), zone=zone, pay_now=pay_now, replaces=replaces)
        request = keyed(f"user:{user}", key, "create_agreement", {"product": sku})
        number = signing_requests.create_signing(self.core, wanted, request)
        agreement_signing.start_signing(self.core, number)
        return number

    def signed(self, user: str = "alice", sku: str = "vip", *, zone: str = "UTC") -> int:
        number = self.sign(user, sku, zone=zone)
        self.tell(self.debit.user_signs(str(number)))
        return number

    def raise_price(self, sku: str, price: str) -> None:
        """The catalogue has the plan for another price from now on, which binds nobody who has signed."""
        head, name, plan = PLANS.partition(f'sku = "{sku}"')
        dearer = head + name + re.sub(r'CNY = "[0-9.]+"', f'CNY = "{price}"', plan, count=1)
        import_products(self.core, parse_catalogue(CATALOGUE + dearer))

    def tell(self, fact: Fact, account: str = "debit") -> Applied:
        found = self.core.registry.get(account)
        assert found is not None
        return tell(self.core, ReportedFact(found, fact, "notification"))

    def work(self, most: int = 20) -> int:
        """Everything that is due about agreements now; how many steps that took."""
        done = 0
        while done < most:
            due = self.core.rows_everywhere(lambda tx: agreement_rows.AGREEMENTS_DUE.numbers(tx, tx.now, 100))
            if not due:
                return done
            done += sum(agreement_queries.work_on_agreement(self.core, number) for number in due)
        raise AssertionError("the work about agreements finds no end")

    def settle_payments(self, *payments: int) -> None:
        for payment in payments:
            payment_closing.work_on_payment(self.core, payment)
        expire_due_orders(self.core, 100)

    def at(self, moment: datetime) -> int:
        self.world.clock.advance((moment - self.world.clock.now()).total_seconds())
        return self.work()

    def later(self, **by: float) -> int:
        self.world.clock.advance(timedelta(**by).total_seconds())
        return self.work()

    def row(self, number: int) -> AnyRow:
        return self.core.whole.read(lambda tx: agreement_rows.known_agreement(tx, number))

    def periods(self, number: int) -> list[AnyRow]:
        """Oldest first."""
        row = self.row(number)
        return self.core.whole.read(lambda tx: agreement_rows.periods_before(tx, row, 10_000, 10_000))[::-1]

    def payments(self, number: int, period: int = -1) -> list[AnyRow]:
        order = self.periods(number)[period].order_id
        return self.core.whole.read(lambda tx: payment_rows.payments_of_order(tx, slot_of_number(number), order))

    def refunds(self, number: int) -> list[AnyRow]:
        """Those of all orders of the agreement, oldest first."""
        query = text("SELECT * FROM refunds WHERE slot = :slot AND order_id = :order ORDER BY id")
        orders = [{"slot": slot_of_number(number), "order": period.order_id} for period in self.periods(number)]
        return self.core.whole.read(lambda tx: [row for keys in orders for row in tx.execute(query, keys)])

    def active(self, user: str = "alice") -> dict[str, datetime]:
        return {each.name: each.until for each in entitlements.entitlements_of_user(self.core, user)}

    def events(self, user: str = "alice") -> list[str]:
        query = text("/* sweep: audit */ SELECT type FROM events WHERE user_id = :user ORDER BY version")
        rows = self.core.whole.read(lambda tx: tx.execute(query, {"user": user}).all())
        return [row.type for row in rows if row.type.startswith("agreement.")]

    def told(self, kind: str, user: str = "alice") -> list[dict[str, Any]]:
        """What the events of that kind say, the oldest first."""
        query = select(EVENTS.c.body).where(EVENTS.c.slot == slot_of_user(user), EVENTS.c.user_id == user)
        query = query.where(EVENTS.c.type == kind).order_by(EVENTS.c.version)
        return [body["data"] for (body,) in self.core.whole.read(lambda tx: tx.execute(query).all())]


def agreement_house(world: World) -> AgreementHouse:
    debit = DebitProvider(world.clock)
    sandbox = world.account
    store = DebitProvider(world.clock, currencies=(), account="store-app")
    accounts = [ProviderAccount("debit", "debit", False, debit), ProviderAccount("store", "store", False, store)]
    world.serve(sandbox, *accounts)
    catalogue = parse_catalogue(CATALOGUE + PLANS)
    import_products(world.core, catalogue)
    return AgreementHouse(world, debit, store)
