"""A bill as lines for the books. It is read twice: once to check all of it, and then as a stream."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from app.domain.bill_lines import BillContent, BillLine, BillSide, LineKind
from app.providers import UnreadableBill
from plugins.wechat.bills.days import A_DAY, beijing_day, day_start
from plugins.wechat.bills.feeds import BILL_FEEDS, FUND_ACCOUNTS
from plugins.wechat.bills.file import BillFile
from plugins.wechat.bills.fund_lines import fund_line
from plugins.wechat.bills.fund_rows import read_fund_rows
from plugins.wechat.bills.rows import read_rows
from plugins.wechat.bills.table import OddRow
from plugins.wechat.bills.trade_lines import trade_line
from plugins.wechat.documents import Unreadable
from plugins.wechat.merchant import Merchant

ZONE = "Asia/Shanghai"
MAX_PROBLEMS = 100
"""Odd rows of a bill that are told one by one; of the others only the number."""
LATE = timedelta(days=3)
"""So old may be all the rows of a bill that are listed late."""
_OUR_NAME = re.compile(r"[0-9]+_([0-9]{8})(?:_[a-z]+)?\.csv(?:\.gz)?", re.ASCII)
"""As `bill_name` writes it. Such a bill is one of that day."""
_A_DAY = re.compile(r"(?<![0-9])(20[0-9]{2})-?([01][0-9])-?([0-3][0-9])(?![0-9])", re.ASCII)
"""In the name of a file that a person brings: it says which day a bill without rows is of."""

Entry = BillLine | str
"""A line, or what is wrong with a row."""


def bill_name(mchid: str, day: date, account_type: str, ending: str) -> str:
    """How a bill is called that was fetched: `account_type` is empty for trade bills."""
    kind = f"_{account_type.lower()}" if account_type else ""
    return f"{mchid}_{day:%Y%m%d}{kind}{ending}"


def read_bill(merchant: Merchant, feed: str, name: str, content: bytes) -> BillContent:
    """Check the whole bill, then give its lines one by one. Raises UnreadableBill."""
    if feed not in BILL_FEEDS:
        raise UnreadableBill(f"there is no bill {feed!r}")
    file = BillFile(content)
    trades = BILL_FEEDS[feed] is BillSide.TRADES
    entries = _trade_entries(file, merchant) if trades else _fund_entries(file, FUND_ACCOUNTS[feed])
    survey = _Survey()
    try:
        survey.take_all(entries())
        since, until = _period(name, survey)
    except Unreadable as error:
        raise UnreadableBill(str(error)) from None
    return BillContent(
        side=BILL_FEEDS[feed],
        # A fund flow bill names no merchant; a trade bill of another one was refused.
        account=merchant.account if trades and survey.rows else None,
        since=since.astimezone(UTC),
        until=until.astimezone(UTC),
        zone=ZONE,
        lines=_Lines(entries, survey.repeated()),
        problems=shown_problems(survey.problems, survey.more_problems),
    )


def shown_problems(problems: list[str], more: int = 0) -> tuple[str, ...]:
    """The first ones, and the number of the others."""
    more += len(problems[MAX_PROBLEMS:])
    return (*problems[:MAX_PROBLEMS], *([f"and {more} more rows"] if more else []))


def _trade_entries(file: BillFile, merchant: Merchant) -> Callable[[], Iterator[Entry]]:
    """Rows of the merchant's other appids are other accounts' and left out; the totals count them."""

    def entries() -> Iterator[Entry]:
        for number, row in enumerate(read_rows(file.lines(), merchant.mchid, for_books=True), start=1):
            if isinstance(row, OddRow):
                yield str(row)
            elif row["公众账号ID"] == merchant.appid:
                try:
                    yield trade_line(row)
                except Unreadable as error:
                    yield str(OddRow(number, str(error)))

    return entries


def _fund_entries(file: BillFile, account_type: str) -> Callable[[], Iterator[Entry]]:
    def entries() -> Iterator[Entry]:
        for number, row in enumerate(read_fund_rows(file.lines()), start=1):
            if isinstance(row, OddRow):
                yield str(row)
                continue
            try:
                yield fund_line(row, account_type)
            except Unreadable as error:
                yield str(OddRow(number, str(error)))

    return entries


@dataclass
class _Survey:
    """What the first reading finds. Of a line some bytes are kept, so that a bill may have millions."""

    problems: list[str] = field(default_factory=list)
    more_problems: int = 0
    rows: int = 0
    spans: dict[bool, tuple[datetime, datetime]] = field(default_factory=dict)
    """First and last moment of the refunds, and of all other lines: a refund may be dated by its payment."""
    hashes: array[int] = field(default_factory=lambda: array("q"))

    def take_all(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if isinstance(entry, BillLine):
                self._take(entry)
            elif len(self.problems) < MAX_PROBLEMS:
                self.problems.append(entry)
            else:
                self.more_problems += 1

    def _take(self, line: BillLine) -> None:
        self.rows += 1
        self.hashes.append(hash(line.key))
        refund = line.kind is LineKind.REFUND
        first, last = self.spans.get(refund, (line.at, line.at))
        self.spans[refund] = (min(first, line.at), max(last, line.at))

    def repeated(self) -> frozenset[int]:
        """The hashes of the keys that more than one line has."""
        in_order = sorted(self.hashes)
        return frozenset(one for one, other in pairwise(in_order) if one == other)

    def days(self) -> tuple[date, date] | None:
        """First and last day by the lines that are no refunds, or by the refunds where there is nothing else."""
        span = self.spans.get(False) or self.spans.get(True)
        return None if span is None else (beijing_day(span[0]), beijing_day(span[1]))


def _period(name: str, survey: _Survey) -> tuple[datetime, datetime]:
    """The days of the bill: by its name where we gave it, else by its rows. Raises Unreadable."""
    days = survey.days()
    ours = _OUR_NAME.fullmatch(name)
    named = _day(ours[1]) if ours is not None else None
    if named is not None:
        if days is not None and not days[0] <= named <= days[1] + LATE:
            raise Unreadable("a bill of another day than its name says")
        return day_start(named), day_start(named + A_DAY)
    if days is None:
        told = sorted(filter(None, (_day("".join(each)) for each in _A_DAY.findall(name))))
        if not told:
            raise Unreadable("a bill without rows of ours: let the name of its file say the day, as 2026-01-02")
        days = told[0], told[-1]
    return day_start(days[0]), day_start(days[1] + A_DAY)


def _day(digits: str) -> date | None:
    try:
        return date.fromisoformat(digits)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Lines:
    """The lines, read anew each time. Of rows that name one thing twice, the second has a key of its own."""

    entries: Callable[[], Iterator[Entry]]
    repeated: frozenset[int]

    def __iter__(self) -> Iterator[BillLine]:
        seen: Counter[str] = Counter()
        for entry in self.entries():
            if isinstance(entry, BillLine):
                yield self._with_own_key(entry, seen) if hash(entry.key) in self.repeated else entry

    @staticmethod
    def _with_own_key(line: BillLine, seen: Counter[str]) -> BillLine:
        seen[line.key] += 1
        return line if seen[line.key] == 1 else replace(line, key=f"{line.key}/{seen[line.key]}")
