"""How a subscription stands, in the store's words: its renewal info, and the facts that are told with it.

A standing can come again within one period (past due, renewal switched off), and no document tells when it began. So
what a notification says of the renewal is told apart by the moment at which Apple signed that. PAST_DUE is told apart
by the period after which nothing could be collected: it begins once for each. A query tells PAST_DUE under that key
too, a renewal that is switched off as `off`, a higher price as `price-pending` and `price-accepted`, and another
product of the next period as `next-` and its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.providers import Ending, Fact, Kind, PriceIncrease
from plugins.apple.signed_data import moment
from plugins.apple.transactions import Transaction, ended, signed

EXPIRED, BILLING_RETRY, GRACE_PERIOD, REVOKED = 2, 3, 4, 5
"""A subscription's `status`; 1 is active."""
INTENTS: Mapping[object, Ending] = {
    1: Ending.TIME,  # the customer had switched the renewal off, and the period was used to its end
    2: Ending.UNPAID,
    3: Ending.PAYER,  # did not consent to a higher price
    4: Ending.PROVIDER,  # the product was not for sale at the renewal
}
"""`expirationIntent`; 5 is "other"."""
LONGEST_PRODUCT = 200
"""Characters of the next period's product: beside other words it is in the name of a fact, which has 255."""
RENEWS: Mapping[object, bool] = {0: False, 1: True}
"""`autoRenewStatus`."""
PRICES: Mapping[object, PriceIncrease] = {0: PriceIncrease.PENDING, 1: PriceIncrease.ACCEPTED}
"""`priceIncreaseStatus`, which is there only while a higher price is coming."""
SUBTYPES: Mapping[str, Ending] = {
    "VOLUNTARY": Ending.TIME,
    "BILLING_RETRY": Ending.UNPAID,
    "PRICE_INCREASE": Ending.PAYER,
    "PRODUCT_NOT_FOR_SALE": Ending.PROVIDER,
}
"""What EXPIRED says where its renewal info is missing."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a verified renewal info says. A member of another form is as good as none, and refuses nothing."""

    renews: bool | None = None
    grace_until: datetime | None = None
    ending: Ending | None = None
    price_increase: PriceIncrease | None = None
    product: str | None = None
    """What the next period will be of: another product after a downgrade, or a crossgrade of another duration."""
    signed_at: datetime | None = None


def renewal_of(payload: Mapping[str, Any]) -> Renewal:
    """The renewal info as it decides something."""
    return Renewal(
        renews=RENEWS.get(_number(payload.get("autoRenewStatus"))),
        grace_until=_moment_or_none(payload.get("gracePeriodExpiresDate")),
        ending=INTENTS.get(_number(payload.get("expirationIntent"))),
        price_increase=PRICES.get(_number(payload.get("priceIncreaseStatus"))),
        product=_product_or_none(payload.get("autoRenewProductId")),
        signed_at=_moment_or_none(payload.get("signedDate")),
    )


def in_force(transaction: Transaction, raw: Mapping[str, Any], renewal: Renewal) -> Fact:
    """The subscription runs until the end of this period, and will be renewed or not."""
    changes = renewal.renews is not False and renewal.product not in (None, transaction.product_id)
    return replace(
        signed(transaction, raw),
        renews=renewal.renews,
        price_increase=renewal.price_increase,
        next_product=renewal.product if changes else None,
    )


def changed_renewal(transaction: Transaction, raw: Mapping[str, Any], renewal: Renewal, at: datetime) -> Fact:
    """In force, as the customer or the store changed it at that moment: the renewal, or the end of the period."""
    occurrence = str(int(at.timestamp() * 1000))
    return replace(in_force(transaction, raw, renewal), at=at, occurrence=occurrence)


def past_due(transaction: Transaction, raw: Mapping[str, Any], renewal: Renewal, at: datetime, *, grace: bool) -> Fact:
    """Apple could not collect the period after this one, and goes on trying for up to 60 days."""
    return replace(
        signed(transaction, raw),
        kind=Kind.PAST_DUE,
        at=at,
        period_end=renewal.grace_until if grace else None,
        occurrence=str(transaction.expires_date or transaction.transaction_id),
        renews=renewal.renews,
    )


def over(
    transaction: Transaction, raw: Mapping[str, Any], cause: str, ending: Ending | None, at: datetime | None
) -> Fact:
    """Over at its period's end, or when it was revoked; one that was past due, when Apple said so (`at`).

    One of which money went back ran on until its end, or until Apple said that it is over: the date of that refund is
    older than what was said of the renewal since.
    """
    fact = replace(ended(transaction, raw, cause), ending=ending)
    if at is None:
        return fact
    if ending is Ending.UNPAID:
        return replace(fact, at=max(fact.at, at))
    if transaction.revocation_date is None or transaction.is_shared:
        return fact
    ends_at = at if transaction.expires_date is None else moment(transaction.expires_date)
    return replace(fact, at=min(ends_at, at))


def standing(status: object, transaction: Transaction, raw: Mapping[str, Any], renewal: Renewal) -> Fact:
    """What the answer of Get All Subscription Statuses says of one subscription."""
    at = renewal.signed_at or moment(transaction.signed_date)
    if status == REVOKED:
        return over(transaction, raw, "REVOKED", Ending.PROVIDER, at)
    if status == EXPIRED:
        return over(transaction, raw, "EXPIRED", renewal.ending, at)
    if status in (BILLING_RETRY, GRACE_PERIOD):
        return past_due(transaction, raw, renewal, at, grace=status == GRACE_PERIOD)
    fact = in_force(transaction, raw, renewal)
    words = ["off"] if renewal.renews is False else []
    words += [f"price-{renewal.price_increase}"] if renewal.price_increase is not None else []
    words += [f"next-{fact.next_product}"] if fact.next_product is not None else []
    return replace(fact, at=at, occurrence="-".join(words)) if words else fact


def _product_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_PRODUCT else None


def _number(value: object) -> int | None:
    return value if type(value) is int else None


def _moment_or_none(value: object) -> datetime | None:
    number = _number(value)
    return moment(number) if number is not None and 0 < number < 4_102_444_800_000 else None
