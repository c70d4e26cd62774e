"""Payments of which something went back and nobody says how much.

Such a payment is held: coins are given for money that stayed. It is credited as soon as a refund of it is told, by the
provider's answer, a notification or a bill, or when a person has ended the question by name (`refund_asks.end`).
"""

from __future__ import annotations

from typing import Any

from app.domain.facts import Fact, Kind
from app.domain.matching import Mismatch
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.services.base.context import Tx, environment_of
from app.services.base.reported_fact import ReportedFact
from app.services.payments import fact_rows
from app.services.payments.payment_rows import LockedPayment
from app.services.refunds import refund_asks, refund_rows
from app.services.refunds.captured_payments import is_held
from app.services.refunds.refund_rows import COUNTED, STATUS_KINDS


def is_unsized(tx: Tx, paid: Fact, locked: LockedPayment) -> bool:
    """Whether this paid fact says that something went back, and neither a provider nor a person has said what."""
    if not paid.refunds_unknown or locked.is_new:
        return False
    slot, payment = locked.payment.slot, locked.payment
    told = refund_rows.told_of_payment(tx, slot, payment.id)()
    if locked.early_refund:
        told += refund_rows.waiting_facts(tx, slot, payment.provider_account, environment_of(paid.live))
    return not any(_explains(row, paid) for row in told) and not refund_asks.is_ended(tx, slot, payment.id)


def held_fact(tx: Tx, slot: int, payment_id: int, theirs: str | None) -> Any:
    """The paid fact of this payment that waits so, if it is about the capture of that number (None: any). None if
    no fact does."""
    for row in refund_rows.told_of_payment(tx, slot, payment_id)():
        if row.kind == Kind.PAID and is_held(row) and theirs in (None, row.content["theirs"]):
            return row
    return None


def as_told(tx: Tx, held: AnyRow, refund: ReportedFact) -> tuple[ReportedFact, AnyRow]:
    """The held fact as it was told, and its row, locked; `refund` came by the same provider account."""
    told = ReportedFact(refund.account, fact_rows.fact_in(held), held.road, held.message_id)
    return told, fact_rows.lock_fact_numbered(tx, held.slot, held.id)


def _explains(row: AnyRow, paid: Fact) -> bool:
    """Whether a stored fact is a refund of that payment: told before it or since, of a size, or not done."""
    waits = row.outcome == Outcome.PARKED and row.reason == Mismatch.BEFORE_PAYMENT
    if row.kind not in STATUS_KINDS or not (waits or row.outcome in COUNTED):
        return False
    content, currency = row.content, paid.money.currency if paid.money is not None else None
    if content["theirs"] not in (None, paid.ref.theirs) or content["currency"] not in (None, currency):
        return False
    has_size = any(content[name] is not None for name in ("amount_minor", "total_minor", "share"))
    return row.kind != Kind.REFUNDED or has_size
