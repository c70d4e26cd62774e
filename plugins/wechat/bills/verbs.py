"""The verbs about bills, `scan` and `read_bill`: alike in both generations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from app.domain.bill_lines import BillContent, BillSide
from app.providers import Clock, Declined, Page
from plugins.wechat.bills.content import read_bill
from plugins.wechat.bills.feeds import BILL_FEEDS, FUND_ACCOUNTS
from plugins.wechat.bills.pages import FetchFunds, FundPages
from plugins.wechat.merchant import Merchant

FeedPages = Callable[[datetime, datetime, str | None], Page]


class BillVerbs:
    """For a provider that knows how to fetch bills."""

    bill_feeds: Mapping[str, BillSide] = BILL_FEEDS
    """Each of them can be brought by a person, whether it is fetched or not."""

    def __init__(self, merchant: Merchant) -> None:
        self._merchant = merchant
        self._pages: dict[str, FeedPages] = {}
        self.feeds: tuple[str, ...] = ()

    def _add_feeds(self, pages: Mapping[str, FeedPages]) -> None:
        self._pages.update(pages)
        self.feeds = tuple(self._pages)

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        """The bills of a feed, day by day, from ten o'clock of the next day on. `trade_bill` tells what was paid and
        refunded; the others bring their files alone."""
        if feed not in self._pages:
            raise Declined(f"there is no feed {feed!r}")
        return self._pages[feed](since, until, cursor)

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        """A bill as it was fetched, or as a person downloaded it from the merchant site. Raises UnreadableBill."""
        return read_bill(self._merchant, feed, name, content)


def fund_feeds(merchant: Merchant, clock: Clock, accounts: Sequence[str], fetch: FetchFunds) -> dict[str, FeedPages]:
    """The feeds of the fund flow bills of these balances."""
    pages = FundPages(merchant, clock, fetch)
    return {feed: partial(pages.page, feed) for feed, account in FUND_ACCOUNTS.items() if account in accounts}
