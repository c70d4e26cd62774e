"""What the app's backend is asked to fulfil: written with the payment of an order whose coins are not in our ledger,
and changed when money of it goes back or returns.

Whoever writes a row here has locked its order first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import bindparam, insert, literal_column, select, update

from app.domain import representations
from app.domain.event_types import EventType
from app.domain.facts import Fact
from app.domain.fulfilment import (
    ANSWERED_WITHIN,
    FulfilledBy,
    FulfilmentStatus,
    Wish,
    is_nothing_due,
    status_restored,
    status_when_paid,
    units_left,
    units_of,
    wish_for,
)
from app.domain.retries import Retried
from app.domain.status import OrderStatus
from app.models.base import AnyRow
from app.models.fulfilments import FULFILMENTS
from app.models.orders import Order
from app.services.base.context import Tx
from app.services.base.leases import next_try
from app.services.base.outbox import Event, events_of, write_events
from app.services.base.statements import LostRace, Statement, make_row_type, write_rows
from app.services.base.transaction import Transaction

WISH_EVENTS = {Wish.DELIVERY: EventType.FULFILMENT_ORDERED, Wish.TAKE_BACK: EventType.FULFILMENT_TAKE_BACK}
_f, _o = FULFILMENTS.c, Order.__table__.c
_Row: Any = make_row_type("FulfilmentRow", _f)
_INSERT = Statement(lambda _: insert(FULFILMENTS))
_FIND = select(*_f).where(_f.slot == bindparam("p_slot"), _f.id == bindparam("p_id"))
_MOVE_ORDER = (
    update(Order)
    .where(
        _o.slot == bindparam("at_slot"),
        _o.id == bindparam("at_id"),
        _o.status == literal_column(f"'{OrderStatus.PAID}'"),
        _o.fulfilment_status == bindparam("from_status"),
    )
    .values(fulfilment_status=bindparam("to_status"))
)


def is_fulfilled_outside(order: AnyRow) -> bool:
    """Whether the app's backend fulfils the order."""
    return bool(order.fulfilment == FulfilledBy.EXTERNAL)


def paid_order(order: Any, payment_id: int, paid_at: datetime) -> Any:
    """The order's row as it is once that payment has bought it."""
    return order._replace(
        status=OrderStatus.PAID,
        paid_payment_id=payment_id,
        paid_at=paid_at,
        fulfilment_status=status_when_paid(order.fulfilment),
    )


def order_fulfilment(tx: Tx, order: Any, payment_id: int, paid: Fact) -> list[Event]:
    """Write, with the payment of the order, what the backend is to fulfil from now on; the event that says so."""
    after = paid_order(order, payment_id, paid.at)
    paid_minor = paid.money.minor if paid.money is not None else 0
    units = units_of(order.grants, quantity=order.quantity, paid_minor=paid_minor, paid_at=paid.at)
    row = _Row(
        slot=order.slot,
        id=order.id,
        user_id=order.user_id,
        payment_id=payment_id,
        units=units,
        reason="",
        reference="",
        actor="",
        created_at=tx.now,
        answered_at=None,
        delivered_at=None,
        **_asked_for(tx, Wish.DELIVERY, []),
    )
    write_rows(tx, [(_INSERT, row._asdict())])
    return fulfilment_events(tx, EventType.FULFILMENT_ORDERED, row, after)


def aim_fulfilment(tx: Tx, order: AnyRow, refunded: Fraction) -> None:
    """What is due of a paid order is what of its payment is not refunded: ask the backend for the difference, if there
    is one. Nothing is asked of an order that it refused, unless money came back."""
    row = find_fulfilment(tx, order.slot, order.id)
    if row is None:
        return
    units = units_left(row.units, refunded)
    wish = wish_for(row.units, units)
    if wish is None:
        return
    status = FulfilmentStatus(order.fulfilment_status)
    after = status_restored(status) if wish is Wish.DELIVERY else status
    move_fulfilment(tx, order, after)
    values = {"units": units, **_asked_for(tx, wish, row.wishes)}
    is_asked = not (wish is Wish.TAKE_BACK and status is FulfilmentStatus.REFUSED)
    if not is_asked:  # the backend has delivered nothing of it
        attention = None if is_nothing_due(units) else row.attention_at
        wishes = [*row.wishes, {"asks": wish, "answer": status}]
        values |= {"wishes": wishes, "next_tell_at": None, "attention_at": attention}
    changed = change_fulfilment(tx, row, **values)
    if is_asked:
        tell_fulfilment(tx, WISH_EVENTS[wish], changed, order_with_status(order, after))


def _asked_for(tx: Tx, wish: Wish, before: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns of a fulfilment whose next revision is this wish, told now for the first time."""
    return {
        "wishes": [*before, {"asks": wish, "answer": ""}],
        "asked_at": tx.now,
        "tellings": 1,
        "next_tell_at": next_try(tx.now, Retried.UNANSWERED_WISH, 0),
        "attention_at": tx.now + ANSWERED_WITHIN,
        "alarmed_at": None,
        "ended_by": None,
    }


def find_fulfilment(tx: Transaction, slot: int, order_id: int) -> AnyRow | None:
    return tx.execute(_FIND, {"p_slot": slot, "p_id": order_id}).one_or_none()


def change_fulfilment(tx: Tx, row: AnyRow, **values: Any) -> Any:
    """Write these columns; the row as it is then."""
    values = {name: value for name, value in values.items() if name in _f}
    tx.execute(update(FULFILMENTS).where(_f.slot == row.slot, _f.id == row.id).values(**values))
    return _Row(**{**row._asdict(), **values})


def move_fulfilment(tx: Tx, order: AnyRow, to: FulfilmentStatus) -> None:
    """Take the locked order to another status of its fulfilment."""
    if to == order.fulfilment_status:
        return
    keys = {"at_slot": order.slot, "at_id": order.id, "from_status": order.fulfilment_status, "to_status": to}
    if tx.connection().execute(_MOVE_ORDER, keys).rowcount != 1:
        raise LostRace


def order_with_status(order: AnyRow, status: FulfilmentStatus) -> Mapping[str, Any]:
    """The order's columns, with that status of its fulfilment."""
    return {**order._asdict(), "fulfilment_status": status}


def tell_fulfilment(tx: Tx, kind: EventType, row: Any, order: Mapping[str, Any], actor: str = "") -> None:
    """Write the event beside the row."""
    write_events(tx, FULFILMENTS, row.slot, row.id, fulfilment_events(tx, kind, row, order, actor))


def fulfilment_events(tx: Tx, kind: EventType, row: Any, order: Any, actor: str = "") -> list[Event]:
    columns = order if isinstance(order, Mapping) else order._asdict()
    shown = {"fulfilment": representations.fulfilment_data(row, columns)}
    return events_of(tx, kind, row.user_id, shown, actor)
