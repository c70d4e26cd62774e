"""Works out again what the app's backend must have been asked to fulfil, from the order and the facts about it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from sqlalchemy import select

from app.domain.fulfilment import FulfilmentStatus, units_left, units_of
from app.models.base import AnyRow
from app.models.fulfilments import FULFILMENTS
from app.models.orders import Order
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.payments import fulfilments
from app.services.refunds.captured_payments import CapturedPayment

_f, _o = FULFILMENTS.c, Order.__table__.c


def check_fulfilment(tx: Transaction, captured: CapturedPayment, refunded: Fraction) -> Iterator[tuple[str, str]]:
    """Findings about the fulfilment of the order that the captured payment bought."""
    order, paid = captured.order, captured.paid
    if order is None:
        return
    row = fulfilments.find_fulfilment(tx, order.slot, order.id)
    if row is None:
        yield "fulfilment_missing", f"order {order.id}: paid, and its backend was never asked"
        return
    granted = units_of(order.grants, quantity=order.quantity, paid_minor=captured.paid_minor or 0, paid_at=paid.at)
    must = units_left(granted, refunded)
    if (row.units, row.payment_id, row.user_id) != (must, paid.payment_id, order.user_id):
        yield "fulfilment_units", f"order {order.id}: its backend is asked for {row.units}, must be {must}"
    if not _is_answered_so(row, order):
        yield "fulfilment_status", f"order {order.id} is {order.fulfilment_status}, answers: {row.wishes}"


def unexplained_fulfilments(tx: Transaction) -> list[int]:
    """The numbers of orders with a fulfilment that none of them calls for."""
    wanted = (
        select(_f.id)
        .prefix_with(sweep("audit"))
        .outerjoin(Order, (_o.slot == _f.slot) & (_o.id == _f.id))
        .where(_o.fulfilment_status.is_(None))
        .order_by(_f.id)
    )
    return list(tx.scalars(wanted))


def _is_answered_so(row: AnyRow, order: AnyRow) -> bool:
    """The last answer says how the order stands; a refused order of which more is due again waits."""
    answers = [wish["answer"] for wish in row.wishes if wish["answer"]]
    last = answers[-1] if answers else FulfilmentStatus.WAITING
    if order.fulfilment_status == FulfilmentStatus.WAITING:
        return last in (FulfilmentStatus.WAITING, FulfilmentStatus.REFUSED) and not row.wishes[-1]["answer"]
    return bool(last == order.fulfilment_status)
