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
from sqlalchemy.orm import Session

from app.domain.deciding import Decision, Standing, decide_paid, decide_unmatched, decide_unpaid
from app.domain.matching import Expected, Mismatch, foreign, mismatch
from app.domain.money import Money
from app.domain.status import NEEDS_A_PERSON, OPEN_PAYMENT, UNPAID_END, OrderStatus, Outcome, PaymentStatus
from app.models.base import AnyRow
from app.providers.facts import REFUND_KINDS, Kind
from app.services import crediting, payment_rows, reporting, store_orders
from app.services.core import Core, environment_of
from app.services.lapsing import expire_if_over
from app.services.recording import UNPAID_CAUSES, Applied, Recorded, can_be_looked_at_again, record, told_before
from app.services.refunds import requesting, taking_in, waiting
from app.services.tellings import Telling, content_of

_log = structlog.get_logger(__name__)


def apply_fact(session: Session, core: Core, telling: Telling) -> Applied:
    """Apply one verified fact in the caller's transaction. Safe to repeat, in any order, from any road, in parallel.

    One fact per transaction: the fact's key is taken before the order's lock, and holding one order's lock while
    waiting for another fact's key could deadlock.
    """
    recorded = record(session, core, telling)
    applied = told_before(telling, recorded) or _apply_new(session, core, telling, recorded)
    _report(telling, applied)
    return replace(applied, buyer=telling.buyer)


def look_again(session: Session, core: Core, telling: Telling, fact_id: int) -> Applied:
    """Apply a parked fact of the telling's slot once more, by the same rules, in the caller's transaction.

    A duplicate if somebody else has applied it meanwhile, or if looking again could book its money twice.
    """
    known = payment_rows.lock_fact_numbered(session, telling.slot, fact_id)
    if not can_be_looked_at_again(known):
        return Applied(Outcome.DUPLICATE, known.outcome, telling.slot, fact_id, known.payment_id)
    applied = _apply_new(session, core, telling, Recorded(fact_id, known))
    _report(telling, applied)
    return replace(applied, buyer=telling.buyer)


def _apply_new(session: Session, core: Core, telling: Telling, recorded: Recorded) -> Applied:
    if recorded.known is not None:
        payment_rows.complete_fact(session, telling.slot, recorded.known, content_of(telling.fact))
    keys = _find_payment(session, core, telling)
    if telling.faults:
        decision = decide_unmatched(Mismatch.UNUSABLE, has_money=False)
        return _settled(session, telling, recorded, decision, keys.id if keys is not None else None)
    if telling.fact.kind in REFUND_KINDS:
        return _take_in_refund(session, core, telling, recorded, keys)
    if keys is None:
        return _take_in_unmatched(session, core, telling, recorded)
    return _take_in_payment(session, core, telling, recorded, keys)


def _settled(
    session: Session,
    telling: Telling,
    recorded: Recorded,
    decision: Decision,
    payment_id: int | None,
    *,
    from_suspense: bool = False,
) -> Applied:
    """Write down what became of the fact."""
    payment_rows.settle_fact(session, telling.slot, recorded.fact_id, decision, payment_id, from_suspense=from_suspense)
    return Applied(decision.outcome, decision.reason, telling.slot, recorded.fact_id, payment_id)


def _take_in_refund(session: Session, core: Core, telling: Telling, recorded: Recorded, keys: AnyRow | None) -> Applied:
    decision, payment_id = taking_in.take_in(session, core, telling.slot, recorded.fact_id, keys)
    applied = _settled(session, telling, recorded, decision, payment_id)
    if payment_id is not None and decision.outcome is not Outcome.PARKED:
        reporting.note_report(session, core, telling, payment_id)
    return applied


def _take_in_unmatched(session: Session, core: Core, telling: Telling, recorded: Recorded) -> Applied:
    """There is no payment here that the fact could be about."""
    decision = decide_unmatched(_why_unmatched(telling), has_money=_brings_money(telling))
    money = crediting.of_telling(telling)
    crediting.book(session, telling.slot, crediting.unmatched(money, decision.booking), at=core.clock.now())
    applied = _settled(session, telling, recorded, decision, None)
    if telling.fact.kind is Kind.PAID:
        waiting.take_up(session, core, telling, None)
    return applied


def _take_in_payment(session: Session, core: Core, telling: Telling, recorded: Recorded, keys: AnyRow) -> Applied:
    order = payment_rows.lock_order(session, telling.slot, keys.order_id)
    payment = payment_rows.lock_payment(session, telling.slot, keys.id)
    decision, moved = _decide(session, core, telling, order, payment), recorded.in_suspense
    _carry_out(session, core, telling, order, payment, decision, from_suspense=moved)
    applied = _settled(session, telling, recorded, decision, payment.id, from_suspense=moved)
    if telling.fact.kind is Kind.PAID:
        if decision.refund:
            requesting.automatic(session, core, telling.slot, payment.id, telling.fact.ref.theirs)
        waiting.take_up(session, core, telling, payment.id, from_suspense=moved)
    return applied


def _find_payment(session: Session, core: Core, telling: Telling) -> AnyRow | None:
    """By our number; by the provider's where it tells none of ours; made now if it is a purchase in a store."""
    number = telling.payment_number
    if number is not None:
        return payment_rows.payment_keys(session, telling.slot, number)
    ref, environment = telling.fact.ref, environment_of(telling.fact.live)
    if ref.ours is not None or ref.theirs is None:
        return None
    found = payment_rows.payment_keys_by_theirs(session, telling.slot, telling.account.name, environment, ref.theirs)
    if found is None and telling.buyer is not None and telling.fact.kind is Kind.PAID:
        return store_orders.order_for_purchase(session, core, telling, telling.buyer)
    return found


def _brings_money(telling: Telling) -> bool:
    """Whether it is money that came in for us, and that is to be booked where it was told.

    A history or a bill may list what other systems of the same merchant sold: what matches nothing there is not ours. A
    store's purchase without a number of ours is booked with its buyer, in their slot, once they are known.
    """
    fact = telling.fact
    told_to_us = telling.road not in ("scan", "bill") and fact.ref.ours is not None
    return fact.kind is Kind.PAID and fact.money is not None and told_to_us


def _why_unmatched(telling: Telling) -> Mismatch:
    fact = telling.fact
    if fact.account is not None and fact.account != telling.account.provider.account:
        return Mismatch.OTHER_ACCOUNT
    if telling.buyer is not None:
        return Mismatch.UNKNOWN_PRODUCT
    if fact.live is not telling.account.live:
        return Mismatch.OTHER_ENVIRONMENT
    return Mismatch.UNKNOWN_NUMBER


def _decide(session: Session, core: Core, telling: Telling, order: AnyRow, payment: AnyRow) -> Decision:
    standing = Standing(PaymentStatus(payment.status), OrderStatus(order.status))
    kind = telling.fact.kind
    if payment.provider_account != telling.account.name:
        return decide_unmatched(Mismatch.OTHER_PROVIDER_ACCOUNT, has_money=_brings_money(telling))
    if kind is Kind.PAID:
        owner = payment_rows.owner_token(session, order.slot, order.user_id)
        why = mismatch(telling.told(), _expected(telling, order, payment, owner))
        return decide_paid(standing, why, core.rules.policy)
    if kind in UNPAID_CAUSES:
        strange = foreign(telling.told(), account=telling.account.provider.account, live=order.environment == "live")
        return decide_unpaid(standing, UNPAID_CAUSES[kind], strange)
    return Decision(Outcome.PARKED, Mismatch.NOT_HANDLED)


def _expected(telling: Telling, order: AnyRow, payment: AnyRow, owner: str) -> Expected:
    return Expected(
        account=telling.account.provider.account,
        live=order.environment == "live",
        money=Money(order.amount_minor, order.currency) if order.amount_minor is not None else None,
        product=payment.intent["product"],
        quantity=order.quantity,
        owner=owner,
    )


def _carry_out(
    session: Session,
    core: Core,
    telling: Telling,
    order: AnyRow,
    payment: AnyRow,
    decision: Decision,
    *,
    from_suspense: bool,
) -> None:
    """Move the locked rows and book what the decision says."""
    fact, now = telling.fact, core.clock.now()
    if decision.payment is not None:
        paid = decision.payment is PaymentStatus.PAID
        payment_rows.move_payment(
            session,
            payment,
            decision.payment,
            theirs=fact.ref.theirs,
            paid_at=fact.at if paid else None,
            next_query_at=payment.next_query_at if decision.payment in OPEN_PAYMENT else None,
        )
    elif fact.ref.theirs and payment.theirs is None and decision.outcome is not Outcome.PARKED:
        # Never from a fact that is not about this payment: we would ask about somebody else's trade from then on.
        payment_rows.name_theirs(session, payment.slot, payment.id, fact.ref.theirs)
    if decision.order is not None:
        payment_rows.move_order(session, order, decision.order, payment_id=payment.id, paid_at=fact.at)
    money = crediting.of_telling(telling)
    transfers = crediting.transfers_of(money, order, payment.id, decision.booking, from_suspense=from_suspense)
    crediting.book(session, order.slot, transfers, at=now)
    if decision.outcome in (Outcome.APPLIED, Outcome.NOTED):
        reporting.note_report(session, core, telling, payment.id)
    if decision.payment in UNPAID_END:
        expire_if_over(session, order, now)


def _report(telling: Telling, applied: Applied) -> None:
    """One line per telling; a warning where a person has to look."""
    say = _log.warning if applied.outcome in NEEDS_A_PERSON else _log.info
    say(
        "fact",
        outcome=applied.outcome,
        reason=applied.reason,
        kind=telling.fact.kind,
        road=telling.road,
        provider_account=telling.account.name,
        payment=applied.payment_id,
        ours=telling.fact.ref.ours,
        theirs=telling.fact.ref.theirs,
        fact=applied.fact_id,
        **({"faults": telling.faults} if telling.faults else {}),
    )
