"""A provider's fact about a refund, inside the one consumer of facts. The caller records the fact and settles it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import Any

from app.domain.deciding import Booking, Decision
from app.domain.facts import Fact, Kind, Ref, key_of
from app.domain.matching import Mismatch, foreign
from app.domain.numbers import parse_number
from app.domain.refunding import Origin, tells_a_size
from app.domain.schedule import HINT_GAP_SECONDS
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.services.base.context import Core, Tx
from app.services.payments import fact_rows, payment_rows
from app.services.payments.payment_rows import LockedPayment
from app.services.refunds import refund_rows, refund_status, requests
from app.services.refunds.captured_payments import (
    CapturedPayment,
    captured_in_suspense,
    find_capture,
    own_amounts,
    refund_fact,
)
from app.services.refunds.refund_rows import STATUS_KINDS, Rows

_SIZED = (Kind.REFUNDED, Kind.REFUND_UNDONE)
"""Of these alone it is certain that there was a payment."""
_NEWS = ("amount_minor", "total_minor", "share", "dispute_fee_minor")
_WAITS = Decision(Outcome.PARKED, Mismatch.BEFORE_PAYMENT)


def says_more(known: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a later telling of one refund brings what the first did not: one road tells this refund alone, another
    the total so far, another the fee of the dispute."""
    return any(known.get(name) is None and told[name] is not None for name in _NEWS)


NewFact = tuple[AnyRow, list[AnyRow], list[AnyRow]]
"""A fact that was inserted in this transaction, all facts about its payment with this one, and the refunds of that."""


@dataclass(frozen=True, slots=True)
class KnownRefunds:
    """The refunds of a payment, and what was told about it, as they were before a new fact: read under the lock of the
    order, in one flight with the insertion of the fact."""

    refunds: Rows
    told: Rows

    def with_new(self, row: Mapping[str, Any]) -> NewFact:
        """The fact that was inserted as `row`, all facts with this one, and the refunds."""
        fact = refund_rows.ToldRow(**row)
        return fact, sorted([*self.told(), fact], key=attrgetter("id")), self.refunds()


def ask_known(tx: Tx, slot: int, payment_id: int) -> KnownRefunds:
    """What is known of the payment; asked for with what is sent next. The caller has locked its order."""
    told = refund_rows.told_of_payment(tx, slot, payment_id)
    return KnownRefunds(refund_rows.of_payment(tx, slot, payment_id), told)


def take_in(
    tx: Tx,
    slot: int,
    fact_id: int,
    locked: LockedPayment | None,
    new: NewFact | None = None,
) -> tuple[Decision, int | None]:
    """What the recorded fact changes, and the payment that it is about, if there is one here. `new`: the fact was
    inserted in this transaction, and this is known (`KnownRefunds.with_new`)."""
    if locked is None:
        return _take_in_unmatched(tx, refund_rows.fact_numbered(tx, slot, fact_id)), None
    if new is None:
        known = ask_known(tx, slot, locked.payment.id)
        told, refunds = known.told(), known.refunds()
        fact = next((row for row in told if row.id == fact_id), None) or refund_rows.fact_numbered(tx, slot, fact_id)
    else:
        fact, told, refunds = new
    return _apply(tx, fact, locked, told, refunds), int(locked.payment.id)


def _apply(tx: Tx, fact: AnyRow, locked: LockedPayment, told: Sequence[AnyRow], refunds: Sequence[AnyRow]) -> Decision:
    """What a fact changes about a locked payment. Safe to repeat."""
    order, payment = locked.order, locked.payment
    if payment.provider_account != fact.provider_account:
        return Decision(Outcome.PARKED, Mismatch.OTHER_PROVIDER_ACCOUNT)
    strange = _strange(tx.core, fact, live=order.environment == "live")
    if strange is not None:
        return Decision(Outcome.PARKED, strange)
    if fact.kind not in STATUS_KINDS:
        return Decision(Outcome.NOTED)
    captured = find_capture(told, order, payment, fact.content["theirs"] or _theirs_of_own(fact, refunds))
    if captured is None:
        _ask_soon(tx, payment)
        return _WAITS
    return _apply_to(tx, fact, captured, [row for row in refunds if row.theirs == captured.theirs])


def apply_to_unmatched(tx: Tx, fact: AnyRow, paid: AnyRow) -> Decision:
    """What a fact changes about money that lies in suspense because there is no payment for it here."""
    return _apply_to(tx, fact, captured_in_suspense(tx, paid), [])


def _take_in_unmatched(tx: Tx, fact: AnyRow) -> Decision:
    # No check of the environment: it is part of the name under which the payment will be looked for.
    strange = _strange(tx.core, fact, live=fact.content["live"])
    if strange is not None:
        return Decision(Outcome.PARKED, strange)
    if fact.kind not in STATUS_KINDS:
        return Decision(Outcome.PARKED, Mismatch.UNKNOWN_NUMBER)
    key = key_of(Fact(Kind.PAID, Ref(theirs=fact.content["theirs"]), fact.at))
    paid = refund_rows.unmatched_paid_fact(tx, fact.slot, fact.provider_account, fact.environment, key)
    if paid is not None and paid.reason == Mismatch.BEFORE_IMPORT:
        return Decision(Outcome.PARKED, Mismatch.REFUND_BEFORE_IMPORT)
    if paid is None or paid.booking == Booking.NOTHING:
        return _WAITS if fact.kind in _SIZED else Decision(Outcome.PARKED, Mismatch.UNKNOWN_NUMBER)
    return apply_to_unmatched(tx, fact, paid)


def _strange(core: Core, fact: AnyRow, *, live: bool) -> Mismatch | None:
    account = core.registry.get(fact.provider_account)
    content = fact.content
    expected = account.provider.account if account is not None else content["account"] or ""
    return foreign(content["account"], content["live"], expected, live)


def _ask_soon(tx: Tx, payment: AnyRow) -> None:
    """What is refunded was paid: ask about the payment now, since the news of that may be lost."""
    now = tx.now
    before = now - timedelta(seconds=HINT_GAP_SECONDS)
    payment_rows.bring_forward(tx, payment.slot, payment.id, now=now, hinted_before=before)


def _theirs_of_own(fact: AnyRow, refunds: Sequence[AnyRow]) -> str | None:
    """Which capture the refund of ours belongs to that the fact names, where the fact does not name the capture."""
    number = parse_number(fact.content["refund"])
    for row in refunds:
        if row.id == number and row.origin != Origin.PROVIDER:
            return str(row.theirs)
    return None


def _apply_to(tx: Tx, fact: AnyRow, captured: CapturedPayment, refunds: Sequence[AnyRow]) -> Decision:
    unusable = _unusable(fact, captured, refunds)
    if unusable is not None:
        return Decision(Outcome.PARKED, unusable)
    payment_id = captured.payment.id if captured.payment is not None else None
    changed = refund_status.follow(tx, captured, refunds, fact)
    if payment_id is not None and Origin.AUTOMATIC in [row.origin for row in refunds]:
        # The fact counts from now on; the caller writes its final outcome.
        fact_rows.settle_fact(tx, captured.slot, fact.id, Decision(Outcome.NOTED), payment_id)
        requests.automatic_rest(tx, captured.slot, payment_id, captured.theirs)
    return Decision(Outcome.APPLIED if changed else Outcome.NOTED)


def _unusable(fact: AnyRow, captured: CapturedPayment, refunds: Sequence[AnyRow]) -> Mismatch | None:
    currency = fact.content["currency"]
    if currency is not None and captured.currency is not None and currency != captured.currency:
        return Mismatch.OTHER_CURRENCY
    told = refund_fact(fact)
    sized = told.number in own_amounts(refunds) or tells_a_size(told, captured.paid_minor)
    return Mismatch.NO_AMOUNT if told.kind is Kind.REFUNDED and not sized else None
