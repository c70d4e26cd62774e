"""Compares the books of a provider account with its bills, for a span of time, and keeps what differs.

Nothing is remembered about what matched: a comparison is worked out from lines and facts each time, so it can be run
again after a repair, a late row or a bill that was made anew, and its result is how things stand now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import text

from app.domain.bill_lines import BillSide
from app.domain.bill_sides import unexplained
from app.domain.differences import (
    BookedEntry,
    Difference,
    DifferenceType,
    LineOrEntry,
    Standing,
    Told,
    judge_entry,
    judge_line,
    second_line,
)
from app.domain.settling import A_DAY, POOL, Reconciliation, balance_ends, is_late, pool_is_over, reconcile
from app.models.base import AnyRow
from app.providers.registry import ProviderAccount
from app.services.base.context import Core, Tx, environment_of
from app.services.bills.counted_lines import side_of_books
from app.services.differences.booked_entries import (
    BooksOf,
    FailedRefund,
    entries_between,
    entries_named,
    in_parts,
    refunds_that_failed_since,
    standings_named,
)
from app.services.differences.difference_rows import Kept, Where, keep_found
from app.services.differences.payouts import missing_payouts
from app.services.differences.sides_compared import SidesCompared
from app.services.differences.store_units_compared import units_compared
from app.services.differences.told_lines import (
    Coverage,
    balances_of,
    lines_between,
    lines_named,
    readings_about,
)

WORKER = "worker"
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Comparison:
    """How books and bills of one account and span compare."""

    side: BillSide | None = None
    """Which bills were compared with the books; None where none covers any of the time."""
    matched: int = 0
    not_ours: int = 0
    undecided: int = 0
    waiting: int = 0
    """Entries whose line may still come."""
    gaps: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Parts of the time that no bill covers: nothing is said about them."""
    found: list[tuple[BillSide, Difference]] = field(default_factory=list)
    zone: str = "UTC"
    kept: Kept = field(default_factory=Kept)


def compare_account(
    core: Core, account: ProviderAccount, since: datetime, until: datetime, *, actor: str = WORKER
) -> Comparison:
    """Compare, and keep what differs. Raises TooMuchLeftOver."""
    result = core.whole.read(partial(_compare, account=account, since=since, until=until), snapshot=True)
    if result.side is not None:
        where = Where(account.name, since, until, result.zone)
        result.kept = keep_found(core, where, result.found, actor)
        counts = {"matched": result.matched, "differences": len(result.found), "waiting": result.waiting}
        _log.info("bills_compared", provider_account=account.name, since=since, until=until, **counts)
    if result.gaps:
        _log.warning("bills_missing", provider_account=account.name, gaps=len(result.gaps), since=result.gaps[0][0])
    return result


# --- one comparison ---


def _compare(tx: Tx, *, account: ProviderAccount, since: datetime, until: datetime) -> Comparison:
    if tx.connection().dialect.name == "postgresql":  # to sort a million rows may take longer than a request may
        tx.execute(text("SET LOCAL statement_timeout = 0"))
    readings = readings_about(tx, account.name, since - POOL, until + account.lag + A_DAY)
    sides = defaultdict[str, list[AnyRow]](list)
    for reading in readings:
        sides[reading.side].append(reading)
    side = side_of_books(tx, account.name) if sides[BillSide.TRADES] or sides[BillSide.FUNDS] else None
    if side is None and (sides[BillSide.SALES] or sides[BillSide.PROCEEDS]):
        units = units_compared(tx, account, since, until)
        of_units = [(BillSide.SALES, one) for one in units.found]
        return Comparison(BillSide.SALES, not_ours=units.not_ours, found=of_units, zone=units.zone)
    if side is None:
        return Comparison(gaps=[(since, until)])
    main = account.main_fund_feed
    of_payers = [row for row in sides[BillSide.FUNDS] if main in (None, row.feed)]
    covered = Coverage(of_payers if side is BillSide.FUNDS else sides[side])
    zone = Coverage(sides[side] or sides[BillSide.FUNDS]).zone
    result = Comparison(side, zone=zone, gaps=covered.gaps(since, min(until, tx.now)))
    books, lag = BooksOf(account.name, environment_of(account.live)), POOL if side is BillSide.TRADES else account.lag
    entries = entries_between(tx, books, since - lag, until + lag)
    settled = reconcile(
        lines_between(tx, account.name, side, since - lag, until + lag),
        entries if side is BillSide.TRADES else (entry._replace(fee_minor=None) for entry in entries),
        account.whose,
        lag,
    )
    result.matched, result.not_ours, result.undecided = settled.matched, settled.not_ours, settled.undecided
    found = [one for one in settled.found if since <= one.at < until]
    found += _of_lines(tx, books, settled, since, until)
    found += _of_entries(tx, side, books, settled, since, until, covered, result)
    result.found = [(side, one) for one in found]
    if sides[BillSide.TRADES] and sides[BillSide.FUNDS]:
        funds = Coverage(of_payers)
        compared = SidesCompared(tx, account, covered, funds, since, until)
        result.found += [(BillSide.FUNDS, one) for one in unexplained(compared.differences(), found)]
    result.found += [(BillSide.FUNDS, one) for one in _balances(tx, sides[BillSide.FUNDS], since, until)]
    result.found += [(BillSide.FUNDS, one) for one in missing_payouts(tx, account)]
    return result


def _of_lines(
    tx: Tx, books: BooksOf, settled: Reconciliation, since: datetime, until: datetime
) -> Iterator[Difference]:
    """What the lines that have no counterpart come to."""
    lag = settled.pool
    lines = [line for line in settled.left_lines if since <= line.at < until]
    for part in in_parts(lines):
        entries = entries_named(tx, books, part)
        standings = standings_named(tx, books, part)
        failed_since = refunds_that_failed_since(tx, books, part)
        for line in part:
            if FailedRefund(line.theirs, line.refund, line.amount_minor, line.currency) in failed_since:
                continue
            entry = _entry_for(line, entries)
            if entry is not None and since - lag <= entry.at < until + lag:  # it was read, and another line has it
                yield second_line(line, entry)
                continue
            found = judge_line(line, entry, _standing_of(line, standings))
            if entry is None or found.type != DifferenceType.LATE or is_late(line, entry, lag):
                yield found


def _entry_for(line: Told, entries: Sequence[BookedEntry]) -> BookedEntry | None:
    same = [entry for entry in entries if entry.kind == line.kind and _one_payment(line, entry)]
    if line.kind == LineOrEntry.PAYMENT:
        return same[0] if same else None
    return next((entry for entry in same if entry.refund == line.refund and line.refund is not None), None)


def _one_payment(line: Told, entry: BookedEntry) -> bool:
    return entry.theirs == line.theirs if line.theirs else entry.ours == line.ours and line.ours is not None


def _standing_of(line: Told, standings: dict[tuple[str, str], Standing]) -> Standing | None:
    number = line.refund if line.kind == LineOrEntry.REFUND else line.ours
    standing = standings.get((line.kind, number)) if number is not None else None
    # A payment that is paid under another number of the provider is another payment: this one is not known.
    return None if standing is not None and standing.status == "paid" else standing


def _of_entries(
    tx: Tx,
    side: BillSide,
    books: BooksOf,
    settled: Reconciliation,
    since: datetime,
    until: datetime,
    covered: Coverage,
    result: Comparison,
) -> Iterator[Difference]:
    """What the entries that have no counterpart come to: nothing while their lines may still come."""
    entries = [entry for entry in settled.left_entries if since <= entry.at < until and covered.covers(entry.at)]
    for part in in_parts(entries):
        lines = lines_named(tx, books.provider_account, side, part)
        for entry in part:
            line = next((line for line in lines if _is_of(line, entry)), None)
            if line is None and not pool_is_over(entry.at, covered.covers, tx.now, settled.pool.days):
                result.waiting += 1
                continue
            found = judge_entry(entry, line)
            if line is None or found.type != DifferenceType.LATE or is_late(line, entry, settled.pool):
                yield found


def _is_of(line: Told, entry: BookedEntry) -> bool:
    same = (line.kind, line.theirs) == (entry.kind, entry.theirs)
    return same and (entry.kind == LineOrEntry.PAYMENT or line.refund == entry.refund)


def _balances(tx: Tx, readings: Sequence[AnyRow], since: datetime, until: datetime) -> Iterator[Difference]:
    """Whether the balances in account bills follow from their rows, and each bill from the one before it in its feed:
    a provider may keep several balances."""
    for feed in sorted({reading.feed for reading in readings}):
        yield from _balances_of_feed(tx, [row for row in readings if row.feed == feed], since, until)


def _balances_of_feed(tx: Tx, readings: Sequence[AnyRow], since: datetime, until: datetime) -> Iterator[Difference]:
    before: AnyRow | None = None
    closed: dict[str, int | None] = {}
    for reading in readings:
        if before is None or before.until != reading.since:
            closed = {}
        if reading.until > since - A_DAY and reading.since < until:
            ends = balance_ends(balances_of(tx, reading.provider_account, reading.id))
            for currency, (opening, closing, broken) in sorted(ends.items()):
                last = closed.get(currency)
                does_not_follow = None not in (last, opening) and last != opening
                if (broken or does_not_follow) and since <= reading.since < until:
                    subject = f"bill:{reading.feed}:{reading.name}:{currency}"
                    found = Difference(DifferenceType.BALANCE, subject, reading.since, theirs_currency=currency)
                    yield replace(found, ours_minor=last, ours_currency=currency, theirs_minor=opening)
                closed[currency] = closing
        before = reading
