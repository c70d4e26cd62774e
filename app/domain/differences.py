"""What a disagreement between a provider's bill and the books is: its type, what it is about, and its sums."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class DifferenceType(StrEnum):
    """Who has what, by the bill: «ours» is what the books have, «theirs» is what the bill has."""

    OURS_NOT_THEIRS = "ours_not_theirs"
    """A payment is booked, and no line tells of it within the pool."""
    THEIRS_NOT_OURS = "theirs_not_ours"
    """A line tells of a payment that is not booked, and of which nothing is known here."""
    AMOUNT = "amount"
    CURRENCY = "currency"
    FEE = "fee"
    """The provider told of one fee when it was asked, and of another in its bill. The bill is booked."""
    STATUS = "status"
    """A line tells of success, and here the payment or the refund is there without it."""
    REFUND_MISSING = "refund_missing"
    """A refund is booked, and no line tells of it within the pool."""
    REFUND_EXTRA = "refund_extra"
    """A line tells of a refund of which nothing is known here."""
    DUPLICATE = "duplicate"
    """Bills tell of one payment or refund more than once."""
    LATE = "late"
    """Bill and books tell one thing, at times that are further apart than the pool."""
    NOT_OURS = "not_ours"
    """A line of another system, on an account that no other system is said to share."""
    BALANCE = "balance"
    """The balances of a bill do not follow from each other by its own rows: a row is missing or wrong."""
    PAYOUT_MISSING = "payout_missing"
    """Money lies with the provider for longer than the time within which it pays out by itself."""


WITHOUT_MONEY = frozenset(
    {
        DifferenceType.FEE,
        DifferenceType.LATE,
        DifferenceType.NOT_OURS,
        DifferenceType.BALANCE,
        DifferenceType.PAYOUT_MISSING,
    }
)
"""Between bill and books lies no money that anybody could repair or write off: a person's reason ends such a difference
for as long as the bill says the same."""


GROWING = frozenset({DifferenceType.PAYOUT_MISSING})
"""More money comes in every day: another sum is no other difference."""


class LineOrEntry(StrEnum):
    """What is compared: the other kinds of lines have no counterpart but in the provider's own balance."""

    PAYMENT = "payment"
    REFUND = "refund"


class BookedEntry(NamedTuple):
    """What is booked. Amounts as in a line: a refund is negative."""

    theirs: str
    kind: str
    ours: str | None
    refund: str | None
    amount_minor: int
    currency: str
    at: datetime
    fee_minor: int | None
    payment_id: int | None
    refund_id: int | None


class Told(NamedTuple):
    """A line of a bill that counts."""

    theirs: str
    kind: str
    key: str
    ours: str | None
    refund: str | None
    amount_minor: int
    currency: str
    at: datetime
    fee_minor: int
    undecided: bool
    reading_id: int


class Standing(NamedTuple):
    """How a payment or a refund stands that is known here and not booked."""

    status: str
    payment_id: int | None
    refund_id: int | None


BETWEEN_BILLS = "bills:"
"""How the subject of a difference begins that is between two bills."""


@dataclass(frozen=True, slots=True)
class Difference:
    type: DifferenceType
    subject: str
    """What it is about, within the account, the side and the type: the same whenever it is found again."""
    at: datetime
    ours_minor: int | None = None
    ours_currency: str | None = None
    theirs_minor: int | None = None
    theirs_currency: str | None = None
    ours: str | None = None
    theirs: str | None = None
    refund: str | None = None
    payment_id: int | None = None
    refund_id: int | None = None
    line_key: str | None = None

    @property
    def is_between_bills(self) -> bool:
        """A trade bill and an account bill disagree: «ours» is what the trade bill has, with which the books are
        compared."""
        return self.subject.startswith(BETWEEN_BILLS)

    def moved_minor(self) -> dict[str, int]:
        """What the bill has more than the books, by currency. Nothing where both have one sum, or the books follow the
        bill anyhow (fees)."""
        if self.type in WITHOUT_MONEY:
            return {}
        more: Counter[str] = Counter()
        if self.theirs_currency is not None:
            more[self.theirs_currency] += self.theirs_minor or 0
        if self.ours_currency is not None:
            more[self.ours_currency] -= self.ours_minor or 0
        return {currency: minor for currency, minor in more.items() if minor}


def difference_number(account: str, side: str, found: Difference) -> int:
    """Names a difference for ever, so that finding it again is the one row: 63 bits of a hash."""
    text = "\0".join((account, side, found.type, found.subject))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1 or 1


def judge_line(line: Told, entry: BookedEntry | None, standing: Standing | None) -> Difference:
    """A line without a counterpart in the time that was read: `entry` is one of any other time, `standing` how the
    payment or the refund stands that it names."""
    is_refund = line.kind == LineOrEntry.REFUND
    if entry is not None:
        if line.currency != entry.currency:
            return of_pair(DifferenceType.CURRENCY, line, entry)
        kind = DifferenceType.LATE if line.amount_minor == entry.amount_minor else DifferenceType.AMOUNT
        return of_pair(kind, line, entry)
    if standing is not None:
        found = of_line(DifferenceType.STATUS, line)
        return replace(found, payment_id=standing.payment_id, refund_id=standing.refund_id)
    return of_line(DifferenceType.REFUND_EXTRA if is_refund else DifferenceType.THEIRS_NOT_OURS, line)


def judge_entry(entry: BookedEntry, line: Told | None) -> Difference:
    """An entry without a counterpart in the time that was read: `line` is one of any other time."""
    if line is not None:
        return judge_line(line, entry, None)
    is_refund = entry.kind == LineOrEntry.REFUND
    return Difference(
        DifferenceType.REFUND_MISSING if is_refund else DifferenceType.OURS_NOT_THEIRS,
        _subject_of_entry(entry),
        entry.at,
        ours_minor=entry.amount_minor,
        ours_currency=entry.currency,
        ours=entry.ours,
        theirs=entry.theirs,
        refund=entry.refund,
        payment_id=entry.payment_id,
        refund_id=entry.refund_id,
    )


def of_line(kind: DifferenceType, line: Told) -> Difference:
    return Difference(
        kind,
        f"line:{line.kind}:{line.key}",
        line.at,
        theirs_minor=line.amount_minor,
        theirs_currency=line.currency,
        ours=line.ours,
        theirs=line.theirs or None,
        refund=line.refund,
        line_key=line.key,
    )


def of_pair(kind: DifferenceType, line: Told, entry: BookedEntry) -> Difference:
    return replace(
        of_line(kind, line),
        subject=_subject_of_entry(entry),
        ours_minor=entry.amount_minor,
        ours_currency=entry.currency,
        ours=entry.ours or line.ours,
        refund=entry.refund or line.refund,
        payment_id=entry.payment_id,
        refund_id=entry.refund_id,
    )


def second_line(line: Told, entry: BookedEntry | None, number: int = 2) -> Difference:
    """A line beside the one that has a counterpart already."""
    found = of_line(DifferenceType.DUPLICATE, line)
    if entry is not None:
        found = replace(found, payment_id=entry.payment_id, refund_id=entry.refund_id)
    return replace(found, subject=f"{found.subject}:{number}")


def _subject_of_entry(entry: BookedEntry) -> str:
    name = entry.refund if entry.kind == LineOrEntry.REFUND else ""
    return f"entry:{entry.kind}:{entry.theirs}:{name}"
