"""What a fact means, as things stand: whose it is, whether it is as we asked, and what it moves.

The rules are `domain.matching` and `domain.deciding`; here they get what they are asked about. Nothing is written.
"""

from __future__ import annotations

from dataclasses import replace

from app.domain.deciding import (
    Booking,
    Decision,
    Late,
    OrderStanding,
    decide_authorized,
    decide_paid,
    decide_unmatched,
    decide_unpaid,
    decide_unsized,
)
from app.domain.facts import AGREEMENT_KINDS, REFUND_KINDS, Fact, Kind
from app.domain.matching import Expected, Mismatch, foreign, mismatch
from app.domain.money import Money
from app.domain.status import OrderStatus, Outcome, PaymentStatus
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.facts.record import UNPAID_CAUSES, StoredFact
from app.services.payments.payment_rows import LockedPayment
from app.services.refunds import unsized_payments

_NOBODYS = frozenset(
    {Mismatch.UNKNOWN_NUMBER, Mismatch.BEFORE_PAYMENT, Mismatch.OTHER_ACCOUNT, Mismatch.OTHER_ENVIRONMENT}
)
"""Why a fact matches nothing here that may be another system's."""
UNDECIDED = Decision(Outcome.PARKED, Mismatch.UNKNOWN_NUMBER)
"""Stands in a new fact until what it means has been worked out."""


def decide_fact(
    tx: Tx, reported: ReportedFact, locked: LockedPayment | None, stored: StoredFact | None = None
) -> Decision:
    """What the fact means, as things stand. UNDECIDED for a refund, and before a purchase's order was looked for."""
    if reported.faults:
        return decide_unmatched(Mismatch.UNUSABLE, has_money=False)
    if reported.fact.kind in REFUND_KINDS:
        return UNDECIDED
    if locked is None:
        if stored is None and (is_known_buyers_purchase(reported) or is_of_agreement(reported.fact)):
            return UNDECIDED
        if reported.was_credited_before:
            return Decision(Outcome.NOTED, Mismatch.BEFORE_IMPORT)
        unmatched = decide_unmatched(_why_unmatched(reported), has_money=reported.brings_money)
        return unless_not_ours(tx, reported, None, unmatched)
    decision = _about_payment(tx, reported, locked, stored)
    return unless_not_ours(tx, reported, locked, decision) if reported.is_listed else decision


def unless_not_ours(tx: Tx, reported: ReportedFact, locked: LockedPayment | None, decision: Decision) -> Decision:
    """A history or a bill lists what the merchant's other systems and accounts sold: what is about nothing here, or
    about a payment of another account of ours at this provider, is not ours, and nobody's alarm."""
    if decision.outcome is not Outcome.PARKED or decision.booking is not Booking.NOTHING or not reported.is_listed:
        return decision
    if locked is None:
        nobodys = reported.buyer is None and decision.reason in _NOBODYS
    else:
        other = tx.core.registry.get(locked.payment.provider_account)
        is_sibling = other is not None and other.plugin == reported.account.plugin
        nobodys = is_sibling and decision.reason == Mismatch.OTHER_PROVIDER_ACCOUNT
    return Decision(Outcome.NOT_OURS, decision.reason) if nobodys else decision


def still_parked(stored: StoredFact, decision: Decision) -> Decision:
    """What was parked on its first telling, for a person, does not leave their list because a history lists it too."""
    was_parked = stored.previous is not None and stored.previous.outcome == Outcome.PARKED
    if decision.outcome is Outcome.NOT_OURS and was_parked:
        return replace(decision, outcome=Outcome.PARKED)
    return decision


def _about_payment(tx: Tx, reported: ReportedFact, locked: LockedPayment, stored: StoredFact | None) -> Decision:
    fact, order, payment = reported.fact, locked.order, locked.payment
    account, live = reported.account.provider.account, order.environment == "live"
    if payment.provider_account != reported.account.name:
        return decide_unmatched(Mismatch.OTHER_PROVIDER_ACCOUNT, has_money=reported.brings_money)
    standing = OrderStanding(PaymentStatus(payment.status), OrderStatus(order.status))
    if fact.kind in (Kind.PAID, Kind.AUTHORIZED):
        price = Money(order.amount_minor, order.currency) if order.amount_minor is not None else None
        why = mismatch(fact, Expected(account, live, price, payment.intent["product"], order.quantity, locked.owner))
        if fact.kind is Kind.AUTHORIZED:
            return decide_authorized(standing, why)
        was_held = stored is not None and stored.is_held  # in time, whatever its order's time is by now
        policy = replace(tx.core.rules.policy, late=Late.CREDIT) if was_held else tx.core.rules.policy
        decision = decide_paid(standing, why, policy)
        is_sale = fact.refunds_unknown and decision.booking is Booking.SALE
        return decide_unsized(standing) if is_sale and unsized_payments.is_unsized(tx, fact, locked) else decision
    if fact.kind in UNPAID_CAUSES:
        return decide_unpaid(standing, UNPAID_CAUSES[fact.kind], foreign(fact.account, fact.live, account, live))
    return Decision(Outcome.PARKED, Mismatch.NOT_HANDLED)


def _why_unmatched(reported: ReportedFact) -> Mismatch:
    fact = reported.fact
    if fact.account is not None and fact.account != reported.account.provider.account:
        return Mismatch.OTHER_ACCOUNT
    if reported.buyer is not None:
        return Mismatch.UNKNOWN_PRODUCT
    if fact.live is not reported.account.live:
        return Mismatch.OTHER_ENVIRONMENT
    return Mismatch.UNKNOWN_NUMBER


def refund_unless_not_ours(
    tx: Tx, reported: ReportedFact, locked: LockedPayment | None, decision: Decision
) -> Decision:
    """A refund that names one of our numbers for which there is no payment. It is told again with its payment, should
    that come, and does not wait in its slot: each payment there would look at it.

    A store's refund names no number of ours, and waits for the buyer of its purchase.
    """
    ours = unless_not_ours(tx, reported, locked, decision)
    if ours.outcome is not Outcome.NOT_OURS or ours.reason != Mismatch.BEFORE_PAYMENT:
        return ours
    return decision if reported.fact.ref.ours is None else replace(ours, reason=Mismatch.UNKNOWN_NUMBER)


def is_known_buyers_purchase(reported: ReportedFact) -> bool:
    """Whether it is a purchase in a store by a user whom we know: its order is written with the fact, so that of
    several tellings at one moment one makes it."""
    fact = reported.fact
    known_buyer = reported.buyer is not None and fact.ref.ours is None and not reported.faults
    return known_buyer and fact.kind is Kind.PAID and not reported.was_credited_before


def is_of_agreement(fact: Fact) -> bool:
    """Whether it is about an agreement itself. Some stores name the newest purchase under it, too."""
    return fact.kind in AGREEMENT_KINDS or (fact.kind in UNPAID_CAUSES and fact.ref.is_agreement)
