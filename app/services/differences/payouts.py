"""Looks for payouts that did not come, of accounts that the provider pays out by itself within some days.

Bills tell of payouts where they have rows of them (account bills). The question is about now, whatever time is
compared: has what lay with the provider some days ago been paid out since?
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, Subquery, func, select

from app.domain.bill_lines import BillSide, LineKind
from app.domain.differences import Difference, DifferenceType
from app.models.bills import BILL_LINES, BILL_READINGS
from app.providers.registry import ProviderAccount
from app.services.base.context import Tx
from app.services.bills.counted_lines import THAT_COUNTS, LinesOf, counted_lines
from app.services.differences.told_lines import Coverage, readings_about

_l, _r = BILL_LINES.c, BILL_READINGS.c


def missing_payouts(tx: Tx, account: ProviderAccount) -> Iterator[Difference]:
    """At most one for each currency: the next payout. Its sum is the least that lay there for all of the time, without
    what the last payout left: a merchant may keep a reserve."""
    feed = account.main_fund_feed
    if not account.pays_out_within_days or feed is None:
        return
    until: datetime | None = tx.scalar(select(func.max(_r.until)).where(_is_main(account, feed)))
    if until is None:
        return
    since = until - timedelta(days=account.pays_out_within_days)
    readings = [row for row in readings_about(tx, account.name, since, until) if row.feed == feed]
    if Coverage(readings).gaps(since, until):
        return  # a payout may stand in a bill that is missing
    of_balance = (_is_main(account, feed), _l.balance_minor.is_not(None))
    rows = counted_lines(tx, LinesOf(account.name, BillSide.FUNDS), *of_balance)
    for currency in _currencies(tx, rows, since):
        paid_out = tx.execute(
            _last(rows, rows.c.currency == currency, rows.c.kind == LineKind.PAYOUT, rows.c.amount_minor < 0)
        ).first()
        if paid_out is not None and paid_out.at >= since:
            continue
        lies = _least(tx, rows, currency, since) - (paid_out.balance_minor if paid_out is not None else 0)
        if lies > 0:
            after = "none before" if paid_out is None else f"the last one {paid_out.at.isoformat()}"
            about = f"payout of {feed} in {currency}, {after}"
            yield Difference(DifferenceType.PAYOUT_MISSING, about, since, theirs_minor=lies, theirs_currency=currency)


def _is_main(account: ProviderAccount, feed: str) -> ColumnElement[bool]:
    return (_r.provider_account == account.name) & (_r.feed == feed) & (_r.status == THAT_COUNTS)


def _currencies(tx: Tx, rows: Subquery, since: datetime) -> list[str]:
    """Those in which something moved since then, or last before. The index on the time of lines leads to both."""
    before = [row.currency for row in tx.execute(_last(rows, rows.c.at < since))]
    return sorted({*before, *tx.scalars(select(rows.c.currency).distinct().where(rows.c.at >= since))})


def _last(rows: Subquery, *where: ColumnElement[bool]) -> Select[tuple[datetime, int, str]]:
    newest = (rows.c.at.desc(), rows.c.reading_id.desc(), rows.c.position.desc())
    wanted = select(rows.c.at, rows.c.balance_minor, rows.c.currency).where(*where)
    return wanted.order_by(*newest).limit(1)


def _least(tx: Tx, rows: Subquery, currency: str, since: datetime) -> int:
    """The lowest balance from that moment on."""
    before = tx.execute(_last(rows, rows.c.currency == currency, rows.c.at < since)).first()
    lowest: int | None = tx.scalar(
        select(func.min(rows.c.balance_minor)).where(rows.c.currency == currency, rows.c.at >= since)
    )
    at_first = 0 if before is None else int(before.balance_minor)
    return at_first if lowest is None else min(lowest, at_first)
