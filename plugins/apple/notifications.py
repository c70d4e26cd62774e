"""App Store Server Notifications V2: `{"signedPayload": JWS}`, with signed documents nested inside."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.providers import Ending, Fact, Kind, Ref
from plugins.apple.jws import MalformedJws, read_json
from plugins.apple.mapping import Meaning, meaning_of
from plugins.apple.signed_data import Reason, Refused, SignedData, moment
from plugins.apple.standings import SUBTYPES, Renewal, changed_renewal, in_force, over, past_due, renewal_of
from plugins.apple.transactions import (
    SUBSCRIPTION,
    UPGRADED,
    Transaction,
    about_refund,
    counts,
    facts_of,
    read_transaction,
    refunds_of,
)


@dataclass(frozen=True, slots=True)
class Notification:
    """A verified notification, with all that is nested in it verified too."""

    type: str
    subtype: str
    uuid: str
    signed_at: datetime
    transaction: Transaction | None
    raw: Mapping[str, Any]
    """The transaction's payload if there is one, else the notification's."""
    reason: str
    """Why the customer asks for a refund, in CONSUMPTION_REQUEST."""
    renewal: Renewal
    """Empty where the notification brought no renewal info."""
    meaning: Meaning
    """Of type and subtype."""


def signed_payload(body: bytes) -> str:
    """The JWS in the body of a notification. Raises Refused."""
    try:
        document = read_json(body)
    except MalformedJws:
        raise Refused(Reason.FORM, "the body is not JSON") from None
    payload = document.get("signedPayload")
    if not isinstance(payload, str):
        raise Refused(Reason.FORM, "no signedPayload: not a notification of version 2")
    return payload


def read_notification(text: str, signed_data: SignedData) -> Notification:
    """Verify and read a `signedPayload`. Raises Refused."""
    payload = signed_data.notification(text)
    data = payload.get("data")
    data = data if isinstance(data, dict) else {}
    nested = _nested_transaction(data, signed_data)
    renewal = _nested_renewal(data, nested, signed_data)
    kind, subtype = _word(payload, "notificationType"), _word(payload, "subtype", default="")
    return Notification(
        type=kind,
        subtype=subtype,
        uuid=_uuid(payload),
        signed_at=moment(payload.get("signedDate")),
        transaction=read_transaction(nested) if nested is not None else None,
        raw=nested if nested is not None else payload,
        reason=_word(data, "consumptionRequestReason", default=""),
        renewal=renewal,
        meaning=meaning_of(kind, subtype),
    )


def questions_of_notification(notification: Notification) -> tuple[Ref, ...]:
    """What the event makes worth asking: its purchase, where the transaction in it does not tell all about money.

    An upgrade names the new period alone; the history tells what became of the old one.
    """
    one = notification.transaction
    if one is None or not one.is_bought or _TELLERS.get(notification.meaning) is None:
        return ()
    is_open = one.is_upgraded or one.is_of_unknown_price or notification.meaning is Meaning.UPGRADE
    return (Ref(theirs=one.theirs, agreement=one.agreement),) if is_open else ()


def facts_of_notification(notification: Notification, *, grant_free_trials: bool) -> tuple[Fact, ...]:
    """What the event states; `()` for events without an effect on money. Raises Refused if its transaction is missing.

    A transaction that does not count (shared by the family, an unpaid trial) can still start or end a subscription.
    """
    tell = _TELLERS.get(notification.meaning)
    if tell is None:
        return ()
    if notification.transaction is None:
        raise Refused(Reason.CONTENT, f"{notification.type} without its transaction")
    return tell(_Event(notification, notification.transaction, grant_free_trials))


@dataclass(frozen=True, slots=True)
class _Event:
    notification: Notification
    transaction: Transaction
    grant_free_trials: bool

    @property
    def raw(self) -> Mapping[str, Any]:
        return self.notification.raw

    @property
    def counts(self) -> bool:
        return counts(self.transaction, grant_free_trials=self.grant_free_trials)

    def about_refund(self, kind: Kind, cause: str) -> tuple[Fact, ...]:
        """A refund fact numbered by the notification itself: the transaction does not show the refund it is about."""
        if not self.counts:
            return ()
        number, at = self.notification.uuid, self.notification.signed_at
        return (about_refund(kind, self.transaction, self.raw, number=number, at=at, cause=cause),)


def _purchase(event: _Event) -> tuple[Fact, ...]:
    return facts_of(event.transaction, event.raw, grant_free_trials=event.grant_free_trials)


def _upgrade(event: _Event) -> tuple[Fact, ...]:
    """The notification names the new period alone; the old one ended when the new one began."""
    is_period = event.transaction.type == SUBSCRIPTION
    return tuple(
        replace(fact, replaces=UPGRADED) if is_period and fact.kind is Kind.PAID else fact for fact in _purchase(event)
    )


def _subscription_start(event: _Event) -> tuple[Fact, ...]:
    facts = tuple(fact for fact in _purchase(event) if fact.kind is not Kind.SIGNED)
    if event.transaction.type != SUBSCRIPTION or any(fact.kind is Kind.ENDED for fact in facts):
        return facts
    return (*facts, in_force(event.transaction, event.raw, event.notification.renewal))


def _redeemed(event: _Event) -> tuple[Fact, ...]:
    """An offer for a running subscription: a period of its own, or another product or price from the next one on."""
    facts = tuple(fact for fact in _purchase(event) if fact.kind is not Kind.SIGNED)
    return facts if any(fact.kind is Kind.ENDED for fact in facts) else (*facts, *_standing(event))


def _refund(event: _Event) -> tuple[Fact, ...]:
    """A refund that its transaction does not show was taken back meanwhile, or not made yet: a query will tell."""
    if not event.counts:
        return ()
    shown = refunds_of(event.transaction, event.raw)
    return shown or event.about_refund(Kind.REFUND_PENDING, "the transaction shows no refund")


def _refund_undone(event: _Event) -> tuple[Fact, ...]:
    """The revocation members are gone by now, so the reversal is numbered by its notification."""
    return event.about_refund(Kind.REFUND_UNDONE, "REFUND_REVERSED")


def _refund_asked(event: _Event) -> tuple[Fact, ...]:
    """Asked up to three times, eight hours apart: each is to be answered within 12 hours."""
    return event.about_refund(Kind.REFUND_ASKED, event.notification.reason)


def _refund_refused(event: _Event) -> tuple[Fact, ...]:
    return event.about_refund(Kind.REFUND_FAILED, "REFUND_DECLINED")


def _revoked(event: _Event) -> tuple[Fact, ...]:
    facts = refunds_of(event.transaction, event.raw) if event.counts else ()
    return (*facts, *_ended(event))


def _ended(event: _Event) -> tuple[Fact, ...]:
    if event.transaction.type != SUBSCRIPTION:
        return ()
    notification = event.notification
    cause = f"{notification.type} {notification.subtype}".strip()
    is_revoked = notification.meaning is Meaning.REVOKED
    ending = Ending.PROVIDER if is_revoked else notification.renewal.ending
    ending = ending or SUBTYPES.get(notification.subtype)
    fact = over(event.transaction, event.raw, cause, ending, notification.signed_at)
    return (replace(fact, at=min(fact.at, notification.signed_at)) if is_revoked else fact,)


def _past_due(event: _Event) -> tuple[Fact, ...]:
    if event.transaction.type != SUBSCRIPTION:
        return ()
    notification = event.notification
    has_grace = notification.subtype == "GRACE_PERIOD"
    at = notification.signed_at
    return (past_due(event.transaction, event.raw, notification.renewal, at, grace=has_grace),)


def _standing(event: _Event) -> tuple[Fact, ...]:
    if event.transaction.type != SUBSCRIPTION:
        return ()
    return (changed_renewal(event.transaction, event.raw, event.notification.renewal, event.notification.signed_at),)


_TELLERS: Mapping[Meaning, Callable[[_Event], tuple[Fact, ...]]] = {
    Meaning.PURCHASE: _purchase,
    Meaning.REDEEMED: _redeemed,
    Meaning.UPGRADE: _upgrade,
    Meaning.SUBSCRIPTION_START: _subscription_start,
    Meaning.REFUND: _refund,
    Meaning.REFUND_UNDONE: _refund_undone,
    Meaning.REFUND_ASKED: _refund_asked,
    Meaning.REFUND_REFUSED: _refund_refused,
    Meaning.REVOKED: _revoked,
    Meaning.ENDED: _ended,
    Meaning.PAST_DUE: _past_due,
    Meaning.STANDING: _standing,
}


def _nested_transaction(data: Mapping[str, Any], signed_data: SignedData) -> Mapping[str, Any] | None:
    """The nested transaction's payload, verified."""
    text = data.get("signedTransactionInfo")
    if text is None or text == "":
        return None
    payload = signed_data.transaction(text)
    if payload.get("environment") != data.get("environment"):
        raise Refused(Reason.ENVIRONMENT, "a transaction of another environment than its notification")
    return payload


def _nested_renewal(data: Mapping[str, Any], transaction: Mapping[str, Any] | None, signed_data: SignedData) -> Renewal:
    """The renewal info beside the transaction, verified."""
    text = data.get("signedRenewalInfo")
    if transaction is None or text is None or text == "":
        return Renewal()
    return renewal_of(signed_data.renewal(text, transaction))


def _word(source: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = source.get(name)
    if value is None:
        value = default
    if not isinstance(value, str) or len(value) > 100:
        raise Refused(Reason.CONTENT, f"{name} is missing or odd")
    return value


def _uuid(payload: Mapping[str, Any]) -> str:
    try:
        return str(uuid.UUID(_word(payload, "notificationUUID")))
    except ValueError:
        raise Refused(Reason.CONTENT, "notificationUUID is missing or odd") from None
