"""Wishes that the app's backend does not answer are told again: a new event, and in it the order and the revision of
the first. A wish that is unanswered for too long is alarmed once."""

from __future__ import annotations

import structlog

from app.domain.fulfilment import Wish
from app.domain.numbers import slot_of_number
from app.domain.retries import Retried
from app.models.fulfilments import FULFILMENTS
from app.services.base.context import Core, Tx
from app.services.base.leases import LeaseQueue, next_try
from app.services.payments import fulfilments, payment_rows

FULFILMENTS_DUE = LeaseQueue(FULFILMENTS, "next_tell_at", "due_fulfilments", counts="tellings")
_log = structlog.get_logger(__name__)


def work_on_fulfilment(core: Core, order_id: int) -> bool:
    """Tell a wish again, as the worker; False if it is not due, or another worker has told it. The event and the next
    moment are written in one transaction."""
    return core.of_number(order_id).transact(lambda tx: _tell_again(tx, order_id))


def _tell_again(tx: Tx, order_id: int) -> bool:
    slot = slot_of_number(order_id)
    order = payment_rows.lock_order(tx, slot, order_id)
    row = FULFILMENTS_DUE.take(tx, order_id, tx.now)
    if row is None:
        return False
    is_overdue = row.attention_at is not None and row.attention_at <= tx.now and row.alarmed_at is None
    changed = fulfilments.change_fulfilment(
        tx,
        row,
        next_tell_at=next_try(tx.now, Retried.UNANSWERED_WISH, row.tellings - 1),
        alarmed_at=tx.now if is_overdue else row.alarmed_at,
    )
    wish = Wish(row.wishes[-1]["asks"])
    fulfilments.tell_fulfilment(tx, fulfilments.WISH_EVENTS[wish], changed, order._asdict())
    if is_overdue:
        about = {"order": order_id, "asks": wish, "since": row.asked_at, "told": row.tellings}
        tx.once_committed(_log.error, "fulfilment_unanswered", **about)
    return True
