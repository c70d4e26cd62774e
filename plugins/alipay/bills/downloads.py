"""The feeds of Alipay's bills: one Beijing day a page, fetched from the address that the gateway gives for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlsplit

from app.providers import BillContent, BillSide, Declined, Fact, Misconfigured, Page, Retryable, Unknown, UnreadableBill
from plugins.alipay import codes
from plugins.alipay.bills import account_bill, trade_bill
from plugins.alipay.bills.documents import MAX_ZIP_BYTES
from plugins.alipay.client import GatewayClient
from plugins.alipay.formats import beijing_day, day_start
from plugins.alipay.mapping import Merchant
from plugins.alipay.responses import Answer

TRADE_BILL, ACCOUNT_BILL = "trade_bill", "account_bill"
SIDES: Mapping[str, BillSide] = MappingProxyType({TRADE_BILL: BillSide.TRADES, ACCOUNT_BILL: BillSide.FUNDS})
_TYPES = {TRADE_BILL: "trade", ACCOUNT_BILL: "signcustomer"}
_ENDINGS = {TRADE_BILL: "", ACCOUNT_BILL: "_account"}
USUALLY_READY_AFTER = timedelta(hours=33)
ASK_AGAIN = timedelta(minutes=30)
READY_AFTER = timedelta(days=2)
"""A bill is there at 9:00 the next morning (33 hours after its day began), or 10:00 by older pages. When none is there
after two days, there were no trades: `NO_BILL_DATA` and `BILL_NOT_EXIST` mean either. A file that cannot be read may be
cut short on its way, so it is fetched again until then; after that it is handed on unread, with its problem."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for, and when it is asked."""

    feed: str
    since: datetime
    until: datetime
    now: datetime


def scan(client: GatewayClient, merchant: Merchant, window: Window, cursor: str | None) -> Page:
    """The bill of one Beijing day, its facts cut to the window. Raises Declined for a cursor that is not ours."""
    if window.feed not in SIDES:
        raise Misconfigured(f"there is no feed {window.feed!r}; there are {', '.join(SIDES)}")
    day = _day(cursor, window)
    following = day + timedelta(days=1)
    more = following.isoformat() if day_start(following) < window.until else None
    content = _fetch(client, window.feed, day, window.now)
    if content is None:
        return Page((), more)
    name = f"{merchant.seller_id}_{day:%Y%m%d}{_ENDINGS[window.feed]}.zip"
    try:
        facts, problems = _told(window.feed, name, content, merchant)
    except Unknown as error:
        if window.now < day_start(day) + READY_AFTER:
            raise
        return Page((), more, ((name, content),), (str(error),))
    inside = tuple(fact for fact in facts if window.since <= fact.at < window.until)
    return Page(inside, more, ((name, content),), problems)


def read_bill(feed: str, name: str, content: bytes, merchant: Merchant) -> BillContent:
    """A document of that feed as lines. Raises UnreadableBill."""
    match feed:
        case "trade_bill":
            return trade_bill.trade_lines(content, name, merchant)
        case "account_bill":
            return account_bill.account_lines(content, name, merchant)
    raise UnreadableBill(f"there is no bill {feed!r}; there are {', '.join(SIDES)}")


def _told(feed: str, name: str, content: bytes, merchant: Merchant) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """Facts and problems of a fresh bill. Only the trade bill tells facts: an account bill names no state of a payment.
    Raises Unknown for one that cannot be read."""
    if feed == TRADE_BILL:
        bill = trade_bill.read_bill(content, merchant)
        return bill.facts, bill.problems
    try:
        read = account_bill.account_lines(content, name, merchant)
        if read.account != merchant.account:
            raise UnreadableBill("it is another account's")
    except UnreadableBill as error:
        raise Unknown(f"the bill cannot be read: {error}") from None
    return (), read.problems


def _day(cursor: str | None, window: Window) -> date:
    try:
        return date.fromisoformat(cursor) if cursor else beijing_day(window.since)
    except ValueError:
        raise Declined("the cursor is not a day") from None


def _fetch(client: GatewayClient, feed: str, day: date, now: datetime) -> bytes | None:
    """The day's ZIP; None when that day had none. The address is good for 30 seconds, so it is fetched at once."""
    answer = client.call(
        "alipay.data.dataservice.bill.downloadurl.query", {"bill_type": _TYPES[feed], "bill_date": day.isoformat()}
    )
    if answer.ok:
        return client.download(_address(answer), MAX_ZIP_BYTES)
    if codes.reason(answer.sub_code) not in codes.NO_BILL:
        raise codes.failure(answer)
    if now < day_start(day) + READY_AFTER:
        ready = max(day_start(day) + USUALLY_READY_AFTER, now + ASK_AGAIN)
        raise Retryable("the bill is not made yet", code=codes.reason(answer.sub_code), not_before=ready)
    return None


def _address(answer: Answer) -> str:
    url = answer.text("bill_download_url")
    if urlsplit(url).scheme not in ("http", "https"):
        raise Unknown("the bill's address is not one")
    return url
