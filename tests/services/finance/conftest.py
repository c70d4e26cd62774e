"""A shop whose provider makes bills of days in China."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.domain.accounting_time import Basis, end_of_day, start_of_day
from app.domain.bill_lines import BillLine, BillSide, LineKind
from app.domain.limits import LedgerRules
from app.domain.trial_balance import totals_of
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.context import Rules
from app.services.finance import bill_bookings
from app.services.finance.accounting_periods import balance_by
from app.services.ledger import checkpoints
from tests.support.bill_writer import BillWriter
from tests.support.world import World

CHINA = ZoneInfo("Asia/Shanghai")
DAY_ONE = date(2026, 1, 2)


@dataclass
class Shop:
    world: World
    bills: BillWriter

    def sell(self, key: str, user: str = "alice") -> str:
        """An order of 6 yuan that is paid and told at once. The number of its payment."""
        payment = self.world.order(user, key=key).payments[0]
        self.world.pay(payment.id)
        self.world.deliver()
        return str(payment.id)

    def bill(
        self,
        lines: list[BillLine],
        day: date = DAY_ONE,
        side: BillSide = BillSide.FUNDS,
        name: str = "",
        *,
        feed: str = "",
    ) -> None:
        """The bill of that day, which takes the place of an earlier one."""
        span = (start_of_day(day, CHINA), end_of_day(day, CHINA))
        self.bills.write(name or f"{side}-{day}", side, *span, lines, self.world.clock.now(), feed=feed)

    def book(self) -> int:
        """The worker's rounds until nothing is left; how many transfers were made."""
        before = self.transfers()
        while bill_bookings.book_due_bills(self.world.core, 10):
            pass
        return self.transfers() - before

    def transfers(self) -> int:
        query = text("/* sweep: audit */ SELECT count(*) FROM transfers")
        return int(self.world.core.whole.read(lambda tx: tx.execute(query).scalar_one()))

    def audited(self) -> list[str]:
        """What the audit finds."""
        core = self.world.core
        return [found.what for found in run.audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now))]

    def audit_says(self) -> str:
        """All findings, for people."""
        core = self.world.core
        found = run.audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now, core.registry.bill_rules))
        return "\n".join(f"{one.what}: {one.detail}" for one in found)

    def go_to(self, moment: datetime) -> None:
        self.world.clock.advance((moment - self.world.clock.now()).total_seconds())

    def write_checkpoints(self) -> None:
        core = self.world.core
        while checkpoints.write_next(core.whole.sessions, now=core.clock.now()):
            pass

    def balances(self, at: datetime, basis: Basis = Basis.EFFECTIVE) -> dict[str, int]:
        """Balances of money by account, that are not zero."""
        core = self.world.core
        now = core.clock.now()
        found = core.whole.read(lambda tx: balance_by(tx, basis, now=now, at=at), snapshot=True)
        assert found.balanced
        return {heading.code: sums.balance for heading, sums in totals_of(found).items() if heading.asset == "CNY"}


def line(key: str, kind: LineKind, minor: int, at: datetime, **more: object) -> BillLine:
    return replace(BillLine(key, kind, at, minor, "CNY"), **more)  # type: ignore[arg-type]


@pytest.fixture
def shop(world: World) -> Shop:
    rules = Rules(ledger=LedgerRules(zone=CHINA))
    world.core = replace(world.core, rules=rules)
    return Shop(world, BillWriter(world.core.whole.sessions))


NOON = datetime(2026, 1, 2, 4, tzinfo=UTC)
LATER = timedelta(days=1)
