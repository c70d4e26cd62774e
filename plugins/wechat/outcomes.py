"""What answers mean for the verbs, the same in both generations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec, TypeVar

from app.providers import Fact, Kind, Ref, Started, Unknown
from plugins.wechat.documents import Unreadable
from plugins.wechat.mapping import CLOSED_CODES, MISSING_CODES, PAID_CODES
from plugins.wechat.merchant import Merchant
from plugins.wechat.refusal import Refusal

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[[Ref], tuple[Fact, ...]]
ALREADY_PAID = {"type": "none"}
"""The action for an order that turned out to be paid: nothing is left for the client to do."""


def readable(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A verified answer that has not the promised shape leaves the outcome unknown."""
    try:
        return read(*args, **kwargs)
    except Unreadable as error:
        raise Unknown(f"a signed answer that cannot be read: {error}") from None


def started_before(refusal: Refusal, ref: Ref, query: Query) -> Started:
    """A repeated `start` of an order that was paid meanwhile is no failure; any other refusal is."""
    if refusal.code not in PAID_CODES:
        raise refusal.as_error() from None
    facts = query(ref)
    if not any(fact.kind is Kind.PAID for fact in facts):
        raise Unknown("WeChat Pay says that the number is used, but not by a payment", code=refusal.code)
    return Started(action=ALREADY_PAID, facts=facts)


def not_closed(refusal: Refusal, ref: Ref, query: Query, closed: Fact) -> tuple[Fact, ...]:
    """A refused `cancel`: closed before, unknown to WeChat Pay, or paid by a payer who was faster."""
    if refusal.code in MISSING_CODES:
        return ()
    if refusal.code in CLOSED_CODES:
        return (closed,)
    if refusal.code in PAID_CODES:
        return query(ref)
    raise refusal.as_error() from None


def closed_fact(ref: Ref, merchant: Merchant, at: datetime) -> Fact:
    """Of an order that WeChat Pay has closed at our word; its answer to that has no content."""
    return Fact(
        kind=Kind.CLOSED, ref=Ref(ours=ref.ours), at=at, account=merchant.account, live=merchant.live, cause="CLOSED"
    )
