"""A provider's fact about a refund, inside the one consumer of facts. The caller records the fact and settles it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
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
from app.services.base.reported_fact import ReportedFact
from app.services.payments import payment_rows
from app.services.payments.payment_rows import LockedPayment
from app.services.refunds import refund_rows, refund_status, requests
from app.services.refunds.captured_payments import (
    CapturedPayment,
    captured_in_suspense,
    find_capture,
    refund_fact,
)
from app.services.refunds.refund_rows import STATUS_KINDS

_SIZED = (Kind.REFUNDED, Kind.REFUND_UNDONE)
"""Of these alone it is certain that there was a payment."""
_NEWS = ("amount_minor", "total_minor", "share", "dispute_fee_minor")
_WAITS = Decision(Outcome.PARKED, Mismatch.BEFORE_PAYMENT)


def says_more(known: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a later telling of one refund brings what the first did not: one road tells this refund alone, another
    the total so far, another the fee of the dispute."""
    return any(known.get(name) is None and told[name] is not None for name in _NEWS)


@dataclass(frozen=True, slots=True)
class KnownRefunds:
    """The refunds of a payment, and the stored facts about it, read under the lock of its order."""

    refunds: Sequence[AnyRow]
    told: Sequence[AnyRow]

    def has(self, reported: ReportedFact) -> bool:
        """Whether that fact is one of the stored ones."""
        names = (reported.key, reported.account.name, reported.environment)
        return any((row.key, row.provider_account, row.environment) == names for row in self.told)


def known_refunds(tx: Tx, slot: int, payment_id: int) -> KnownRefunds:
    """What is known of the payment. The caller has locked its order, or does so with what waits to be sent."""
    refunds, told = refund_rows.of_payment(tx, slot, payment_id), refund_rows.told_of_payment(tx, slot, payment_id)
    return KnownRefunds(refunds(), told())


def lock_known(tx: Tx, reported: ReportedFact) -> tuple[LockedPayment | None, KnownRefunds | None]:
    """The payment whose refund the fact is about, locked, and what is known of its refunds: one flight where the fact
    names a number of ours. Not where the slot keeps refunds that came before their payment: this may be one of them."""
    ref, number = reported.fact.ref, reported.payment_number
    if number is not None:
        asked = payment_rows.ask_with_order(tx, reported.slot, number)
        known = known_refunds(tx, reported.slot, number)
        locked = asked()
        return locked, None if locked is None or locked.early_refund else known
    if ref.ours is not None or ref.theirs is None:
        return None, None
    locked = payment_rows.lock_by_theirs(tx, reported.slot, reported.account.name, reported.environment, ref.theirs)
    if locked is None or locked.early_refund:
        return locked, None
    return locked, known_refunds(tx, reported.slot, locked.payment.id)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of a fact about a refund."""

    decision: Decision
    refunds: Sequence[Any] = ()
    """The refunds of its capture as the fact left them; none where it changed nothing."""


def take_in(
    tx: Tx,
    slot: int,
    fact_id: int,
    locked: LockedPayment | None,
    known: KnownRefunds | None = None,
    unwritten: Mapping[str, Any] | None = None,
) -> TakenIn:
    """Do what the fact changes; the caller writes down what became of it. Safe to repeat. `known` was read under the
    lock, if it was; `unwritten` is the row of a new fact that waits for what becomes of it."""
    if locked is None:
        return _take_in_unmatched(tx, refund_rows.fact_numbered(tx, slot, fact_id))
    known = known or known_refunds(tx, slot, locked.payment.id)
    order, payment, told, refunds = locked.order, locked.payment, known.told, known.refunds
    if unwritten is not None:
        fact = refund_rows.ToldRow(**unwritten)
    else:
        fact = next((row for row in told if row.id == fact_id), None) or refund_rows.fact_numbered(tx, slot, fact_id)
    if payment.provider_account != fact.provider_account:
        return TakenIn(Decision(Outcome.PARKED, Mismatch.OTHER_PROVIDER_ACCOUNT))
    strange = _strange(tx.core, fact, live=order.environment == "live")
    if strange is not None:
        return TakenIn(Decision(Outcome.PARKED, strange))
    if fact.kind not in STATUS_KINDS:
        return TakenIn(Decision(Outcome.NOTED))
    captured = find_capture(told, order, payment, fact.content["theirs"] or _theirs_of_own(fact, refunds))
    if captured is None:
        _ask_soon(tx, payment)
        return TakenIn(_WAITS)
    return _apply_to(tx, fact, captured, [row for row in refunds if row.theirs == captured.theirs])


def _take_in_unmatched(tx: Tx, fact: AnyRow) -> TakenIn:
    """What a fact changes about money that lies in suspense because there is no payment for it here."""
    # No check of the environment: it is part of the name under which the payment will be looked for.
    strange = _strange(tx.core, fact, live=fact.content["live"])
    if strange is not None:
        return TakenIn(Decision(Outcome.PARKED, strange))
    if fact.kind not in STATUS_KINDS:
        return TakenIn(Decision(Outcome.PARKED, Mismatch.UNKNOWN_NUMBER))
    key = key_of(Fact(Kind.PAID, Ref(theirs=fact.content["theirs"]), fact.at))
    paid = refund_rows.unmatched_paid_fact(tx, fact.slot, fact.provider_account, fact.environment, key)
    if paid is not None and paid.reason == Mismatch.BEFORE_IMPORT:
        return TakenIn(Decision(Outcome.PARKED, Mismatch.REFUND_BEFORE_IMPORT))
    if paid is None or paid.booking == Booking.NOTHING:
        return TakenIn(_WAITS if fact.kind in _SIZED else Decision(Outcome.PARKED, Mismatch.UNKNOWN_NUMBER))
    return _apply_to(tx, fact, captured_in_suspense(tx, paid), [])


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


def _apply_to(tx: Tx, fact: AnyRow, captured: CapturedPayment, refunds: Sequence[AnyRow]) -> TakenIn:
    unusable = _unusable(fact, captured, refunds)
    if unusable is not None:
        return TakenIn(Decision(Outcome.PARKED, unusable))
    changed, after = refund_status.follow(tx, captured, refunds, fact)
    requests.automatic_rest(tx, captured, after, news=fact)
    return TakenIn(Decision(Outcome.APPLIED if changed else Outcome.NOTED), after)


def _unusable(fact: AnyRow, captured: CapturedPayment, refunds: Sequence[AnyRow]) -> Mismatch | None:
    currency = fact.content["currency"]
    if currency is not None and captured.currency is not None and currency != captured.currency:
        return Mismatch.OTHER_CURRENCY
    if fact.kind != Kind.REFUNDED or tells_a_size(refund_fact(fact), captured.paid_minor):
        return None
    is_ours = any(fact.content["refund"] == str(row.id) for row in refunds if row.origin != Origin.PROVIDER)
    return None if is_ours else Mismatch.NO_AMOUNT
