"""Works out again what refunds must have booked, from the facts alone, and how every refund must stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select

from app.domain.accounting_time import effective_before
from app.domain.deciding import Booking
from app.domain.facts import Kind
from app.domain.refunding import COIN_KINDS, MONEY_KINDS, Origin, RefundStatus, RefundTold, status_told
from app.models.base import AnyRow
from app.models.ledger import TRANSFERS
from app.services.audit import fulfilments, naming
from app.services.base.transaction import Transaction
from app.services.ledger import hold_rows
from app.services.ledger.clawback import Booked
from app.services.refunds import refund_rows, settlement
from app.services.refunds.captured_payments import (
    CapturedPayment,
    captured_in_suspense,
    number_of,
    refunds_of,
    standing,
    under_way,
)
from app.services.refunds.settlement import MoneyTarget

_T = TRANSFERS.c
REFUND_TRANSFER_KINDS = (*MONEY_KINDS, *COIN_KINDS)
"""The kinds of transfer that only refunds make."""
RefundFinding = tuple[str, str] | tuple[str, str, datetime]
"""The code of a finding and its details; for a transfer without an effective time, also when it was booked."""


def check_captured(
    tx: Transaction, paid: AnyRow, order: AnyRow | None, payment: AnyRow | None, made: Counter[int]
) -> Iterator[RefundFinding]:
    """Findings about the refunds of one paid fact. Adds to `made` how many transfers they have caused."""
    if paid.booking == Booking.NOTHING:
        return
    if payment is None:
        captured = captured_in_suspense(tx, paid)
    else:
        captured = CapturedPayment(paid, order, payment, refund_rows.told_of_payment(tx, paid.slot, payment.id)())
    refunds = refunds_of(tx, captured)
    now = standing(captured, refunds)
    legs, claims = settlement.money_targets(captured, now), settlement.claims_of(captured, now)
    known = settlement.booked_before(tx, captured.slot, legs, claims)
    for money in legs:
        booked = known[money.cause]
        made[captured.slot] += _times(booked)
        yield from _times_of_money(tx, captured, money, booked)
        if settlement.returned(booked) != money.target:
            back, due = (
                naming.sum_told(minor, captured.currency) for minor in (settlement.returned(booked), money.target)
            )
            yield "refund_money", f"fact {paid.id}: {back} went back, must be {due}"
    for claim in claims:
        booked = known[claim.grant]
        made[captured.slot] += _times(booked)
        accounted = settlement.accounted(booked, claim.target)
        if accounted != claim.target:
            yield (
                "refund_coins",
                f"fact {paid.id}: {accounted} {claim.wallet.asset} accounted for, must be {claim.target}",
            )
    for number in now.refunds.keys() - {number_of(refund) for refund in refunds} if payment is not None else ():
        yield "refund_missing", f"fact {paid.id}: refund {number} was told, and there is no row of it"
    for refund in refunds:
        yield from _check_refund(tx, captured, refund, now.refunds.get(number_of(refund)))
    yield from _check_sum(captured, refunds)
    if captured.is_fulfilled_elsewhere:
        yield from fulfilments.check_fulfilment(tx, captured, now.part)


def _times_of_money(
    tx: Transaction, captured: CapturedPayment, money: MoneyTarget, booked: Booked
) -> Iterator[RefundFinding]:
    """Each transfer of money is effective when one of the facts about the refunds says."""
    if not booked.times:
        return
    told = {fact.at for fact in captured.told if fact.kind != Kind.PAID}
    wanted = select(_T.id, _T.created_at, _T.effective_at).where(
        _T.slot == captured.slot, _T.cause_id == money.cause, _T.kind.in_(MONEY_KINDS)
    )
    for row in tx.execute(wanted):
        if row.effective_at not in {effective_before(at, row.created_at) for at in told}:
            detail = f"transfer {row.id}: no fact says that a refund was done at {row.effective_at}"
            yield ("transfer_time", detail, row.created_at) if row.effective_at is None else ("transfer_time", detail)


def _times(booked: Booked) -> int:
    """An operator's reversal also names the credit as its cause, but is not a refund's."""
    return sum(booked.counts.get(kind, 0) for kind in REFUND_TRANSFER_KINDS)


def _check_refund(
    tx: Transaction, captured: CapturedPayment, refund: AnyRow, told: RefundTold | None
) -> Iterator[RefundFinding]:
    """A refund has the status that its provider told, and is not done if none was told. It holds coins only while it is
    under way."""
    status = RefundStatus(refund.status)
    unexplained = told is None and status in (RefundStatus.DONE, RefundStatus.UNDONE)
    if unexplained or status is not status_told(status, told.status if told is not None else None):
        yield "refund_status", f"refund {refund.id} is {status}, told: {told.status if told is not None else 'nothing'}"
    if under_way([refund]):
        return
    for hold in settlement.holds_of(captured, [refund]):
        held = hold_rows.find_hold(tx, captured.slot, hold)
        if held is not None and held.state == hold_rows.OPEN:
            yield "refund_reservation", f"refund {refund.id} is {refund.status} and still holds {held.rest} coins"


def _check_sum(captured: CapturedPayment, refunds: list[AnyRow]) -> Iterator[RefundFinding]:
    """What we asked for, all together, is no more than was paid."""
    counted = (RefundStatus.DECLINED, RefundStatus.UNDONE)
    asked = sum(row.amount_minor for row in refunds if row.origin != Origin.PROVIDER and row.status not in counted)
    if captured.paid_minor is not None and asked > captured.paid_minor:
        asked_for, paid = (naming.sum_told(minor, captured.currency) for minor in (asked, captured.paid_minor))
        yield "refund_exceeds_payment", f"fact {captured.paid.id}: {asked_for} of {paid}"
