"""What a provider is to be told about a purchase, written down in the transaction of the fact that causes it.

The worker tells the provider (`calls.fulfilment`)."""

from __future__ import annotations

from app.domain.facts import Kind
from app.models.reports import ReportRow
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.base.upsert import insert_if_new


def note_report(tx: Tx, reported: ReportedFact, payment_id: int) -> None:
    """Write down the report that this fact calls for, if one does. Only for a provider that takes reports."""
    if reported.fact.kind is Kind.REFUND_ASKED:
        about, question = "consumption", reported.fact.ref.refund or ""
    elif reported.fact.kind is Kind.PAID and reported.account.report_delivery:
        about, question = "delivered", ""
    else:
        return
    row = {
        "slot": reported.slot,
        "id": tx.core.numbers.next(reported.slot),
        "payment_id": payment_id,
        "about": about,
        "question": question,
        "asked_at": reported.fact.at,
        "status": "pending",
        "problem": "",
        "next_try_at": tx.now,
        "tries": 0,
    }
    insert_if_new(tx, ReportRow.__table__, row)
