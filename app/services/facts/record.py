"""Writes facts down, each under its key, and knows what became of those that were told before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.deciding import Booking
from app.domain.matching import WORTH_ANOTHER_LOOK, Mismatch, contradictions
from app.domain.status import Cause, Outcome
from app.models.base import AnyRow
from app.models.orders import FactRow
from app.providers.facts import REFUND_KINDS, Kind
from app.services.base.context import Core, Tx, environment_of
from app.services.base.reported_fact import ReportedFact, content_of
from app.services.base.sanitize import name_of, printable
from app.services.base.upsert import NUMBER_ATTEMPTS, insert_if_new
from app.services.payments import payment_rows
from app.services.refunds import refund_facts

UNPAID_CAUSES = {Kind.PENDING: Cause.PENDING, Kind.FAILED: Cause.FAILED, Kind.CLOSED: Cause.CLOSED}
HANDLED = frozenset({Kind.PAID, *UNPAID_CAUSES}) | REFUND_KINDS
"""The kinds that this version acts on; the others are parked, and looked at again by a version that does."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one reported."""

    outcome: Outcome
    reason: str
    slot: int
    fact_id: int
    payment_id: int | None = None
    buyer: str | None = None
    """Whose store purchase it is, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The fact's row: new, or found with what became of it the first time."""

    fact_id: int
    known: AnyRow | None

    @property
    def in_suspense(self) -> bool:
        """Whether its money was booked to suspense when its payment was not known yet."""
        return self.known is not None and self.known.booking == Booking.SUSPENSE


def record(tx: Tx, reported: ReportedFact) -> Recorded:
    """Insert the fact, or find it. A second telling at the same time waits here until the first has committed."""
    environment = environment_of(reported.fact.live)
    row = _fact_row(tx.core, reported, environment)
    for _ in range(NUMBER_ATTEMPTS):
        fact_id = tx.core.numbers.next(reported.slot)
        if insert_if_new(tx, FactRow.__table__, {**row, "id": fact_id}):
            return Recorded(fact_id, None)
        known = payment_rows.fact(tx, reported.slot, reported.account.name, environment, reported.key)
        if known is not None and _may_be_looked_at_again(known):
            # Two tellings may find it parked at once: only one of them applies it.
            known = payment_rows.lock_fact(tx, reported.slot, reported.account.name, environment, reported.key)
        if known is not None:
            return Recorded(known.id, known)
    raise RuntimeError("no free number for a fact in this slot")


def _fact_row(core: Core, reported: ReportedFact, environment: str) -> dict[str, Any]:
    fact = reported.fact
    return {
        "slot": reported.slot,
        "provider_account": reported.account.name,
        "environment": environment,
        "key": reported.key,
        "kind": fact.kind,
        "payment_id": None,
        "content": content_of(fact),
        "raw": printable(fact.raw),
        "road": reported.road,
        "message_id": name_of(reported.message_id) if reported.message_id else None,
        "outcome": Outcome.PARKED,
        "reason": Mismatch.UNKNOWN_NUMBER,
        "booking": Booking.NOTHING,
        "from_suspense": False,
        "at": fact.at,
        "recorded_at": core.clock.now(),
    }


def told_before(reported: ReportedFact, recorded: Recorded) -> Applied | None:
    """The end for a repeat. None for a new fact, and for one that was parked because its payment was not known yet."""
    known = recorded.known
    if known is None:
        return None
    differing = contradictions(known.content, content_of(reported.fact))
    if differing:
        return Applied(Outcome.CONFLICT, ",".join(differing), reported.slot, known.id, known.payment_id)
    if _may_be_looked_at_again(known) or _brings_news_of_refund(reported, known):
        return None
    return Applied(Outcome.DUPLICATE, known.outcome, reported.slot, known.id, known.payment_id)


def can_be_looked_at_again(known: AnyRow) -> bool:
    """Whether the fact is parked in a way that leaves everything open: its money was not booked, or only to suspense
    because its payment was not known. What was decided against a payment of ours stays decided."""
    undecided = known.booking == Booking.NOTHING or known.payment_id is None
    return known.outcome == Outcome.PARKED and known.reason != Mismatch.UNUSABLE and undecided


def _may_be_looked_at_again(known: AnyRow) -> bool:
    """Whether a repeat is worth a look: the cause of the fact may be here by now, or this version acts on its kind."""
    newly_handled = known.reason == Mismatch.NOT_HANDLED and known.kind in HANDLED
    return known.outcome == Outcome.PARKED and (known.reason in WORTH_ANOTHER_LOOK or newly_handled)


def _brings_news_of_refund(reported: ReportedFact, known: AnyRow) -> bool:
    """Whether a refund that was told before waits for its payment, or is told with a size that was not known."""
    if reported.fact.kind not in REFUND_KINDS:
        return False
    return known.reason == Mismatch.BEFORE_PAYMENT or refund_facts.says_more(known.content, content_of(reported.fact))
