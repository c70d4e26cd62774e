"""Agreements that a store charges, and tells us about: each has a row from the first fact about it on.

The order of a store's period is made by the purchase (`payments.store_orders`) and names no agreement: a period here
names its order. Facts may come in any order, so a period ends where the next one begins, whichever was told first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, update

from app.domain.agreements import AgreementCause, AgreementStatus, answers_past_due, next_agreement_status
from app.domain.deciding import Decision
from app.domain.event_types import EventType
from app.domain.facts import Fact, Kind
from app.domain.status import OrderStatus
from app.models.agreements import AGREEMENTS, PERIODS
from app.models.base import AnyRow
from app.services.accounts.catalog import product_of_store
from app.services.accounts.users import ensure_user
from app.services.agreements import agreement_events, agreement_rows, plans
from app.services.base.context import Tx, environment_of
from app.services.base.reported_fact import ReportedFact
from app.services.base.upsert import NumberTaken, insert_if_new
from app.services.payments.payment_rows import LockedPayment
from app.services.payments.store_orders import STORE_WAY

_A, _P = AGREEMENTS.c, PERIODS.c
_OF_AGREEMENT = (_P.slot == bindparam("p_slot"), _P.agreement_id == bindparam("p_id"))
_NEXT = select(func.min(_P.starts_at)).where(*_OF_AGREEMENT, _P.starts_at > bindparam("p_at", type_=_P.starts_at.type))
_BEFORE = (
    select(_P.starts_at, _P.ends_at)
    .where(*_OF_AGREEMENT, _P.starts_at < bindparam("p_at", type_=_P.starts_at.type))
    .order_by(_P.starts_at.desc())
)
_CUT = (
    update(PERIODS)
    .where(
        *_OF_AGREEMENT,
        _P.starts_at < bindparam("p_at", type_=_P.starts_at.type),
        _P.ends_at > bindparam("p_at", type_=_P.starts_at.type),
    )
    .values(ends_at=bindparam("p_end", type_=_P.ends_at.type))
)


def told_of(tx: Tx, reported: ReportedFact) -> AnyRow | None:
    """The agreement that a fact of a store is about, locked; made if its buyer and its product are known. None if
    there is none."""
    fact = reported.fact
    buyer = reported.buyer
    if buyer is None or fact.ref.agreement is None:
        return None
    row = _known(tx, reported, buyer)
    if row is not None or fact.product is None:
        return row
    product = product_of_store(tx, reported.account.name, fact.product)
    if product is None:
        return None
    _add(tx, reported, buyer, product)
    return _known(tx, reported, buyer)


def paid_under(tx: Tx, reported: ReportedFact, decision: Decision, locked: LockedPayment) -> AnyRow | None:
    """The agreement of a store of which this purchase pays the next period, locked. It is looked for before the order
    is told, whose event names it. None where it pays no such period."""
    fact = reported.fact
    if decision.order is not OrderStatus.PAID or locked.order.agreement_id is not None:
        return None
    has_period = fact.kind is Kind.PAID and fact.period_end is not None and fact.period_end > fact.at
    return told_of(tx, reported) if has_period else None


def with_period(locked: LockedPayment, row: AnyRow) -> LockedPayment:
    """The purchase as it is told: its order names the next period of that agreement, as the API shows it. The row of
    the order does not: it is sealed before the agreement is looked for."""
    return replace(locked, order=locked.order._replace(agreement_id=row.id, period_number=row.next_period))


def take_period(tx: Tx, reported: ReportedFact, locked: LockedPayment, row: AnyRow) -> None:
    """The next period of a store's agreement was paid: its order is `locked`, as the agreement is."""
    fact = reported.fact
    if fact.period_end is None:
        return
    product = product_of_store(tx, reported.account.name, fact.product or "")
    cut_periods(tx, row, fact.at)
    begins_next = tx.scalar(_NEXT, {"p_slot": row.slot, "p_id": row.id, "p_at": fact.at})
    ends_at = fact.period_end if begins_next is None else min(fact.period_end, begins_next)
    entitlements = row.entitlements if product is None else product.entitlements
    new = {
        "slot": row.slot,
        "agreement_id": row.id,
        "number": row.next_period,
        "starts_at": fact.at,
        "ends_at": ends_at,
        "status": "paid",
        "order_id": locked.order.id,
        "payment_id": locked.payment.id,
        "earned_until": agreement_rows.earned_until(locked.order, fact.period_end),
        "entitlements": entitlements,
    }
    agreement_rows.add_period(tx, new)
    # A store collects up to a day before a period begins, and dates the renewal at that beginning (seen 2026-11-28):
    # what is said between the two is later all the same.
    told_at = min(fact.at, tx.now)
    changed = agreement_rows.change_agreement(
        tx, row, _after_period(row, reported, product, told_at, is_newest=begins_next is None)
    )
    if row.signed_at is not None and fact.at < row.signed_at:
        changed = agreement_rows.change_agreement(tx, changed, {"signed_at": _came_into_force(tx, row)})
    work_at = plans.next_work(changed, tx.now, tx.core.rules.ask, plans.window_of(tx, changed))
    changed = agreement_rows.change_agreement(tx, changed, {"next_work_at": work_at})
    if row.next_period == 0 and row.signed_at == fact.at and row.told_at is None:
        agreement_events.tell_agreement(tx, EventType.AGREEMENT_SIGNED, changed)
    if changed.sku != row.sku:
        agreement_events.tell_agreement(tx, EventType.AGREEMENT_PLAN_CHANGED, changed)
    added = agreement_rows.find_period(tx, row, row.next_period)
    agreement_events.tell_agreement(tx, EventType.AGREEMENT_RENEWED, changed, added)


def cut_periods(tx: Tx, row: AnyRow, at: datetime) -> None:
    """A period of this locked agreement that is running at that moment ends there."""
    tx.execute(_CUT, {"p_slot": row.slot, "p_id": row.id, "p_at": at, "p_end": at})


def _came_into_force(tx: Tx, row: AnyRow) -> datetime:
    """When the time began that is paid without a gap until the row was signed: a renewal may be told before the first
    purchase. A subscription that was taken up again after a gap came into force again, so the walk ends at a gap."""
    begin: datetime = row.signed_at
    for earlier in tx.execute(_BEFORE, {"p_slot": row.slot, "p_id": row.id, "p_at": begin}):
        if earlier.ends_at < begin:
            break
        begin = earlier.starts_at
    return begin


def next_plan_told(tx: Tx, row: AnyRow, fact: Fact) -> dict[str, Any]:
    """What a store says that the next period will be of, where that is another product: as a change of the row."""
    if not row.by_store:
        return {}
    named = fact.next_product
    product = None if named is None else product_of_store(tx, row.provider_account, named)
    if product is None or product.sku == row.sku:
        return {"next_plan": None}
    return {"next_plan": {"sku": product.sku, "title": product.title}}


def free_time_told(tx: Tx, row: AnyRow, fact: Fact) -> dict[str, Any]:
    """What a store's word says that is in force beyond all that is paid (tried, shared, given), as a change of the row:
    it may be another product than before."""
    product = None if fact.product is None else product_of_store(tx, row.provider_account, fact.product)
    is_paid = fact.period_end is None or (row.paid_until is not None and fact.period_end <= row.paid_until)
    return {} if product is None or is_paid else _of_product(product)


def _of_product(product: AnyRow) -> dict[str, Any]:
    """What an agreement is about, as a change of its row."""
    about = {"sku": product.sku, "title": product.title, "grants": product.grants}
    return {**about, "entitlements": product.entitlements}


def _after_period(
    row: AnyRow, reported: ReportedFact, product: AnyRow | None, told_at: datetime, *, is_newest: bool
) -> dict[str, Any]:
    """What a paid period changes about its agreement. One that is not the newest changes nothing but how many there
    are."""
    fact = reported.fact
    changes: dict[str, Any] = {"next_period": row.next_period + 1, "tries": 0}
    if not is_newest or fact.period_end is None:
        return changes
    changes |= {"paid_until": fact.period_end, "price_increase": None, "next_plan": None}
    if product is not None:
        changes |= _of_product(product)
    ends = (row.paid_until, row.valid_until)
    is_collected = row.status == AgreementStatus.PAST_DUE and answers_past_due(
        fact.at, fact.period_end, row.told_at, ends
    )
    if row.told_at is None or fact.at > row.told_at or is_collected:
        changes["told_at"] = told_at if row.told_at is None else max(told_at, row.told_at)
        if row.renews is False and (row.valid_until is None or row.valid_until <= fact.at):
            changes["renews"] = None  # it was renewed: what was said of the period before is over
        if row.valid_until is not None and row.valid_until > fact.at:
            changes["valid_until"] = None  # of a period that this one replaced
        after = next_agreement_status(AgreementStatus(row.status), AgreementCause.PAID, by_store=True)
        if after is not None:
            changes |= {"status": after, "ended_at": None, "ended_by": "", "grace_until": None}
    return changes


def _known(tx: Tx, reported: ReportedFact, buyer: str) -> AnyRow | None:
    fact = reported.fact
    environment = environment_of(fact.live)
    return agreement_rows.lock_claimed(tx, buyer, reported.account.name, environment, fact.ref.agreement or "")


def _add(tx: Tx, reported: ReportedFact, buyer: str, product: AnyRow) -> None:
    """Make the row. Raises NumberTaken if another telling of the agreement was faster: then this one runs again."""
    fact, plan = reported.fact, product.plan or {}
    ensure_user(tx, buyer)
    row = dict.fromkeys(column.name for column in _A) | {
        "slot": reported.slot,
        "user_id": buyer,
        "environment": environment_of(fact.live),
        "provider_account": reported.account.name,
        "by_store": True,
        "theirs": fact.ref.agreement,
        "way": STORE_WAY,
        "status": AgreementStatus.ACTIVE,
        "sku": product.sku,
        "title": product.title,
        "unit": plan.get("unit"),
        "length": plan.get("count"),
        "zone": tx.core.rules.charges.zone,
        "grants": product.grants,
        "fulfilment": product.fulfilment,
        "entitlements": product.entitlements,
        "grace_days": 0,
        "problem": "",
        "anchor_number": 0,
        "next_period": 0,
        "cancel_by": "",
        "signed_at": fact.at,
        "ended_by": "",
        "created_at": tx.now,
        "expires_at": tx.now,
        "next_work_at": tx.now + timedelta(days=1),
        "tries": 0,
    }
    if not insert_if_new(tx, AGREEMENTS, {**row, "id": tx.core.numbers.next(reported.slot)}):
        raise NumberTaken
