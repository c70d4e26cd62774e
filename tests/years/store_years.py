"""Years of customers whose subscriptions a store charges: what they do each day, and what must hold each hour."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import text

from app.services.accounts.users import ensure_user
from app.services.base.context import Tx
from app.services.intake import receipts
from plugins.apple.simulated.purchases import ACTIVE, BILLING_RETRY, GRACE_PERIOD
from tests.years.changes import Changes
from tests.years.store_model import StoreModel
from tests.years.store_stage import MONTHS_OF, PRODUCTS, Buyer, Customer, ProofAtDevice, StoreStage
from tests.years.till import ACCOUNT, Till
from tests.years.trouble import CALM_DAYS, Trouble
from tests.years.verdict import Disagreement, History

MADE_ACTIVE = {
    "vip.monthly": frozenset({"vip"}),
    "plus.monthly": frozenset({"plus"}),
    "gold.monthly": frozenset({"vip", "gold"}),
    "vip.yearly": frozenset({"vip"}),
}
COINS_OF = {"vip.monthly": 100, "plus.monthly": 151, "gold.monthly": 333, "vip.yearly": 1200}
CATALOGUE = "".join(
    f"""
[[products]]
sku = "{product_id.replace(".", "-")}"
title = "{product_id}"
store_ids = {{ {ACCOUNT} = "{product_id}" }}
entitlements = {sorted(MADE_ACTIVE[product_id])}
plan = {{ period = "{MONTHS_OF[product_id]} months" }}
[[products.grants]]
amount = {COINS_OF[product_id]}
"""
    for product_id in PRODUCTS
).replace("'", '"')
SCANS = {"refunds": 360}
"""Refunds of which the one notification was lost are found in the history."""
LONGEST_WITHOUT = 75
"""Days until a customer takes the subscription up again."""


class StoreYears:
    """`users` at one store, two to each of its accounts' devices now and then, from `start` on."""

    def __init__(self, database: str, users: int, start: datetime, seed: int, step: int = 1) -> None:
        """`step`: so many hours at a time."""
        random.seed(seed)
        self._chance = random.Random(f"store {seed}")
        self.till = Till(database, start, CATALOGUE)
        self.trouble = Trouble(self._chance)
        self.stage = StoreStage(self.till.clock, self.till.receive, self._chance)
        self.till.serve(self.stage.plugin, self.stage.settings, self.stage.app, self.stage.watch, SCANS)
        self.till.kill_receiver_at = self.trouble.kill_at
        self.buyers = [self._buyer(f"user-{number}") for number in range(users)]
        self.customers = [Customer(f"customer-{n}", buyer) for n, buyer in enumerate(self.buyers)]
        self.histories = {each.number: History() for each in self.customers}
        self._begins = {
            each.number: start + timedelta(days=self._chance.randrange(60), hours=self._chance.randrange(24))
            for each in self.customers
        }
        self._start, self._step = start, step
        self._changes = Changes(self.till)
        self.seen, self.hours = 0, 0

    def _buyer(self, name: str) -> Buyer:
        def token(tx: Tx) -> str:
            return str(ensure_user(tx, name).token)

        return Buyer(name, self.till.core.whole.transact(token), StoreModel(dict(MADE_ACTIVE), COINS_OF))

    def run(self, days: int) -> None:
        """Raises Disagreement."""
        for day in range(days):
            self.trouble.is_over = day >= days - CALM_DAYS
            self.trouble.new_day()
            for hour in range(0, 24, self._step):
                second = self._chance.randrange(3600)
                self.till.move_to(self._start + timedelta(days=day, hours=hour, seconds=second))
                self._hour()
            self.till.look_at_what_waits()
            if day % 5 == 4:
                self._compare(self.buyers)
        self.trouble.lag = timedelta(0)
        self._compare(self.buyers)
        findings = self.till.findings()
        if findings:
            raise Disagreement("the audit", [f"{finding}" for finding in findings])

    def _hour(self) -> None:
        works, self.till.is_up = self.trouble.next_hours(self._step)
        self.trouble.spoil(self.stage.faults, self._step)
        for customer in self.customers:
            if not self.trouble.is_over:
                self._act(customer)
                self.stage.go_on(customer)
        self.stage.deliver()
        if self.till.is_up:
            self._hand_in()
        if works:
            kill_at = self.trouble.kill_at()
            self.till.work(kill_at, self.trouble.meets_at(), self.trouble.kill_at())
            if kill_at:
                if self.trouble.restarts():
                    self.till.restart()
                self.till.move_to(self.till.clock.now() + timedelta(seconds=61))
                self.till.work()
        self.stage.deliver()
        self.hours += self._step * len(self.buyers)
        self._compare([*self._changes.among(self.buyers, self.trouble.lag), self._chance.choice(self.buyers)])

    def _hand_in(self) -> None:
        """A device hands its proof in again until it is told that it was taken."""
        for item in list(self.stage.at_device):
            if item.share is not None and item.share.brought_at is None:
                item.share.brought_at = self.till.clock.now()
            with self.till.mortal(self.trouble.kill_at()):
                submitted = receipts.submit(self.till.core, ACCOUNT, item.user, item.body)
                if submitted.status != "pending":
                    self.stage.at_device.remove(item)
                    if item.share is not None:
                        self._is_brought_again(item)

    def _is_brought_again(self, item: ProofAtDevice) -> None:
        """What is of one user already is of no other one, who brings it too."""
        others = [each.name for each in self.buyers if each.name != item.user]
        if others and self._chance.random() < 0.3:
            self.till.happened["brings another's share"] += 1
            self.stage.at_device.append(ProofAtDevice(self._chance.choice(others), item.body))

    def _act(self, customer: Customer) -> None:
        now, history = self.till.clock.now(), self.histories[customer.number]
        if not customer.stands:
            if now < self._begins[customer.number]:
                return
            if customer.newest is not None and self._chance.random() < 0.3:
                customer.buyer = self._chance.choice(self.buyers)
            history.note(now, f"buys for {customer.buyer.name}")
            self.till.happened["buys again" if customer.newest else "buys"] += 1
            self.stage.buy(customer, self._chance.choice(PRODUCTS))
            return
        wait = timedelta(days=self._chance.randrange(1, LONGEST_WITHOUT))
        self._begins[customer.number] = now + wait
        is_unpaid = customer.newest is not None and customer.newest.status in (BILLING_RETRY, GRACE_PERIOD)
        if is_unpaid and self._chance.random() < self._step / (24 * 20):
            self.stage.take_up(customer, self._chance.choice(self.buyers))
            history.note(now, f"is taken up by {customer.buyer.name}")
            self.till.happened["taken up while unpaid"] += 1
            return
        if customer.is_broke and self._chance.random() < self._step / (24 * 12):
            customer.is_broke = False
            history.note(now, "has money again")
        for act, a_year in RATES.items():
            if self._chance.random() < a_year * self._step / (365 * 24):
                history.note(now, act)
                self._do(customer, act)
                self.till.happened[act] += 1

    def _do(self, customer: Customer, act: str) -> None:
        if act == "broke":
            customer.is_broke = True
        elif customer.newest is None or customer.newest.status != ACTIVE:
            return
        elif act in ("upgrade", "share"):
            getattr(self.stage, act)(customer, self._somebody(customer))
        else:
            getattr(self.stage, act)(customer)

    def _somebody(self, customer: Customer) -> Buyer:
        """The customer, or another user of the app."""
        return customer.buyer if self._chance.random() < 0.6 else self._chance.choice(self.buyers)

    # --- what must hold

    def _compare(self, buyers: list[Buyer]) -> None:
        now = self.till.clock.now()
        for buyer in buyers:
            self.seen += 1
            horizons = buyer.model.horizons(now, self.trouble.lag)
            active = self.till.active(buyer.name)
            allowed = buyer.model.may_be_active(now, horizons)
            if active not in allowed:
                self._disagree(buyer, f"{_times(active)} is active, and not {' or '.join(map(_times, allowed))}")
            coins = self.till.coins(buyer.name)
            wanted = buyer.model.may_have(horizons)
            if coins not in wanted:
                self._disagree(buyer, f"{coins} coins, and not {sorted(wanted)}")

    def _disagree(self, buyer: Buyer, what: str) -> None:
        lines = [f"{self.till.clock.now()}: {buyer.name}: {what}"]
        for each in buyer.model.subscriptions.values():
            lines += [f"  {each.number} {period}" for period in each.periods]
            lines += [f"  {each.number} {grace}" for grace in each.graces]
        lines += [f"  {share}" for share in buyer.model.shares]
        for customer in self.customers:
            if customer.buyer is buyer:
                lines += self.histories[customer.number].lines
        lines += self._kept(buyer.name)
        raise Disagreement(buyer.name, lines)

    def _kept(self, user: str) -> list[str]:
        """Our rows of the user's agreements and facts."""
        agreements = text("/* sweep: audit */ SELECT * FROM agreements WHERE user_id = :user")
        periods = text(
            "/* sweep: audit */ SELECT p.* FROM agreement_periods p JOIN agreements a ON a.slot = p.slot"
            " AND a.id = p.agreement_id WHERE a.user_id = :user"
        )
        facts = text(
            "/* sweep: audit */ SELECT kind, outcome, reason, at, recorded_at, content FROM facts"
            " WHERE slot IN (SELECT slot FROM users WHERE id = :user) ORDER BY recorded_at, id"
        )

        def rows(tx: Tx) -> list[str]:
            return [
                str(tuple(row)) for query in (agreements, periods, facts) for row in tx.execute(query, {"user": user})
            ]

        return self.till.core.whole.read(rows)

    def periods(self) -> int:
        """How many periods the store sold."""
        return sum(len(each.periods) for buyer in self.buyers for each in buyer.model.subscriptions.values())


def _times(active: Mapping[str, datetime]) -> str:
    return ", ".join(f"{name} until {until}" for name, until in sorted(active.items())) or "nothing"


RATES: Mapping[str, float] = {
    "broke": 2,
    "upgrade": 1.5,
    "downgrade": 1,
    "switch_off": 0.7,
    "refund": 0.4,
    "raise_price": 0.3,
    "share": 1.5,
}
"""How often in a year each happens to a customer whose subscription stands."""
