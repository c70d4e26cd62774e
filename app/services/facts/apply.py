"""The one consumer of facts. Every road ends here; none has its own.

1 record the fact under its key (told before, with the same content: stop)
2 lock the order, then the payment; match account, environment, amount, currency, product, owner
3 decide (pure: `domain.deciding`)
4 move payment and order; book money and coins under keys made from the fact
5 the caller commits, and only then answers the provider
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from app.domain.deciding import Decision, Standing, decide_paid, decide_unmatched, decide_unpaid
from app.domain.matching import Expected, Mismatch, foreign, mismatch
from app.domain.money import Money
from app.domain.status import NEEDS_A_PERSON, OPEN_PAYMENT, UNPAID_END, OrderStatus, Outcome, PaymentStatus
from app.models.base import AnyRow
from app.providers.facts import REFUND_KINDS, Kind
from app.services.base.context import Tx, environment_of
from app.services.base.reported_fact import ReportedFact, content_of
from app.services.calls import fulfilment
from app.services.facts.record import UNPAID_CAUSES, Applied, Recorded, can_be_looked_at_again, record, told_before
from app.services.payments import bookings, payment_rows, store_orders
from app.services.payments.expiry import expire_if_over
from app.services.refunds import early_refunds, refund_facts, requests

_log = structlog.get_logger(__name__)


def apply_fact(tx: Tx, reported: ReportedFact) -> Applied:
    """Apply one verified fact in the caller's transaction. Safe to repeat, in any order, from any road, in parallel.

    One fact per transaction: the fact's key is taken before the order's lock, and holding one order's lock while
    waiting for another fact's key could deadlock.
    """
    recorded = record(tx, reported)
    applied = told_before(reported, recorded) or _apply_new(tx, reported, recorded)
    _report(reported, applied)
    return replace(applied, buyer=reported.buyer)


def look_again(tx: Tx, reported: ReportedFact, fact_id: int) -> Applied:
    """Apply a parked fact of the telling's slot once more, by the same rules, in the caller's transaction.

    A duplicate if somebody else has applied it meanwhile, or if looking again could book its money twice.
    """
    known = payment_rows.lock_fact_numbered(tx, reported.slot, fact_id)
    if not can_be_looked_at_again(known):
        return Applied(Outcome.DUPLICATE, known.outcome, reported.slot, fact_id, known.payment_id)
    applied = _apply_new(tx, reported, Recorded(fact_id, known))
    _report(reported, applied)
    return replace(applied, buyer=reported.buyer)


def _apply_new(tx: Tx, reported: ReportedFact, recorded: Recorded) -> Applied:
    if recorded.known is not None:
        payment_rows.complete_fact(tx, reported.slot, recorded.known, content_of(reported.fact))
    keys = _find_payment(tx, reported)
    if reported.faults:
        decision = decide_unmatched(Mismatch.UNUSABLE, has_money=False)
        return _settled(tx, reported, recorded, decision, keys.id if keys is not None else None)
    if reported.fact.kind in REFUND_KINDS:
        return _take_in_refund(tx, reported, recorded, keys)
    if keys is None:
        return _take_in_unmatched(tx, reported, recorded)
    return _take_in_payment(tx, reported, recorded, keys)


def _settled(
    tx: Tx,
    reported: ReportedFact,
    recorded: Recorded,
    decision: Decision,
    payment_id: int | None,
    *,
    from_suspense: bool = False,
) -> Applied:
    """Write down what became of the fact."""
    payment_rows.settle_fact(tx, reported.slot, recorded.fact_id, decision, payment_id, from_suspense=from_suspense)
    return Applied(decision.outcome, decision.reason, reported.slot, recorded.fact_id, payment_id)


def _take_in_refund(tx: Tx, reported: ReportedFact, recorded: Recorded, keys: AnyRow | None) -> Applied:
    decision, payment_id = refund_facts.take_in(tx, reported.slot, recorded.fact_id, keys)
    applied = _settled(tx, reported, recorded, decision, payment_id)
    if payment_id is not None and decision.outcome is not Outcome.PARKED:
        fulfilment.note_report(tx, reported, payment_id)
    return applied


def _take_in_unmatched(tx: Tx, reported: ReportedFact, recorded: Recorded) -> Applied:
    """There is no payment here that the fact could be about."""
    decision = decide_unmatched(_why_unmatched(reported), has_money=_brings_money(reported))
    money = bookings.of_telling(reported)
    bookings.book(tx, reported.slot, bookings.unmatched(money, decision.booking), at=tx.now)
    applied = _settled(tx, reported, recorded, decision, None)
    if reported.fact.kind is Kind.PAID:
        early_refunds.take_up(tx, reported, None)
    return applied


def _take_in_payment(tx: Tx, reported: ReportedFact, recorded: Recorded, keys: AnyRow) -> Applied:
    order = payment_rows.lock_order(tx, reported.slot, keys.order_id)
    payment = payment_rows.lock_payment(tx, reported.slot, keys.id)
    decision, moved = _decide(tx, reported, order, payment), recorded.in_suspense
    _carry_out(tx, reported, order, payment, decision, from_suspense=moved)
    applied = _settled(tx, reported, recorded, decision, payment.id, from_suspense=moved)
    if reported.fact.kind is Kind.PAID:
        if decision.refund:
            requests.automatic(tx, reported.slot, payment.id, reported.fact.ref.theirs)
        early_refunds.take_up(tx, reported, payment.id, from_suspense=moved)
    return applied


def _find_payment(tx: Tx, reported: ReportedFact) -> AnyRow | None:
    """By our number; by the provider's where it tells none of ours; made now if it is a purchase in a store."""
    number = reported.payment_number
    if number is not None:
        return payment_rows.payment_keys(tx, reported.slot, number)
    ref, environment = reported.fact.ref, environment_of(reported.fact.live)
    if ref.ours is not None or ref.theirs is None:
        return None
    found = payment_rows.payment_keys_by_theirs(tx, reported.slot, reported.account.name, environment, ref.theirs)
    if found is None and reported.buyer is not None and reported.fact.kind is Kind.PAID:
        return store_orders.order_for_purchase(tx, reported, reported.buyer)
    return found


def _brings_money(reported: ReportedFact) -> bool:
    """Whether it is money that came in for us, and that is to be booked where it was told.

    A history or a bill may list what other systems of the same merchant sold: what matches nothing there is not ours. A
    store's purchase without a number of ours is booked with its buyer, in their slot, once they are known.
    """
    fact = reported.fact
    told_to_us = reported.road not in ("scan", "bill") and fact.ref.ours is not None
    return fact.kind is Kind.PAID and fact.money is not None and told_to_us


def _why_unmatched(reported: ReportedFact) -> Mismatch:
    fact = reported.fact
    if fact.account is not None and fact.account != reported.account.provider.account:
        return Mismatch.OTHER_ACCOUNT
    if reported.buyer is not None:
        return Mismatch.UNKNOWN_PRODUCT
    if fact.live is not reported.account.live:
        return Mismatch.OTHER_ENVIRONMENT
    return Mismatch.UNKNOWN_NUMBER


def _decide(tx: Tx, reported: ReportedFact, order: AnyRow, payment: AnyRow) -> Decision:
    standing = Standing(PaymentStatus(payment.status), OrderStatus(order.status))
    kind = reported.fact.kind
    if payment.provider_account != reported.account.name:
        return decide_unmatched(Mismatch.OTHER_PROVIDER_ACCOUNT, has_money=_brings_money(reported))
    if kind is Kind.PAID:
        owner = payment_rows.owner_token(tx, order.slot, order.user_id)
        why = mismatch(reported.told(), _expected(reported, order, payment, owner))
        return decide_paid(standing, why, tx.core.rules.policy)
    if kind in UNPAID_CAUSES:
        strange = foreign(reported.told(), account=reported.account.provider.account, live=order.environment == "live")
        return decide_unpaid(standing, UNPAID_CAUSES[kind], strange)
    return Decision(Outcome.PARKED, Mismatch.NOT_HANDLED)


def _expected(reported: ReportedFact, order: AnyRow, payment: AnyRow, owner: str) -> Expected:
    return Expected(
        account=reported.account.provider.account,
        live=order.environment == "live",
        money=Money(order.amount_minor, order.currency) if order.amount_minor is not None else None,
        product=payment.intent["product"],
        quantity=order.quantity,
        owner=owner,
    )


def _carry_out(
    tx: Tx,
    reported: ReportedFact,
    order: AnyRow,
    payment: AnyRow,
    decision: Decision,
    *,
    from_suspense: bool,
) -> None:
    """Move the locked rows and book what the decision says."""
    fact, now = reported.fact, tx.now
    if decision.payment is not None:
        paid = decision.payment is PaymentStatus.PAID
        payment_rows.move_payment(
            tx,
            payment,
            decision.payment,
            theirs=fact.ref.theirs,
            paid_at=fact.at if paid else None,
            next_query_at=payment.next_query_at if decision.payment in OPEN_PAYMENT else None,
        )
    elif fact.ref.theirs and payment.theirs is None and decision.outcome is not Outcome.PARKED:
        # Never from a fact that is not about this payment: we would ask about somebody else's trade from then on.
        payment_rows.name_theirs(tx, payment.slot, payment.id, fact.ref.theirs)
    if decision.order is not None:
        payment_rows.move_order(tx, order, decision.order, payment_id=payment.id, paid_at=fact.at)
    money = bookings.of_telling(reported)
    transfers = bookings.transfers_of(money, order, payment.id, decision.booking, from_suspense=from_suspense)
    bookings.book(tx, order.slot, transfers, at=now)
    if decision.outcome in (Outcome.APPLIED, Outcome.NOTED):
        fulfilment.note_report(tx, reported, payment.id)
    if decision.payment in UNPAID_END:
        expire_if_over(tx, order, now)


def _report(reported: ReportedFact, applied: Applied) -> None:
    """One line per telling; a warning where a person has to look."""
    say = _log.warning if applied.outcome in NEEDS_A_PERSON else _log.info
    say(
        "fact",
        outcome=applied.outcome,
        reason=applied.reason,
        kind=reported.fact.kind,
        road=reported.road,
        provider_account=reported.account.name,
        payment=applied.payment_id,
        ours=reported.fact.ref.ours,
        theirs=reported.fact.ref.theirs,
        fact=applied.fact_id,
        **({"faults": reported.faults} if reported.faults else {}),
    )
