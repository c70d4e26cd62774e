"""What the sandbox's words mean: status and error tables as data, and documents read into facts.

Amounts are integers in minor units, times are RFC 3339 in UTC. Whatever cannot be read strictly raises Unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from app.domain.money import MAX_MINOR, Money
from app.providers import (
    Declined,
    Ending,
    Fact,
    Kind,
    Misconfigured,
    ProviderError,
    Ref,
    Refusal,
    Retryable,
    Unknown,
    UnreadableJson,
    read_json_object,
)

_WRITTEN = "%Y-%m-%dT%H:%M:%SZ"
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)

PAYMENT_STATUS: dict[str, Kind] = {
    "WAITING": Kind.PENDING,
    "AUTHORIZED": Kind.AUTHORIZED,  # reserved at the payer's bank: to be captured, or closed
    "PAID": Kind.PAID,
    "FAILED": Kind.FAILED,
    "CLOSED": Kind.CLOSED,
}
"""A word that is not here means PENDING: the provider may invent one tomorrow."""

REFUND_STATUS: dict[str, Kind] = {
    "WAITING": Kind.REFUND_PENDING,
    "DONE": Kind.REFUNDED,
    "FAILED": Kind.REFUND_FAILED,
    "REVERSED": Kind.REFUND_UNDONE,  # done, and taken back: the merchant has the money again
}
"""A word that is not here means REFUND_PENDING."""

AGREEMENT_STATUS: dict[str, Kind] = {
    "SIGNING": Kind.PENDING,
    "ABANDONED": Kind.FAILED,  # not signed in time, or given up by the merchant
    "ACTIVE": Kind.SIGNED,
    "ENDED": Kind.ENDED,
}
"""A word that is not here means PENDING."""

ENDED_BY: dict[str, Ending] = {
    "PAYER": Ending.PAYER,
    "MERCHANT": Ending.US,
    "TIME": Ending.TIME,
    "SANDBOX": Ending.PROVIDER,
}

REFUSALS: dict[str, Refusal] = {
    "NO_MONEY": Refusal.NO_MONEY,
    "OVER_LIMIT": Refusal.OVER_LIMIT,
    "TOO_EARLY": Refusal.NOT_NOW,
    "NOT_ANNOUNCED": Refusal.NOT_NOW,
    "AGREEMENT_ENDED": Refusal.AGREEMENT_GONE,
    "NO_SUCH_AGREEMENT": Refusal.AGREEMENT_GONE,
    "CHARGE_REFUSED": Refusal.OTHER,
}
"""Why a charge is refused, at once by an error or later by the payment's `refusal`. Another word means OTHER."""

ERRORS: dict[str, type[ProviderError]] = {
    "BAD_REQUEST": Declined,
    "NUMBER_TAKEN": Declined,  # the number was used before, with other content
    "CLOSED": Declined,
    "NOT_PAID": Declined,
    "NOT_AUTHORIZED": Declined,
    "TOO_MUCH": Declined,
    "REFUND_REFUSED": Declined,
    "NO_SUCH_PAYMENT": Declined,
    "NO_SUCH_REFUND": Declined,
    "BUSY": Retryable,  # documented as "nothing was done"
    "BILL_NOT_READY": Retryable,  # made an hour after its day has ended
    "NOT_AUTHENTIC": Misconfigured,
    "INTERNAL": Unknown,
}
"""A code that is not here means Unknown."""

NOTHING_THERE = frozenset({"NO_SUCH_PAYMENT", "NO_SUCH_REFUND", "NO_SUCH_AGREEMENT"})
"""What a query or a close reads as `()`."""


def error_of(code: str) -> ProviderError:
    """What an error code of the provider means."""
    text = f"the sandbox answered {code}"
    if code in REFUSALS:
        return Declined(text, code=code, refusal=REFUSALS[code])
    return ERRORS.get(code, Unknown)(text, code=code)


def moment(text: object) -> datetime:
    """Read `2026-01-02T03:04:05Z`, and nothing else: not a number, not a local time."""
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        raise ValueError("not a moment in UTC")
    return datetime.strptime(text, _WRITTEN).replace(tzinfo=UTC)


Moment = Annotated[datetime, BeforeValidator(moment)]
Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Amount = Annotated[StrictInt, Field(gt=0, le=MAX_MINOR)]
Currency = Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")]
Word = Annotated[str, Field(strict=True, pattern=r"^[A-Z_]{1,32}$")]
Owner = Annotated[str, Field(strict=True, pattern=r"^[ -~]{0,64}$")]
Document = TypeVar("Document", bound=BaseModel)


class Unreadable(Exception):
    """Authentic, perhaps, but not a document of this protocol. The text quotes nothing of it."""


class Refund(BaseModel):
    """Money given back, or about to be."""

    model_config = ConfigDict(extra="ignore")

    number: Name
    payment_id: Name
    payment_number: Name
    status: Word
    amount: Amount
    currency: Currency
    at: Moment
    """When it came into its present status."""
    done_at: Moment | None = None
    """When the payer got the money, also where it was taken back later."""
    attempt: Annotated[StrictInt, Field(ge=1, le=1_000)] = 1
    """A refund that came back may be sent once more, under its number."""
    dispute_fee: Annotated[StrictInt, Field(ge=0, le=MAX_MINOR)] | None = None
    """What the merchant pays for a dispute that it lost, in the currency of the refund."""


class Payment(BaseModel):
    """One payment as every road shows it."""

    model_config = ConfigDict(extra="ignore")

    id: Name
    number: Name
    status: Word
    amount: Amount
    currency: Currency
    owner: Owner
    at: Moment
    """When it came into its present status."""
    refunds: tuple[Refund, ...] = ()
    agreement_id: Name | None = None
    """Of a charge, and of the payment that was made while signing."""
    refusal: Word | None = None
    """Of a charge that failed."""


class Agreement(BaseModel):
    """The payer's consent to be charged, as every road shows it."""

    model_config = ConfigDict(extra="ignore")

    id: Name
    number: Name
    status: Word
    owner: Owner
    at: Moment
    """When it came into its present status."""
    valid_until: Moment | None = None
    ended_by: Word | None = None


class Envelope(BaseModel):
    """What notifications and replies have in common: whose it is, and what it is about."""

    model_config = ConfigDict(extra="ignore")

    merchant: Name
    live: StrictBool
    payment: Payment | None = None
    refund: Refund | None = None
    agreement: Agreement | None = None
    payments: tuple[Any, ...] = ()
    """Read one by one, so that an odd row does not stop its page."""
    cursor: Name | None = None


def parsed(body: bytes) -> Mapping[str, Any]:
    """The JSON object in these bytes. Refuses whatever two readers could read differently."""
    try:
        return read_json_object(body)
    except UnreadableJson as error:
        raise Unreadable(str(error)) from None


def read(model: type[Document], document: Mapping[str, Any]) -> Document:
    """The document as that model. The validation error itself is dropped: it quotes what the sender wrote."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        places = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)}))
        raise Unreadable(f"not as documented: {places[:200]}") from None


def facts_of(document: Mapping[str, Any]) -> tuple[Fact, ...]:
    """All facts that a verified document states, in this order: a payment and its refunds; a refund; an agreement."""
    envelope = read(Envelope, document)
    facts = _of_payment(envelope, envelope.payment) if envelope.payment else []
    if envelope.refund is not None:
        facts.append(_of_refund(envelope, envelope.refund))
    if envelope.agreement is not None:
        facts.append(_of_agreement(envelope, envelope.agreement))
    return tuple(facts)


def history_of(document: Mapping[str, Any]) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """The facts of a page of the history, and what is wrong with the rows that cannot be read."""
    envelope = read(Envelope, document)
    facts: list[Fact] = []
    problems: list[str] = []
    for number, row in enumerate(envelope.payments, start=1):
        try:
            facts += _of_payment(envelope, read(Payment, row))
        except Unreadable as error:
            problems.append(f"row {number} of the history is {error}")
    return tuple(facts), tuple(problems)


def _of_payment(envelope: Envelope, payment: Payment) -> list[Fact]:
    paid = Fact(
        kind=PAYMENT_STATUS.get(payment.status, Kind.PENDING),
        ref=Ref(ours=payment.number, theirs=payment.id, agreement=payment.agreement_id),
        at=payment.at,
        money=Money(payment.amount, payment.currency),
        owner=payment.owner or None,
        account=envelope.merchant,
        live=envelope.live,
        refusal=None if payment.refusal is None else REFUSALS.get(payment.refusal, Refusal.OTHER),
        cause=payment.refusal or "",
        raw=payment.model_dump(mode="json"),
    )
    return [paid, *(fact for refund in payment.refunds for fact in _story_of(envelope, refund))]


def _story_of(envelope: Envelope, refund: Refund) -> list[Fact]:
    """What became of a refund. One that was taken back was done before: whoever hears of it only now learns both."""
    last = _of_refund(envelope, refund)
    if last.kind is Kind.REFUND_UNDONE:
        return [replace(last, kind=Kind.REFUNDED, at=refund.done_at or last.at), last]
    return [last]


def _of_refund(envelope: Envelope, refund: Refund) -> Fact:
    return Fact(
        kind=REFUND_STATUS.get(refund.status, Kind.REFUND_PENDING),
        ref=Ref(ours=refund.payment_number, theirs=refund.payment_id, refund=refund.number),
        at=refund.at,
        money=Money(refund.amount, refund.currency),
        account=envelope.merchant,
        live=envelope.live,
        dispute_fee=None if refund.dispute_fee is None else Money(refund.dispute_fee, refund.currency),
        occurrence=str(refund.attempt) if refund.attempt > 1 else "",
        raw=refund.model_dump(mode="json"),
    )


def _of_agreement(envelope: Envelope, agreement: Agreement) -> Fact:
    kind = AGREEMENT_STATUS.get(agreement.status, Kind.PENDING)
    return Fact(
        kind=kind,
        ref=Ref(agreement=agreement.id, our_agreement=agreement.number),
        at=agreement.at,
        owner=agreement.owner or None,
        account=envelope.merchant,
        live=envelope.live,
        period_end=agreement.valid_until if kind is Kind.SIGNED else None,
        ending=ENDED_BY.get(agreement.ended_by or "") if kind is Kind.ENDED else None,
        raw=agreement.model_dump(mode="json"),
    )


def written(at: datetime) -> str:
    """A moment as the protocol writes it: `2026-01-02T03:04:05Z`."""
    return at.astimezone(UTC).strftime(_WRITTEN)
