"""What is to be done next about the period of an agreement that is due: decided, and written down, before the provider
hears of it.

Each step is a transaction that may be repeated. Nobody is charged twice for a period: it has one order, and that order
gets a further payment only when all earlier ones have ended unpaid.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.domain.agreements import CHARGEABLE
from app.domain.charging import announced_charge, announcement_moment
from app.domain.event_types import EventType
from app.domain.facts import Refusal
from app.domain.periods import charge_moment
from app.domain.status import OPEN_PAYMENT, OrderStatus, PaymentStatus
from app.models.base import AnyRow
from app.providers.agreements import ChargeWindow
from app.services.agreements import (
    agreement_events,
    agreement_facts,
    agreement_requests,
    agreement_rows,
    charge_rows,
    plans,
)
from app.services.base.context import Tx
from app.services.payments import intents, payment_rows

LEAST_TIME = timedelta(days=2)
"""So long at least a charge may take, however late it is made: there are providers that carry it out a day after they
have accepted it."""
LATEST_TRY = timedelta(days=7)
"""So much longer than its first payment an order can be paid: a try that no worker made in time, or that has to be
announced anew, still finds it open."""
WHILE_OPEN = timedelta(hours=6)
"""Between two looks at a charge that is under way; facts about it are heard by themselves."""


@dataclass(frozen=True, slots=True)
class ChargeStep:
    """`charge` this payment, `announce` the charge of this period, or else look again at that moment."""

    agreement: AnyRow | None = None
    charge: Any = None
    announce: AnyRow | None = None
    again_at: datetime | None = None


def next_charge_step(tx: Tx, number: int) -> ChargeStep:
    """The next step about an agreement. Nothing but its plan (an empty step) where nothing is due."""
    seen = agreement_rows.find_agreement(tx, number)
    if seen is None or seen.next_charge_at is None:
        return ChargeStep()
    order = _locked_order(tx, seen)
    row = agreement_rows.lock_agreement(tx, number)
    if row is None or row.next_period != seen.next_period or row.cancel_at is not None or row.status not in CHARGEABLE:
        return ChargeStep()
    period = agreement_rows.find_period(tx, row, row.next_period)
    if order is not None:
        return _of_open_order(tx, row, period, order)
    if period is not None and period.order_id is not None:  # another worker was faster
        return ChargeStep()
    return _of_new_order(tx, row, period)


def _locked_order(tx: Tx, row: AnyRow) -> AnyRow | None:
    """The order of the period that is due, if it has one: also the one that was to be paid with the signing."""
    period = agreement_rows.find_period(tx, row, row.next_period)
    order_id = None if period is None else period.order_id
    if order_id is None and row.next_period == 0 and row.first_payment_id is not None:
        keys = payment_rows.payment_keys(tx, row.slot, row.first_payment_id)
        order_id = None if keys is None else keys.order_id
    return None if order_id is None else payment_rows.lock_order(tx, row.slot, order_id)


# --- a period that has its order ---


def _of_open_order(tx: Tx, row: AnyRow, period: AnyRow | None, order: AnyRow) -> ChargeStep:
    payments = payment_rows.payments_of_order(tx, order.slot, order.id)
    newest = payments[-1]
    if any(payment.status in OPEN_PAYMENT for payment in payments[:-1]) or newest.status == PaymentStatus.HELD:
        return ChargeStep(row, again_at=tx.now + WHILE_OPEN)
    if period is None:
        return _with_the_signing(tx, row, order, newest)
    if newest.status in OPEN_PAYMENT:
        is_sent = newest.status not in (PaymentStatus.CREATED, PaymentStatus.UNKNOWN)
        if is_sent or tx.now >= intents.from_json(newest.intent).expires_at:
            return ChargeStep(row, again_at=tx.now + WHILE_OPEN)
        # Its provider may take it only now, and then takes as long to decide as it would have then.
        payment_rows.give_time(tx, newest, tx.now + LEAST_TIME)
        return ChargeStep(row, charge=newest)
    return _of_unpaid_order(tx, row, period, order, newest)


def _of_unpaid_order(tx: Tx, row: AnyRow, period: AnyRow, order: AnyRow, newest: AnyRow) -> ChargeStep:
    """All attempts have ended unpaid: another one, when it is time for that."""
    if _is_settled_without_a_word(tx, row, period, order, newest):
        return ChargeStep()
    try_at, window = period.next_try_at, plans.window_of(tx, row)
    if window.notice:
        if not _is_announced(period, window, max(try_at, tx.now)):
            return ChargeStep(row, announce=period)
        try_at = max(try_at, _announced_charge(tx, row, period, window))
    if try_at > tx.now:
        return ChargeStep(row, again_at=try_at)
    later = _unless_too_many(tx, row)
    if later is not None:
        return ChargeStep(row, again_at=later)
    # Some providers take a day to decide: the order waits for its open payment, however late that was asked for.
    until = _end_of_payment(tx, period, window)
    payment = charge_rows.new_payment(tx, row, order, newest.attempt + 1, expires_at=until)
    charge_rows.write(tx, None, payment)
    agreement_rows.change_period(tx, period, {"next_try_at": None})
    return ChargeStep(row, charge=payment)


def _is_settled_without_a_word(tx: Tx, row: AnyRow, period: AnyRow, order: AnyRow, newest: AnyRow) -> bool:
    """Decide about a period whose newest charge we closed on our own word, or whose next try nobody made in time (no
    worker ran): nobody has refused anything, so the consent stands. What was given up may still be paid at its
    provider, and counts as refused. False where there is a try to make."""
    is_planned = period.next_try_at is not None
    if not is_planned and newest.problem != payment_rows.LAPSED_PROBLEM:
        agreement_facts.period_refused(tx, row, period, Refusal.OTHER, newest.attempt, order)
    elif order.status != OrderStatus.OPEN or order.expires_at <= tx.now:
        agreement_rows.change_period(tx, period, {"status": "unpaid", "next_try_at": None})
        agreement_requests.begin_again(tx, row)
    elif not is_planned:
        agreement_facts.period_refused(tx, row, period, Refusal.NOT_NOW, newest.attempt, order)
    else:
        return False
    return True


def _end_of_payment(tx: Tx, period: AnyRow, window: ChargeWindow) -> datetime:
    """Until when a charge that is made now can be paid."""
    end: datetime = max(period.starts_at + window.after, tx.now + LEAST_TIME)
    return end


def _with_the_signing(tx: Tx, row: AnyRow, order: AnyRow, payment: AnyRow) -> ChargeStep:
    """The first period was to be paid by the act of signing. Where it was not, the payer has signed without paying: the
    next period is charged at its time."""
    if payment.status in OPEN_PAYMENT or (order.status == OrderStatus.OPEN and tx.now < order.expires_at):
        soon = order.expires_at if tx.now < order.expires_at else tx.now + WHILE_OPEN
        return ChargeStep(row, again_at=min(soon, tx.now + WHILE_OPEN) + timedelta(minutes=1))
    start, end = plans.span(row, 0)
    new = {"slot": row.slot, "agreement_id": row.id, "number": 0, "starts_at": start, "ends_at": end}
    agreement_rows.add_period(tx, {**new, "status": "unpaid", "order_id": order.id, "entitlements": row.entitlements})
    agreement_facts.settle_agreement(tx, row, {"next_period": 1, "tries": 0}, None)
    return ChargeStep()


# --- a period that has none yet ---


def _of_new_order(tx: Tx, row: AnyRow, period: AnyRow | None) -> ChargeStep:
    if plans.span(row, row.next_period)[1] <= tx.now:
        # Went by before anything was asked for it (no worker ran): it is not charged for, and begins now.
        row, period = agreement_facts.begin_now(tx, row, period)
    rules, window = tx.core.rules.charges, plans.window_of(tx, row)
    charge_at = plans.planned_charge(row, row.next_period, rules)
    if window.notice:
        if announcement_moment(charge_at, window.notice) > tx.now:
            return ChargeStep(row, again_at=announcement_moment(charge_at, window.notice))
        if period is None or not _is_announced(period, window, tx.now):
            row = _with_next_plan(tx, row)  # what is announced is what is charged
            return ChargeStep(row, announce=period or _add_period(tx, row))
        charge_at = max(charge_at, _announced_charge(tx, row, period, window))
    if charge_at > tx.now:
        return ChargeStep(row, again_at=charge_at)
    later = _unless_too_many(tx, row)
    if later is not None:
        return ChargeStep(row, again_at=later)
    if period is None or period.announced_at is None:
        row = _with_next_plan(tx, row)
    period = period or _add_period(tx, row)
    until = _end_of_payment(tx, period, window)
    order = charge_rows.new_order(tx, row, row.next_period, until + window.notice + LATEST_TRY)
    payment = charge_rows.new_payment(tx, row, order, 1, expires_at=until)
    charge_rows.write(tx, order, payment)
    agreement_rows.change_period(tx, period, {"order_id": order.id, "entitlements": row.entitlements})
    return ChargeStep(row, charge=payment)


def _is_announced(period: AnyRow, window: ChargeWindow, at: datetime) -> bool:
    """Whether the payer was told of its charge, and not so long ago that the provider takes a charge of that moment no
    more."""
    told_at: datetime | None = period.announced_at
    return told_at is not None and at <= told_at + window.notice + window.after


def _announced_charge(tx: Tx, row: AnyRow, period: AnyRow, window: ChargeWindow) -> datetime:
    return announced_charge(period.announced_at, window.notice, tx.core.rules.charges, plans.zone_of(row))


def _add_period(tx: Tx, row: AnyRow) -> AnyRow:
    start, end = plans.span(row, row.next_period)
    new = {"slot": row.slot, "agreement_id": row.id, "number": row.next_period, "starts_at": start, "ends_at": end}
    agreement_rows.add_period(tx, {**new, "status": "due", "entitlements": row.entitlements})
    return agreement_rows.known_period(tx, row, row.next_period)


def _with_next_plan(tx: Tx, row: AnyRow) -> AnyRow:
    """The product that was chosen for the next period takes effect with its order."""
    if row.next_plan is None:
        return row
    changed = agreement_rows.change_agreement(tx, row, {**row.next_plan, "next_plan": None})
    agreement_events.tell_agreement(tx, EventType.AGREEMENT_PLAN_CHANGED, changed)
    return changed


def _unless_too_many(tx: Tx, row: AnyRow) -> datetime | None:
    """When to charge instead, where the user was charged as often today as is allowed for a day."""
    rules, zone = tx.core.rules.charges, plans.zone_of(row)
    today = tx.now.astimezone(zone).date()
    begun = charge_moment(today, 0, zone)
    if agreement_rows.charges_since(tx, row.slot, row.user_id, begun) < rules.per_day:
        return None
    return charge_moment(today + timedelta(days=1), rules.hour, zone)
