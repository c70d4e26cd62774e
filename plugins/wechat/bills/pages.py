"""Bills as pages of `scan`: which Beijing day, from which row on, and whether that day's bill can be there yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from app.providers import Clock, Declined, Fact, Page, Retryable, Unknown
from plugins.wechat.bills.file import BillFile
from plugins.wechat.bills.reading import is_refund, oddities, row_time
from plugins.wechat.bills.rows import OddRow, Row, read_rows
from plugins.wechat.documents import BEIJING, Unreadable
from plugins.wechat.merchant import Merchant

TRADE_BILL = "trade_bill"
READY_AT = time(10, tzinfo=BEIJING)
"""On the next day. Bills are made from nine o'clock on; the advice is to fetch them after ten (page 4013071254)."""
ASK_AGAIN = timedelta(minutes=30)
"""The advice for a bill that is still being made, on the same page."""
A_DAY = timedelta(days=1)
_CURSOR = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{1,9})", re.ASCII)

Fetch = Callable[[date], bytes | None]
"""Downloads the bill of a day; None if nothing was paid or refunded on it. Raises Retryable while it is being made."""
Tell = Callable[[Row], Iterable[Fact]]
"""The facts of a row. Raises Unreadable for a row that cannot be told; a ProviderError concerns the whole page."""
LONGEST_NAME = 64
"""Characters of a row's number in what is told to people."""
MAX_PROBLEMS = 100
"""Odd rows of a page that are told one by one; of the others only the number."""


@dataclass(frozen=True, slots=True)
class _Place:
    """From where a page goes on: the day, and how many of its rows were told before."""

    day: date
    row: int = 0

    def __str__(self) -> str:
        return f"{self.day}/{self.row}"


class BillPages:
    """The feed `trade_bill` of one merchant and appid. `page_rows` bounds what one page holds and costs."""

    def __init__(self, merchant: Merchant, clock: Clock, fetch: Fetch, tell: Tell, *, page_rows: int) -> None:
        self._merchant = merchant
        self._clock = clock
        self._fetch = fetch
        self._tell = tell
        self._page_rows = page_rows

    def page(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        """Raises Declined for another feed or cursor, Retryable as long as the day's bill is not made, and Unknown for
        one that cannot be believed or read."""
        if feed != TRADE_BILL:
            raise Declined(f"there is no feed {feed!r}")
        place = _place(cursor, since)
        self._require_due(place.day)
        following = place.day + A_DAY
        next_day = str(_Place(following)) if _day_start(following) < until else None
        content = self._fetch(place.day)
        if content is None:
            return Page((), next_day)
        file = BillFile(content)
        try:
            rows, more = self._rows(file, place.row, since, until)
        except Unreadable as error:
            raise Unknown(f"the bill of {place.day} cannot be used: {error}") from None
        facts, problems = self._told(rows)
        name = f"{self._merchant.mchid}_{place.day:%Y%m%d}{file.name_ending}"
        return Page(
            facts,
            cursor=str(_Place(place.day, place.row + len(rows))) if more else next_day,
            files=((name, content),) if place.row == 0 else (),
            problems=_shown(place.day, problems),
        )

    def _require_due(self, day: date) -> None:
        """Until then it is not even asked for: WeChat Pay would call the day wrong, or empty."""
        ready = datetime.combine(day + A_DAY, READY_AT).astimezone(UTC)
        if self._clock.now() < ready:
            raise Retryable(f"the bill of {day} is not made yet", not_before=ready)

    def _told(self, rows: list[Row | OddRow]) -> tuple[tuple[Fact, ...], list[str]]:
        """What the rows say, and what of them a person has to look at."""
        facts: list[Fact] = []
        problems: list[str] = []
        for row in rows:
            if isinstance(row, OddRow):
                problems.append(f"row {row.number}: {row.why}")
                continue
            name = f"the row of {ascii(row['商户订单号'])[:LONGEST_NAME]}"
            try:
                facts += self._tell(row)
                problems += [f"{name}: {odd}" for odd in oddities(row)]
            except Unreadable as error:
                problems.append(f"{name}: {error}")
        return tuple(facts), problems

    def _rows(self, file: BillFile, skipped: int, since: datetime, until: datetime) -> tuple[list[Row | OddRow], bool]:
        """One page of rows, and whether there are more. The bill is read to its end each time, for the totals."""
        page: list[Row | OddRow] = []
        seen = 0
        for row in read_rows(file.lines(), self._merchant.mchid):
            if self._is_wanted(row, since, until):
                seen += 1
                if skipped < seen <= skipped + self._page_rows:
                    page.append(row)
        return page, seen > skipped + self._page_rows

    def _is_wanted(self, row: Row | OddRow, since: datetime, until: datetime) -> bool:
        """The bill has the rows of the merchant's other appids too; those are other accounts. Payments are cut to the
        window. Refunds are few, and a bill may date them by the payment (as 退款 bills do): they are never cut."""
        if isinstance(row, OddRow):
            return True
        if row["公众账号ID"] != self._merchant.appid:
            return False
        try:
            return is_refund(row) or since <= row_time(row) < until
        except Unreadable:
            return True  # it cannot be told, and is shown as such


def _shown(day: date, problems: list[str]) -> tuple[str, ...]:
    shown = [f"bill of {day}, {problem}" for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        shown.append(f"bill of {day}, and {len(problems) - MAX_PROBLEMS} more rows")
    return tuple(shown)


def being_made(now: datetime, code: str) -> Retryable:
    """WeChat Pay's word that the bill is still being made."""
    return Retryable("the bill is still being made", code=code, not_before=now + ASK_AGAIN)


def _place(cursor: str | None, since: datetime) -> _Place:
    if not cursor:
        return _Place(since.astimezone(BEIJING).date())
    match = _CURSOR.fullmatch(cursor)
    try:
        if match is not None:
            return _Place(date.fromisoformat(match[1]), int(match[2]))
    except ValueError:
        pass
    raise Declined("the cursor is not one of ours")


def _day_start(day: date) -> datetime:
    return datetime.combine(day, time(), BEIJING)
