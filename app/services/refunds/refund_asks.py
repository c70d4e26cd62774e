"""Questions to a provider about all refunds of one payment: written down here, put by `calls.reference_queries`.

A provider may say that something of a payment went back and not how much; then the refunds themselves are asked for.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, select, update

from app.models.asks import Ask
from app.services.base.context import Tx
from app.services.base.upsert import insert_if_new
from app.services.refunds import refund_rows

WHOLE_PAYMENT = ""
"""Stands in `asks.refund` for a question about the payment and all its refunds."""
ASK_AGAIN_AFTER = timedelta(days=1)
"""The provider goes on saying so with every answer; the question is not raised again before that."""
_a = Ask.__table__.c


def ask_for_refunds(tx: Tx, slot: int, payment_id: int) -> None:
    """Something of this payment went back, or may have: its provider is to be asked what."""
    now = tx.now
    row = {
        "slot": slot,
        "id": tx.core.numbers.next(slot),
        "payment_id": payment_id,
        "refund": WHOLE_PAYMENT,
        "raised_at": now,
        "next_try_at": now,
        "tries": 0,
    }
    if insert_if_new(tx, Ask.__table__, row):
        return
    tx.execute(
        update(Ask)
        .where(*_of_payment(slot, payment_id), _a.next_try_at.is_(None), _a.raised_at <= now - ASK_AGAIN_AFTER)
        .values(raised_at=now, next_try_at=now, tries=0)
    )


def ask_unless_known(tx: Tx, slot: int, payment_id: int) -> None:
    """The provider says of a payment that was told before that something went back: news if no refund of it is here."""
    if not refund_rows.of_payment(tx, slot, payment_id):
        ask_for_refunds(tx, slot, payment_id)


def is_asked(tx: Tx, slot: int, payment_id: int) -> bool:
    """Whether such a question waits for its answer."""
    open_question = select(_a.id).where(*_of_payment(slot, payment_id), _a.next_try_at.is_not(None))
    return tx.execute(open_question).first() is not None


def _of_payment(slot: int, payment_id: int) -> tuple[ColumnElement[bool], ...]:
    return _a.slot == slot, _a.payment_id == payment_id, _a.refund == WHOLE_PAYMENT
