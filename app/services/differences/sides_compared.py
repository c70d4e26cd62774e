"""Compares an account's trade bills with its account bills, by number: what is in one and not in the other.

The books are compared with the trades. Here the provider is compared with itself: a trade that never reaches the
balance, or money in the balance that no trade explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.domain.bill_lines import BillSide
from app.domain.bill_sides import as_entry, between_bills, with_fees
from app.domain.differences import (
    BookedEntry,
    Difference,
    DifferenceType,
    LineOrEntry,
    Told,
    judge_entry,
    judge_line,
    second_line,
)
from app.domain.settling import Whose, is_late, pool_is_over, reconcile
from app.providers.registry import ProviderAccount
from app.services.base.context import Tx, environment_of
from app.services.differences.booked_entries import BooksOf, entries_named, in_parts
from app.services.differences.told_lines import Coverage, sides_between, sides_named


@dataclass(slots=True)
class SidesCompared:
    """Trades and funds of one account and time."""

    tx: Tx
    account: ProviderAccount
    trades: Coverage
    funds: Coverage
    since: datetime
    until: datetime
    undecided: set[tuple[str, str, str | None]] = field(default_factory=set)
    """Refunds that were asked for, and need not have moved money."""

    def differences(self) -> Iterator[Difference]:
        lag = self.account.lag
        early, late = self.since - lag, self.until + lag
        settled = reconcile(
            self._ours(with_fees(sides_between(self.tx, self.account.name, BillSide.FUNDS, early, late))),
            self._entries(with_fees(sides_between(self.tx, self.account.name, BillSide.TRADES, early, late))),
            self.account.whose,
            lag,
        )
        found = [one for one in settled.found if self._is_in_time(one.at)]
        for lines in in_parts([line for line in settled.left_lines if self._is_in_time(line.at)]):
            found += self._of_lines(lines, lag)
        for entries in in_parts([entry for entry in settled.left_entries if self._is_in_time(entry.at)]):
            found += self._of_entries(entries, lag)
        return map(between_bills, found)

    def _is_in_time(self, at: datetime) -> bool:
        return self.since <= at < self.until

    def _ours(self, lines: Iterable[Told]) -> Iterator[Told]:
        """Without what other systems sold on a shared account. A refund may name no payment: its number decides."""
        whose: Whose = self.account.whose
        for line in lines:
            if not whose.shared or whose.is_ours(line.ours) or (line.ours is None and line.refund is not None):
                yield line

    def _entries(self, trades: Iterable[Told]) -> Iterator[BookedEntry]:
        for trade in self._ours(trades):
            if trade.undecided:
                self.undecided.add((trade.kind, trade.theirs, trade.refund))
            yield as_entry(trade)

    def _of_lines(self, lines: Sequence[Told], lag: timedelta) -> Iterator[Difference]:
        """Rows of account bills without a trade. A trade of a day without a trade bill is none that is missing: then
        our books may know of it."""
        trades = [
            as_entry(trade) for trade in with_fees(sides_named(self.tx, self.account.name, BillSide.TRADES, lines))
        ]
        books = BooksOf(self.account.name, environment_of(self.account.live))
        booked = entries_named(self.tx, books, lines)
        for line in lines:
            trade = next((trade for trade in trades if _are_one(line, trade)), None)
            if trade is not None:
                if self.since - lag <= trade.at < self.until + lag:  # it was read, and another line has it
                    yield second_line(line, trade)
                elif found := _unless_in_time(judge_line(line, trade, None), line, trade, lag):
                    yield found
                continue
            entry = next((entry for entry in booked if _are_one(line, entry)), None)
            if self.trades.covers(line.at if entry is None else entry.at):
                yield judge_line(line, None, None)

    def _of_entries(self, entries: Sequence[BookedEntry], lag: timedelta) -> Iterator[Difference]:
        """Trades without a row in an account bill, once that row would have come."""
        lines = list(with_fees(sides_named(self.tx, self.account.name, BillSide.FUNDS, entries)))
        for entry in entries:
            if (entry.kind, entry.theirs, entry.refund) in self.undecided or not self.funds.covers(entry.at):
                continue
            line = next((line for line in lines if _are_one(line, entry)), None)
            if line is not None or pool_is_over(
                entry.at, self.funds.covers, self.tx.now, self.account.settles_within_days
            ):
                yield judge_entry(entry, line)


def _unless_in_time(found: Difference, line: Told, entry: BookedEntry, lag: timedelta) -> Difference | None:
    """Found beyond the time that was read, it may be in time all the same: time is counted in days."""
    return found if found.type != DifferenceType.LATE or is_late(line, entry, lag) else None


def _are_one(line: Told, entry: BookedEntry) -> bool:
    if line.kind != entry.kind:
        return False
    if line.kind == LineOrEntry.REFUND and line.refund is not None and entry.refund is not None:
        return line.refund == entry.refund
    if line.kind == LineOrEntry.REFUND and line.amount_minor != entry.amount_minor:
        return False
    return bool(line.theirs) and line.theirs == entry.theirs
