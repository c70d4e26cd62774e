"""Compares what a provider says that it holds for us at the end of a day with the books.

The difference has two parts. Payments and refunds around midnight stand in the books on one day and in the bill on the
next: they are on their way. What is left must be zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, case, func, select

from app.domain.bill_figures import TOLD_BY_FACTS, BillDay
from app.domain.bill_lines import BillSide
from app.domain.refunding import MONEY_KINDS
from app.domain.settling import POOL
from app.domain.trial_balance import BalanceHeading, totals_of
from app.models.bills import BILL_LINES
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.bills.counted_lines import LinesOf, counted_lines, payment_number
from app.services.ledger.trial_balance import trial_balance

_L, _T, _A = BILL_LINES.c, TRANSFERS.c, ACCOUNTS.c
_BY_FACTS = ("payment", "surplus", "suspense", *MONEY_KINDS)
_Item = tuple[str, int, datetime]
"""Number of the payment, minor units, and when that was."""


@dataclass(frozen=True, slots=True)
class ClearingDay:
    """The end of a day, in minor units of one currency."""

    currency: str
    closing: int | None
    """What the provider says that it holds. None: no bill of the day says so."""
    clearing: int
    """What the books say by effective time, with the sign of an asset."""
    on_its_way: int
    """How much of the difference is payments (less refunds) that the bill tells on another day than the books."""

    @property
    def rest(self) -> int | None:
        """Not zero: something is missing in the books or in the bill."""
        return None if self.closing is None else self.closing - self.clearing + self.on_its_way


def clearing_at_end_of(tx: Transaction, day: BillDay, *, now: datetime) -> list[ClearingDay]:
    """For each currency that the account has in the books or in its bills. Call it in a snapshot."""
    found = totals_of(trial_balance(tx, now=now, at=day.effective_at, closed=()))
    held = {heading.asset: -sums.balance for heading, sums in found.items() if heading == _heading(day, heading.asset)}
    closing = _closing_balances(tx, day)
    currencies = sorted(held.keys() | closing.keys())
    return [
        ClearingDay(currency, closing.get(currency), held.get(currency, 0), _on_its_way(tx, day, currency))
        for currency in currencies
    ]


def _heading(day: BillDay, asset: str) -> BalanceHeading:
    return BalanceHeading(asset, day.environment, False, day.clearing)


def _closing_balances(tx: Transaction, day: BillDay) -> dict[str, int]:
    """The balance after the last row of the day, or of the last day before that had one, that says a balance."""
    before = (_L.at < day.end, _L.at >= day.start - POOL, _L.balance_minor.is_not(None))
    told = counted_lines(tx, LinesOf(day.provider_account, BillSide.FUNDS), *before)
    newest = (told.c.at.desc(), told.c.reading_id.desc(), told.c.position.desc())
    places = func.row_number().over(partition_by=told.c.currency, order_by=newest).label("last_place")
    wanted = select(told.c.currency, told.c.balance_minor, places).subquery()
    rows = tx.execute(select(wanted.c.currency, wanted.c.balance_minor).where(wanted.c.last_place == 1))
    return {row.currency: row.balance_minor for row in rows}


def _on_its_way(tx: Transaction, day: BillDay, currency: str) -> int:
    """By number of the payment: what the books have until the end of the day, less what the bill has until then.

    Only numbers count of which both tell as much, a few days before or after: a payment that one of them misses is not
    on its way.
    """
    total = 0
    both = merge(_booked(tx, day, currency), _told(tx, day, currency), key=itemgetter(0))
    for _, rows in groupby(both, itemgetter(0)):
        before = whole = 0
        for _, minor, at in rows:
            whole += minor
            before += minor if at < day.end else 0
        total += before if whole == 0 else 0
    return total


def _booked(tx: Transaction, day: BillDay, currency: str) -> Iterator[_Item]:
    """What the books have, in the order of the numbers. A refund names the transfer of its payment as its cause."""
    credited, paid = ACCOUNTS.alias("credited"), TRANSFERS.alias("paid")
    number = func.coalesce(paid.c.reference, _T.reference)
    wanted = (
        select(
            number.label("number"),
            case((_A.code == day.clearing, _T.amount), else_=-_T.amount).label("minor"),
            func.coalesce(_T.effective_at, _T.created_at).label("at"),
        )
        .prefix_with(sweep("report"))
        .join(ACCOUNTS, and_(_A.slot == _T.slot, _A.id == _T.debit_id))
        .join(credited, and_(credited.c.slot == _T.slot, credited.c.id == _T.credit_id))
        .outerjoin(paid, and_(paid.c.slot == _T.slot, paid.c.id == _T.cause_id))
        .where(
            _T.created_at >= day.end - POOL,
            _T.created_at < day.end + POOL,
            _T.kind.in_(_BY_FACTS),
        )
        .where((_A.code == day.clearing) | (credited.c.code == day.clearing))
        .where(_A.asset == currency, _A.environment == day.environment)
        .order_by(number)
    )
    for row in _streamed(tx, wanted):
        yield row.number, row.minor, row.at


def _told(tx: Transaction, day: BillDay, currency: str) -> Iterator[_Item]:
    """What the bills have, with the sign turned round, in the order of the numbers. Each row once, however many bills
    tell it."""
    around = (_L.at >= day.end - POOL, _L.at < day.end + POOL, _L.currency == currency)
    told = counted_lines(tx, LinesOf(day.provider_account, BillSide.FUNDS, TOLD_BY_FACTS), *around, once=True)
    number = payment_number(told)
    wanted = select(number.label("number"), told.c.at, told.c.amount_minor).where(
        number.is_not(None), ~told.c.undecided
    )
    for row in _streamed(tx, wanted.order_by(number)):
        yield row.number, -row.amount_minor, row.at


def _streamed(tx: Transaction, wanted: Any) -> Iterable[Any]:
    return tx.connection().execute(wanted, execution_options={"yield_per": 2000})
