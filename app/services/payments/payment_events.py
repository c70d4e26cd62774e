"""Events about orders, and about money that came in for them.

They are told beside the rows that change. An order is shown with all its payments, as they are after the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table

from app.domain import representations
from app.domain.event_types import EventType
from app.domain.status import OrderStatus, PaymentStatus
from app.models.orders import FactRow, Order
from app.services.base.context import Tx
from app.services.base.outbox import Event, events_of, write_events
from app.services.base.reported_fact import ReportedFact
from app.services.payments import fulfilments, order_rows
from app.services.payments.payment_rows import LockedPayment

_ORDERS, _FACTS = cast(Table, Order.__table__), cast(Table, FactRow.__table__)
_OF_ORDER = {OrderStatus.PAID: EventType.ORDER_PAID, OrderStatus.EXPIRED: EventType.ORDER_EXPIRED}


def write_order_events(tx: Tx, order: Any, events: Sequence[Event]) -> None:
    """Write events beside the row of their order, with what is sent next."""
    write_events(tx, _ORDERS, order.slot, order.id, events)


def events_of_order(tx: Tx, order: Any, payments: list[Any]) -> list[Event]:
    """The event of an order that has moved, with the rows as they are now. None for a status that is not told."""
    shown = {"order": representations.order_data(order, payments)}
    return events_of(tx, _OF_ORDER.get(order.status), order.user_id, shown)


def of_money(
    tx: Tx, kind: EventType, locked: LockedPayment, payment: PaymentStatus | None, *, paid_at: datetime
) -> list[Event]:
    """The event of money that came in for a payment and did not buy its order. `payment` is the new status, if the
    payment moved."""
    row = locked.payment
    if payment is not None:
        row = row._replace(status=payment, paid_at=paid_at if payment is PaymentStatus.PAID else None)
    data = {"order": str(locked.order.id), "user": locked.order.user_id, "payment": representations.payment_data(row)}
    return events_of(tx, kind, locked.order.user_id, data)


def tell_unmatched(tx: Tx, reported: ReportedFact, fact_id: int) -> None:
    """Tell of verified money for which there is no payment here."""
    fact = reported.fact
    shown = {
        "number": str(fact_id),
        "provider_account": reported.account.name,
        "environment": "live" if fact.live else "sandbox",
        "provider_number": fact.ref.theirs,
        "payment": fact.ref.ours,
        "amount_minor": fact.money.minor if fact.money is not None else None,
        "currency": fact.money.currency if fact.money is not None else None,
        "product": fact.product,
        "at": fact.at,
    }
    events = events_of(tx, EventType.PAYMENT_PARKED, reported.buyer or "", {"fact": shown})
    write_events(tx, _FACTS, reported.slot, fact_id, events)


def moved(tx: Tx, locked: LockedPayment, payment: PaymentStatus, order: OrderStatus, at: datetime) -> list[Event]:
    """The event of an order that a fact has moved, with its payment."""
    row = locked.payment._replace(status=payment, paid_at=at)
    after = fulfilments.paid_order(locked.order, row.id, at)
    shown = {"order": representations.order_data(after, _payments(tx, locked, row))}
    return events_of(tx, _OF_ORDER.get(order), after.user_id, shown)


def _payments(tx: Tx, locked: LockedPayment, row: Any) -> list[Any]:
    """All payments of the order; the database is asked only if there are others."""
    if locked.attempts <= 1:
        return [row]
    found = order_rows.order_with_payments(tx, locked.order.slot, locked.order.id)
    return [row if each.id == row.id else each for each in found[1]] if found is not None else [row]
