"""What a provider is to be told about a purchase: that it was delivered, what was used, and whose it is. It is written
down in the transaction of the fact that causes it.

The worker tells the provider (`calls.report_calls`)."""

from __future__ import annotations

from datetime import datetime

from app.domain.facts import Kind
from app.models.base import AnyRow
from app.models.reports import ReportRow
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.base.upsert import insert_numbered_if_new
from app.services.payments import fulfilments


def note_report(tx: Tx, reported: ReportedFact, payment_id: int, order: AnyRow | None) -> None:
    """Write down the reports that this fact calls for, if any. Only for a provider that takes reports. What the app's
    backend delivers is reported when the backend has said so."""
    fact = reported.fact
    if fact.kind is Kind.PAID and fact.ref.ours is None and fact.owner is None and reported.buyer is not None:
        _write(tx, reported.slot, payment_id, "owner", "", tx.now)
    if fact.kind is Kind.REFUND_ASKED:
        _write(tx, reported.slot, payment_id, "consumption", fact.ref.refund or "", fact.at)
    elif order is not None and fulfilments.is_fulfilled_outside(order):
        return
    elif fact.kind is Kind.PAID and reported.account.report_delivery:
        _write(tx, reported.slot, payment_id, "delivered", "", fact.at)


def note_delivery(tx: Tx, slot: int, payment_id: int, provider_account: str) -> None:
    """The app's backend has delivered a purchase: its provider is told, if it wants to be."""
    account = tx.core.registry.get(provider_account)
    if account is not None and account.takes_reports and account.report_delivery:
        _write(tx, slot, payment_id, "delivered", "", tx.now)


def _write(tx: Tx, slot: int, payment_id: int, about: str, question: str, asked_at: datetime) -> None:
    row = {
        "slot": slot,
        "payment_id": payment_id,
        "about": about,
        "question": question,
        "asked_at": asked_at,
        "status": "pending",
        "problem": "",
        "next_try_at": tx.now,
        "tries": 0,
    }
    insert_numbered_if_new(tx, ReportRow.__table__, tx.core.numbers, slot, row)
