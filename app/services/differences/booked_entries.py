"""What is booked of one provider account, as a bill would tell it: in the order of the provider's numbers, or by them.

Entries come from the facts and refunds themselves, over all slots; there is no second list that could differ from the
books. The index on the time of facts leads to the days that are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    and_,
    cast,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    union_all,
)

from app.domain.deciding import Booking
from app.domain.differences import BookedEntry, LineOrEntry, Standing, Told
from app.domain.facts import Kind
from app.domain.numbers import parse_number, slot_of_number
from app.domain.refunding import MONEY_WENT_BACK
from app.domain.status import Outcome
from app.models.base import OneOrder
from app.models.orders import FACTS, Payment
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.base.context import Tx
from app.services.bills.done_refunds import REFUND_NUMBER

NAMES_AT_A_TIME = 500
"""So many numbers are looked for by one statement."""
ENTRIES_AT_ONCE = 5_000
"""So many entries are read, and in memory, at a time."""
_f, _p, _r = FACTS.c, Payment.__table__.c, Refund.__table__.c
_Thing = TypeVar("_Thing")
_WAITS = _f.outcome.in_([literal_column(f"'{outcome}'") for outcome in (Outcome.PARKED, Outcome.SURPLUS)])


@dataclass(frozen=True, slots=True)
class BooksOf:
    """Whose books: those of one provider account in its environment."""

    provider_account: str
    environment: str


class FailedRefund(NamedTuple):
    """A refund that was done and failed afterwards, as the line of its day names it."""

    theirs: str
    number: str | None
    amount_minor: int
    """Less than zero: it leaves us."""
    currency: str


def in_parts(things: Sequence[_Thing]) -> Iterator[Sequence[_Thing]]:
    """So many of them as one statement looks for."""
    for start in range(0, len(things), NAMES_AT_A_TIME):
        yield things[start : start + NAMES_AT_A_TIME]


def entries_between(tx: Tx, books: BooksOf, since: datetime, until: datetime) -> Iterator[BookedEntry]:
    """What is booked with a time of that span, in the order of the provider's numbers by code points."""
    spans = (_f.at >= since, _f.at < until)
    parts = [
        _paid(books).where(*spans),
        _refunded_in_suspense(books).where(*spans),
        _refunds(books).where(_r.done_at >= since, _r.done_at < until),
    ]
    found = union_all(*parts).subquery("booked")
    wanted = select(found).prefix_with(sweep("report")).order_by(OneOrder(found.c.theirs))
    for row in tx.execute(wanted.execution_options(yield_per=ENTRIES_AT_ONCE)):
        yield BookedEntry._make(row)


def entries_named(tx: Tx, books: BooksOf, lines: Sequence[Told]) -> list[BookedEntry]:
    """What is booked, at any time, under the numbers of these lines: at most NAMES_AT_A_TIME of them."""
    theirs, places = {line.theirs for line in lines if line.theirs}, _places(lines)
    of_payment = and_(_p.slot == _f.slot, _p.id == _f.payment_id)
    named = _paid(books).join(Payment.__table__, of_payment)
    found: list[Select[Any]] = []
    if theirs:
        found += [
            named.where(_p.provider_account == books.provider_account, _p.theirs.in_(theirs)),
            _paid(books).where(_WAITS, _f.content["theirs"].as_string().in_(theirs)),
            _refunded_in_suspense(books).where(_f.content["theirs"].as_string().in_(theirs)),
            _refunds(books).where(_r.theirs.in_(theirs)),
        ]
    if places:
        found.append(named.where(tuple_(_p.slot, _p.id).in_(places)))
        found.append(_refunds(books).where(tuple_(_r.slot, _r.payment_id).in_(places)))
    rows = [row for wanted in found for row in tx.execute(wanted.prefix_with(sweep("report")))]
    return [BookedEntry._make(row) for row in dict.fromkeys(rows)]


def standings_named(tx: Tx, books: BooksOf, lines: Sequence[Told]) -> dict[tuple[str, str], Standing]:
    """How payments and refunds stand that these lines name and that are not booked: by kind and number."""
    standings: dict[tuple[str, str], Standing] = {}
    places, theirs = _places(lines), {line.theirs for line in lines if line.theirs}
    if places:
        wanted = select(_p.id, _p.status).where(
            tuple_(_p.slot, _p.id).in_(places), _p.provider_account == books.provider_account
        )
        for row in tx.execute(wanted.prefix_with(sweep("report"))):
            standings[LineOrEntry.PAYMENT, str(row.id)] = Standing(row.status, row.id, None)
    refunds = [tuple_(_r.slot, _r.payment_id).in_(places)] if places else []
    refunds += [_r.theirs.in_(theirs)] if theirs else []
    if refunds:
        of_account = (_r.provider_account == books.provider_account, _r.status.not_in(MONEY_WENT_BACK))
        wanted = select(_r.id, _r.payment_id, _r.number_there, _r.status).where(or_(*refunds), *of_account)
        for row in tx.execute(wanted.prefix_with(sweep("report"))):
            number = row.number_there or str(row.id)
            standings[LineOrEntry.REFUND, number] = Standing(row.status, row.payment_id, row.id)
    return standings


def refunds_that_failed_since(tx: Tx, books: BooksOf, lines: Sequence[Told]) -> set[FailedRefund]:
    """Refunds that these lines name, which were done, and failed afterwards: the money went back on the day of the
    line, and is here again. A later bill tells of that."""
    theirs = {line.theirs for line in lines if line.theirs and line.refund}
    if not theirs:
        return set()
    failed = (_r.status.not_in(MONEY_WENT_BACK), _r.done_at.is_not(None), _r.amount_minor.is_not(None))
    wanted = select(_r.theirs, REFUND_NUMBER, -_r.amount_minor, _r.currency)
    of_them = (_r.provider_account == books.provider_account, _r.theirs.in_(theirs), *failed)
    rows = tx.execute(wanted.where(*of_them).prefix_with(sweep("report")))
    return {FailedRefund._make(row) for row in rows}


def _places(lines: Sequence[Told]) -> list[tuple[int, int]]:
    """Slots and numbers of the payments that the lines name by our number."""
    numbers = {number for line in lines if (number := parse_number(line.ours)) is not None}
    return sorted((slot_of_number(number), number) for number in numbers)


def _text(name: str) -> Any:
    return _f.content[name].as_string()


def _minor(name: str) -> Any:
    return cast(_text(name), BigInteger)


def _columns(kind: str, *rest: Any) -> Select[Any]:
    """The fields of an entry, in their order: the provider's number is the first of `rest`."""
    theirs, *others = rest
    values = (theirs, literal_column(f"'{kind}'"), *others)
    return select(*(value.label(name) for name, value in zip(BookedEntry._fields, values, strict=True)))


_NO_NUMBER, _NO_AMOUNT = cast(null(), String), cast(null(), BigInteger)


def _paid(books: BooksOf) -> Select[Any]:
    """Payments whose money is booked: to sales, to surplus, or to suspense."""
    fields = (_text("ours"), _NO_NUMBER, _minor("amount_minor"), _text("currency"), _f.at, _minor("fee_minor"))
    wanted = _columns(LineOrEntry.PAYMENT, _text("theirs"), *fields, _f.payment_id, _NO_AMOUNT).select_from(FACTS)
    return wanted.where(
        *_of_books(books),
        _f.kind == Kind.PAID,
        _f.booking != Booking.NOTHING,
        _text("amount_minor").is_not(None),
    )


def _refunded_in_suspense(books: BooksOf) -> Select[Any]:
    """Refunds of money that lies in suspense: they have no row of their own yet."""
    fields = (_text("ours"), _text("refund"), -_minor("amount_minor"), _text("currency"), _f.at, _NO_AMOUNT)
    wanted = _columns(LineOrEntry.REFUND, _text("theirs"), *fields, _NO_AMOUNT, _NO_AMOUNT).select_from(FACTS)
    return wanted.where(
        *_of_books(books),
        _f.kind == Kind.REFUNDED,
        _f.payment_id.is_(None),
        _f.outcome.in_((Outcome.APPLIED, Outcome.NOTED)),
        _text("amount_minor").is_not(None),
    )


def _of_books(books: BooksOf) -> tuple[ColumnElement[bool], ...]:
    return _f.provider_account == books.provider_account, _f.environment == books.environment


def _refunds(books: BooksOf) -> Select[Any]:
    fields = (cast(_r.payment_id, String), REFUND_NUMBER, -_r.amount_minor, _r.currency, _r.done_at, _NO_AMOUNT)
    wanted = _columns(LineOrEntry.REFUND, _r.theirs, *fields, _r.payment_id, _r.id).select_from(Refund.__table__)
    return wanted.where(
        _r.provider_account == books.provider_account,
        _r.status.in_(MONEY_WENT_BACK),
        _r.amount_minor.is_not(None),
        _r.done_at.is_not(None),
    )
