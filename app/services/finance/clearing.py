"""Compares what a provider says that it holds for us at the end of a day with the books.

The difference has two parts. Payments and refunds around midnight stand in the books on one day and in the bill on the
next: they are on their way. What is left must be zero.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import groupby, product
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, or_, select

from app.domain.bill_figures import TOLD_BY_FACTS, BillDay
from app.domain.bill_lines import BillSide, LineKind
from app.domain.refunding import MONEY_KINDS
from app.domain.settling import POOL
from app.domain.trial_balance import BalanceHeading, totals_of
from app.models.base import OneOrder
from app.models.bills import BILL_LINES, BILL_READINGS
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.bills.counted_lines import THAT_COUNTS, LinesOf, counted_lines, payment_number
from app.services.bills.done_refunds import REFUNDS_AT_A_TIME, decided_lines, refunds_done
from app.services.finance.bill_sums import is_covered
from app.services.ledger.trial_balance import trial_balance

_L, _R, _T, _A = BILL_LINES.c, BILL_READINGS.c, TRANSFERS.c, ACCOUNTS.c
LONGEST_WAY_DAYS = 92
"""So many days a refund may be on its way to its payer. One that takes longer is a rest until then."""
_BY_FACTS = ("payment", "surplus", "suspense", *MONEY_KINDS)
_Item = tuple[str, bool, int, datetime]
"""Number of the payment, whether it is about a refund, minor units, and when that was."""


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


def clearing_at_end_of(tx: Transaction, day: BillDay, *, now: datetime, lag: timedelta = POOL) -> list[ClearingDay]:
    """For each currency that the account has in the books or in its bills. Call it in a snapshot. `lag`: so much later
    than a trade the account bill may tell of it."""
    found = totals_of(trial_balance(tx, now=now, at=day.effective_at, closed=()))
    held = {heading.asset: -sums.balance for heading, sums in found.items() if heading == _heading(day, heading.asset)}
    closing = _closing_balances(tx, day, held.keys())
    currencies = sorted(held.keys() | closing.keys())
    return [
        ClearingDay(currency, closing.get(currency), held.get(currency, 0), _Way(tx, day, currency, lag).minor())
        for currency in currencies
    ]


def _heading(day: BillDay, asset: str) -> BalanceHeading:
    return BalanceHeading(asset, day.environment, False, day.clearing)


def _closing_balances(tx: Transaction, day: BillDay, in_books: Collection[str]) -> dict[str, int]:
    """The balance after the last row of the day, or of the last day before that had one, that says a balance. Where the
    provider keeps several balances, each with a feed of bills, their sum: one of them that rests counts for as long as
    another one moves, and all of them where a bill covers the day and has no row: nothing moved."""
    before = (_L.at < day.end, _L.at >= day.start - POOL, _L.balance_minor.is_not(None))
    told = counted_lines(tx, LinesOf(day.provider_account, BillSide.FUNDS), *before)
    of_one = (told.c.feed, told.c.currency)
    places = func.row_number().over(partition_by=of_one, order_by=_newest_of(told)).label("last_place")
    wanted = select(*of_one, told.c.balance_minor, places).subquery()
    rows = tx.execute(select(wanted).where(wanted.c.last_place == 1)).all()
    held = {(row.feed, row.currency): int(row.balance_minor) for row in rows}
    currencies, feeds = {currency for _, currency in held}, _fund_feeds(tx, day)
    if feeds and is_covered(tx, day):
        currencies.update(in_books)
    for name in product(feeds, currencies):
        if name not in held and (resting := _resting_balance(tx, day, *name)) is not None:
            held[name] = resting
    sums = Counter[str]()
    for (_, currency), minor in held.items():
        sums[currency] += minor
    return dict(sums)


def _fund_feeds(tx: Transaction, day: BillDay) -> list[str]:
    of_account = (_R.provider_account == day.provider_account, _R.side == BillSide.FUNDS, _R.status == THAT_COUNTS)
    return list(tx.scalars(select(_R.feed).where(*of_account).distinct()))


def _resting_balance(tx: Transaction, day: BillDay, feed: str, currency: str) -> int | None:
    """Of a balance that has not moved for some days; None where no row of it says a balance. The index on the time of
    lines leads to its last row."""
    before = (_L.at < day.start - POOL, _R.feed == feed, _L.currency == currency, _L.balance_minor.is_not(None))
    told = counted_lines(tx, LinesOf(day.provider_account, BillSide.FUNDS), *before)
    found: int | None = tx.scalar(select(told.c.balance_minor).order_by(*_newest_of(told)).limit(1))
    return found


def _newest_of(told: Subquery) -> tuple[ColumnElement[Any], ...]:
    return told.c.at.desc(), told.c.reading_id.desc(), told.c.position.desc()


@dataclass(frozen=True, slots=True)
class _Way:
    """What is on its way at the end of a day, in one currency."""

    tx: Transaction
    day: BillDay
    currency: str
    lag: timedelta

    def minor(self) -> int:
        """What the books have until the end of the day, less what the bill has until then."""
        return self._around_midnight() + self._slow_refunds()

    def _around_midnight(self) -> int:
        """By number, payments and refunds each by themselves: only those count of which both tell as much, a few days
        before or after. A payment that one of them misses is not on its way."""
        total = 0
        both = merge(self._booked(), self._discounts(), self._told(), key=itemgetter(0))
        for _, items in groupby(both, itemgetter(0)):
            before, whole = Counter[bool](), Counter[bool]()
            for _, is_refund, minor, at in items:
                whole[is_refund] += minor
                before[is_refund] += minor if at < self.day.end else 0
            total += sum(before[is_refund] for is_refund, minor in whole.items() if minor == 0)
        return total

    def _slow_refunds(self) -> int:
        """Refunds that bills tell before the end of the day, and that reached the payer so long after it that those
        few days do not have all of it: a bank may need a week, or the payer had to name another bank account."""
        total, (since, until) = 0, self._near
        for refunds in refunds_done(
            self.tx, self.day.provider_account, self.day.end, self.day.end + timedelta(days=LONGEST_WAY_DAYS)
        ):
            done = {(one.theirs, one.number): one.done_at for one in refunds if one.currency == self.currency}
            told = defaultdict[tuple[str, str], list[tuple[datetime, int]]](list)
            for row in self._told_before(sorted({one.theirs for one in refunds})):
                told[row.theirs, row.refund].append((row.at, row.minor))
            for name in done.keys() & told.keys():
                is_slow = done[name] >= until or any(at < since for at, _ in told[name])
                total += sum(minor for _, minor in told[name]) if is_slow else 0
        return total

    def _told_before(self, theirs: Sequence[str]) -> Iterator[Any]:
        """Rows of refunds: what left the balance, and the part of a coupon, which is booked by the day of its row."""
        account = self.day.provider_account
        of_them = (_L.theirs.in_(theirs), _L.at < self.day.end, _L.currency == self.currency)
        for side in (BillSide.FUNDS, BillSide.TRADES):
            told = counted_lines(self.tx, LinesOf(account, side, [LineKind.REFUND]), *of_them, once=True)
            minor = -told.c.amount_minor if side is BillSide.FUNDS else told.c.discount_minor
            wanted = select(told.c.theirs, told.c.refund, told.c.at, minor.label("minor"))
            yield from self.tx.execute(wanted.where(minor != 0))

    @property
    def _near(self) -> tuple[datetime, datetime]:
        return self.day.end - self.lag, self.day.end + self.lag

    def _booked(self) -> Iterator[_Item]:
        """What the books have, in the order of the numbers, however late it was told. A refund names the transfer of
        its payment as its cause."""
        credited, paid = ACCOUNTS.alias("credited"), TRANSFERS.alias("paid")
        number = func.coalesce(paid.c.reference, _T.reference)
        since, until = self._near
        at_once = and_(_T.effective_at.is_(None), _T.created_at >= since, _T.created_at < until)
        wanted = (
            select(
                number.label("number"),
                _T.kind.in_(MONEY_KINDS).label("is_refund"),
                case((_A.code == self.day.clearing, _T.amount), else_=-_T.amount).label("minor"),
                func.coalesce(_T.effective_at, _T.created_at).label("at"),
            )
            .prefix_with(sweep("report"))
            .join(ACCOUNTS, and_(_A.slot == _T.slot, _A.id == _T.debit_id))
            .join(credited, and_(credited.c.slot == _T.slot, credited.c.id == _T.credit_id))
            .outerjoin(paid, and_(paid.c.slot == _T.slot, paid.c.id == _T.cause_id))
            .where(or_(at_once, and_(_T.effective_at >= since, _T.effective_at < until)), _T.kind.in_(_BY_FACTS))
            .where((_A.code == self.day.clearing) | (credited.c.code == self.day.clearing))
            .where(_A.asset == self.currency, _A.environment == self.day.environment)
            .order_by(OneOrder(number))
        )
        for row in _streamed(self.tx, wanted):
            yield row.number, bool(row.is_refund), row.minor, row.at

    def _in_near_days(self) -> Sequence[Any]:
        since, until = self._near
        return _L.at >= since, _L.at < until, _L.currency == self.currency

    def _discounts(self) -> Iterator[_Item]:
        """What never comes, since the merchant gave it away himself: in the books by the bill of the trades, and in no
        balance. In the order of the numbers."""
        around = (*self._in_near_days(), _L.ours.is_not(None), _L.discount_minor != 0)
        told = counted_lines(self.tx, LinesOf(self.day.provider_account, BillSide.TRADES), *around, once=True)
        named = (told.c.ours, told.c.theirs, told.c.refund, told.c.undecided, told.c.kind)
        wanted = select(*named, told.c.at, told.c.discount_minor).order_by(OneOrder(told.c.ours))
        for part in _streamed(self.tx, wanted).partitions(REFUNDS_AT_A_TIME):
            for row in decided_lines(self.tx, self.day.provider_account, part):
                yield row.ours, row.kind == LineKind.REFUND, row.discount_minor, row.at

    def _told(self) -> Iterator[_Item]:
        """What the bills have, with the sign turned round, in the order of the numbers. Each row once, however many
        bills tell it."""
        told = counted_lines(self.tx, self._funds(*TOLD_BY_FACTS), *self._in_near_days(), once=True)
        number = payment_number(told)
        wanted = select(number.label("number"), told.c.kind, told.c.at, told.c.amount_minor)
        decided = wanted.where(number.is_not(None), ~told.c.undecided)
        for row in _streamed(self.tx, decided.order_by(OneOrder(number))):
            yield row.number, row.kind == LineKind.REFUND, -row.amount_minor, row.at

    def _funds(self, *kinds: LineKind) -> LinesOf:
        return LinesOf(self.day.provider_account, BillSide.FUNDS, kinds)


def _streamed(tx: Transaction, wanted: Any) -> Any:
    return tx.connection().execute(wanted, execution_options={"yield_per": 2000})
