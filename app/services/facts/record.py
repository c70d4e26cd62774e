"""Writes facts down, each under its key, whole. A fact that is told again is the one that was stored, completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from app import metrics
from app.domain.deciding import SECOND_TRADE, Booking, Decision
from app.domain.facts import (
    AGREEMENT_KINDS,
    REFUND_KINDS,
    Kind,
    completed,
    content_of,
    contradictions,
    fact_of,
    told_by,
)
from app.domain.matching import WORTH_ANOTHER_LOOK, Mismatch
from app.domain.raw_documents import packed_words, words_in
from app.domain.status import NEEDS_A_PERSON, NOT_MATCHED, Cause, Outcome
from app.models.history import Telling
from app.models.orders import FACTS
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.base.sanitize import name_of, printable, problem_text
from app.services.base.statements import RowInsert
from app.services.base.upsert import NUMBER_ATTEMPTS, NumberTaken, ToldMeanwhile, insertion_if_new
from app.services.payments import fact_rows
from app.services.refunds import refund_facts
from app.services.refunds.captured_payments import is_held
from app.services.refunds.refund_facts import KnownRefunds

UNPAID_CAUSES = {Kind.PENDING: Cause.PENDING, Kind.FAILED: Cause.FAILED, Kind.CLOSED: Cause.CLOSED}
HANDLED = frozenset({Kind.PAID, Kind.AUTHORIZED, *UNPAID_CAUSES}) | REFUND_KINDS | AGREEMENT_KINDS
"""The kinds that this version acts on; the others are parked, and looked at again by a version that does."""
NewRows = tuple[RowInsert, list[dict[str, Any]]]
"""Rows to insert, and how."""
_NOTE_ROAD = insertion_if_new(Telling.__table__)
_INSERT = RowInsert(FACTS, lambda insert: insert.on_conflict_do_nothing())

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one telling."""

    outcome: Outcome
    reason: str
    slot: int
    fact_id: int
    payment_id: int | None = None
    buyer: str | None = None
    """Whose store purchase it is, as far as that is known."""
    refunds: Sequence[Any] = ()
    """The refunds of its payment as the fact left them, where it is about one of them and this is known."""


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact as it is stored: what is applied, now and at any later time, is this."""

    reported: ReportedFact
    """With everything that any telling of the fact said; what was told first stands."""
    fact_id: int
    decision: Decision
    """What its new row says became of it."""
    previous: Any = None
    """The row of the first telling, with what became of it; None for a new fact."""
    known: KnownRefunds | None = None
    """Of a fact about a refund of a payment of ours: what was read under the lock of its order."""
    unwritten: Mapping[str, Any] | None = None
    """The new row of such a fact, which is written with what becomes of it (`write_outcome`)."""

    @property
    def in_suspense(self) -> bool:
        """Whether its money was booked to suspense when its payment was not known yet. It stays booked so until its
        payment is found: no later telling rewrites what a fact has booked."""
        return self.previous is not None and self.previous.booking == Booking.SUSPENSE

    @property
    def is_held(self) -> bool:
        """Whether it waits for the word how much of its money went back."""
        return self.previous is not None and is_held(self.previous)


def record(
    tx: Tx,
    reported: ReportedFact,
    decision: Decision,
    payment_id: int | None,
    new: Sequence[NewRows] = (),
    refunds: KnownRefunds | None = None,
) -> StoredFact:
    """Insert the fact with what became of it, or find it as it was stored before. A second telling at one moment waits
    here until the first has committed.

    Whoever has locked the fact's payment comes here with that lock: first the order, then the fact, for everybody.
    `new` are the rows of a payment that is made for this fact. `refunds` is what is known where it is about a refund:
    then its row waits until it is known what becomes of the fact. If a fact that was taken for new was told before,
    ToldMeanwhile is raised, at the latest before the commit: then nothing of what followed from the fact may stay, and
    the repeated transaction looks first.
    """
    # Money of a payment that is paid is nearly always the fact that paid it: look before a row is made in vain.
    is_told = decision.reason == SECOND_TRADE or (refunds is not None and refunds.has(reported))
    known = _find_told(tx, reported) if is_told else None
    if known is not None:
        return StoredFact(reported, known.id, decision, known)
    row = _row(tx, reported, decision, payment_id)
    # A word that moves its payment, or about a refund that its payment's facts do not tell, is nearly always told for
    # the first time: nobody waits for its insertion.
    is_taken_for_new = (new or decision.payment is not None or refunds is not None) and not tx.is_repeated
    for _ in range(NUMBER_ATTEMPTS):
        fact_id = tx.core.numbers.next(reported.slot)
        row["id"] = fact_id
        row["seal"] = tx.core.rules.ledger.seals.of_row("facts", row)
        if new:
            write_new(tx, new)
        if is_taken_for_new and refunds is not None:
            return StoredFact(reported, fact_id, decision, known=refunds, unwritten=row)
        if is_taken_for_new:
            tx.later(_INSERT, [row], wrong=ToldMeanwhile)
            return StoredFact(reported, fact_id, decision)
        (inserted,) = _INSERT.run(tx, [row])
        if inserted.count == 1:
            return StoredFact(reported, fact_id, decision)
        if new:
            raise ToldMeanwhile
        known = _find_told(tx, reported)
        if known is not None:
            return StoredFact(reported, known.id, decision, known)
    raise RuntimeError("no free number for a fact in this slot")


def write_outcome(
    tx: Tx, stored: StoredFact, decision: Decision, payment_id: int | None, *, from_suspense: bool = False
) -> None:
    """Write down what became of a recorded fact: in its new row, if that waits for this."""
    if stored.unwritten is None:
        fact_rows.settle_fact(
            tx, stored.reported.slot, stored.fact_id, decision, payment_id, from_suspense=from_suspense
        )
    else:
        outcome = {"outcome": decision.outcome, "reason": decision.reason, "booking": decision.booking}
        tx.later(_INSERT, [{**stored.unwritten, **outcome}], wrong=ToldMeanwhile)


def _find_told(tx: Tx, reported: ReportedFact) -> Any:
    """The row of its first telling, if there is one. Locked where it may be applied now: two tellings may find it
    parked at once, and only one of them applies it."""
    keys = (reported.slot, reported.account.name, reported.environment, reported.key, reported.road)
    known = fact_rows.fact_under(tx, *keys)
    if known is not None and _may_be_looked_at_again(known):
        known = fact_rows.lock_fact(tx, *keys)
    return known


def write_new(tx: Tx, new: Sequence[NewRows]) -> None:
    """Insert the rows of a payment that is made for a fact."""
    for insertion, rows in new:
        tx.later(insertion, rows, wrong=NumberTaken)


def stored_again(tx: Tx, stored: StoredFact) -> StoredFact:
    """A fact that was told before, completed by this telling, to be applied as it is stored."""
    known, reported = stored.previous, stored.reported
    content = completed(known.content, content_of(reported.fact), is_booked=known.booking != Booking.NOTHING)
    fact_rows.complete_fact(tx, known, content)
    fact = fact_of(known.kind, known.at, content, words_in(known.raw))
    return replace(stored, reported=replace(reported, fact=fact))


def note_road(tx: Tx, stored: StoredFact) -> None:
    """Write down that another road than the first has told the fact: once for each road, with what it contradicts."""
    known, reported = stored.previous, stored.reported
    if known is None or known.road == reported.road or known.told_by_road:
        return
    differing = contradictions(known.content, content_of(reported.fact))
    row = {
        "slot": known.slot,  # a store's telling may not know yet whose it is, and so which slot
        "fact_id": known.id,
        "road": reported.road,
        "differs": problem_text(",".join(differing)),
        "message_id": name_of(reported.message_id) if reported.message_id else None,
        "at": tx.now,
    }
    _NOTE_ROAD.run(tx, [row])


def told_before(stored: StoredFact) -> Applied | None:
    """The end for a repeat. None for a new fact, and for one that was parked because its payment was not known yet."""
    known, reported = stored.previous, stored.reported
    if known is None:
        return None
    differing = contradictions(known.content, content_of(reported.fact))
    if differing:
        return Applied(Outcome.CONFLICT, ",".join(differing), reported.slot, known.id, known.payment_id)
    if _may_be_looked_at_again(known) or _brings_news_of_refund(reported, known):
        return None
    return Applied(Outcome.DUPLICATE, known.outcome, reported.slot, known.id, known.payment_id)


def can_be_looked_at_again(known: Any) -> bool:
    """Whether the fact is parked in a way that leaves everything open: its money was not booked, or only to suspense
    because its payment, or what of it went back, was not known. What was decided against a payment of ours stays so."""
    undecided = known.booking == Booking.NOTHING or known.payment_id is None or is_held(known)
    is_over = known.reason in (Mismatch.UNUSABLE, Mismatch.ASSIGNED)
    return bool(known.outcome in NOT_MATCHED and undecided and not is_over)


def report_fact(reported: ReportedFact, applied: Applied) -> None:
    """One line for each telling; a warning where a person has to look. What is not ours is counted by the page."""
    account, fact = reported.account.name, reported.fact
    metrics.FACTS_TOLD.labels(account, fact.kind, reported.road, applied.outcome).inc()
    if applied.outcome is Outcome.NOT_OURS:
        return
    say = _log.warning if applied.outcome in NEEDS_A_PERSON else _log.info
    say(
        "fact",
        outcome=applied.outcome,
        reason=applied.reason,
        kind=fact.kind,
        road=reported.road,
        provider_account=account,
        payment=applied.payment_id,
        ours=fact.ref.ours,
        theirs=fact.ref.theirs,
        fact=applied.fact_id,
        **({"faults": reported.faults} if reported.faults else {}),
    )


def _row(tx: Tx, reported: ReportedFact, decision: Decision, payment_id: int | None) -> dict[str, Any]:
    fact = reported.fact
    return {
        "slot": reported.slot,
        "provider_account": reported.account.name,
        "environment": reported.environment,
        "key": reported.key,
        "kind": fact.kind,
        "payment_id": payment_id,
        "content": told_by(fact),
        "raw": packed_words(printable(fact.raw)),
        "road": reported.road,
        "message_id": name_of(reported.message_id) if reported.message_id else None,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "booking": decision.booking,
        "from_suspense": False,
        "at": fact.at,
        "recorded_at": tx.now,
    }


def _may_be_looked_at_again(known: Any) -> bool:
    """Whether a repeat is worth a look: the cause of the fact may be here by now, or this version acts on its kind."""
    newly_handled = known.reason == Mismatch.NOT_HANDLED and known.kind in HANDLED
    if known.outcome == Outcome.NOT_OURS:
        return True
    return bool(known.outcome == Outcome.PARKED and (known.reason in WORTH_ANOTHER_LOOK or newly_handled))


def _brings_news_of_refund(reported: ReportedFact, known: Any) -> bool:
    """Whether a refund that was told before waits for its payment, or is told with a size that was not known."""
    if reported.fact.kind not in REFUND_KINDS:
        return False
    return known.reason == Mismatch.BEFORE_PAYMENT or refund_facts.says_more(known.content, content_of(reported.fact))
