"""Money that a payer's bank has reserved for us: it credits nothing, and is captured or given up.

What stands is worked out from the facts about the payment, so it depends on no order of telling.
"""

from __future__ import annotations

from sqlalchemy import select

from app.domain.facts import Kind
from app.domain.money import Money
from app.domain.status import OPEN_PAYMENT, UNPAID_END, OrderStatus, Outcome, PaymentStatus
from app.models.base import AnyRow
from app.models.orders import FactRow
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.payments import payment_rows

_f = FactRow.__table__.c
_ENDS = frozenset({Kind.PAID, Kind.FAILED, Kind.CLOSED})
"""After each of these nothing is reserved any more."""
_COUNTED = (Outcome.APPLIED, Outcome.NOTED, Outcome.SURPLUS)


def make_due(tx: Tx, reported: ReportedFact, payment: AnyRow) -> None:
    """Let the worker look at the payment now. Whoever asks about an open one goes on by himself, under his lease."""
    if payment.status not in OPEN_PAYMENT | UNPAID_END or (reported.road == "query" and payment.status in OPEN_PAYMENT):
        return
    payment_rows.bring_forward(tx, payment.slot, payment.id, now=tx.now, hinted_before=tx.now)


def to_capture(tx: Tx, row: AnyRow) -> Money | None:
    """What is to be captured for this payment. None where nothing is reserved, or where that is to be given up: the
    order ended or is paid already, or what is reserved is not what we asked for."""
    reserved = _reserved(tx, row)
    order = payment_rows.find_order(tx, row.slot, row.order_id)
    if reserved is None or reserved.reason or order is None:
        return None
    if row.status != PaymentStatus.AUTHORIZED or order.status != OrderStatus.OPEN:
        return None
    content = reserved.content
    return Money(content["amount_minor"], content["currency"])


def is_reserved(tx: Tx, row: AnyRow) -> bool:
    """Whether money is reserved for the payment, however it stands here."""
    return _reserved(tx, row) is not None


def _reserved(tx: Tx, row: AnyRow) -> AnyRow | None:
    """The authorisation of the payment, unless its end was told, before or after. Facts that were parked are not about
    this payment."""
    wanted = select(_f.kind, _f.reason, _f.content).where(
        _f.slot == row.slot,
        _f.payment_id == row.id,
        _f.kind.in_([Kind.AUTHORIZED, *sorted(_ENDS)]),
        _f.outcome.in_(_COUNTED),
    )
    told = {fact.kind: fact for fact in tx.execute(wanted)}
    return None if _ENDS & told.keys() else told.get(Kind.AUTHORIZED)
