"""Questions to a provider about all refunds of one payment: written down here, put by `calls.reference_queries`.

A provider may say that something of a payment went back and not how much; then the refunds themselves are asked for,
until one of them is told, on any road, or a person ends the question by name.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, Exists, select, update

from app.domain.numbers import slot_of_number
from app.models.asks import Ask
from app.models.orders import FactRow
from app.services.base.context import Tx
from app.services.base.upsert import insert_numbered_if_new
from app.services.refunds.refund_rows import COUNTED, STATUS_KINDS

WHOLE_PAYMENT = ""
"""Stands in `asks.refund` for a question about the payment and all its refunds."""
ASK_AGAIN_AFTER = timedelta(days=1)
"""The provider goes on saying so with every answer; the question is not raised again before that."""
_a, _f = Ask.__table__.c, FactRow.__table__.c


def ask_for_refunds(tx: Tx, slot: int, payment_id: int, *, is_news: bool = False) -> None:
    """Something of this payment went back, or may have: its provider is to be asked what. `is_news`: nobody has said so
    before, so that a question which was answered lately is put once more."""
    now = tx.now
    row = {
        "slot": slot,
        "payment_id": payment_id,
        "refund": WHOLE_PAYMENT,
        "raised_at": now,
        "next_try_at": now,
        "tries": 0,
        "end_reason": "",
    }
    if insert_numbered_if_new(tx, Ask.__table__, tx.core.numbers, slot, row) is not None:
        return
    tx.execute(
        update(Ask)
        .where(
            *_of_payment(slot, payment_id),
            _a.next_try_at.is_(None),
            _a.ended_by.is_(None),
            _a.raised_at <= (now if is_news else now - ASK_AGAIN_AFTER),
        )
        .values(raised_at=now, next_try_at=now, tries=0)
    )


def ask_unless_known(tx: Tx, slot: int, payment_id: int, *, is_news: bool = False) -> None:
    """The provider says that a payment was made, and that something went back: to be asked if no refund was told."""
    if not is_told(tx, slot, payment_id):
        ask_for_refunds(tx, slot, payment_id, is_news=is_news)


def is_told(tx: Tx, slot: int, payment_id: int) -> bool:
    """Whether any provider's word about a refund of this payment is here: done, undone, in progress or failed."""
    return bool(tx.execute(select(told(slot, payment_id))).scalar_one())


def told(slot: int | ColumnElement[int], payment_id: int | ColumnElement[int]) -> Exists:
    """Such a word as a condition. A refund of ours that was refused, of which the provider knows nothing, is none."""
    words = (_f.kind.in_(STATUS_KINDS), _f.outcome.in_(COUNTED))
    return select(_f.id).where(_f.slot == slot, _f.payment_id == payment_id, *words).exists()


def end_ask(tx: Tx, payment_id: int, *, by: str, reason: str) -> bool:
    """A person has found out what went back, or that nothing did: the provider is asked no more. False if there was no
    such question. The same word of the provider does not raise it again; a message that names the payment does."""
    mine = (*_of_payment(slot_of_number(payment_id), payment_id), _a.next_try_at.is_not(None))
    ended = update(Ask).where(*mine).values(next_try_at=None, ended_by=by, end_reason=reason)
    return tx.connection().execute(ended).rowcount == 1


def is_asked(tx: Tx, slot: int, payment_id: int) -> bool:
    """Whether such a question waits for its answer."""
    open_question = select(_a.id).where(*_of_payment(slot, payment_id), _a.next_try_at.is_not(None))
    return tx.execute(open_question).first() is not None


def is_ended(tx: Tx, slot: int, payment_id: int) -> bool:
    """Whether a person has ended that question by name."""
    ended = select(_a.id).where(*_of_payment(slot, payment_id), _a.ended_by.is_not(None))
    return tx.execute(ended).first() is not None


def _of_payment(slot: int, payment_id: int) -> tuple[ColumnElement[bool], ...]:
    return _a.slot == slot, _a.payment_id == payment_id, _a.refund == WHOLE_PAYMENT
