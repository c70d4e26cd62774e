"""What answers mean for the verbs, the same in both generations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import ParamSpec, TypeVar

from app.providers import Declined, Ending, Fact, Kind, ProviderError, Ref, Started, Unknown
from app.providers import Refusal as WhyRefused
from plugins.wechat.documents import Unreadable
from plugins.wechat.mapping import CHARGE_REFUSALS, CLOSED_CODES, MISSING_CODES, PAID_CODES, UNDECIDED_REFUSALS
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


def charge_error(refusal: Refusal) -> ProviderError:
    """The error of a refused deduction. No money (NOTENOUGH) is the payer's here, and so a definite no."""
    error = refusal.as_error()
    if refusal.code in CHARGE_REFUSALS.keys() - UNDECIDED_REFUSALS:
        return Declined(str(error), code=refusal.code, refusal=CHARGE_REFUSALS[refusal.code])
    return error


def not_charged(refusal: Refusal, ref: Ref, query: Query) -> tuple[Fact, ...]:
    """A refused deduction counts only if its number came to nothing: an earlier attempt may have been accepted.

    INVALID_REQUEST has many causes. Where WeChat Pay knows no deduction of that number, nothing was accepted, and the
    usual cause is a deduction that was not announced, or not for this day.
    """
    error = charge_error(refusal)
    if not isinstance(error, Declined) and refusal.code not in PAID_CODES | {UNANNOUNCED}:
        raise error from None
    known = query(ref)
    if any(fact.kind in (Kind.PAID, Kind.FAILED) or fact.cause in ACCEPTED_STATES for fact in known):
        return known
    if refusal.code == UNANNOUNCED and not known:
        raise Declined(str(error), code=refusal.code, refusal=WhyRefused.NOT_NOW) from None
    raise error from None


UNANNOUNCED = "INVALID_REQUEST"
ACCEPTED_STATES = frozenset({"ACCEPT", "USERPAYING"})
"""A deduction that WeChat Pay has taken on. NOTPAY is none: its number can be used again (api_external FAQ)."""


def pending_charge(ours: str | None, ref: Ref, merchant: Merchant, at: datetime) -> Fact:
    """A deduction that was accepted, no more: its answer has no state in it."""
    return Fact(
        kind=Kind.PENDING,
        ref=Ref(ours=ours, agreement=ref.agreement, our_agreement=ref.our_agreement),
        at=at,
        account=merchant.account,
        live=merchant.live,
        cause="ACCEPT",
    )


def ended_contract(ref: Ref, merchant: Merchant, at: datetime, ending: Ending | None, cause: str = "") -> Fact:
    """A contract that WeChat Pay has ended at our word, or that it knows no more."""
    return Fact(
        kind=Kind.ENDED,
        ref=Ref(agreement=ref.agreement, our_agreement=ref.our_agreement),
        at=at,
        account=merchant.account,
        live=merchant.live,
        ending=ending,
        cause=cause,
    )


def was_signed(ref: Ref) -> bool:
    """A contract that is known by both numbers was in force once: where WeChat Pay knows it no more, it is over."""
    return ref.agreement is not None and ref.our_agreement is not None


def under(ref: Ref, fact: Fact) -> Fact:
    """The fact, with the contract that the deduction was made under."""
    return replace(fact, ref=replace(fact.ref, agreement=ref.agreement, our_agreement=ref.our_agreement))
