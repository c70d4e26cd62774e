"""Compares what a provider's bills say with what is booked, and names each disagreement by its type.

Two streams in the order of the provider's numbers are read side by side, so that a million lines against a million
entries need the memory of one number's. What one side alone has is kept aside, looked for by our own number and beyond
the time that was read, and becomes a difference only then. Money is compared exactly; time is no reason for a
difference within the pool of three days around the day boundary.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from app.domain.differences import (
    BookedEntry,
    Difference,
    DifferenceType,
    LineOrEntry,
    Told,
    of_line,
    of_pair,
    second_line,
)
from app.domain.numbers import parse_number

POOL = timedelta(days=3)
"""How far apart the two sides may date one thing: a day boundary may have cut it, or its row may come late."""
A_DAY = timedelta(days=1)
"""So long after a day its bill is there at the latest."""
MOST_LEFT_OVER = 100_000
"""Lines and entries that one side alone has, of one comparison. More is no list of differences: the bill is of another
account, or the books are not there."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Which lines can be ours, by their number."""

    shared: bool = False
    """Other systems use the provider account, too: their lines are counted and are no differences."""
    our_numbers: str = ""
    """A pattern of our payment numbers; empty: 63-bit decimal numbers."""

    def is_ours(self, number: str | None) -> bool:
        """A line without a number can be anybody's: the provider's number decides then."""
        if number is None:
            return not self.shared
        if self.our_numbers:
            return re.fullmatch(self.our_numbers, number) is not None
        return parse_number(number) is not None

    def are_ours(self, numbers: Iterable[str | None]) -> bool:
        """Lines of one payment: those that name a number decide for those that do not."""
        named = [number for number in numbers if number is not None]
        return any(map(self.is_ours, named)) if named else self.is_ours(None)


@dataclass(slots=True)
class Reconciliation:
    """What one comparison found."""

    pool: timedelta = POOL
    found: list[Difference] = field(default_factory=list)
    matched: int = 0
    not_ours: int = 0
    """Lines of other systems that share the account."""
    undecided: int = 0
    """Lines that say what was asked for, not what came of it, and have no counterpart."""
    left_lines: list[Told] = field(default_factory=list)
    left_entries: list[BookedEntry] = field(default_factory=list)


class TooMuchLeftOver(Exception):
    """One side alone has more than could be a list of differences."""


def is_late(line: Told, entry: BookedEntry, pool: timedelta = POOL) -> bool:
    """Whether the two sides date one thing further apart than the pool. The pool is of days: its last one counts as a
    whole. An undecided line has the time of the request, and a bank may need a week for a refund (public holidays):
    that is no difference."""
    return not line.undecided and abs(line.at - entry.at) >= pool + A_DAY


def reconcile(
    lines: Iterable[Told], entries: Iterable[BookedEntry], whose: Whose, pool: timedelta = POOL
) -> Reconciliation:
    """Compare two streams that are both in the order of `theirs` (by code points). What one side alone has is left
    over. Raises TooMuchLeftOver."""
    result = Reconciliation(pool=pool)
    for told, booked in _side_by_side(lines, entries):
        if len(told) == 1 and len(booked) == 1 and told[0].kind == booked[0].kind == LineOrEntry.PAYMENT:
            _compare(result, told[0], booked[0])
        else:
            _settle_number(result, told, booked, whose)
        if len(result.left_lines) + len(result.left_entries) > MOST_LEFT_OVER:
            raise TooMuchLeftOver(f"more than {MOST_LEFT_OVER} lines and entries have no counterpart")
    _by_our_number(result)
    strange = [line for line in result.left_lines if not line.theirs and not whose.is_ours(line.ours)]
    _alien(result, strange, whose)
    result.left_lines = [line for line in result.left_lines if line.theirs or whose.is_ours(line.ours)]
    return result


def _side_by_side(
    lines: Iterable[Told], entries: Iterable[BookedEntry]
) -> Iterator[tuple[list[Told], list[BookedEntry]]]:
    """Lines and entries of one number after the other. Those without a number come first, as one group."""
    by_theirs = attrgetter("theirs")
    left, right = groupby(lines, by_theirs), groupby(entries, by_theirs)
    line, entry = next(left, None), next(right, None)
    while line is not None or entry is not None:
        if line is not None and (entry is None or line[0] < entry[0]):
            yield list(line[1]), []
            line = next(left, None)
        elif entry is not None and (line is None or entry[0] < line[0]):
            yield [], list(entry[1])
            entry = next(right, None)
        elif line is not None and entry is not None:
            yield list(line[1]), list(entry[1])
            line, entry = next(left, None), next(right, None)


def _settle_number(result: Reconciliation, told: Sequence[Told], booked: Sequence[BookedEntry], whose: Whose) -> None:
    """One number of the provider: a payment and its refunds, or all lines that name none."""
    if not booked and told and told[0].theirs and not whose.are_ours(line.ours for line in told):
        _alien(result, told, whose)
        return
    lines = sorted(_told_once(result, told), key=lambda line: (line.at, line.key))
    has_number = bool(told and told[0].theirs) or bool(booked and booked[0].theirs)
    payments = [line for line in lines if line.kind == LineOrEntry.PAYMENT]
    entries = [entry for entry in booked if entry.kind == LineOrEntry.PAYMENT]
    if has_number and payments:
        first, *again = payments
        if entries:
            _compare(result, first, entries[0])
        else:
            _leave(result, first)
        result.found += [second_line(line, entries[0] if entries else None) for line in again if not line.undecided]
    else:
        for line in payments:
            _leave(result, line)
        result.left_entries += entries
    refunds = [line for line in lines if line.kind == LineOrEntry.REFUND]
    _settle_refunds(result, refunds, [entry for entry in booked if entry.kind == LineOrEntry.REFUND])


def _told_once(result: Reconciliation, told: Sequence[Told]) -> list[Told]:
    """One line for each row. A row that is still there twice stands twice in one bill, or in bills of different times:
    where bills cover a common time, only the later one's is among the lines."""
    by_key: defaultdict[tuple[str, str], list[Told]] = defaultdict(list)
    for line in told:
        by_key[line.kind, line.key].append(line)
    for same in by_key.values():
        if len(same) > 1:
            same.sort(key=lambda line: (-line.reading_id, line.at))
            result.found += [second_line(line, None, number) for number, line in enumerate(same[1:], start=2)]
    return [same[0] for same in by_key.values()]


def _settle_refunds(result: Reconciliation, lines: Sequence[Told], entries: Sequence[BookedEntry]) -> None:
    """By the refund's number; then, within one payment of the provider, by amount: bills may name a refund by a number
    of their own. Equal ones are as good as each other."""
    if not lines and not entries:
        return
    waiting = {entry.refund: entry for entry in entries}
    unnamed: list[Told] = []
    seen = set[str]()
    for line in lines:
        entry = waiting.pop(line.refund, None) if line.refund is not None else None
        if entry is not None:
            seen.add(line.refund or "")
            _compare(result, line, entry)
        elif line.refund is not None and line.refund in seen and not line.undecided:
            result.found.append(second_line(line, None))
        else:
            unnamed.append(line)
    rest = sorted(waiting.values(), key=lambda entry: entry.at)
    for line in sorted(unnamed, key=lambda one: one.at):
        same = next((entry for entry in rest if _equal(line, entry)), None) if line.theirs else None
        if same is not None:
            rest.remove(same)
            _compare(result, line, same)
        else:
            _leave(result, line)
    result.left_entries += rest


def _equal(line: Told, entry: BookedEntry) -> bool:
    return (line.amount_minor, line.currency) == (entry.amount_minor, entry.currency)


def _leave(result: Reconciliation, line: Told) -> None:
    if line.undecided:
        result.undecided += 1
    else:
        result.left_lines.append(line)


def _alien(result: Reconciliation, told: Sequence[Told], whose: Whose) -> None:
    if whose.shared:
        result.not_ours += len(told)
    else:
        result.found += [of_line(DifferenceType.NOT_OURS, line) for line in told if not line.undecided]


def _compare(result: Reconciliation, line: Told, entry: BookedEntry) -> None:
    result.matched += 1
    if line.currency != entry.currency:
        result.found.append(of_pair(DifferenceType.CURRENCY, line, entry))
    elif line.amount_minor != entry.amount_minor:
        result.found.append(of_pair(DifferenceType.AMOUNT, line, entry))
    elif entry.fee_minor is not None and line.fee_minor != -entry.fee_minor:
        fee = of_pair(DifferenceType.FEE, line, entry)
        result.found.append(replace(fee, ours_minor=-entry.fee_minor, theirs_minor=line.fee_minor))
    elif is_late(line, entry, result.pool):
        result.found.append(of_pair(DifferenceType.LATE, line, entry))


def _by_our_number(result: Reconciliation) -> None:
    """Match what is left over by our number of the payment, or the number of the refund, where a side names no number
    of the provider."""
    by_ours = {_our_name(entry): entry for entry in result.left_entries}
    lines, taken = list[Told](), set[BookedEntry]()
    for line in result.left_lines:
        name = (line.kind, line.refund if line.kind == LineOrEntry.REFUND else line.ours)
        entry = by_ours.get(name) if name[1] is not None and not line.theirs else None
        if entry is None:
            lines.append(line)
        elif entry in taken:
            result.found.append(second_line(line, entry))
        else:
            taken.add(entry)
            _compare(result, line, entry)
    result.left_lines = lines
    result.left_entries = [entry for entry in result.left_entries if entry not in taken]


def _our_name(entry: BookedEntry) -> tuple[str, str | None]:
    return entry.kind, entry.refund if entry.kind == LineOrEntry.REFUND else entry.ours


def pool_is_over(at: datetime, covered: Callable[[datetime], bool], now: datetime, days: int = POOL.days) -> bool:
    """Whether a line that tells of that moment would have come by now: the pool of so many days is over, or bills cover
    all of it."""
    return now >= at + timedelta(days=days + 1) or all(covered(at + timedelta(days=day)) for day in range(days + 1))


class Moved(NamedTuple):
    """What a row of an account bill did to the balance."""

    currency: str
    balance_minor: int | None
    """After the row."""
    moved_minor: int


class Ends(NamedTuple):
    """What a bill's balances come to, in one currency."""

    opening: int | None
    """Before its first row. None where the rows do not tell, or come out even."""
    closing: int | None
    broken: int
    """How often a balance does not follow from another row."""


def balance_ends(rows: Iterable[Moved]) -> dict[str, Ends]:
    """Where the balances of a bill begin and end, by currency, in whatever order its rows are: each balance must be the
    one before another row, but for the last. A bill that does not tell all balances proves nothing."""
    open_ends: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for currency, balance, moved in rows:
        if balance is None:
            return {}
        ends = open_ends[currency]
        for value, step in ((balance, 1), (balance - moved, -1)):
            ends[value] += step
            if not ends[value]:
                del ends[value]
    return {currency: _ends_of(ends) for currency, ends in open_ends.items()}


def _ends_of(ends: Counter[int]) -> Ends:
    closing, opening = ([value for value, times in ends.items() if times * step > 0] for step in (1, -1))
    broken = max(0, sum(map(abs, ends.values())) // 2 - 1)
    is_plain = len(opening) == len(closing) == 1 and not broken
    return Ends(opening[0], closing[0], 0) if is_plain else Ends(None, None, broken)
