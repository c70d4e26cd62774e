"""The one consumer of facts. Every road ends here; none has its own.

1 lock the order and the payment that the fact is about
2 decide: match account, environment, amount, currency, product, owner; then one transition table (`domain.deciding`)
3 record the fact under its key, with the decision in it (told before, with the same content: stop); of a refund last
4 move payment and order; book money and coins under keys made from the fact
5 the caller commits, and only then answers the provider

A fact that could not be applied is applied later by the same steps, from its stored row: what is stored is what counts,
and what a fact has booked it keeps.
"""

from __future__ import annotations

from dataclasses import replace

from app.domain.deciding import (
    Booking,
    Decision,
)
from app.domain.event_types import EventType
from app.domain.facts import REFUND_KINDS, Kind
from app.domain.matching import Mismatch
from app.domain.status import NEEDS_A_PERSON, NOT_MATCHED, OPEN_PAYMENT, UNPAID_END, OrderStatus, Outcome, PaymentStatus
from app.models.base import AnyRow
from app.services.agreements import agreement_facts, handovers, store_agreements
from app.services.base.context import Tx
from app.services.base.outbox import Event
from app.services.base.reported_fact import ReportedFact
from app.services.base.statements import Move, write_rows
from app.services.facts import imported_refunds
from app.services.facts.decisions import (
    UNDECIDED,
    decide_fact,
    is_known_buyers_purchase,
    is_of_agreement,
    refund_unless_not_ours,
    still_parked,
    unless_not_ours,
)
from app.services.facts.record import (
    Applied,
    StoredFact,
    can_be_looked_at_again,
    note_road,
    record,
    report_fact,
    stored_again,
    told_before,
    write_new,
    write_outcome,
)
from app.services.ledger.postings import post
from app.services.payments import (
    authorizations,
    bookings,
    fact_rows,
    fulfilments,
    payment_events,
    payment_rows,
    provider_reports,
    store_orders,
)
from app.services.payments.expiry import expire_if_over
from app.services.payments.payment_rows import LockedPayment
from app.services.refunds import early_refunds, refund_asks, refund_facts, requests, unsized_payments
from app.services.refunds.refund_rows import STATUS_KINDS


def apply_fact(tx: Tx, reported: ReportedFact) -> Applied:
    """Apply one verified fact in the caller's transaction. Safe to repeat, in any order, from any road, in parallel.

    One fact per transaction: holding one order's lock while waiting for another order, or for another fact's key, could
    deadlock.
    """
    is_refund = reported.fact.kind in STATUS_KINDS and not reported.faults
    locked, refunds = refund_facts.lock_known(tx, reported) if is_refund else (_payment_of(tx, reported), None)
    decision = decide_fact(tx, reported, locked)
    new = store_orders.new_rows(locked, decision, reported.fact) if locked is not None and locked.is_new else ()
    stored = record(tx, reported, decision, None if locked is None else locked.payment.id, new, refunds)
    if stored.previous is not None:
        applied = _told_again(tx, stored, locked)
    elif decision is UNDECIDED and reported.fact.kind not in REFUND_KINDS:
        applied = _apply(tx, stored, locked)
    else:
        applied = _carry_out(tx, stored, decision, locked)
    tx.once_committed(report_fact, reported, applied)
    return applied if reported.buyer is None else replace(applied, buyer=reported.buyer)


def apply_stored(tx: Tx, reported: ReportedFact, fact_id: int) -> Applied:
    """Apply a parked fact of this slot once more, in the caller's transaction. `reported` is the fact as it is stored.

    A duplicate if somebody else has applied it meanwhile, or if applying it again could book its money twice.
    """
    locked = _payment_of(tx, reported)
    known = fact_rows.lock_fact_numbered(tx, reported.slot, fact_id)
    if not can_be_looked_at_again(known):
        return Applied(Outcome.DUPLICATE, known.outcome, reported.slot, fact_id, known.payment_id)
    applied = _apply(tx, StoredFact(reported, fact_id, UNDECIDED, known), locked)
    tx.once_committed(report_fact, reported, applied)
    return applied if reported.buyer is None else replace(applied, buyer=reported.buyer)


def _told_again(tx: Tx, stored: StoredFact, locked: LockedPayment | None) -> Applied:
    """Handle a fact that was stored before: it is a repeat, unless its cause has come since."""
    note_road(tx, stored)
    applied, reported = told_before(stored), stored.reported
    if applied is None:
        return _apply(tx, stored_again(tx, stored), locked)
    if reported.fact.shared and applied.outcome is Outcome.DUPLICATE:
        agreement_facts.take_word(tx, reported)  # what a family shares is taken back and shared again: the newest holds
    if reported.road == "query" and not reported.fact.refunds_unknown and stored.is_held:
        return _apply(tx, replace(stored, reported=reported), locked)  # asked now, it speaks of no refund any more
    if reported.fact.refunds_unknown and applied.outcome is Outcome.DUPLICATE and applied.payment_id is not None:
        stored_again(tx, stored)
        refund_asks.ask_unless_known(tx, reported.slot, applied.payment_id)
    return applied


def _apply(tx: Tx, stored: StoredFact, locked: LockedPayment | None) -> Applied:
    """Apply a stored fact that is not decided yet: the order of a store's purchase is made here."""
    if locked is None and is_known_buyers_purchase(stored.reported):
        locked = store_orders.payment_of_stored_purchase(tx, stored.reported)
    decision = still_parked(stored, decide_fact(tx, stored.reported, locked, stored))
    if locked is not None and locked.is_new:
        write_new(tx, store_orders.new_rows(locked, decision, stored.reported.fact))
    return _carry_out(tx, stored, decision, locked)


def _payment_of(tx: Tx, reported: ReportedFact) -> LockedPayment | None:
    """Found by our number, or by the provider's where it tells none of ours. For a purchase in a store that was never
    told before, made. What is said of an agreement itself is about no payment, though some stores name one."""
    if is_of_agreement(reported.fact):
        return None
    slot, theirs, number = reported.slot, reported.fact.ref.theirs, reported.payment_number
    if reported.fact.ref.ours is not None:
        return None if number is None else payment_rows.lock_with_order(tx, slot, number)
    if is_known_buyers_purchase(reported):
        locked = store_orders.payment_of_new_purchase(tx, reported)
        if locked is not None:
            return locked
    names = (slot, reported.account.name, reported.environment)
    return None if theirs is None else payment_rows.lock_by_theirs(tx, *names, theirs)


def _carry_out(tx: Tx, stored: StoredFact, decision: Decision, locked: LockedPayment | None) -> Applied:
    """Do what was decided, and write down what became of the fact unless its new row says it already."""
    fact, payment_id = stored.reported.fact, None if locked is None else int(locked.payment.id)
    cause = {"by": "fact", "fact": str(stored.fact_id), "road": stored.reported.road}
    tx.cause = {**cause, "provider_account": stored.reported.account.name}
    if stored.reported.faults:
        return _settled(tx, stored, decision, payment_id)
    if fact.kind in REFUND_KINDS:
        return _refund(tx, stored, locked)
    if locked is None:
        return _agreement(tx, stored) if is_of_agreement(fact) else _unmatched(tx, stored, decision)
    has_period = stored.reported.fact.period_end is not None
    subscription = store_agreements.paid_under(tx, stored.reported, decision, locked) if has_period else None
    _move_and_book(tx, stored, decision, locked, subscription)
    applied = _settled(tx, stored, decision, payment_id)
    if fact.kind is Kind.AUTHORIZED and decision.outcome not in NOT_MATCHED:
        authorizations.make_due(tx, stored.reported, locked.payment)
    if locked.order.agreement_id is not None:
        _charge(tx, stored, decision, locked)
    elif subscription is not None:
        handovers.take_told_period(tx, stored.reported, locked, subscription)
    if fact.kind is Kind.PAID:
        if decision.refund:
            requests.automatic(tx, stored.reported.slot, locked.payment.id, fact.ref.theirs)
        if locked.early_refund or stored.in_suspense:
            early_refunds.take_up(tx, stored.reported, payment_id, from_suspense=stored.in_suspense)
        if fact.refunds_unknown:
            refund_asks.ask_unless_known(tx, stored.reported.slot, locked.payment.id, is_news=True)
    return applied


def _charge(tx: Tx, stored: StoredFact, decision: Decision, locked: LockedPayment) -> None:
    """Tell its agreement what became of a charge, which gives back what is not owed."""
    if agreement_facts.take_payment(tx, stored.reported, decision, locked):
        requests.automatic_for_late_charge(tx, locked.order.slot, locked.order.id)


def _settled(tx: Tx, stored: StoredFact, decision: Decision, payment_id: int | None) -> Applied:
    if stored.previous is not None or stored.decision is not decision:
        moved = stored.in_suspense and payment_id is not None
        if stored.in_suspense and payment_id is None:
            decision = replace(decision, booking=Booking.SUSPENSE)
        write_outcome(tx, stored, decision, payment_id, from_suspense=moved)
    return Applied(decision.outcome, decision.reason, stored.reported.slot, stored.fact_id, payment_id)


def _agreement(tx: Tx, stored: StoredFact) -> Applied:
    """What a provider says of an agreement."""
    taken = agreement_facts.take_word(tx, stored.reported)
    decision = still_parked(stored, unless_not_ours(tx, stored.reported, None, taken))
    return _settled(tx, stored, decision, None)


def _refund(tx: Tx, stored: StoredFact, locked: LockedPayment | None) -> Applied:
    """What a refund changes is worked out from all stored facts about its payment, and this one."""
    slot, fact_id, payment_id = stored.reported.slot, stored.fact_id, None if locked is None else locked.payment.id
    taken = refund_facts.take_in(tx, slot, fact_id, locked, stored.known, stored.unwritten)
    decision = still_parked(stored, refund_unless_not_ours(tx, stored.reported, locked, taken.decision))
    write_outcome(tx, stored, decision, payment_id)
    if decision.reason == Mismatch.REFUND_BEFORE_IMPORT:
        imported_refunds.follow_refunds(tx, slot, fact_id)
    if decision.reason == Mismatch.BEFORE_PAYMENT and locked and locked.payment.status not in OPEN_PAYMENT:
        decision = _credit_held(tx, stored, decision, locked)
    if stored.reported.account.takes_reports and locked is not None and decision.outcome not in NOT_MATCHED:
        provider_reports.note_report(tx, stored.reported, locked.payment.id, locked.order)
    return Applied(decision.outcome, decision.reason, slot, fact_id, payment_id, refunds=taken.refunds)


def _credit_held(tx: Tx, stored: StoredFact, decision: Decision, locked: LockedPayment) -> Decision:
    """A refund may be the word for which its payment is held: then that is credited, and what went back is taken, in
    one transaction. What became of the refund."""
    held = unsized_payments.held_fact(tx, stored.reported.slot, locked.payment.id, stored.reported.fact.ref.theirs)
    if held is None:
        return decision
    paid, known = unsized_payments.as_told(tx, held, stored.reported)
    _apply(tx, StoredFact(paid, held.id, UNDECIDED, known), locked)
    row = fact_rows.lock_fact_numbered(tx, stored.reported.slot, stored.fact_id)
    return Decision(Outcome(row.outcome), row.reason)


def _unmatched(tx: Tx, stored: StoredFact, decision: Decision) -> Applied:
    """There is no payment here that the fact could be about. Money that it booked before stays where it is."""
    reported = stored.reported
    if not stored.in_suspense:
        bookings.book(tx, reported.slot, bookings.unmatched(bookings.of_reported(reported), decision.booking))
        if reported.fact.kind is Kind.PAID and decision.outcome is Outcome.PARKED and stored.previous is None:
            payment_events.tell_unmatched(tx, reported, stored.fact_id)
    applied = _settled(tx, stored, decision, None)
    if reported.fact.kind is Kind.PAID:
        early_refunds.take_up(tx, reported, None)
        if decision.reason == Mismatch.BEFORE_IMPORT:
            imported_refunds.follow_refunds(tx, reported.slot, stored.fact_id)
    return applied


def _move_and_book(
    tx: Tx, stored: StoredFact, decision: Decision, locked: LockedPayment, subscription: AnyRow | None
) -> None:
    """Move the locked rows and book what the decision says. New rows were inserted as the decision leaves them."""
    fact, order, payment = stored.reported.fact, locked.order, locked.payment
    moves: list[Move] = []
    if decision.payment is not None and not locked.is_new:
        paid_at = fact.at if decision.payment is PaymentStatus.PAID else None
        asked_at = payment.next_query_at if decision.payment in OPEN_PAYMENT else None
        move = payment_rows.payment_move(
            payment, decision.payment, theirs=fact.ref.theirs, paid_at=paid_at, next_query_at=asked_at
        )
        moves.append(move)
    elif fact.ref.theirs and payment.theirs is None and decision.outcome not in NOT_MATCHED:
        # Never from a fact that is not about this payment: we would ask about somebody else's trade from then on.
        moves.append((payment_rows.NAME_THEIRS, payment_rows.their_name(payment, fact.ref.theirs)))
    if decision.order is not None and not locked.is_new:
        values = payment_rows.order_move(order, decision.order, payment_id=payment.id, paid_at=fact.at)
        moves.append((payment_rows.MOVE_ORDER, values))
    write_rows(tx, moves)
    told = locked if subscription is None else store_agreements.with_period(locked, subscription)
    events = _events(tx, stored, decision, told)
    if decision.order is OrderStatus.PAID and fulfilments.is_fulfilled_outside(order):
        events += fulfilments.order_fulfilment(tx, order, payment.id, fact)
    money, booking = bookings.of_reported(stored.reported), decision.booking
    transfers = bookings.still_to_book(money, order, payment.id, booking, from_suspense=stored.in_suspense)
    if transfers:
        post(tx, order.slot, transfers, told=events)
    else:
        payment_events.write_order_events(tx, order, events)
    if stored.reported.account.takes_reports and decision.outcome in (Outcome.APPLIED, Outcome.NOTED):
        provider_reports.note_report(tx, stored.reported, payment.id, order)
    if decision.payment in UNPAID_END:
        expire_if_over(tx, order, tx.now)


def _events(tx: Tx, stored: StoredFact, decision: Decision, locked: LockedPayment) -> list[Event]:
    """What the app's backend is told of the payment and its order, beside the coins."""
    fact = stored.reported.fact
    if decision.order is not None and decision.payment is not None:
        return payment_events.moved(tx, locked, decision.payment, decision.order, fact.at)
    before = stored.previous
    is_news = before is None or before.payment_id is None or before.outcome != decision.outcome
    if fact.kind is not Kind.PAID or decision.outcome not in NEEDS_A_PERSON or not is_news:
        return []
    is_surplus = decision.outcome is Outcome.SURPLUS or decision.reason == Mismatch.LATE
    kind = EventType.PAYMENT_SURPLUS if is_surplus else EventType.PAYMENT_HELD
    return payment_events.of_money(tx, kind, locked, decision.payment, paid_at=fact.at)
