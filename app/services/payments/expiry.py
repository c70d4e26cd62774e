"""Ending orders and payments on our own word, when time is over and every road has been asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, or_, select

from app.domain.numbers import slot_of_number
from app.domain.schedule import grace_end, next_late_ask
from app.domain.status import OPEN_PAYMENT, Cause, OrderStatus, PaymentStatus, next_order_status, next_payment_status
from app.models.base import AnyRow
from app.models.orders import Order, Payment
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.base.sanitize import problem_text
from app.services.base.statements import write_rows
from app.services.payments import interventions, payment_events, payment_rows

_o, _p = Order.__table__.c, Payment.__table__.c
_IS_OPEN = or_(*[_p.status == status for status in sorted(OPEN_PAYMENT)])
_OPEN_PAYMENT_OF_ORDER = select(_p.id).where(_p.slot == _o.slot, _p.order_id == _o.id, _IS_OPEN).exists()


class NotClosed(Exception):
    """The payment cannot be closed by hand. The text says why."""


_OVER = (
    select(_o.slot, _o.id)
    .prefix_with(sweep("due_payments"))
    .where(_o.status == OrderStatus.OPEN, _o.expires_at <= bindparam("now"), ~_OPEN_PAYMENT_OF_ORDER)
)
ANY_OVER = _OVER.exists()
"""Whether `expire_due_orders` has anything to do at the moment `now`."""


def lapse_payment(tx: Tx, row: AnyRow) -> None:
    """Close a payment that the provider, asked after the grace, knows nothing of. It is asked about again later."""
    order = payment_rows.lock_order(tx, row.slot, row.order_id)
    payment = payment_rows.lock_payment(tx, row.slot, row.id)
    _close(tx, order, payment, payment_rows.LAPSED_PROBLEM)


def give_up_payment(tx: Tx, row: AnyRow) -> None:
    """Close a payment that the provider calls unpaid a week after its time and will not close, unless there is any word
    that it is paid. It is asked about again later."""
    order = payment_rows.lock_order(tx, row.slot, row.order_id)
    payment = payment_rows.lock_payment(tx, row.slot, row.id)
    if not payment_rows.is_told_paid(tx, row.slot, row.id):
        _close(tx, order, payment, payment_rows.GIVEN_UP_PROBLEM)


def close_by_hand(core: Core, payment_id: int, *, actor: str, reason: str) -> None:
    """Close an open payment whose time and grace are over, because a person has found out that it was not paid. It is
    asked about again later, and late money is treated as ever. Raises NotClosed."""
    slot = slot_of_number(payment_id)

    def work(tx: Tx) -> None:
        keys = payment_rows.payment_keys(tx, slot, payment_id)
        if keys is None:
            raise NotClosed("there is no such payment")
        order = payment_rows.lock_order(tx, slot, keys.order_id)
        payment = payment_rows.lock_payment(tx, slot, payment_id)
        if payment.status not in OPEN_PAYMENT:
            raise NotClosed(f"it is {payment.status} already")
        if core.clock.now() < grace_end(payment.expires_at, core.rules.ask):
            raise NotClosed("it can still be paid: its time and grace are not over")
        problem = problem_text(f"{payment_rows.BY_HAND_PROBLEM}{actor}: {reason}")
        _close(tx, order, payment, problem)
        interventions.write_down(tx, slot, payment_id, "payment_closed", actor=actor, reason=reason)

    core.of_number(payment_id).transact(work)


def overdue(tx: Tx, limit: int) -> list[AnyRow]:
    """Open payments whose time and grace are over, oldest first, for the operator."""
    before = tx.now - timedelta(seconds=tx.core.rules.ask.grace_seconds)
    wanted = (
        select(*_p)
        .prefix_with(sweep("operator"))
        .where(_p.next_query_at.is_not(None), _p.status.in_(sorted(OPEN_PAYMENT)), _p.expires_at <= before)
        .order_by(_p.expires_at, _p.id)
        .limit(limit)
    )
    return list(tx.execute(wanted))


def _close(tx: Tx, order: AnyRow, payment: AnyRow, problem: str) -> None:
    """End a locked payment on our own word, and its order if that was the last one."""
    after = next_payment_status(PaymentStatus(payment.status), Cause.LAPSED)
    if after is None:
        return
    now = tx.now
    later = late_ask_after(tx.core, payment.expires_at, problem, answered=True)
    write_rows(tx, [payment_rows.payment_move(payment, after, theirs=None, paid_at=None, next_query_at=later)])
    payment_rows.set_problem(tx, payment.slot, payment.id, problem)
    expire_if_over(tx, order, now)


def late_ask_after(core: Core, expires_at: datetime, problem: str, *, answered: bool) -> datetime | None:
    """When to ask again about a payment that ended unpaid; None for one that we did not close on our own word."""
    lapsed = problem == payment_rows.LAPSED_PROBLEM
    given_up = problem == payment_rows.GIVEN_UP_PROBLEM or problem.startswith(payment_rows.BY_HAND_PROBLEM)
    if not lapsed and not given_up:
        return None
    now, rules = core.clock.now(), core.rules.ask
    return next_late_ask(now=now, expires_at=expires_at, rules=rules, given_up=given_up, answered=answered)


def expire_due_orders(core: Core, limit: int) -> int:
    """End orders whose time is over and whose payments have all ended unpaid; how many were looked at."""
    over = _OVER.order_by(_o.expires_at).limit(limit)
    found = core.rows_everywhere(lambda tx: tx.execute(over, {"now": tx.now}).all())
    return sum(expire_order(core, row.slot, row.id) for row in found)


def expire_order(core: Core, slot: int, order_id: int) -> bool:
    """End an order whose time is over and whose payments all ended unpaid. True if it ended now."""

    def work(tx: Tx) -> bool:
        return expire_if_over(tx, payment_rows.lock_order(tx, slot, order_id), core.clock.now())

    return core.at(slot).transact(work)


def expire_if_over(tx: Tx, order: AnyRow, now: datetime) -> bool:
    """End an order that the caller has locked, if its time is over and no payment is open. True if it ended now."""
    after = next_order_status(OrderStatus(order.status), Cause.LAPSED)
    if after is None or now < order.expires_at:
        return False
    payments = payment_rows.payments_of_order(tx, order.slot, order.id)
    if any(payment.status in OPEN_PAYMENT for payment in payments):
        return False
    now_is = payment_rows.OrderRow._make(tuple(order))._replace(status=after)
    events = payment_events.events_of_order(tx, now_is, payments)
    write_rows(tx, [(payment_rows.MOVE_ORDER, payment_rows.order_move(order, after))])
    payment_events.write_order_events(tx, order, events)
    return True
