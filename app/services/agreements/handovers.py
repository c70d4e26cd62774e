"""A store's subscription that goes over to another user: one account at a store may serve several users of the app.

What a subscription makes active belongs to one user at a time. Whoever had it has it until the moment from which
another user has paid for it: the store gives back what is left, or has not collected it, and says no more of that user.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.domain.agreements import IN_FORCE, AgreementStatus
from app.domain.event_types import EventType
from app.domain.facts import Ending
from app.models.base import AnyRow
from app.services.agreements import agreement_facts, agreement_rows, store_agreements
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.payments.payment_rows import LockedPayment


def take_told_period(tx: Tx, reported: ReportedFact, locked: LockedPayment, row: AnyRow) -> None:
    """The next period of a store's agreement was paid, perhaps one of before another user took that up."""
    store_agreements.take_period(tx, reported, locked, row)
    if reported.gone_over_at is not None:
        end_as_taken_up(tx, row.id, reported.gone_over_at)


def end_as_taken_up(tx: Tx, number: int, at: datetime) -> None:
    """Another user has paid for this locked agreement from that moment on. Safe to repeat. A period that its user pays
    after that moment counts again."""
    row = agreement_rows.known_agreement(tx, number)
    store_agreements.cut_periods(tx, row, at)
    changes: dict[str, Any] = {"valid_until": None, "grace_until": None}
    changes["told_at"] = at if row.told_at is None else max(row.told_at, at)
    if row.paid_until is not None:
        changes["paid_until"] = min(row.paid_until, at)
    if row.status not in IN_FORCE:
        agreement_rows.change_agreement(tx, row, changes)
        return
    changes |= {"status": AgreementStatus.ENDED, "ended_at": at, "ended_by": Ending.TIME, "action": None}
    agreement_facts.settle_agreement(tx, row, changes, EventType.AGREEMENT_ENDED)
