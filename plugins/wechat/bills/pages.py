"""Bills as pages of `scan`: one Beijing day after the other, a trade bill in pages of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from app.providers import Clock, Fact, Page, Unknown, UnreadableBill
from plugins.wechat.bills.content import bill_name, read_bill, shown_problems
from plugins.wechat.bills.days import Place, place_of
from plugins.wechat.bills.feeds import FUND_ACCOUNTS
from plugins.wechat.bills.file import BillFile
from plugins.wechat.bills.reading import is_refund, oddities, row_time
from plugins.wechat.bills.rows import read_rows
from plugins.wechat.bills.table import OddRow, Row
from plugins.wechat.documents import Unreadable
from plugins.wechat.merchant import Merchant

Fetch = Callable[[date], bytes | None]
"""Downloads the bill of a day; None if nothing moved on it. Raises Retryable while it is being made."""
FetchFunds = Callable[[str, date], bytes | None]
"""Downloads the fund flow bill of an account type and a day in the manner of `Fetch`."""
Tell = Callable[[Row], Iterable[Fact]]
"""The facts of a row. Raises Unreadable for a row that cannot be told; a ProviderError concerns the whole page."""
LONGEST_NAME = 64
"""Characters of a row's number in what is told to people."""


class BillPages:
    """The feed `trade_bill` of one merchant and appid. `page_rows` bounds what one page holds and costs."""

    def __init__(self, merchant: Merchant, clock: Clock, fetch: Fetch, tell: Tell, *, page_rows: int) -> None:
        self._merchant = merchant
        self._clock = clock
        self._fetch = fetch
        self._tell = tell
        self._page_rows = page_rows

    def page(self, since: datetime, until: datetime, cursor: str | None) -> Page:
        """Raises Declined for a cursor that is not ours, Retryable as long as the day's bill is not made, and Unknown
        for one that cannot be believed or read."""
        place = place_of(cursor, since)
        place.require_due(self._clock.now())
        content = self._fetch(place.day)
        if content is None:
            return Page((), place.next_day(until))
        file = BillFile(content)
        try:
            rows, more = self._rows(file, place.row, since, until)
        except Unreadable as error:
            raise _cannot_be_used(place.day, error) from None
        facts, problems = self._told(rows)
        name = bill_name(self._merchant.mchid, place.day, "", file.name_ending)
        return Page(
            facts,
            cursor=str(Place(place.day, place.row + len(rows))) if more else place.next_day(until),
            files=((name, content),) if place.row == 0 else (),
            problems=_of_day(place.day, shown_problems(problems)),
        )

    def _told(self, rows: list[Row | OddRow]) -> tuple[tuple[Fact, ...], list[str]]:
        """What the rows say, and what of them a person has to look at."""
        facts: list[Fact] = []
        problems: list[str] = []
        for row in rows:
            if isinstance(row, OddRow):
                problems.append(str(row))
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


@dataclass(frozen=True, slots=True)
class FundPages:
    """The feeds of fund flow bills. They tell no facts: what moved is compared with the books, line by line."""

    merchant: Merchant
    clock: Clock
    fetch: FetchFunds

    def page(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        """One day's bill. It raises what `BillPages.page` raises."""
        place = place_of(cursor, since)
        place.require_due(self.clock.now())
        content = self.fetch(FUND_ACCOUNTS[feed], place.day)
        if content is None:
            return Page((), place.next_day(until))
        name = bill_name(self.merchant.mchid, place.day, FUND_ACCOUNTS[feed], BillFile(content).name_ending)
        try:
            problems = read_bill(self.merchant, feed, name, content).problems
        except UnreadableBill as error:
            raise _cannot_be_used(place.day, error) from None
        return Page((), place.next_day(until), files=((name, content),), problems=_of_day(place.day, problems))


def _cannot_be_used(day: date, error: Exception) -> Unknown:
    return Unknown(f"the bill of {day} cannot be used: {error}")


def _of_day(day: date, problems: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"bill of {day}, {problem}" for problem in problems)
