"""Fetching bills by API v3. The answer that names a bill is signed and tells its hash; the file is not signed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from app.providers import Clock, Unknown
from plugins.wechat.bills.days import being_made
from plugins.wechat.bills.file import MAX_FILE_BYTES, BillFile
from plugins.wechat.documents import Unreadable, text
from plugins.wechat.outcomes import readable
from plugins.wechat.refusal import Refusal
from plugins.wechat.v3.client import V3Client

TRADES = "/v3/bill/tradebill?bill_date={day}&bill_type=ALL&tar_type=GZIP"
FUNDS = "/v3/bill/fundflowbill?bill_date={day}&account_type={account}&tar_type=GZIP"
NO_BILL = "NO_STATEMENT_EXIST"
BEING_MADE = "STATEMENT_CREATING"
HASH_TYPE = "SHA1"
MAX_URL = 2048


def fetch_trade_bill(client: V3Client, clock: Clock, day: date) -> bytes | None:
    """The bill of a Beijing day; None when nothing was paid or refunded on it. Raises Retryable while it is being made,
    and Unknown if the file is not the one that WeChat Pay signed for."""
    return _fetched(client, clock, TRADES.format(day=day))


def fetch_fund_bill(client: V3Client, clock: Clock, account_type: str, day: date) -> bytes | None:
    """The bill of a balance and a Beijing day; None when nothing moved on it. It raises what `fetch_trade_bill`
    raises."""
    return _fetched(client, clock, FUNDS.format(day=day, account=account_type))


def _fetched(client: V3Client, clock: Clock, target: str) -> bytes | None:
    named = _named(client, clock, target)
    if named is None:
        return None
    try:
        # The address is good for five minutes at most: it is used at once and never kept.
        content = client.download(readable(text, named, "download_url", MAX_URL), MAX_FILE_BYTES)
    except Refusal as refusal:
        raise refusal.as_error() from None
    if readable(BillFile(content).sha1) != readable(_signed_hash, named):
        raise Unknown("a bill whose hash is not the one that WeChat Pay signed")
    return content


def _named(client: V3Client, clock: Clock, target: str) -> dict[str, Any] | None:
    """Where the bill is and what its hash is; None when there is none."""
    try:
        return client.get(target)
    except Refusal as refusal:
        if refusal.code == NO_BILL:
            return None
        raise being_made(clock.now(), BEING_MADE) if refusal.code == BEING_MADE else refusal.as_error() from None


def _signed_hash(named: Mapping[str, Any]) -> str:
    if text(named, "hash_type") != HASH_TYPE:
        raise Unreadable("hash_type is not SHA1")
    return text(named, "hash_value").lower()
