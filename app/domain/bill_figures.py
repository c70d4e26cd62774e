"""What the lines of a day's bills come to in the books. No database.

Payments and refunds of ours are booked by their facts, gross. What is left for the bill to tell: what the provider
takes, gives back and pays out, and money that belongs to other systems that share the provider account.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from enum import StrEnum

from app.domain.accounting_time import TICK, end_of_day, start_of_day
from app.domain.bill_lines import LineKind
from app.domain.chart import HOUSE_SLOT
from app.domain.ledger import Transfer, system
from app.domain.numbers import keyed_uuid
from app.domain.settling import Whose

TOLD_BY_FACTS = frozenset({LineKind.PAYMENT, LineKind.REFUND})
"""What facts tell, too."""


class LineOwner(StrEnum):
    """To whom a line's money belongs, by our number in the line."""

    HOUSE = "house"
    """To us: the number can be ours, or a fee, a payout and so on names none."""
    ALIEN = "alien"
    """To another system: the number is none of ours."""
    FACTS = "facts"
    """To us, and a fact books it: a refund of ours that failed and came back."""


DISCOUNT = "bill_discount"
_COUNTER = {
    "bill_fee": "fees",
    "bill_fee_return": "fees",
    DISCOUNT: "discounts",
    "bill_payout": "bank",
    "bill_transfer": "bank",
    "bill_share": "shares",
    "bill_adjustment": "adjustments",
    "bill_other": "adjustments",
    "bill_others_money": "others",
}
"""Which account stands against `clearing`, by the kind of transfer."""
OTHERS_MONEY = "bill_others_money"
FEE_KINDS = ("bill_fee", "bill_fee_return")
"""The kinds of transfer that book fees."""
_KIND = {kind: f"bill_{kind}" for kind in LineKind if kind not in (LineKind.PAYMENT, LineKind.REFUND)}
_FEE_KIND = {LineKind.REFUND: "bill_fee_return"}


def line_owner(kind: LineKind, ours: str | None, refund: str | None, whose: Whose) -> LineOwner:
    """By the rule by which lines are compared with the books. What is no payment and no refund, and names no number, is
    the account's own: its fees and payouts."""
    if ours is None and kind not in TOLD_BY_FACTS:
        return LineOwner.HOUSE
    if not whose.is_ours(ours):
        return LineOwner.ALIEN
    return LineOwner.FACTS if kind is LineKind.ADJUSTMENT and refund is not None else LineOwner.HOUSE


@dataclass(frozen=True, slots=True)
class LineSums:
    """Lines of one kind, currency and owner together; positive comes in."""

    kind: LineKind
    currency: str
    whose: LineOwner
    amount: int = 0
    fee: int = 0
    discount: int = 0


def booked_as(kind: LineKind, amount: int, fee: int) -> Iterator[tuple[str, int]]:
    """What a line of ours adds to the money at the provider, by kind of transfer: its fee, and its amount unless facts
    tell of that."""
    yield _FEE_KIND.get(kind, "bill_fee"), fee
    if kind in _KIND:
        yield _KIND[kind], amount


BillFigures = Mapping[tuple[str, str], int]
"""What a day's bills add to the money at the provider (less than zero: take from it), by kind of transfer and
currency."""


def figures_of(sums: Iterable[LineSums]) -> dict[tuple[str, str], int]:
    """Those that are not zero."""
    found = defaultdict[tuple[str, str], int](int)
    for one in sums:
        if one.whose is LineOwner.FACTS:
            continue
        if one.whose is LineOwner.ALIEN:
            found[OTHERS_MONEY, one.currency] += one.amount + one.fee + one.discount
            continue
        for kind, minor in booked_as(one.kind, one.amount, one.fee):
            found[kind, one.currency] += minor
        found[DISCOUNT, one.currency] += one.discount
    return {key: minor for key, minor in found.items() if minor}


@dataclass(frozen=True, slots=True)
class BillRule:
    """How bills of one provider account are read into the books."""

    whose: Whose = field(default_factory=Whose)
    """Which lines can be ours. The usual rule: the account is ours alone, and our numbers are those that we give
    out."""
    main_feed: str | None = None
    """The feed of account bills that tells of the balance into which payers pay. Others tell of other balances, and
    cover no day. None: any account bill covers its days."""


USUAL_RULE = BillRule()


@dataclass(frozen=True, slots=True)
class BillDay:
    """One day of one provider account, in the zone of its bills."""

    provider_account: str
    environment: str
    day: date
    zone: tzinfo
    rule: BillRule = USUAL_RULE

    @property
    def start(self) -> datetime:
        return start_of_day(self.day, self.zone)

    @property
    def end(self) -> datetime:
        return end_of_day(self.day, self.zone)

    @property
    def effective_at(self) -> datetime:
        """When what its bills say is effective: the last moment of the day."""
        return self.end - TICK

    @property
    def reference(self) -> str:
        return f"{self.provider_account}:{self.day.isoformat()}"

    @property
    def clearing(self) -> str:
        return f"clearing:{self.provider_account}"

    def cause(self, kind: str, currency: str) -> uuid.UUID:
        """What all transfers of one figure name as their cause: the first one and its corrections."""
        return keyed_uuid(HOUSE_SLOT, f"bill:{self.provider_account}", f"{self.day}:{kind}:{currency}")

    def transfer(self, kind: str, currency: str, minor: int, times: int) -> Transfer:
        """So much is still to be booked. How many transfers the figure has already gives each its own key."""
        clearing = system(self.clearing, currency, self.environment)
        counter = system(f"{_COUNTER[kind]}:{self.provider_account}", currency, self.environment)
        debit, credit = (clearing, counter) if minor > 0 else (counter, clearing)
        return Transfer(
            scope=f"bill:{self.provider_account}",
            key=f"{self.day}:{kind}:{currency}:{times}",
            debit=debit,
            credit=credit,
            amount=abs(minor),
            kind=kind,
            reference=self.reference,
            cause=self.cause(kind, currency),
            effective_at=self.effective_at,
        )
