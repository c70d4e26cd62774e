"""A Tillbook in which each test has a buyer of its own, and a small model of what refunds must come to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text

from app.domain.ledger import wallet
from app.domain.money import Money
from app.domain.numbers import slot_of_user
from app.domain.refunding import Clawback
from app.domain.spending import Spend, grant
from app.models.base import AnyRow
from app.providers.facts import Fact, Kind, Ref
from app.services import ledger
from app.services.audit.ledger import AsOf, AuditState, audit_slot
from app.services.audit.orders import audit_orders
from app.services.base.idempotency import Keyed, keyed
from app.services.base.reported_fact import ReportedFact, Road
from app.services.calls import refund_calls
from app.services.facts.owner import tell
from app.services.facts.record import Applied
from app.services.ledger import holdings
from app.services.refunds import refund_rows, requests
from app.services.refunds.requests import Wanted
from tests.support.world import World

PAID, COINS, BONUS = 600, 60, 6
ROADS: tuple[Road, ...] = ("notification", "query", "scan", "reply", "bill")
_users = itertools.count(1)
_keys = itertools.count(1)


@dataclass
class Buyer:
    """One user with one order, not yet paid here."""

    world: World
    user: str = field(default_factory=lambda: f"buyer-{next(_users)}")

    def __post_init__(self) -> None:
        view = self.world.order(self.user)
        self.order_id, self.payment_id = view.order.id, view.payments[0].id
        self.slot = slot_of_user(self.user)
        self.theirs = self.world.at_provider(self.payment_id).id

    # --- what providers tell ---

    def paid(self) -> Fact:
        return self.fact(Kind.PAID, 0, money=PAID)

    def fact(
        self,
        kind: Kind,
        hours: int,
        *,
        refund: str | None = None,
        money: int | None = None,
        total: int | None = None,
        share: int | None = None,
    ) -> Fact:
        return Fact(
            kind,
            Ref(str(self.payment_id), self.theirs, refund),
            self.at(hours),
            money=Money(money, "CNY") if money is not None else None,
            total=Money(total, "CNY") if total is not None else None,
            share=share,
            account="m-1",
            live=False,
        )

    def at(self, hours: int) -> datetime:
        return datetime.fromisoformat("2026-01-02T03:04:05+00:00") + timedelta(hours=hours)

    def tell(self, fact: Fact, road: Road = "notification") -> Applied:
        return tell(self.world.core, ReportedFact(self.world.account, fact, road))

    def pay(self) -> None:
        self.world.pay(self.payment_id)
        self.world.receive(self.world.notification(self.payment_id))

    # --- what the backend does ---

    def ask(self, amount: int | None = None, *, policy: Clawback | None = None, key: str | None = None) -> int:
        """Ask for a refund; it is written down, and not sent yet."""
        return requests.request(self.world.core, *self._wanted(amount, policy, key))

    def ask_and_send(self, amount: int | None = None, *, key: str | None = None) -> AnyRow:
        """Ask for a refund as the API does: it is sent at once."""
        return refund_calls.request_refund(self.world.core, *self._wanted(amount, None, key))

    def _wanted(self, amount: int | None, policy: Clawback | None, key: str | None) -> tuple[Wanted, Keyed]:
        request = keyed("backend:test", key or f"k-{next(_keys)}", "refund", {"payment": self.payment_id, "a": amount})
        return Wanted(self.payment_id, None, amount, "a test", policy, "backend:test"), request

    def work(self, refund_id: int) -> str:
        """Take a refund one step further; its status then."""
        self.world.clock.advance(5000)
        refund_calls.work_on_refund(self.world.core, refund_id)
        return str(self.refund(refund_id).status)

    def spend(self, amount: int) -> object:
        request = Spend(self.user, "coin", amount, f"s-{next(_keys)}", environment="sandbox")
        return self._ledger(lambda s: ledger.spend(s, self.slot, request))

    def earn(self, amount: int) -> None:
        given = grant(
            self.user, "coin", amount, f"g-{next(_keys)}", reason="a prize", actor="test", environment="sandbox"
        )
        self._ledger(lambda s: ledger.post(s, self.slot, [given]))

    # --- how it stands ---

    def refund(self, refund_id: int) -> AnyRow:
        row = self.world.core.whole.read(lambda s: refund_rows.find_refund(s, self.slot, refund_id))
        assert row is not None
        return row

    def refunds(self) -> Sequence[AnyRow]:
        return requests.list_refunds_of_order(self.world.core, self.order_id)

    @property
    def account(self) -> ledger.Balance:
        name = wallet(self.user, "coin", "sandbox")
        return self.world.core.whole.read(lambda s: ledger.balance(s, self.slot, name))

    @property
    def coins(self) -> int:
        return self.account.balance

    @property
    def debt(self) -> int:
        owed = self.world.core.whole.read(lambda s: holdings(s, self.slot, self.user)).debts
        return sum(debt.amount for debt in owed if (debt.asset, debt.environment) == ("coin", "sandbox"))

    @property
    def refunded(self) -> int:
        """Money that went back for this buyer's payment, by the legs in the books."""
        query = text(
            "SELECT COALESCE(SUM(CASE t.kind WHEN 'refund' THEN t.amount ELSE -t.amount END), 0) FROM transfers t"
            " JOIN transfers p ON p.slot = t.slot AND p.id = t.cause_id"
            " WHERE t.slot = :slot AND t.kind IN ('refund', 'refund_undone') AND p.reference = :payment"
        )
        values = {"slot": self.slot, "payment": str(self.payment_id)}
        return int(self.world.core.whole.read(lambda s: s.execute(query, values).scalar_one()))

    def lines(self) -> list[tuple[str, int]]:
        """The wallet's statement: kind and signed amount."""
        name = wallet(self.user, "coin", "sandbox")
        page = self.world.core.whole.read(lambda s: ledger.statement(s, self.slot, name))
        return [(line.kind, line.amount) for line in page.lines]

    def assert_proved(self) -> None:
        """Every balance, lot, hold and hash of the buyer's slot follows from its postings."""
        state = AuditState()
        core = self.world.core
        audit_slot(core.whole.sessions, self.slot, state, as_of=AsOf(core.rules.ledger, core.clock.now))
        assert state.findings == []

    def assert_balanced(self) -> None:
        """The buyer's slot is proved, and all orders and refunds follow from facts. All 4096 slots take longer."""
        self.assert_proved()
        assert list(audit_orders(self.world.core.whole.sessions)) == []

    def _ledger(self, work: Callable[..., object]) -> object:
        return self.world.core.whole.transact(work)


def half_up(amount: int, part: int, whole: int) -> int:
    return (2 * amount * part + whole) // (2 * whole)


def target(refunded: int) -> int:
    """Coins that must be gone when so much of 600 is refunded: the paid share and the bonus share."""
    return half_up(COINS, refunded, PAID) + half_up(BONUS, refunded, PAID)
