"""Works out again what refunds must have booked, from the facts alone, and how every refund must stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from app.domain.deciding import Booking
from app.domain.refunding import COIN_KINDS, MONEY_KINDS, Origin, RefundStatus
from app.models.base import AnyRow
from app.services.base.transaction import Transaction
from app.services.ledger import hold_rows
from app.services.ledger.clawback import Booked
from app.services.refunds import settlement
from app.services.refunds.captured_payments import Trade, refunds_of, standing, under_way

KINDS = (*MONEY_KINDS, *COIN_KINDS)
"""The kinds of transfer that only refunds make."""
Found = tuple[str, str]
"""What is wrong, and the details."""


def check_trade(
    session: Transaction, paid: AnyRow, order: AnyRow | None, payment: AnyRow | None, made: Counter[int]
) -> Iterator[Found]:
    """Findings about the refunds of one paid fact. Adds to `made` how many transfers they have caused."""
    if paid.booking == Booking.NOTHING:
        return
    trade = Trade(paid, order, payment)
    now, known = standing(session, trade), settlement.by_cause(session, trade)
    for leg, target in settlement.money_targets(trade, now):
        booked = known[leg.id_in(trade.slot)]
        made[trade.slot] += _times(booked)
        if settlement.returned(booked) != target:
            yield "refund_money", f"fact {paid.id}: {settlement.returned(booked)} went back, must be {target}"
    for claim in settlement.claims_of(trade, now):
        booked = known[claim.grant]
        made[trade.slot] += _times(booked)
        accounted = settlement.accounted(booked, claim.target)
        if accounted != claim.target:
            yield (
                "refund_coins",
                f"fact {paid.id}: {accounted} {claim.wallet.asset} accounted for, must be {claim.target}",
            )
    for refund in refunds_of(session, trade):
        yield from _check_refund(session, trade, refund, now.standing)
    yield from _check_sum(trade, refunds_of(session, trade))


def _times(booked: Booked) -> int:
    """An operator's reversal also names the credit as its cause, but is not a refund's."""
    return sum(booked.counts[kind] for kind in KINDS)


def _check_refund(session: Transaction, trade: Trade, refund: AnyRow, told: frozenset[str]) -> Iterator[Found]:
    """It is done exactly if the provider says so, and holds coins only while it is under way."""
    number = refund.number_there if refund.origin == Origin.PROVIDER else str(refund.id)
    if (refund.status == RefundStatus.DONE) != (number in told):
        yield "refund_status", f"refund {refund.id} is {refund.status}, told to stand: {number in told}"
    if under_way([refund]):
        return
    for hold in settlement.holds_of(trade, refund):
        held = hold_rows.find(session, trade.slot, hold)
        if held is not None and held.state == hold_rows.OPEN:
            yield "refund_reservation", f"refund {refund.id} is {refund.status} and still holds {held.rest} coins"


def _check_sum(trade: Trade, refunds: list[AnyRow]) -> Iterator[Found]:
    """What we asked for, all together, is no more than was paid."""
    counted = (RefundStatus.DECLINED, RefundStatus.UNDONE)
    asked = sum(row.amount_minor for row in refunds if row.origin != Origin.PROVIDER and row.status not in counted)
    if trade.paid_minor is not None and asked > trade.paid_minor:
        yield "refund_exceeds_payment", f"fact {trade.paid.id}: {asked} of {trade.paid_minor}"
