"""The statements on orders and payments that the money path runs. Built once; every one names the slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, exists, func, literal_column, or_, select, update

from app.domain.facts import Kind
from app.domain.fulfilment import status_when_paid
from app.domain.matching import Mismatch
from app.domain.status import (
    OPEN_PAYMENT,
    UNPAID_END,
    Cause,
    OrderStatus,
    Outcome,
    PaymentStatus,
    next_payment_status,
)
from app.models.base import AnyRow
from app.models.orders import FactRow, Order, Payment, User
from app.services.base.context import Tx
from app.services.base.statements import Move, Statement, make_row_type, with_names
from app.services.base.transaction import Transaction
from app.services.base.wire import Row
from app.services.payments import order_rows

LAPSED_PROBLEM = "lapsed: the provider knew of no payment when time and grace were over"
GIVEN_UP_PROBLEM = "given up: unpaid a week after its time, and the provider did not close it"
BY_HAND_PROBLEM = "closed by hand: "
"""Followed by who did it and why."""

_o, _p, _f, _u = Order.__table__.c, Payment.__table__.c, FactRow.__table__.c, User.__table__.c

_PAYMENT_KEYS = select(_p.id, _p.order_id).where(_p.slot == bindparam("slot"), _p.id == bindparam("id"))
_KeysRow: Any = make_row_type("_KeysRow", (_p.id, _p.order_id))
_BY_THEIRS = (
    _p.slot == bindparam("slot"),
    _p.provider_account == bindparam("provider_account"),
    _p.theirs == bindparam("theirs"),
    _o.environment == bindparam("environment"),
)
_PAYMENT_KEYS_BY_THEIRS = Statement(
    select(_p.id, _p.order_id)
    .join(Order, (_o.slot == _p.slot) & (_o.id == _p.order_id))
    .where(*_BY_THEIRS)
    .order_by(_p.id)
    .limit(1)
)
_PAYMENT_COLUMNS = [column for column in _p if column.name not in ("action", "request")]
OrderRow: Any = make_row_type("OrderRow", _o)
PaymentRow: Any = make_row_type("PaymentRow", _PAYMENT_COLUMNS)
EARLY_REFUND = (
    exists()
    .where(
        _f.slot == bindparam("slot"),
        _f.reason == literal_column(f"'{Mismatch.BEFORE_PAYMENT}'"),
        _f.outcome == literal_column(f"'{Outcome.PARKED}'"),
    )
    .label("early_refund")
)


def _locking(payment: ColumnElement[bool], *which: ColumnElement[bool]) -> Select[Any]:
    """Locks an order and one of its payments, which these conditions pick."""
    return (
        select(
            *(column.label(f"o_{column.name}") for column in _o),
            *(column.label(f"p_{column.name}") for column in _PAYMENT_COLUMNS),
            _u.token.label("owner"),
            EARLY_REFUND,
            order_rows.ATTEMPTS_OF_ORDER,
        )
        .join(Payment, (_p.slot == _o.slot) & payment)
        .join(User, (_u.slot == _o.slot) & (_u.id == _o.user_id))
        .where(_o.slot == bindparam("slot"), _p.slot == bindparam("slot"), *which)
        .with_for_update(of=[Order, Payment])
    )


_LOCK = Statement(_locking(_p.order_id == _o.id, _p.id == bindparam("id")))
_LOCK_BY_THEIRS = Statement(_locking(_p.order_id == _o.id, *_BY_THEIRS).order_by(_p.id).limit(1))
_LOCK_BOUGHT = Statement(_locking(_p.id == _o.paid_payment_id, _o.id == bindparam("id")))
_ORDER = select(*_o).where(_o.slot == bindparam("slot"), _o.id == bindparam("id"))
_LOCK_ORDER = _ORDER.with_for_update()
_PAYMENT = select(*_p).where(_p.slot == bindparam("slot"), _p.id == bindparam("id"))
_LOCK_PAYMENT = _PAYMENT.with_for_update()
_PAYMENTS_OF_ORDER = (
    select(*_p).where(_p.slot == bindparam("slot"), _p.order_id == bindparam("id")).order_by(_p.attempt)
)
# Money for this payment of which the provider gave its word, though it could not be used or did not match.
_TOLD_PAID = (
    select(_f.id)
    .where(
        _f.slot == bindparam("slot"),
        _f.payment_id == bindparam("id"),
        _f.kind == Kind.PAID,
        _f.reason.not_in([Mismatch.OTHER_ACCOUNT, Mismatch.OTHER_ENVIRONMENT, Mismatch.OTHER_PROVIDER_ACCOUNT]),
    )
    .limit(1)
)
_MOVED = {
    "status": bindparam("to_status"),
    # The trade that was paid, should it be another than the one that was pending.
    "theirs": func.coalesce(bindparam("number_there", type_=_p.theirs.type), _p.theirs),
    "paid_at": bindparam("moment_paid", type_=_p.paid_at.type),
    "next_query_at": bindparam("next_ask", type_=_p.next_query_at.type),
}
_MOVE_PAYMENT = Statement(
    lambda _: (
        update(Payment)
        .where(_p.slot == bindparam("at_slot"), _p.id == bindparam("at_id"), _p.status == bindparam("from_status"))
        .values(**_MOVED)
    )
)
_END_PAYMENT = Statement(
    lambda _: (
        update(Payment)
        .where(_p.slot == bindparam("at_slot"), _p.id == bindparam("at_id"), _p.status == bindparam("from_status"))
        .values(
            **_MOVED,
            # Nobody repeats the request or takes the next step any more; that there was one is still asked.
            intent=bindparam("compared", type_=_p.intent.type),
            action=case((_p.action.is_not(None), bindparam("no_step", type_=_p.action.type))),
        )
    )
)
NAME_THEIRS = Statement(
    lambda _: (
        update(Payment)
        .where(_p.slot == bindparam("at_slot"), _p.id == bindparam("at_id"), _p.theirs.is_(None))
        .values(theirs=bindparam("number_there"))
    )
)
_STARTED = Statement(
    lambda _: (
        update(Payment)
        .where(
            _p.slot == bindparam("at_slot"),
            _p.id == bindparam("at_id"),
            _p.status == literal_column(f"'{PaymentStatus.CREATED}'"),
        )
        .values(
            status=bindparam("to_status"),
            action=bindparam("next_step", type_=_p.action.type),
            problem=bindparam("what"),
        )
    )
)
_RECORD_START = (
    update(Payment)
    .where(_p.slot == bindparam("at_slot"), _p.id == bindparam("at_id"), _p.status == bindparam("from_status"))
    .values(
        status=bindparam("to_status"),
        action=bindparam("next_step"),
        problem=bindparam("what"),
        next_query_at=bindparam("next_ask"),
    )
)
_SET_PROBLEM = (
    update(Payment)
    .where(_p.slot == bindparam("at_slot"), _p.id == bindparam("at_id"))
    .values(problem=bindparam("what"))
)
_SET_NEXT_QUERY = (
    update(Payment)
    .where(_p.slot == bindparam("at_slot"), _p.id == bindparam("at_id"), _p.status == bindparam("in_status"))
    .values(next_query_at=bindparam("moment"))
)
_BRING_FORWARD = (
    update(Payment)
    .where(
        _p.slot == bindparam("at_slot"),
        _p.id == bindparam("at_id"),
        _p.status.in_(sorted(OPEN_PAYMENT | UNPAID_END)),
        # A stamp in the future is a clock's that was ahead, and counts as none.
        or_(_p.hinted_at.is_(None), _p.hinted_at <= bindparam("hinted_before"), _p.hinted_at > bindparam("now")),
    )
    .values(hinted_at=bindparam("now"), next_query_at=bindparam("now"))
)
MOVE_ORDER = Statement(
    lambda _: (
        update(Order)
        .where(_o.slot == bindparam("at_slot"), _o.id == bindparam("at_id"), _o.status == bindparam("from_status"))
        .values(
            status=bindparam("to_status"),
            paid_payment_id=bindparam("payment", type_=_o.paid_payment_id.type),
            paid_at=bindparam("moment_paid", type_=_o.paid_at.type),
            fulfilment_status=bindparam("to_fulfilment", type_=_o.fulfilment_status.type),
        )
    )
)


@dataclass(frozen=True, slots=True)
class LockedPayment:
    """A payment and its order, locked until the transaction ends, with what a fact about them is compared with."""

    order: Any
    payment: Any
    owner: str
    """The account token of the order's user."""
    early_refund: bool
    """Whether the slot keeps a refund that was told before its payment: seldom."""
    attempts: int = 1
    """How many payments the order has, this one among them."""
    is_new: bool = False
    """Made by this transaction, and written with its fact: nobody else can see it yet."""


def lock_with_order(tx: Transaction, slot: int, payment_id: int) -> LockedPayment | None:
    """The payment with this number and its order, the order locked first; None if there is no such payment."""
    return _locked(_LOCK.row(tx, {"slot": slot, "id": payment_id}))


def ask_with_order(tx: Transaction, slot: int, payment_id: int) -> Callable[[], LockedPayment | None]:
    """Lock payment and order with what is sent next, so that what is to be read under the locks is one flight with
    them; gives what `lock_with_order` does."""
    (sent,) = tx.later(_LOCK, {"slot": slot, "id": payment_id})

    def locked() -> LockedPayment | None:
        tx.flush()  # nothing, if it was sent by now
        return _locked(sent.rows[0] if sent.rows else None)

    return locked


def lock_by_theirs(
    tx: Transaction, slot: int, provider_account: str, environment: str, theirs: str
) -> LockedPayment | None:
    """The payment that the provider knows by this number, and its order, locked; None if there is none."""
    keys = {"slot": slot, "provider_account": provider_account, "environment": environment, "theirs": theirs}
    return _locked(_LOCK_BY_THEIRS.row(tx, keys))


def lock_bought_order(tx: Transaction, slot: int, order_id: int) -> LockedPayment | None:
    """The order with this number and the payment that bought it; None if nothing has bought it, or there is none."""
    return _locked(_LOCK_BOUGHT.row(tx, {"slot": slot, "id": order_id}))


def _locked(row: Row | None) -> LockedPayment | None:
    if row is None:
        return None
    orders_end = len(OrderRow._fields)
    order, payment = OrderRow._make(row[:orders_end]), PaymentRow._make(row[orders_end:-3])
    return LockedPayment(order, payment, str(row[-3]), bool(row[-2]), int(row[-1]))


def payment_keys(tx: Tx, slot: int, payment_id: int) -> AnyRow | None:
    """(id, order_id) of the payment with this number."""
    return tx.execute(_PAYMENT_KEYS, {"slot": slot, "id": payment_id}).one_or_none()


def payment_keys_by_theirs(tx: Tx, slot: int, provider_account: str, environment: str, theirs: str) -> AnyRow | None:
    """(id, order_id) of the payment that the provider knows by this number; None if there is none."""
    keys = {"slot": slot, "provider_account": provider_account, "environment": environment, "theirs": theirs}
    found: AnyRow | None = with_names(_KeysRow, _PAYMENT_KEYS_BY_THEIRS.row(tx, keys))
    return found


def find_order(tx: Tx, slot: int, order_id: int) -> AnyRow | None:
    return tx.execute(_ORDER, {"slot": slot, "id": order_id}).one_or_none()


def find_payment(tx: Tx, slot: int, payment_id: int) -> AnyRow | None:
    return tx.execute(_PAYMENT, {"slot": slot, "id": payment_id}).one_or_none()


def payments_of_order(tx: Tx, slot: int, order_id: int) -> list[AnyRow]:
    return list(tx.execute(_PAYMENTS_OF_ORDER, {"slot": slot, "id": order_id}))


def lock_order(tx: Tx, slot: int, order_id: int) -> AnyRow:
    return tx.execute(_LOCK_ORDER, {"slot": slot, "id": order_id}).one()


def lock_known_order(tx: Tx, slot: int, order_id: int) -> AnyRow | None:
    """The order with this number, locked; None if there is no such order."""
    return tx.execute(_LOCK_ORDER, {"slot": slot, "id": order_id}).one_or_none()


def lock_payment(tx: Tx, slot: int, payment_id: int) -> AnyRow:
    """Only after its order is locked: one order of locks for everybody."""
    return tx.execute(_LOCK_PAYMENT, {"slot": slot, "id": payment_id}).one()


def is_told_paid(tx: Tx, slot: int, payment_id: int) -> bool:
    """Whether there is a verified word that it is paid, even one that could not be used. Another merchant's does not
    count."""
    return tx.execute(_TOLD_PAID, {"slot": slot, "id": payment_id}).one_or_none() is not None


def their_name(row: Any, theirs: str) -> dict[str, Any]:
    """The values of NAME_THEIRS, which remembers the provider's number where none is known yet."""
    return {"at_slot": row.slot, "at_id": row.id, "number_there": theirs}


def payment_move(
    row: Any, to: PaymentStatus, *, theirs: str | None, paid_at: datetime | None, next_query_at: datetime | None
) -> Move:
    """Takes a locked payment to another status. With its end goes what only an open payment needs: the request, which
    is repeated until then, and the client's next step."""
    values = {
        "at_slot": row.slot,
        "at_id": row.id,
        "from_status": row.status,
        "to_status": to,
        "number_there": theirs,
        "moment_paid": paid_at,
        "next_ask": next_query_at,
    }
    if to in OPEN_PAYMENT:
        return _MOVE_PAYMENT, values
    return _END_PAYMENT, {**values, "compared": intent_after_end(row.intent), "no_step": {}}


def intent_after_end(intent: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request when its payment has ended: what a late fact is compared with."""
    return {"product": intent["product"]}


def order_move(
    row: Any, to: OrderStatus, *, payment_id: int | None = None, paid_at: datetime | None = None
) -> dict[str, Any]:
    """The values of MOVE_ORDER that take a locked order to another status; to `paid` with the payment that bought
    it."""
    return {
        "at_slot": row.slot,
        "at_id": row.id,
        "from_status": row.status,
        "to_status": to,
        "payment": payment_id,
        "moment_paid": paid_at,
        "to_fulfilment": status_when_paid(row.fulfilment) if to is OrderStatus.PAID else None,
    }


def mark_started(tx: Tx, slot: int, payment_id: int, action: dict[str, Any]) -> bool:
    """A payment that nobody has started before is started; False, changing nothing, if it is another's or moved on."""
    after = next_payment_status(PaymentStatus.CREATED, Cause.STARTED)
    values = {"at_slot": slot, "at_id": payment_id, "to_status": after, "next_step": action, "what": ""}
    return _STARTED.count(tx, values) == 1


def record_start(
    tx: Tx, slot: int, payment_id: int, cause: Cause | None, *, action: dict[str, Any] | None, problem: str
) -> None:
    """What came of `start`. `cause` None only notes the problem; a payment that moved on meanwhile stays as it is."""
    row = lock_payment(tx, slot, payment_id)
    before = PaymentStatus(row.status)
    after = before if cause is None else next_payment_status(before, cause)
    if after is None:
        after = before
    if before not in OPEN_PAYMENT:
        return
    values = {
        "at_slot": slot,
        "at_id": payment_id,
        "from_status": before,
        "to_status": after,
        "next_step": row.action if action is None else action,
        "what": problem,
        "next_ask": row.next_query_at if after in OPEN_PAYMENT else None,
    }
    tx.connection().execute(_RECORD_START, values)


def give_time(tx: Tx, row: AnyRow, until: datetime) -> None:
    """Have an open payment, whose order the caller has locked, be closed no earlier than at that moment."""
    if row.expires_at < until:
        change = update(Payment).where(_p.slot == row.slot, _p.id == row.id)
        tx.execute(change.values(expires_at=until))


def set_problem(tx: Tx, slot: int, payment_id: int, problem: str) -> None:
    tx.connection().execute(_SET_PROBLEM, {"at_slot": slot, "at_id": payment_id, "what": problem})


def set_next_query(tx: Tx, slot: int, payment_id: int, *, status: str, moment: datetime | None) -> None:
    """Unless the payment has moved on meanwhile: then whoever moved it has decided."""
    values = {"at_slot": slot, "at_id": payment_id, "in_status": status, "moment": moment}
    tx.connection().execute(_SET_NEXT_QUERY, values)


def bring_forward(tx: Tx, slot: int, payment_id: int, *, now: datetime, hinted_before: datetime) -> bool:
    """Make an unpaid payment due now, unless it was hinted at recently."""
    values = {"at_slot": slot, "at_id": payment_id, "now": now, "hinted_before": hinted_before}
    return tx.connection().execute(_BRING_FORWARD, values).rowcount == 1
