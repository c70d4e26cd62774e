"""Trade bills and account bills are brought to one form: a fee belongs to one payment or refund, wherever it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.domain.bill_sides import with_fees
from app.domain.differences import Told

AT = datetime(2026, 1, 2, 4, tzinfo=UTC)


def row(kind: str, minor: int, *, refund: str | None = None, minutes: int = 0, theirs: str = "T-1") -> Told:
    key = f"{kind} {minutes}"
    return Told(theirs, kind, key, "1", refund, minor, "CNY", AT + timedelta(minutes=minutes), 0, False, 1)


def fees(*rows: Told) -> list[tuple[str, int, int]]:
    return [(line.key, line.amount_minor, line.fee_minor) for line in with_fees(rows)]


def test_a_fee_of_its_own_row_joins_its_payment_and_one_that_came_back_its_refund() -> None:
    payment, fee = row("payment", 600), row("fee", -4)
    first, second = row("refund", -200, minutes=5, refund="R-1"), row("refund", -200, minutes=9, refund="R-2")
    named = row("fee_return", 2, minutes=9, refund="R-1")
    unnamed = row("fee_return", 1, minutes=10)
    told = [("payment 0", 600, -4), ("refund 5", -200, 2), ("refund 9", -200, 1)]
    assert fees(fee, payment, first, second, named, unnamed) == told
    assert fees(payment._replace(fee_minor=-4), first._replace(fee_minor=2), second._replace(fee_minor=1)) == told


def test_a_payment_that_is_told_twice_has_its_fee_twice_and_a_fee_alone_says_nothing() -> None:
    rows = (row("payment", 600), row("payment", 600, minutes=1), row("fee", -4), row("fee", -4, minutes=1))
    assert fees(*rows) == [("payment 0", 600, -4), ("payment 1", 600, -4)]
    assert fees(row("fee", -4), row("payment", 600, theirs="T-2")) == [("payment 0", 600, 0)]
