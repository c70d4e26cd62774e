"""Trade bills beside account bills: each payment, refund and fee must be in both.

A trade bill has the fee in a column, an account bill in a row of its own, and what the merchant gave away himself never
reaches the balance. So both are brought to one form: payments and refunds, net of such discounts, with their fees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from app.domain.bill_lines import LineKind
from app.domain.differences import BETWEEN_BILLS, BookedEntry, Difference, DifferenceType, LineOrEntry, Told

FEES = frozenset({LineKind.FEE, LineKind.FEE_RETURN})
OF_BOTH_SIDES = (LineKind.PAYMENT, LineKind.REFUND, *sorted(FEES))
"""The kinds of lines that a trade bill and an account bill both tell of."""


_Mark = tuple[str | None, bool, int | None, str | None, str | None]


def with_fees(lines: Iterable[Told]) -> Iterator[Told]:
    """Payments and refunds with the rows of their fees in `fee_minor`. Lines come and go in the order of `theirs`."""
    for _, group in groupby(lines, attrgetter("theirs")):
        rows = sorted(group, key=lambda row: (row.at, row.key))
        heads = [row for row in rows if row.kind not in FEES]
        fees = [row for row in rows if row.kind in FEES]
        yield from _with_fees(heads, fees) if fees else heads


def _with_fees(heads: Sequence[Told], fees: Iterable[Told]) -> Iterator[Told]:
    by_refund = {head.refund: number for number, head in enumerate(heads) if head.refund is not None}
    given, times = Counter[int](), Counter[int]()
    for fee in sorted(fees, key=lambda row: (row.refund is None, row.at)):
        number = by_refund.get(fee.refund) if fee.refund is not None else None
        if number is None and fee.theirs:
            number = _nearest(heads, fee, times)
        if number is not None:
            given[number] += fee.amount_minor + fee.fee_minor
            times[number] += 1
    for number, head in enumerate(heads):
        yield head._replace(fee_minor=head.fee_minor + given[number]) if given[number] else head


def _nearest(heads: Sequence[Told], fee: Told, times: Counter[int]) -> int | None:
    """A fee that comes back belongs to a refund, another to the payment; of several to one that has none yet, of these
    to one that has no number either, and then to the nearest in time. None: the payment lies further back, and so does
    its fee in the other bill."""
    kind = LineOrEntry.REFUND if fee.kind == LineKind.FEE_RETURN else LineOrEntry.PAYMENT
    mine = [number for number, head in enumerate(heads) if (head.kind, head.currency) == (kind, fee.currency)]

    def distance(number: int) -> tuple[int, bool, timedelta]:
        return times[number], heads[number].refund is not None, abs(heads[number].at - fee.at)

    return min(mine, key=distance, default=None)


def as_entry(trade: Told) -> BookedEntry:
    """A trade as that with which the account bill is compared."""
    numbers = (trade.theirs, trade.kind, trade.ours, trade.refund)
    return BookedEntry(*numbers, trade.amount_minor, trade.currency, trade.at, -trade.fee_minor, None, None)


def between_bills(found: Difference) -> Difference:
    """The difference as one of two bills."""
    return replace(found, subject=f"{BETWEEN_BILLS}{found.subject}")


def unexplained(between: Iterable[Difference], of_books: Iterable[Difference]) -> Iterator[Difference]:
    """Differences of two bills without those that the comparison of books and trades has said already: where the
    account bill agrees with the books, the trade bill alone is odd, and that is one difference."""
    said = {mark for one in of_books for mark in _marks(one, one.refund, one.ours_minor, one.ours_currency)}
    for one in between:
        mark, *_ = _marks(one, one.refund, one.theirs_minor, one.theirs_currency)
        if mark not in said:
            yield one


def _marks(
    one: Difference, refund: str | None, minor: int | None, currency: str | None
) -> Iterator[tuple[object, ...]]:
    """What a difference says of one number: the sum on the side that both comparisons look at. An account bill may name
    a refund by its payment and its sum alone."""
    rest = (one.theirs, one.type is DifferenceType.FEE, minor, currency)
    yield *rest, refund
    if refund is not None and minor is not None:
        yield *rest, None
