"""What facts change about agreements that we charge: the consumer of facts hands them over in its own transaction.

The order of a charge, if there is one, is locked by then; the agreement is locked here, after it.
"""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from app.domain.agreements import (
    CHARGEABLE,
    IN_FORCE,
    NEVER_SIGNED,
    AgreementCause,
    AgreementStatus,
    next_agreement_status,
    says_what_was,
)
from app.domain.charging import ChargeAfterEnd, WhenUnpaid, next_attempt
from app.domain.deciding import Decision
from app.domain.event_types import EventType
from app.domain.facts import Ending, Fact, Kind, Refusal
from app.domain.matching import Mismatch, foreign
from app.domain.periods import due_day
from app.domain.status import UNPAID_END, OrderStatus, Outcome
from app.models.base import AnyRow
from app.services.accounts.users import lock_user
from app.services.agreements import agreement_events, agreement_rows, plans, store_agreements
from app.services.agreements.counted_words import counts
from app.services.base.context import Tx, environment_of
from app.services.base.reported_fact import ReportedFact
from app.services.payments.payment_rows import LockedPayment

ENDED_BY_RULE = "rule"
"""Who ends an agreement whose period stays unpaid."""
ENDED_AS_SECOND = "second"
"""Who ends an agreement that was signed while another one of the user about the same product was in force."""
REPLACED_BY = "agreement:"
"""Who ends an agreement in whose place another one was signed: this, and the number of that one."""
LATE_AFTER = timedelta(days=1)
"""So long after the start of a period its first charge was late (no worker ran): further tries count from that one."""
_CAUSES = {
    Kind.SIGNED: AgreementCause.SIGNED,
    Kind.PAST_DUE: AgreementCause.UNPAID,
    Kind.ENDED: AgreementCause.ENDED,
    Kind.FAILED: AgreementCause.REFUSED,
    Kind.CLOSED: AgreementCause.REFUSED,
}


def take_word(tx: Tx, reported: ReportedFact) -> Decision:
    """Apply what a provider says of an agreement itself; what becomes of the fact."""
    row = _locked(tx, reported)
    strange = _strange(reported, row)
    if row is None and strange is None and reported.fact.shared:
        return Decision(Outcome.NOT_OURS, Mismatch.UNKNOWN_NUMBER)  # of a family of which nobody here has it
    if row is None or strange is not None:
        return Decision(Outcome.PARKED, strange or Mismatch.UNKNOWN_NUMBER)
    has_moved = follow_word(tx, row, reported.fact, is_answer=reported.road in ("query", "reply"))
    return Decision(Outcome.APPLIED if has_moved else Outcome.NOTED)


def _locked(tx: Tx, reported: ReportedFact) -> AnyRow | None:
    """The agreement that the word is about, locked."""
    ref, number = reported.fact.ref, reported.agreement_number
    if ref.our_agreement is None:
        return store_agreements.told_of(tx, reported)
    if reported.buyer is not None:
        number = agreement_rows.imported_number(tx, reported.buyer, reported.account.name, ref)
    if number is None:
        return None
    if reported.fact.kind is Kind.SIGNED:
        _lock_owner(tx, number)
    return agreement_rows.lock_agreement(tx, number)


def _lock_owner(tx: Tx, number: int) -> None:
    """Two agreements of one user that are signed at the same moment come into force one after the other. The user is
    locked before the agreement, as where an agreement is made."""
    seen = agreement_rows.find_agreement(tx, number)
    if seen is not None:
        lock_user(tx, seen.user_id)


def _strange(reported: ReportedFact, row: AnyRow | None) -> Mismatch | None:
    if row is None:
        known = reported.buyer is not None and reported.fact.product is not None
        return Mismatch.UNKNOWN_PRODUCT if known else None
    if row.provider_account != reported.account.name:
        return Mismatch.OTHER_PROVIDER_ACCOUNT
    fact, live = reported.fact, row.environment == environment_of(True)
    return foreign(fact.account, fact.live, reported.account.provider.account, live)


def follow_word(tx: Tx, row: AnyRow, fact: Fact, *, is_answer: bool = False) -> bool:
    """Bring a locked agreement to where that word of its provider takes it; whether that changed anything. `is_answer`:
    the provider says so, asked now."""
    cause = _CAUSES.get(fact.kind)
    if not counts(row, fact, is_answer=is_answer):
        return False
    if cause is None:  # being signed
        return _named(tx, row, fact) is not row
    after = next_agreement_status(AgreementStatus(row.status), cause, by_store=row.by_store)
    if cause is AgreementCause.REFUSED and after is None:
        return False
    is_past = row.by_store and fact.kind is Kind.SIGNED and says_what_was(fact.period_end, fact.at)
    changes, after = _said(tx, row, fact, is_past=is_past), None if is_past else after
    if after is None:
        changed = agreement_rows.change_agreement(tx, row, changes)
        if row.by_store:
            changed = _tell_free_time(tx, row, changed, fact)
        return changed is not row
    changes |= {"status": after, "tries": 0}
    if after is AgreementStatus.ENDED:
        _ends(tx, row, fact, changes)
    elif fact.kind is Kind.SIGNED:
        _signed(tx, row, fact, changes)
    else:
        changed = agreement_rows.change_agreement(tx, row, changes)
        newest = agreement_rows.periods_before(tx, row, row.next_period, 1)
        agreement_events.tell_agreement(tx, EventType.AGREEMENT_PAST_DUE, changed, *newest)
    return True


def _said(tx: Tx, row: AnyRow, fact: Fact, *, is_past: bool) -> dict[str, Any]:
    """What a word says, whatever it moves, as a change of the row. `is_past`: it is about time that was over."""
    changes: dict[str, Any] = {"told_at": fact.at if row.told_at is None else max(fact.at, row.told_at)}
    changes["theirs"] = row.theirs or fact.ref.agreement
    if fact.kind is Kind.PAST_DUE:
        changes |= {"grace_until": fact.period_end, "renews": fact.renews}
    if fact.kind is not Kind.SIGNED:
        return changes
    changes["theirs"] = fact.ref.agreement or row.theirs  # who signs again may get another number
    changes |= {"valid_until": fact.period_end, "renews": fact.renews, "grace_until": None}
    if is_past:
        changes |= {"valid_until": row.valid_until or fact.period_end, "grace_until": row.grace_until}
    if fact.renews is not None:
        changes |= {"price_increase": fact.price_increase, **store_agreements.next_plan_told(tx, row, fact)}
    return changes | (store_agreements.free_time_told(tx, row, fact) if row.by_store else {})


def _tell_free_time(tx: Tx, before: AnyRow, row: AnyRow, fact: Fact) -> AnyRow:
    """Tell a store's word about an agreement in force where it is news, and plan the next question by it; the row as it
    is then."""
    if fact.kind is Kind.SIGNED and before.told_at is None and before.next_period == 0:
        agreement_events.tell_agreement(tx, EventType.AGREEMENT_SIGNED, row)
    if row.sku != before.sku:
        agreement_events.tell_agreement(tx, EventType.AGREEMENT_PLAN_CHANGED, row)
    _tell_price(tx, before, row)
    if row.valid_until == before.valid_until:
        return row
    work_at = plans.next_work(row, tx.now, tx.core.rules.ask, plans.window_of(tx, row))
    return agreement_rows.change_agreement(tx, row, {"next_work_at": work_at})


def _tell_price(tx: Tx, before: AnyRow, row: AnyRow) -> None:
    """A store asks more from the next period on, or the payer has said yes to that."""
    if row.price_increase not in (None, before.price_increase):
        agreement_events.tell_agreement(tx, EventType.AGREEMENT_PRICE_INCREASE, row)


def _named(tx: Tx, row: AnyRow, fact: Fact) -> AnyRow:
    """The provider's number, as soon as it is told."""
    return agreement_rows.change_agreement(tx, row, {"theirs": row.theirs or fact.ref.agreement})


def _ends(tx: Tx, row: AnyRow, fact: Fact, changes: dict[str, Any]) -> None:
    """The provider says that it is over. What the provider takes for our end may be ours for a reason of our own. There
    are providers whose callback about our end, which may come before their answer, is the one about the payer's."""
    how: str = fact.ending or Ending.PROVIDER
    if fact.kind is not Kind.ENDED:
        how = NEVER_SIGNED
    elif row.cancel_at is not None and (fact.ending in (None, Ending.US) or _is_being_ended(tx, row, fact)):
        how = Ending.UNPAID if row.cancel_by == ENDED_BY_RULE else Ending.US
    ended_at = fact.at if row.by_store else changes["told_at"]
    changes |= {"ended_at": ended_at, "ended_by": how, "action": None}
    settle_agreement(tx, row, {**changes, "status": AgreementStatus.ENDED}, EventType.AGREEMENT_ENDED)


def _is_being_ended(tx: Tx, row: AnyRow, fact: Fact) -> bool:
    return fact.ending is Ending.PAYER and bool(row.cancel_at <= tx.now)


def settle_agreement(tx: Tx, row: AnyRow, changes: dict[str, Any], kind: EventType | None, *told: AnyRow) -> AnyRow:
    """Change a locked agreement, plan what is to be done next about it, and tell it; the row as it is then."""
    changed = agreement_rows.change_agreement(tx, row, changes)
    charge_at = plans.next_charge(changed, tx.core.rules.charges)
    if changed.status == AgreementStatus.PAST_DUE:
        charge_at = next((period.next_try_at for period in told), changed.next_charge_at) if charge_at else None
    planned = SimpleNamespace(**{**changed._mapping, "next_charge_at": charge_at})
    work_at = plans.next_work(planned, tx.now, tx.core.rules.ask, plans.window_of(tx, changed))
    changed = agreement_rows.change_agreement(tx, changed, {"next_charge_at": charge_at, "next_work_at": work_at})
    if kind is not None:
        agreement_events.tell_agreement(tx, kind, changed, *told)
    return changed


def plan_charge(tx: Tx, row: AnyRow) -> AnyRow:
    """Plan the charge of the next period of a locked agreement, also of one that is past due."""
    charge_at = plans.next_charge(row, tx.core.rules.charges)
    return agreement_rows.change_agreement(tx, row, {"next_charge_at": charge_at, "next_work_at": tx.now})


def begin_now(tx: Tx, row: AnyRow, planned: AnyRow | None) -> tuple[AnyRow, AnyRow | None]:
    """Have the next period of a locked agreement begin now; the two rows as they are then. A period that was `planned`
    for an earlier time, and has no order, is announced anew: its payer was told of another day."""
    row = agreement_rows.change_agreement(tx, row, {"anchor_at": tx.now, "anchor_number": row.next_period})
    if planned is not None:
        start, ends_at = plans.span(row, planned.number)
        planned = agreement_rows.change_period(
            tx, planned, {"starts_at": start, "ends_at": ends_at, "announced_at": None}
        )
    return row, planned


def _signed(tx: Tx, row: AnyRow, fact: Fact, changes: dict[str, Any]) -> None:
    """It is in force, from now on or again. Periods are counted from here unless a paid one has set their beginning."""
    changes |= {"signed_at": fact.at, "ended_at": None, "ended_by": "", "action": None}
    if row.by_store:
        _tell_price(tx, row, settle_agreement(tx, row, changes, EventType.AGREEMENT_SIGNED))
        return
    replaced = _end_replaced(tx, row)
    begins_again = row.status == AgreementStatus.ENDED and row.next_period > 0
    if row.anchor_at is None or (begins_again and (row.paid_until is None or row.paid_until < fact.at)):
        begins_at = plans.beginning(fact.at, replaced, is_paid=row.first_payment_id is not None)
        changes |= {"anchor_at": begins_at, "anchor_number": row.next_period}
    other = agreement_rows.in_force_of(tx, row.slot, row.user_id, row.sku, row.environment, but=row.id)
    is_second = other is not None and other.id != row.replaces_id
    if is_second or _has_lost_its_place(tx, row):
        changes |= {"cancel_at": tx.now, "cancel_by": ENDED_AS_SECOND}
        settle_agreement(tx, row, changes, EventType.AGREEMENT_SIGNED)
        return
    if row.first_minor == 0 and row.next_period == 0:
        changed = agreement_rows.change_agreement(tx, row, changes)
        start, ends_at = plans.span(changed, 0)
        ours = {"slot": row.slot, "agreement_id": row.id, "entitlements": row.entitlements}
        agreement_rows.add_period(tx, {**ours, "number": 0, "starts_at": start, "ends_at": ends_at, "status": "free"})
        row, changes = changed, {"paid_until": ends_at, "next_period": 1}
    settle_agreement(tx, row, changes, EventType.AGREEMENT_SIGNED)


def _end_replaced(tx: Tx, row: AnyRow) -> AnyRow | None:
    """The agreement of which this one takes the place, as it was, while that is in force: it is charged no more, and
    ended at its provider. The user is locked: nobody else locks two agreements."""
    if row.replaces_id is None:
        return None
    replaced = agreement_rows.lock_agreement(tx, row.replaces_id)
    if replaced is None or replaced.status not in IN_FORCE:
        return None
    if replaced.cancel_at is None or replaced.cancel_at > tx.now:
        settle_agreement(tx, replaced, {"cancel_at": tx.now, "cancel_by": f"{REPLACED_BY}{row.id}", "tries": 0}, None)
    return replaced


def _has_lost_its_place(tx: Tx, row: AnyRow) -> bool:
    """Whether another agreement was signed before in the place of the one that this was to replace, and is in force:
    whoever changes a plan twice, on two devices, pays for one."""
    replaced = None if row.replaces_id is None else agreement_rows.find_agreement(tx, row.replaces_id)
    if replaced is None or not replaced.cancel_by.startswith(REPLACED_BY):
        return False
    other = agreement_rows.known_agreement(tx, int(replaced.cancel_by.removeprefix(REPLACED_BY)))
    return other.id != row.id and other.status in IN_FORCE


# --- what a payment of one of its orders came to ---


def take_payment(tx: Tx, reported: ReportedFact, decision: Decision, locked: LockedPayment) -> bool:
    """A fact about a payment under an agreement was applied: its order is locked, and moved as the decision says. True
    if the money is to go back by our own rule."""
    row = agreement_rows.lock_agreement(tx, locked.order.agreement_id)
    if row is None:
        return False
    number = int(locked.order.period_number)
    if decision.order is OrderStatus.PAID:
        period_paid(tx, row, number, locked, reported.fact)
        return tx.core.rules.charges.after_end is ChargeAfterEnd.REFUND and _is_owed_no_more(row, locked, reported.fact)
    if decision.payment in UNPAID_END and locked.order.status != OrderStatus.PAID:
        due = agreement_rows.find_period(tx, row, number)
        if due is not None and due.status == "due" and due.next_try_at is None:
            period_refused(tx, row, due, reported.fact.refusal or Refusal.OTHER, locked.attempts, locked.order)
    return False


def _is_owed_no_more(row: AnyRow, locked: LockedPayment, fact: Fact) -> bool:
    """Whether it was charged when nothing was owed any more, by the provider's clock: what was paid before the end and
    is told after it was owed. Who pays in the act of signing has bought that period."""
    if row.cancel_by == ENDED_AS_SECOND:
        return True
    is_charge = locked.payment.id != row.first_payment_id
    return is_charge and row.status == AgreementStatus.ENDED and bool(fact.at > row.ended_at)


def period_paid(tx: Tx, row: AnyRow, number: int, locked: LockedPayment, fact: Fact) -> None:
    """Its period is paid, in time or late."""
    if row.anchor_at is None:
        row = agreement_rows.change_agreement(tx, row, {"anchor_at": fact.at, "anchor_number": number})
    due = agreement_rows.find_period(tx, row, number)
    if due is None:
        start, end_at = plans.span(row, number)
        new = {"slot": row.slot, "agreement_id": row.id, "number": number, "starts_at": start, "ends_at": end_at}
        agreement_rows.add_period(tx, {**new, "status": "due", "entitlements": row.entitlements})
        due = agreement_rows.known_period(tx, row, number)
    changes = {"status": "paid", "order_id": locked.order.id, "payment_id": locked.payment.id, "next_try_at": None}
    changes["earned_until"] = agreement_rows.earned_until(locked.order, due.ends_at)
    period = agreement_rows.change_period(tx, due, changes)
    until = period.ends_at if row.paid_until is None else max(row.paid_until, period.ends_at)
    moves: dict[str, Any] = {"paid_until": until, "next_period": max(row.next_period, number + 1), "tries": 0}
    after = next_agreement_status(AgreementStatus(row.status), AgreementCause.PAID)
    if after is not None:
        moves["status"] = after
    if row.cancel_by == ENDED_BY_RULE and row.status in IN_FORCE:
        moves |= {"cancel_at": None, "cancel_by": ""}
    settle_agreement(tx, row, moves, EventType.AGREEMENT_RENEWED, period)


def period_refused(tx: Tx, row: AnyRow, period: AnyRow, refusal: Refusal, attempts: int, order: AnyRow) -> None:
    """A charge of its due period, made by that order, ended unpaid: try again by the table, or see that it ends."""
    rules, zone, is_early = tx.core.rules.charges, plans.zone_of(row), refusal is Refusal.NOT_NOW
    is_late = order.created_at > period.starts_at + LATE_AFTER
    begun_at = order.created_at if is_late else period.starts_at
    again = None
    if row.status in IN_FORCE:
        again = next_attempt(
            due_day(begun_at, zone),
            refusal,
            now=tx.now,
            attempts=attempts,
            until=min(order.expires_at, period.ends_at) if is_early else begun_at + plans.window_of(tx, row).after,
            rules=rules,
            zone=zone,
        )
    status = "due" if again is not None else "unpaid"
    tried = {"refusal": refusal, "next_try_at": again, "status": status}
    # What the provider calls too early or too late is announced anew where charges are announced.
    period = agreement_rows.change_period(tx, period, {**tried, "announced_at": None} if is_early else tried)
    changes: dict[str, Any] = {"tries": 0}
    after = next_agreement_status(AgreementStatus(row.status), AgreementCause.UNPAID)
    if after is not None:
        changes["status"] = after
    # Who has paused it may resume it, whatever became of the charge that was under way.
    is_given_up = again is None and row.status in CHARGEABLE and row.cancel_at is None
    if is_given_up and is_early:
        changes["next_period"] = period.number + 1  # no word of the payer: the consent stands, and has a next period
    elif is_given_up and rules.when_unpaid is WhenUnpaid.END:
        changes |= {"cancel_at": tx.now, "cancel_by": ENDED_BY_RULE}
    if refusal is Refusal.AGREEMENT_GONE:
        changes["asked_at"] = row.created_at  # due to be asked about
    row = settle_agreement(tx, row, changes, EventType.AGREEMENT_PAST_DUE, period)
    if is_given_up and is_early:
        plan_charge(tx, row)
