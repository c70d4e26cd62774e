"""Ending orders and payments on our own word, when time is over and every road has been asked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.domain.schedule import next_late_ask
from app.domain.status import OPEN_PAYMENT, Cause, OrderStatus, PaymentStatus, next_order_status, next_payment_status
from app.models.base import AnyRow
from app.services import payment_rows
from app.services.core import Core
from app.services.transaction import transact


def lapse_payment(session: Session, core: Core, row: AnyRow) -> None:
    """Close a payment that the provider, asked after the grace, knows nothing of. It is asked about again later."""
    order = payment_rows.lock_order(session, row.slot, row.order_id)
    payment = payment_rows.lock_payment(session, row.slot, row.id)
    after = next_payment_status(PaymentStatus(payment.status), Cause.LAPSED)
    if after is None:
        return
    now = core.clock.now()
    later = next_late_ask(now=now, expires_at=payment.expires_at, rules=core.rules.ask)
    payment_rows.move_payment(session, payment, after, theirs=None, paid_at=None, next_query_at=later)
    payment_rows.set_problem(session, payment.slot, payment.id, payment_rows.LAPSED_PROBLEM)
    expire_if_over(session, order, now)


def expire_order(core: Core, slot: int, order_id: int) -> bool:
    """End an order whose time is over and whose payments all ended unpaid. True if it ended now."""

    def work(session: Session) -> bool:
        return expire_if_over(session, payment_rows.lock_order(session, slot, order_id), core.clock.now())

    return transact(core.sessions, work)


def expire_if_over(session: Session, order: AnyRow, now: datetime) -> bool:
    """The same for an order that the caller has locked."""
    after = next_order_status(OrderStatus(order.status), Cause.LAPSED)
    if after is None or now < order.expires_at:
        return False
    payments = payment_rows.payments_of_order(session, order.slot, order.id)
    if any(payment.status in OPEN_PAYMENT for payment in payments):
        return False
    payment_rows.move_order(session, order, after)
    return True
