"""From an intent to values that WeChat Pay takes: texts, addresses, amounts, the same in both generations."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta

from app.domain.money import Money
from app.providers import Declined, Intent, Misconfigured, Terms
from plugins.wechat.documents import CNY

LEAST_SECONDS = 61
"""Between now and the end of an order. The end must be more than a minute ahead; WeChat Pay answers PARAM_ERROR
otherwise (v2's page 9_1 on `time_expire`; v3 says so in its answer, WeiXinMPSDK #1490)."""
TOO_LITTLE_TIME = "TOO_LITTLE_TIME"
"""The code of an order that is not sent, because too little time is left of it."""
SUBJECT_BYTES = 127
REASON_BYTES = 80
"""Of a refund, for the payer to read."""
NOTIFY_URL_CHARACTERS = 256
# '&' and '=' could imitate other fields in v2's string to sign; ']]>' ends a CDATA section; a comma shifts the columns
# of the bill; control characters break both.
_TROUBLE = re.compile(r"[&=,<>\[\]\x00-\x1f\x7f]+")


def subject_for_payer(subject: str, limit: int = SUBJECT_BYTES) -> str:
    """The subject, at most `limit` bytes of UTF-8 (the pages disagree on bytes and characters), without trouble."""
    clean = " ".join(_TROUBLE.sub(" ", subject).split())
    return clean.encode(errors="ignore")[:limit].decode(errors="ignore").strip() or "-"


def usable_notify_url(intent: Intent | Terms) -> str:
    """The notify URL of either. Raises Misconfigured: WeChat Pay drops query strings and long addresses."""
    url = intent.notify_url
    if "?" in url or "#" in url or len(url) > NOTIFY_URL_CHARACTERS:
        raise Misconfigured("the public URL of this service must give notify URLs of at most 256 characters, no query")
    return url


def require_time(intent: Intent, now: datetime) -> None:
    """Raises Declined for an order that WeChat Pay would not take any more. Parts of a second are not sent."""
    if intent.expires_at.replace(microsecond=0) - now < timedelta(seconds=LEAST_SECONDS):
        raise Declined("WeChat Pay takes no order that ends within a minute", code=TOO_LITTLE_TIME)


def ordered(intent: Intent) -> tuple[str, int]:
    """Our number and the amount in fen. Raises Misconfigured or Declined."""
    if intent.ref.ours is None or intent.money is None:
        raise Misconfigured("an order needs our number and an amount")
    return intent.ref.ours, chargeable(intent.money)


def chargeable(money: Money) -> int:
    """Fen, at least one. Raises Declined."""
    if money.currency != CNY or money.minor < 1:
        raise Declined("WeChat Pay charges at least 0.01 CNY, and CNY only")
    return money.minor


def nonce_from(*parts: str) -> str:
    """32 characters that are always the same for the same parts, so that a repeated request is the same request."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32].upper()
