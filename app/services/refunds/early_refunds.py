"""Refunds that were told before their payment: kept, and applied right after it, in its transaction.

Two roads may tell payment and refund at the same moment without seeing each other; the worker's sweep
(`facts.waiting_refunds`) finds those.
"""

from __future__ import annotations

from app.domain.deciding import TOLD_WITH_ITS_BUYER, Decision
from app.domain.matching import Mismatch
from app.domain.numbers import slot_of_reference
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.services.base.context import Core, Tx
from app.services.base.reported_fact import ReportedFact
from app.services.payments import fact_rows, payment_rows
from app.services.refunds import refund_facts, refund_rows


def take_up(tx: Tx, reported: ReportedFact, payment_id: int | None, *, from_suspense: bool = False) -> None:
    """Apply what waits for this paid fact, which has just been applied. The caller holds the locks.

    `from_suspense`: its money has just found its payment; so do the refunds of it that were booked before.
    """
    slot, theirs = reported.slot, reported.fact.ref.theirs
    account, environment = reported.account.name, reported.environment
    facts = refund_rows.waiting_facts(tx, slot, account, environment)
    if from_suspense:
        facts += refund_rows.counted_without_payment(tx, slot, account, environment)
    for fact in facts:
        about_it = fact.payment_id == payment_id if fact.payment_id is not None else fact.content["theirs"] == theirs
        if about_it:
            apply_again(tx, fact, payment_id)


def apply_again(tx: Tx, fact: AnyRow, payment_id: int | None) -> bool:
    """Try a waiting fact once more; True if it waits no longer."""
    locked = payment_rows.lock_with_order(tx, fact.slot, payment_id) if payment_id is not None else None
    decision = refund_facts.take_in(tx, fact.slot, fact.id, locked).decision
    fact_rows.settle_fact(tx, fact.slot, fact.id, decision, None if locked is None else locked.payment.id)
    return decision.reason != Mismatch.BEFORE_PAYMENT


# --- a store's refund that came before anybody had claimed the purchase ---


def told_without_a_buyer(core: Core, reported: ReportedFact) -> list[AnyRow]:
    """The waiting facts about this store purchase that lie where its reference puts them, its buyer being unknown when
    they were told."""
    theirs = reported.fact.ref.theirs
    if reported.buyer is None or reported.fact.ref.ours is not None or theirs is None:
        return []
    slot, environment = slot_of_reference(theirs), reported.environment
    if slot == reported.slot:
        return []
    rows = core.at(slot).read(lambda s: refund_rows.waiting_facts(s, slot, reported.account.name, environment))
    return [row for row in rows if row.content["theirs"] == theirs and row.payment_id is None]


def settle_without_a_buyer(tx: Tx, row: AnyRow) -> None:
    """The fact has been told again where its buyer's data are."""
    fact_rows.settle_fact(tx, row.slot, row.id, Decision(Outcome.NOTED, TOLD_WITH_ITS_BUYER), None)
