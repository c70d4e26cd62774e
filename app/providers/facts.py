"""The envelopes in which facts travel between a plugin and the core. The fact itself is `app.domain.facts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from app.domain.facts import AGREEMENT_KINDS, REFUND_KINDS, Ending, Fact, Kind, PriceIncrease, Ref, Refusal, key_of
from app.domain.money import Money

__all__ = [
    "AGREEMENT_KINDS",
    "REFUND_KINDS",
    "Ending",
    "Fact",
    "Intent",
    "Kind",
    "Message",
    "Page",
    "PriceIncrease",
    "Received",
    "Ref",
    "Refusal",
    "Reply",
    "Started",
    "key_of",
]


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
    problems: tuple[str, ...] = ()
    """Rows of the page that could not be read, for people: the rest was."""
