"""Refunds whose money has gone back, as lines of bills name them.

A line may say of a refund what was asked for, and no bill ever says what came of it: a bill of the next
morning has a refund in progress, and is never corrected. Then the books know it. Refunds and lines are read by
statements of their own, since users' rows need not lie where bills do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, String, case, cast, select

from app.domain.refunding import MONEY_WENT_BACK, Origin
from app.models.base import AnyRow
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction

REFUNDS_AT_A_TIME = 500
"""So many are read, or looked for, by one statement."""
_r = Refund.__table__.c
REFUND_NUMBER: ColumnElement[str | None] = case(
    (_r.origin == Origin.PROVIDER, _r.number_there), else_=cast(_r.id, String)
)
"""The number of a refund at its provider."""


class DoneRefund(NamedTuple):
    theirs: str
    """The provider's number of the payment."""
    number: str
    minor: int
    """The whole amount of the refund, with the part that a coupon had paid."""
    currency: str
    done_at: datetime


def refunds_done(
    tx: Transaction, account: str, since: datetime, until: datetime | None = None
) -> Iterator[Sequence[DoneRefund]]:
    """Those of an account that were done in that time, some at once."""
    spans = [_r.done_at >= since, *([] if until is None else [_r.done_at < until])]
    rows = tx.connection().execute(_wanted(account).where(*spans), execution_options={"yield_per": REFUNDS_AT_A_TIME})
    for part in rows.partitions():
        yield [DoneRefund._make(row) for row in part]


def refunds_of_payments(tx: Transaction, account: str, theirs: Sequence[str]) -> list[DoneRefund]:
    """Those of payments with these numbers of the provider."""
    rows = tx.connection().execute(_wanted(account).where(_r.theirs.in_(theirs)))
    return [DoneRefund._make(row) for row in rows]


def decided_lines(tx: Transaction, account: str, rows: Sequence[AnyRow]) -> list[AnyRow]:
    """Those rows of lines that moved money: all but undecided ones of refunds that the books do not have as done. At
    most a thousand rows."""
    theirs = {row.theirs for row in rows if row.undecided and row.refund is not None and row.theirs is not None}
    done = {(one.theirs, one.number) for one in refunds_of_payments(tx, account, sorted(theirs))} if theirs else set()
    return [row for row in rows if not row.undecided or (row.theirs, row.refund) in done]


def _wanted(account: str) -> Select[tuple[object, ...]]:
    fields = (_r.theirs, REFUND_NUMBER, _r.amount_minor, _r.currency, _r.done_at)
    of_account = (_r.provider_account == account, _r.status.in_(MONEY_WENT_BACK))
    wanted: Select[tuple[object, ...]] = select(*fields).prefix_with(sweep("report"))
    return wanted.where(*of_account, _r.amount_minor.is_not(None), _r.done_at.is_not(None))
