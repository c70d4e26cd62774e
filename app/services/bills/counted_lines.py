"""Which lines of bills count: the one source of lines for comparing, booking, clearing and reports.

A reading counts while no later one of its document does. Where two readings cover a common time, such as a day and its
month, a row with one key is one row told twice: the later reading's counts. A row with a known key in another place is
a *second row*: comparing names it a duplicate, a report shows it, and nothing is booked for it again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, func, select

from app.domain.bill_lines import BillSide, LineKind
from app.models.bills import BILL_LINES, BILL_READINGS
from app.services.base.transaction import Transaction

THAT_COUNTS = "read"
"""The status of readings that count."""
_L, _R = BILL_LINES.c, BILL_READINGS.c
_OF_READING = and_(_R.provider_account == _L.provider_account, _R.id == _L.reading_id)
_COLUMNS = (*_L, _R.since, _R.until, _R.feed, _R.name)


@dataclass(frozen=True, slots=True)
class LinesOf:
    """Whose lines, and which of them."""

    provider_account: str
    side: BillSide
    kinds: Collection[LineKind | str] = ()
    """Empty: every kind."""


def counted_lines(tx: Transaction, wanted: LinesOf, *where: ColumnElement[bool], once: bool = False) -> Subquery:
    """The lines that count, as a table with all their columns, and since, until, feed and name of their
    bills. `where` is
    about columns of BILL_LINES and BILL_READINGS; rows that it leaves out take no row's place. `once`: without second
    rows."""
    told = select(*_COLUMNS).join_from(BILL_LINES, BILL_READINGS, _OF_READING)
    told = told.where(_L.provider_account == wanted.provider_account, _that_count(wanted), *where)
    if wanted.kinds:
        told = told.where(_L.kind.in_([str(kind) for kind in wanted.kinds]))
    if once:
        place = func.row_number().over(partition_by=_L.key, order_by=(_L.reading_id.desc(), _L.position)).label("place")
        ranked = told.add_columns(place).subquery("ranked")
        return select(ranked).where(ranked.c.place == 1).subquery("told")
    return _not_retold(told) if _overlap(tx, wanted) else told.subquery("told")


def _not_retold(told: Select[Any]) -> Subquery:
    """Those that no later reading, of a bill that covers a common time, tells again."""
    every = told.cte("every")
    later = every.alias("later")
    retold = and_(
        later.c.key == every.c.key,
        later.c.reading_id > every.c.reading_id,
        later.c.since < every.c.until,
        later.c.until > every.c.since,
    )
    return select(every).outerjoin(later, retold).where(later.c.key.is_(None)).subquery("told")


def side_of_books(tx: Transaction, account: str) -> BillSide:
    """The side with which the books are compared: bills of trades where the account has any, since they name every
    payment gross with its fee; else those of its balance."""
    of_trades = (_R.provider_account == account, _R.status == THAT_COUNTS, _R.side == BillSide.TRADES.value)
    has_some = tx.connection().execute(select(_R.id).where(*of_trades).limit(1)).first() is not None
    return BillSide.TRADES if has_some else BillSide.FUNDS


def payment_number(told: Subquery) -> ColumnElement[str | None]:
    """Our number of the payment. A row may name the payment by the provider's number alone, as refunds and fees in
    account bills do: the payment's own line knows ours."""
    paid = BILL_LINES.alias("paid")
    same = and_(paid.c.provider_account == told.c.provider_account, paid.c.theirs == told.c.theirs)
    of_payment = select(func.min(paid.c.ours)).where(same, paid.c.kind == LineKind.PAYMENT).scalar_subquery()
    return func.coalesce(told.c.ours, of_payment)


def _that_count(wanted: LinesOf) -> ColumnElement[bool]:
    of_account = (_R.provider_account == wanted.provider_account, _R.status == THAT_COUNTS)
    return and_(*of_account, _R.side == wanted.side.value)


def _overlap(tx: Transaction, wanted: LinesOf) -> bool:
    """Whether two bills of that side cover a common time: usually none do, and no row has to be looked for twice."""
    earlier = func.max(_R.until).over(order_by=(_R.since, _R.id), rows=(None, -1)).label("earlier")
    readings = select(_R.since, earlier).where(_that_count(wanted)).subquery("readings")
    one = select(readings.c.since).where(readings.c.since < readings.c.earlier).limit(1)
    return tx.connection().execute(one).first() is not None
