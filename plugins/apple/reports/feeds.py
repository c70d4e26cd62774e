"""The feeds of reports: one report a page, asked for when Apple's calendar says that it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType

from app.providers import (
    BillContent,
    BillSide,
    Clock,
    Declined,
    Misconfigured,
    Page,
    Retryable,
    Unknown,
    UnreadableBill,
)
from plugins.apple.reports.calendar import Period, day_period, fiscal_month, fiscal_period, pacific_day
from plugins.apple.reports.connect_api import SALES_VERSION, ConnectApi, ReportWanted
from plugins.apple.reports.proceeds import read_detail, read_financial
from plugins.apple.reports.sales import read_sales

DETAIL, FINANCIAL, SALES = "finance_detail", "financial_report", "sales_report"
SIDES: Mapping[str, BillSide] = MappingProxyType(
    {DETAIL: BillSide.PROCEEDS, FINANCIAL: BillSide.PROCEEDS, SALES: BillSide.SALES}
)
"""The two kinds of financial report tell the same money: the first one that is there counts."""
REPORT_FEEDS = tuple(SIDES)
ASK_AGAIN = timedelta(hours=3)
LATE = MappingProxyType({DETAIL: timedelta(days=10), FINANCIAL: timedelta(days=10), SALES: timedelta(days=2)})
"""How long after it was due a report is still asked for: Apple says the same of one that is late and of one that is not
made, because nothing was sold. One that cannot be read may have been cut short on its way, and is fetched again until
then; after that it is handed on unread, with its problem."""


@dataclass(frozen=True, slots=True)
class ReportFeeds:
    """The reports of one app's vendor. Without a team key they can be read, and a person brings them."""

    api: ConnectApi | None
    clock: Clock
    app_sku: str | None

    @property
    def feeds(self) -> tuple[str, ...]:
        return REPORT_FEEDS if self.api is not None else ()

    def page(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        """The report of one day or fiscal month that lies in the window, wholly or in part."""
        if self.api is None:
            raise Misconfigured("reports are fetched with a team key of App Store Connect: connect_key_id and the rest")
        period = _period(feed, since, cursor)
        following = _next(feed, period)
        more = following.name if following.since < until else None
        content, now = self.api.report(_wanted(feed, period)), self.clock.now()
        is_late = now >= period.due + LATE[feed]
        if content is None:
            if not is_late:
                raise Retryable("the report is not made yet", not_before=max(period.due, now + ASK_AGAIN))
            return Page((), more)
        files = ((f"{feed}_{period.name}.txt.gz", content),)
        try:
            self.read(feed, content)
        except UnreadableBill as error:
            if not is_late:
                raise Unknown(f"the report cannot be read: {error}") from None
            return Page((), more, files, (f"{files[0][0]}: {error}",))
        return Page((), more, files)

    def read(self, feed: str, content: bytes) -> BillContent:
        """Raises UnreadableBill."""
        match feed:
            case "sales_report":
                return read_sales(content, self.app_sku)
            case "financial_report":
                return read_financial(content)
            case "finance_detail":
                return read_detail(content)
        raise UnreadableBill(f"there is no report {feed!r}; there are {', '.join(SIDES)}")


def _period(feed: str, since: datetime, cursor: str | None) -> Period:
    """The cursor is the name of the period: a day, or a fiscal month. Raises Declined."""
    try:
        if feed == SALES:
            return day_period(date.fromisoformat(cursor) if cursor else pacific_day(since))
        return fiscal_month(cursor) if cursor else fiscal_period(pacific_day(since))
    except ValueError:
        raise Declined("not a cursor of this feed") from None


def _next(feed: str, period: Period) -> Period:
    day = period.last + timedelta(days=1)
    return day_period(day) if feed == SALES else fiscal_period(day)


def _wanted(feed: str, period: Period) -> ReportWanted:
    """`ZZ` is all regions, `Z1` the only region of the detailed report."""
    if feed == SALES:
        return ReportWanted("/v1/salesReports", "SALES", period.name, "SUMMARY", "DAILY", SALES_VERSION)
    kind, region = ("FINANCE_DETAIL", "Z1") if feed == DETAIL else ("FINANCIAL", "ZZ")
    return ReportWanted("/v1/financeReports", kind, period.name, region=region)
