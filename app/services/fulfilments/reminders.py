"""Wishes that the app's backend does not answer are told again: a new event, and in it the order and the revision of
the first. A wish that is unanswered for too long is alarmed once."""

from __future__ import annotations

import random

import structlog

from app.domain.fulfilment import Wish, tell_pause
from app.domain.numbers import slot_of_number
from app.models.fulfilments import FULFILMENTS
from app.services.base.context import Core, Tx
from app.services.base.leases import LeaseQueue
from app.services.payments import fulfilments, payment_rows

DUE = LeaseQueue(FULFILMENTS, "next_tell_at", "due_fulfilments", counts="tellings")
_log = structlog.get_logger(__name__)


def work_on_due(core: Core, order_id: int) -> bool:
    """Tell a wish again, as the worker; False if it is not due, or another worker has told it. The event and the next
    moment are written in one transaction."""
    return core.transact(lambda tx: _tell_again(tx, order_id))


def _tell_again(tx: Tx, order_id: int) -> bool:
    slot = slot_of_number(order_id)
    order = payment_rows.lock_order(tx, slot, order_id)
    row = DUE.take(tx, order_id, tx.now)
    if row is None:
        return False
    is_overdue = row.attention_at is not None and row.attention_at <= tx.now and row.alarmed_at is None
    pause = tell_pause(row.tellings, random.random())  # noqa: S311 - keeps no secret
    changed = fulfilments.change(
        tx, row, next_tell_at=tx.now + pause, alarmed_at=tx.now if is_overdue else row.alarmed_at
    )
    wish = Wish(row.wishes[-1]["asks"])
    fulfilments.tell(tx, fulfilments.TOLD_AS[wish], changed, order._asdict())
    if is_overdue:
        _log.error("fulfilment_unanswered", order=order_id, asks=wish, since=row.asked_at, told=row.tellings)
    return True
