"""The noun of the whole service: one verified, neutral statement by a provider. Plugins make facts, the one consumer
applies them, the database keeps them whole, and a fact that is read back is the fact that was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from app.domain.money import Money


class Kind(StrEnum):
    PENDING = "pending"
    """Known to the provider, not decided. Also the reading of every status word that the plugin does not know."""
    AUTHORIZED = "authorized"
    """The payer's money is reserved for us and not yet the merchant's: the core has it captured, or gives it up."""
    PAID = "paid"
    """The payer's money is the merchant's. Also a renewal: `ref.agreement` and `period_end` are then set."""
    FAILED = "failed"
    """This attempt can never succeed."""
    CLOSED = "closed"
    """Unpaid, and shut by the provider: it can no longer be paid."""
    REFUND_PENDING = "refund_pending"
    REFUNDED = "refunded"
    """Money went back: by our refund, by the provider's decision, or by a dispute."""
    REFUND_FAILED = "refund_failed"
    REFUND_UNDONE = "refund_undone"
    """An earlier refund was taken back (a dispute won, a store's reversal)."""
    REFUND_ASKED = "refund_asked"
    """The payer asked the provider for a refund and the provider wants our word on it."""
    SIGNED = "signed"
    """An auto-debit agreement, or a subscription, is in force."""
    PAST_DUE = "past_due"
    """A store could not collect a subscription's next period and goes on trying. `period_end` is then the end of what
    the payer may use meanwhile; None: nothing."""
    ENDED = "ended"
    """An auto-debit agreement, or a subscription, is over. `ending` says how, where the provider does."""


REFUND_KINDS = frozenset(
    {Kind.REFUND_PENDING, Kind.REFUNDED, Kind.REFUND_FAILED, Kind.REFUND_UNDONE, Kind.REFUND_ASKED}
)


AGREEMENT_KINDS = frozenset({Kind.SIGNED, Kind.PAST_DUE, Kind.ENDED})
"""They state how an agreement stands. The latest word counts, by the provider's time."""


class Ending(StrEnum):
    """How an agreement came to its end."""

    PAYER = "payer"
    """The payer ended it, with us, in the wallet or in the store."""
    US = "us"
    TIME = "time"
    """It was made until this moment, or the payer had said that it was not to be renewed."""
    UNPAID = "unpaid"
    """The store gave up collecting."""
    PROVIDER = "provider"
    """The provider ended it, or took it back: an account closed, a product withdrawn, a purchase revoked."""


class PriceIncrease(StrEnum):
    """A higher price that a store will ask for the next period of a subscription."""

    PENDING = "pending"
    """The payer has not said yes. Without that the subscription ends with its period."""
    ACCEPTED = "accepted"
    """The payer has said yes, or need not be asked."""


class Refusal(StrEnum):
    """Why a charge under an agreement was refused: what the core does next depends on it."""

    NO_MONEY = "no_money"
    """The payer's money does not suffice now, or no way to pay is usable: another day it may."""
    OVER_LIMIT = "over_limit"
    """Beyond what the agreement, the payer or the provider allows for one charge or one day."""
    NOT_NOW = "not_now"
    """Outside the time in which the provider allows this period's charge, or not announced long enough before."""
    AGREEMENT_GONE = "agreement_gone"
    """The agreement is not in force: the core asks about it and charges no more."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one thing at the provider: a payment, a refund of it, or an agreement."""

    ours: str | None = None
    """Our payment number, as given in `Intent.ref.ours`."""
    theirs: str | None = None
    """The provider's own number of the payment."""
    refund: str | None = None
    """The refund's number: ours where we made it (decimal digits, at most 19), the provider's (or its time) where the
    provider did."""
    agreement: str | None = None
    """The provider's own number of the agreement. With it (or `our_agreement`) and without `ours` and `theirs`, the
    agreement itself is named."""
    our_agreement: str | None = None
    """Our number of the agreement, as given in `Terms.ref.our_agreement`. Stores have none."""

    @property
    def is_agreement(self) -> bool:
        """Whether it names an agreement, and no payment under it."""
        return self.ours is None and self.theirs is None and bool(self.agreement or self.our_agreement)


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact, told the same way by a reply, a notification, a receipt, a query, a history page or a bill.

    A refund's size is told in exactly one of three ways: `money` of this refund alone, `total` of all refunds of the
    payment so far, or the `share` of the purchase that is refunded so far. `None` always means "this road does not
    say", never "nothing".
    """

    kind: Kind
    ref: Ref
    at: datetime
    """When it happened, by the provider's clock: aware, UTC."""
    money: Money | None = None
    """What was paid (the ordered amount, before the provider's coupons), or the size of this one refund."""
    total: Money | None = None
    """All refunds of the payment so far, this one included."""
    share: int | None = None
    """What part of the purchase is refunded by now, this refund included, in parts per 100 000, rounded."""
    product: str | None = None
    """The provider's own product id, where it sells by product."""
    quantity: int | None = None
    owner: str | None = None
    """The owner token that the payer's device or our intent attached."""
    account: str | None = None
    """Whose money: the merchant identity found in the message, in the form of `Provider.account`."""
    live: bool = True
    """False for the provider's sandbox."""
    period_end: datetime | None = None
    price: Money | None = None
    """Of a PAID at a store that sets its own prices, in the place of `money`: what its customer was shown and paid, for
    the whole quantity. No amount was ordered, so the price is compared with nothing; it is what the books take as the
    gross. None: the store does not say, and the coins are *unvalued*."""
    storefront: str | None = None
    """The territory of the store in which it was bought, ISO 3166-1, two letters."""
    fee: Money | None = None
    """What the provider kept of a payment; on a refund, what the provider gave back of that."""
    dispute_fee: Money | None = None
    """On a refund: what the provider charges for the dispute that brought it, on top of the money that went back. The
    latest word of the provider counts; a fee that it waives later is told as an amount of 0."""
    occurrence: str = ""
    """On a refund that can be done, fail or be taken back, and be done again under one number, and on an agreement that
    can be past due, or end, more than once: what tells a later telling of the same kind from the first (the provider's
    number of the attempt, or its time). Empty for the first. The state is then that of the latest word, by the
    provider's time."""
    refunds_unknown: bool = False
    """The provider says that money of this payment went back, and cannot say here how much: the core asks, or holds the
    payment until a bill tells."""
    spares: str | None = None
    """Of a REFUND_UNDONE that names no refund, and so undoes all of them: the number of one that it leaves as it is."""
    replaces: str | None = None
    """Of a PAID under an agreement: it takes the place of the period that was running, and the provider gives back what
    is left of that one, by its time. The number under which a query would tell that refund."""
    renews: bool | None = None
    """Of SIGNED and PAST_DUE about a store's subscription: whether the store will collect a further period."""
    price_increase: PriceIncrease | None = None
    """Of SIGNED that tells `renews`: a higher price of the next period. None: there is none."""
    next_product: str | None = None
    """Of SIGNED that tells `renews`: the provider's id of another product, which the next period will be of."""
    ending: Ending | None = None
    """Of ENDED: how."""
    shared: bool = False
    """Of SIGNED, PAST_DUE and ENDED about a store's subscription: somebody else pays for it, and shares it with its
    holder (a family). The holder pays nothing, so no PAID is told of it. The store knows no owner token of the holder:
    the agreement is of whoever first hands in the store's signed proof of it."""
    refusal: Refusal | None = None
    """Of the FAILED of a charge under an agreement: why. None counts as `OTHER`."""
    cause: str = ""
    """The provider's word for why, for people."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """What the provider said, for audit only. JSON-able, without secrets."""


def key_of(fact: Fact) -> str:
    """The identity of the fact, the same on every road.

    A payment is named by the provider's number, since one of our numbers may be paid twice; an undecided, failed or
    closed attempt by ours, since the provider may never have numbered it. An agreement that can end and begin again
    under one number is told apart by the end of its period, where the provider names one, and by its `occurrence`. An
    agreement that is only being signed may have no number of the provider's yet.
    """
    ref = fact.ref
    if fact.kind is Kind.PAID:
        parts = [ref.theirs]
    elif fact.kind in REFUND_KINDS:
        parts = [ref.theirs or ref.ours, ref.refund, *([fact.occurrence] if fact.occurrence else [])]
    elif fact.kind in AGREEMENT_KINDS:
        parts = [ref.agreement or ref.our_agreement or ref.theirs]
        if fact.period_end is not None:
            parts.append(fact.period_end.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
        if fact.occurrence:
            parts.append(fact.occurrence)
    else:
        parts = [ref.ours or ref.theirs or ref.our_agreement or ref.agreement]
    key: str = fact.kind.value
    for part in parts:
        key += ":" + (part or "").replace("%", "%25").replace(":", "%3A")
    return key


COMPARED = (
    "ours",
    "theirs",
    "refund",
    "agreement",
    "our_agreement",
    "amount_minor",
    "currency",
    "total_minor",
    "share",
    "spares",
    "replaces",
    "product",
    "quantity",
    "owner",
    "account",
    "live",
)
"""The fields of a stored fact in which two tellings must not differ. Times, fees and causes may differ by road."""


class StoredContent(dict[str, Any]):
    """What a stored fact says, by member. A member that it lacks was not told: None. (Rows of before 2026-11-29 say so
    of each such member that their version knew.)"""

    def __missing__(self, name: str) -> None:
        return None


def content_of(fact: Fact) -> dict[str, Any]:
    """Every member that a fact can have, as JSON; None where this one does not tell it."""
    ref, size, fee = fact.ref, fact.money or fact.total, fact.fee
    return {
        "ours": ref.ours,
        "theirs": ref.theirs,
        "refund": ref.refund,
        "agreement": ref.agreement,
        "amount_minor": fact.money.minor if fact.money else None,
        "currency": size.currency if size else None,
        "total_minor": fact.total.minor if fact.total else None,
        "share": fact.share,
        "product": fact.product,
        "quantity": fact.quantity,
        "owner": fact.owner,
        "account": fact.account,
        "live": fact.live,
        "period_end": fact.period_end.isoformat() if fact.period_end else None,
        "fee_minor": fee.minor if fee else None,
        "fee_currency": fee.currency if fee else None,
        "dispute_fee_minor": fact.dispute_fee.minor if fact.dispute_fee else None,
        "dispute_fee_currency": fact.dispute_fee.currency if fact.dispute_fee else None,
        "occurrence": fact.occurrence or None,
        "cause": fact.cause or None,
        "refunds_unknown": fact.refunds_unknown or None,
        "spares": fact.spares,
        "replaces": fact.replaces,
        "our_agreement": ref.our_agreement,
        "renews": fact.renews,
        "ending": fact.ending,
        "refusal": fact.refusal,
        "price_increase": fact.price_increase,
        "price_minor": fact.price.minor if fact.price else None,
        "price_currency": fact.price.currency if fact.price else None,
        "storefront": fact.storefront,
        "next_product": fact.next_product,
        "shared": fact.shared or None,
    }


def told_by(fact: Fact) -> StoredContent:
    """The fact as it is stored: only what it tells."""
    return StoredContent({name: value for name, value in content_of(fact).items() if value is not None})


def fact_of(kind: str, at: datetime, content: Mapping[str, Any], raw: Mapping[str, Any]) -> Fact:
    """The fact that was stored with this content."""
    content = StoredContent(content)
    period_end, fee = content["period_end"], content["fee_minor"]
    return Fact(
        kind=Kind(kind),
        ref=Ref(content["ours"], content["theirs"], content["refund"], content["agreement"], content["our_agreement"]),
        at=at,
        money=_money(content["amount_minor"], content["currency"]),
        total=_money(content["total_minor"], content["currency"]),
        share=content["share"],
        product=content["product"],
        quantity=content["quantity"],
        owner=content["owner"],
        account=content["account"],
        live=content["live"],
        period_end=datetime.fromisoformat(period_end) if period_end else None,
        fee=_money(fee, content["fee_currency"]),
        dispute_fee=_money(content["dispute_fee_minor"], content["dispute_fee_currency"]),
        occurrence=content["occurrence"] or "",
        refunds_unknown=bool(content["refunds_unknown"]),
        spares=content["spares"],
        replaces=content["replaces"],
        renews=content["renews"],
        ending=Ending(content["ending"]) if content["ending"] else None,
        refusal=Refusal(content["refusal"]) if content["refusal"] else None,
        price_increase=PriceIncrease(content["price_increase"]) if content["price_increase"] else None,
        price=price_of(content),
        storefront=content["storefront"],
        next_product=content["next_product"],
        shared=bool(content["shared"]),
        cause=content["cause"] or "",
        raw=raw,
    )


PRICED = ("price_minor", "price_currency")
"""What a store tells of its price. A later telling does not add these once the fact was booked: the books of a purchase
follow from the fact as it was booked, and a purchase that was booked without a price stays unvalued."""


def price_of(content: Mapping[str, Any]) -> Money | None:
    """The store's price in a stored fact."""
    return _money(content.get("price_minor"), content.get("price_currency"))


def contradictions(first: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """The fields in which two tellings of one fact differ. What a road does not say (None) contradicts nothing."""
    both = ((name, first.get(name), again.get(name)) for name in COMPARED)
    return sorted(name for name, told, retold in both if None not in (told, retold) and told != retold)


def completed(first: Mapping[str, Any], again: Mapping[str, Any], *, is_booked: bool) -> StoredContent:
    """The stored content, with what another telling says and the first one did not. `is_booked`: whether its money was
    booked by what was told first."""
    stays = PRICED if is_booked else ()
    news = {name: value for name, value in again.items() if value is not None and name not in stays}
    return StoredContent({**first, **{name: value for name, value in news.items() if first.get(name) is None}})


def _money(minor: int | None, currency: str | None) -> Money | None:
    return Money(minor, currency) if minor is not None and currency is not None else None
