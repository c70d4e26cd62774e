"""Bills: how they are fetched, and how they are read into lines.

A bill is of one merchant, one day in UTC and one side. Each of its lines is a JSON object: a head, the rows, and a foot
with the count of the rows and the sums of their columns. A bill may have a million rows, so it is read line by line:
once to check it as a whole, and once more for each use of its lines.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from app.domain.money import MAX_MINOR
from app.providers import BillContent, BillLine, BillSide, Declined, LineKind, Page, Unknown, UnreadableBill
from plugins.sandbox.mapping import Currency, Moment, Name, Unreadable, Word, parsed, read
from plugins.sandbox.provider import SandboxProvider

FEEDS: Mapping[str, BillSide] = {"trade_bill": BillSide.TRADES, "fund_bill": BillSide.FUNDS}
SIDES: Mapping[str, str] = {"trade_bill": "trades", "fund_bill": "funds"}
"""What the provider calls the bill of a feed."""
ZONE = "UTC"
MAX_PROBLEMS = 100
"""So many rows of a bill are named as unreadable; of the others only the number is told."""

KINDS: Mapping[str, LineKind] = {
    "PAYMENT": LineKind.PAYMENT,
    "REFUND": LineKind.REFUND,
    "REFUND_BACK": LineKind.ADJUSTMENT,  # a refund that was taken back: the merchant has the money again
    "FEE": LineKind.FEE,
    "DISPUTE_FEE": LineKind.FEE,
    "FEE_BACK": LineKind.FEE_RETURN,
    "PAYOUT": LineKind.PAYOUT,
    "TRANSFER": LineKind.TRANSFER,
}
"""A word that is not here is OTHER: the balance depends on its row too."""

RowId = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,120}$")]
Signed = Annotated[StrictInt, Field(ge=-MAX_MINOR, le=MAX_MINOR)]


class Head(BaseModel):
    model_config = ConfigDict(extra="ignore")

    bill: Word
    merchant: Name
    live: StrictBool
    since: Moment
    until: Moment


class BillRow(BaseModel):
    """One row. Amounts are from the merchant's side: what goes out is negative."""

    model_config = ConfigDict(extra="ignore")

    id: RowId
    kind: Word
    at: Moment
    amount: Signed
    currency: Currency
    fee: Signed = 0
    balance: Signed | None = None
    payment_id: Name | None = None
    payment_number: Name | None = None
    refund_number: Name | None = None
    payout: Name | None = None


class Sums(BaseModel):
    model_config = ConfigDict(extra="ignore")

    amount: Signed
    fee: Signed


class Foot(BaseModel):
    model_config = ConfigDict(extra="ignore")

    rows: Annotated[StrictInt, Field(ge=0)]
    sums: dict[Currency, Sums]


@dataclass(slots=True)
class _Counted:
    """Rows, and the sums of their columns by currency. They say something if every row can be read."""

    rows: int = 0
    amounts: Counter[str] = field(default_factory=Counter)
    fees: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, place: int, line: bytes) -> None:
        self.rows += 1
        try:
            row = _row(line)
        except Unreadable as error:
            self.problems.append(f"row {place} is {error}")
        else:
            self.amounts[row.currency] += row.amount
            self.fees[row.currency] += row.fee

    def require(self, foot: Foot) -> None:
        if foot.rows != self.rows:
            raise UnreadableBill("rows and totals do not agree: their number")
        amounts = Counter({currency: sums.amount for currency, sums in foot.sums.items()})
        fees = Counter({currency: sums.fee for currency, sums in foot.sums.items()})
        if not self.problems and (self.amounts != amounts or self.fees != fees):  # zero and nothing are equal there
            raise UnreadableBill("rows and totals do not agree: their sums")

    def told(self) -> tuple[str, ...]:
        more = len(self.problems) - MAX_PROBLEMS
        return (*self.problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else []))


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a bill that was checked, read from its bytes at each iteration."""

    content: bytes

    def __iter__(self) -> Iterator[BillLine]:
        for _, line in _rows(self.content):
            try:
                yield _line(_row(line))
            except Unreadable:
                continue  # it is among the problems


class BillingSandbox(SandboxProvider):
    """A merchant account with bills. They tell no facts: the feed `payments` does, on the same day already."""

    feeds = (*SandboxProvider.feeds, *FEEDS)
    bill_feeds: Mapping[str, BillSide] = FEEDS

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        """One day's bill a page; the cursor is the day. Retryable while a bill is not made yet."""
        if feed not in FEEDS:
            return super().scan(feed, since, until, cursor)
        day = _day(cursor) if cursor else since.astimezone(UTC).date()
        following = day + timedelta(days=1)
        more = following.isoformat() if datetime.combine(following, time.min, UTC) < until else None
        answer = self._client.call("GET", f"/v1/bills/{SIDES[feed]}/{day.isoformat()}").document_or_raise()
        document = answer.get("document")
        if not isinstance(document, str):
            raise Unknown("an answer without the bill")
        name, content = f"{self.account}_{day.isoformat()}_{SIDES[feed]}.jsonl", document.encode()
        try:
            problems = self.read_bill(feed, name, content).problems
        except UnreadableBill as error:
            raise Unknown(f"the bill cannot be read: {error}") from None
        return Page((), more, ((name, content),), problems)

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        try:
            lines = io.BytesIO(content)
            head = read(Head, parsed(next(lines, b"")))
            counted = _Counted()
            for place, line in _rows(content):
                counted.add(place, line)
            counted.require(read(Foot, parsed(_last_line(content))))
        except Unreadable as error:
            raise UnreadableBill(str(error)) from None
        if head.bill != SIDES.get(feed, "").upper():
            raise UnreadableBill("it is a bill of another kind")
        if head.since >= head.until:
            raise UnreadableBill("it ends before it begins")
        return BillContent(
            FEEDS[feed], head.merchant, head.since, head.until, ZONE, _Lines(content), problems=counted.told()
        )


def _day(cursor: str) -> date:
    try:
        return date.fromisoformat(cursor)
    except ValueError:
        raise Declined("the cursor is not a day") from None


def _rows(content: bytes) -> Iterator[tuple[int, bytes]]:
    """What is between the first line and the last one, each with its place."""
    place, held = 0, b""
    for line in io.BytesIO(content):
        if place > 1:
            yield place - 1, held
        place, held = place + 1, line


def _last_line(content: bytes) -> bytes:
    if not content.endswith(b"\n"):
        raise Unreadable("cut short")
    return content[content.rstrip(b"\n").rfind(b"\n") + 1 :]


def _row(line: bytes) -> BillRow:
    return read(BillRow, parsed(line))


def _line(row: BillRow) -> BillLine:
    """The payer, whom each row names, stays in the bill: a line has no personal data."""
    return BillLine(
        key=row.id,
        kind=KINDS.get(row.kind, LineKind.OTHER),
        at=row.at,
        amount_minor=row.amount,
        currency=row.currency,
        fee_minor=row.fee,
        balance_minor=row.balance,
        ours=row.payment_number,
        theirs=row.payment_id,
        refund=row.refund_number,
        related=row.payout,
        word=row.kind,
    )
