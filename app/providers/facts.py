"""The noun of the port: one verified, neutral statement by a provider, and the envelopes in which it travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from app.domain.money import Money


class Kind(StrEnum):
    PENDING = "pending"
    """Known to the provider, not decided. Also the reading of every status word that the plugin does not know."""
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
    """An auto-debit agreement is in force."""
    ENDED = "ended"
    """An auto-debit agreement, or a subscription, is over."""


REFUND_KINDS = frozenset(
    {Kind.REFUND_PENDING, Kind.REFUNDED, Kind.REFUND_FAILED, Kind.REFUND_UNDONE, Kind.REFUND_ASKED}
)


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one thing at the provider: a payment, a refund of it, or an agreement."""

    ours: str | None = None
    """Our payment number, as given in `Intent.ref.ours`."""
    theirs: str | None = None
    """The provider's own number of the payment."""
    refund: str | None = None
    """The refund's number: ours where we made it, the provider's (or its time) where the provider did."""
    agreement: str | None = None


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
    fee: Money | None = None
    cause: str = ""
    """The provider's word for why, for people."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """What the provider said, for audit only. JSON-able, without secrets."""


def key_of(fact: Fact) -> str:
    """The identity of the fact, the same on every road.

    A payment is named by the provider's number, since one of our numbers may be paid twice; an undecided, failed or
    closed attempt by ours, since the provider may never have numbered it. An agreement that can end and begin again
    under one number is told apart by the end of its period, where the provider names one.
    """
    ref = fact.ref
    if fact.kind is Kind.PAID:
        parts = [ref.theirs]
    elif fact.kind in REFUND_KINDS:
        parts = [ref.theirs or ref.ours, ref.refund]
    elif fact.kind in (Kind.SIGNED, Kind.ENDED):
        parts = [ref.agreement or ref.theirs]
        if fact.period_end is not None:
            parts.append(fact.period_end.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
    else:
        parts = [ref.ours or ref.theirs]
    return ":".join([fact.kind, *((part or "").replace("%", "%25").replace(":", "%3A") for part in parts)])


@dataclass(frozen=True, slots=True)
class Intent:
    """A payment that we want made. The core stores it before the call; a retry brings the very same values."""

    ref: Ref
    """`ours` is set: the payment number, decimal digits, at most 19."""
    money: Money | None
    """None where the store sets the price."""
    subject: str
    """For the payer to read, at most 128 characters."""
    product: str
    """The provider's product id where one is configured, else our sku."""
    quantity: int
    owner: str
    """The user's opaque account token (a UUID as text): safe to hand to a provider."""
    way: str
    """One of `Provider.ways`."""
    created_at: datetime
    expires_at: datetime
    """After this the payment must not be payable any more."""
    notify_url: str
    return_url: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What this way needs besides, as validated by the model in `Provider.ways`."""


@dataclass(frozen=True, slots=True)
class Started:
    """What `start` came to."""

    action: Mapping[str, Any]
    """What the client does next; `type` tells how to read the rest: `{"type": "qr", "code": "https://…"}`."""
    facts: tuple[Fact, ...] = ()
    """What the provider already said about it (its number, or even that it is paid)."""


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes that somebody sent us, claiming to speak for the provider."""

    source: Literal["notification", "receipt"]
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    query_string: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer in the provider's words."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """An authentic message, read."""

    facts: tuple[Fact, ...]
    """Empty for authentic messages that say nothing of interest (a test, an unknown event type)."""
    reply: Reply
    """To be sent once every fact is committed."""
    failure: Reply = Reply(503, "text/plain", b"try again later")
    """To be sent when the facts could not be stored: must make the provider send the message again."""
    message_id: str | None = None
    signed_at: datetime | None = None
    asks: tuple[Ref, ...] = ()
    """What the message names without proving it, or what the settings want confirmed: the core queries each of these
    and believes only the answer. A named purchase that the provider does not know yet is asked about again later."""
    bearer_proof: bool = False
    """True: the sender holds a document that the provider signed for the buyer, not merely a number that anybody may
    know. Only then may a purchase without an owner token, in `facts` or in the answer to `asks`, go to its sender."""
    proof: str = ""
    """The identity of the proof itself, whatever the bytes around it: two messages with one proof are one. Empty: the
    bytes are the identity."""
    note: str = ""
    """For people: why an authentic message says nothing that can be used (an event type of tomorrow). Such a message is
    worth storing and worth an alarm."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a history or a bill."""

    facts: tuple[Fact, ...]
    cursor: str | None
    """Where to go on; None when the window is complete."""
    files: tuple[tuple[str, bytes], ...] = ()
    """The documents as the provider made them, for the books: (name, content)."""
