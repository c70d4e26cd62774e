"""A Tillbook whose provider makes bills that the test writes by hand, and a person who compares them with the books."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from app.domain.bill_lines import BillContent, BillLine, BillSide, LineKind, StoreCell
from app.domain.money import Money
from app.models.base import AnyRow
from app.providers.errors import UnreadableBill
from app.providers.facts import Fact, Kind, Page, Ref
from app.providers.registry import ProviderAccount
from app.services.bills import readings
from app.services.differences.comparisons import Comparison, compare_account
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.services.differences.difference_rows import find_difference
from tests.support.facts import paid_fact, told
from tests.support.world import World

ZONE = "Asia/Shanghai"
DAY = timedelta(days=1)
SECOND_DAY = datetime(2026, 1, 1, 16, tzinfo=UTC)
"""Where 2 January 2026 begins in the provider's zone. The world's clock begins on that day."""
NOON = SECOND_DAY + timedelta(hours=12)


@dataclass
class BillMaker:
    """The sandbox provider, with bills that are JSON. A bill says how many rows it has, and is unreadable if it has
    others."""

    inner: Any
    bill_feeds: Mapping[str, BillSide] = field(
        default_factory=lambda: {"trade": BillSide.TRADES, "funds": BillSide.FUNDS, "report": BillSide.SALES}
    )
    feeds: tuple[str, ...] = ("trade", "funds")
    page: Page = field(default_factory=lambda: Page((), None))
    reads: int = 0
    answers: dict[str, tuple[Fact, ...]] = field(default_factory=dict)
    """What it says when it is asked about one of its numbers."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        return self.page

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        answer: tuple[Fact, ...] = self.answers.get(ref.theirs or "") or self.inner.query(ref)
        return answer

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        self.reads += 1
        try:
            told = json.loads(content)
        except ValueError:
            raise UnreadableBill("not a bill") from None
        if told["rows"] != len(told["lines"]):
            raise UnreadableBill("rows are missing")
        since, until = (datetime.fromisoformat(told[name]) for name in ("since", "until"))
        lines = map(_line_of, told["lines"])
        return BillContent(self.bill_feeds[feed], told["account"], since, until, ZONE, lines, tuple(told["problems"]))


def bill_bytes_of(
    lines: Sequence[BillLine],
    since: datetime = SECOND_DAY,
    days: int = 1,
    *,
    account: str | None = "m-1",
    rows: int | None = None,
    problems: Sequence[str] = (),
) -> bytes:
    """A bill of some days as the BillMaker writes it."""
    head = {"account": account, "since": since.isoformat(), "until": (since + days * DAY).isoformat()}
    counted = len(lines) if rows is None else rows
    document = {**head, "rows": counted, "problems": list(problems), "lines": [asdict(line) for line in lines]}
    return json.dumps(document, default=lambda moment: moment.isoformat()).encode()


def _line_of(told: dict[str, Any]) -> BillLine:
    cell = told["cell"]
    at, kind = datetime.fromisoformat(told["at"]), LineKind(told["kind"])
    return BillLine(**{**told, "at": at, "kind": kind, "cell": None if cell is None else StoreCell(**cell)})


@dataclass
class SettlingHouse:
    world: World
    maker: BillMaker

    @property
    def account(self) -> ProviderAccount:
        account = self.world.core.registry.get("sandbox")
        assert account is not None
        return account

    def set_account(self, **settings: Any) -> None:
        self.world.serve(replace(self.account, **settings))

    def ordered(self, user: str) -> int:
        """The payment of a new order that nobody has paid."""
        return int(self.world.order(user, key=f"order of {user}").payments[-1].id)

    def paid(self, user: str, at: datetime = NOON, **changes: Any) -> Fact:
        """A payment of 6.00 CNY that its provider has told of."""
        fact = paid_fact(self.world, self.ordered(user), at=at, **changes)
        told(self.world, fact)
        return fact

    def refunded(self, paid: Fact, number: str, minor: int = 600, at: datetime = NOON) -> Fact:
        """Money of it that went back by the provider's decision."""
        ref = replace(paid.ref, refund=number)
        fact = replace(paid, kind=Kind.REFUNDED, ref=ref, at=at, money=Money(minor, "CNY"), owner=None, fee=None)
        told(self.world, fact)
        return fact

    def bring(self, name: str, lines: Sequence[BillLine], since: datetime = SECOND_DAY, feed: str = "trade") -> None:
        readings.import_bill(self.world.core, self.account, feed, name, bill_bytes_of(lines, since))

    def compare(self, since: datetime = SECOND_DAY, days: int = 1) -> Comparison:
        return compare_account(self.world.core, self.account, since, since + days * DAY)

    def listed(self, state: str | None = None) -> list[AnyRow]:
        return list(list_differences(self.world.core, DifferenceFilter(state=state), None, 1000).rows)

    def types(self, state: str | None = None) -> Counter[str]:
        return Counter(row.type for row in self.listed(state))

    def only(self, state: str | None = None) -> AnyRow:
        [row] = self.listed(state)
        return row

    def again(self, row: AnyRow) -> AnyRow:
        return self.world.core.whole.read(partial(find_difference, number=row.id))

    def readings(self) -> list[tuple[str, str, int]]:
        rows = self.world.core.whole.read(readings.list_readings)
        return [(row.name, row.status, row.lines) for row in rows]


def settling_house(world: World) -> SettlingHouse:
    """The world with such a provider, some days after the first bill's day: its pool is over."""
    maker = BillMaker(world.account.provider)
    world.serve(replace(world.account, provider=maker))
    return SettlingHouse(world, maker)


def line_of(fact: Fact, key: str = "", **changes: Any) -> BillLine:
    """How a trade bill tells of this fact."""
    assert fact.money is not None
    refund = fact.kind is Kind.REFUNDED
    minor = -fact.money.minor if refund else fact.money.minor
    line = BillLine(
        key=key or f"{fact.kind}:{fact.ref.theirs}:{fact.ref.refund}",
        kind=LineKind.REFUND if refund else LineKind.PAYMENT,
        at=fact.at,
        amount_minor=minor,
        currency=fact.money.currency,
        fee_minor=-fact.fee.minor if fact.fee else 0,
        ours=fact.ref.ours,
        theirs=fact.ref.theirs,
        refund=fact.ref.refund,
    )
    return replace(line, **changes)


def alien_line(theirs: str, ours: str | None, at: datetime = NOON, minor: int = 600) -> BillLine:
    """A payment that only the provider knows of."""
    return line_of(Fact(Kind.PAID, Ref(ours, theirs), at, Money(minor, "CNY")))
