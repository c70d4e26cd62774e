"""All refunds of one payment by API v2 (`/pay/refundquery` by the payment's number). API v3 has no such question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from app.providers import Fact
from plugins.wechat.documents import Unreadable, text
from plugins.wechat.merchant import Merchant
from plugins.wechat.outcomes import readable
from plugins.wechat.v2.reading import MAX_REFUNDS, queried_refunds

PATH = "pay/refundquery"
Ask = Callable[[str, Mapping[str, str]], dict[str, str] | None]


def with_refunds(paid: Fact, ask: Ask, merchant: Merchant, told_at: datetime) -> tuple[Fact, ...]:
    """The payment and its refunds, those of the merchant site too. An answer holds ten at most, so it is asked from an
    offset until all have come; if not all come, the payment still says that something is not known."""
    found: dict[str, Fact] = {}
    total = MAX_REFUNDS
    for _ in range(MAX_REFUNDS):
        fields = ask(PATH, {"transaction_id": str(paid.ref.theirs), "offset": str(len(found))})
        if fields is None:
            break
        total = readable(_total, fields)
        before = len(found)
        for fact in readable(_listed, fields, merchant, told_at):
            if fact.ref.theirs == paid.ref.theirs:
                found[str(fact.ref.refund)] = fact
        if len(found) >= total or len(found) == before:
            break
    return replace(paid, refunds_unknown=not 0 < total <= len(found)), *found.values()


def _listed(fields: Mapping[str, str], merchant: Merchant, told_at: datetime) -> list[Fact]:
    return list(queried_refunds(fields, merchant, told_at))


def _total(fields: Mapping[str, str]) -> int:
    """How many refunds the payment has. Raises Unreadable."""
    for name in ("total_refund_count", "refund_count"):
        if name in fields:
            number = text(fields, name, 4)
            if number.isascii() and number.isdecimal():
                return int(number)
            raise Unreadable(f"{name} is not a number")
    raise Unreadable("no number of refunds")
