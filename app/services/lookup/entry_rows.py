"""What rows that stand in more than one timeline are as entries."""

from __future__ import annotations

from app.models.base import AnyRow
from app.services.lookup.entries import EntryKind, TimelineEntry


def payment_entry(row: AnyRow) -> TimelineEntry:
    """An attempt to pay, as it stands now."""
    return TimelineEntry(
        at=row.created_at,
        kind=EntryKind.PAYMENT_MADE,
        number=str(row.id),
        payment=row.id,
        provider_account=row.provider_account,
        what=row.way,
        outcome=row.status,
        detail=row.problem,
    )


def fact_entry(row: AnyRow) -> TimelineEntry:
    told = row.content
    return TimelineEntry(
        at=row.recorded_at,
        kind=EntryKind.FACT,
        number=str(row.id),
        payment=row.payment_id,
        refund=told["refund"],
        provider_account=row.provider_account,
        what=row.kind,
        road=row.road,
        outcome=row.outcome,
        detail=row.reason,
        happened_at=row.at,
        amount=told["amount_minor"] if told["amount_minor"] is not None else told["total_minor"],
        asset=told["currency"],
    )


def call_entry(row: AnyRow) -> TimelineEntry:
    """A call to the provider that has ended."""
    return TimelineEntry(
        at=row.at,
        kind=EntryKind.CALL,
        number=str(row.id),
        payment=row.payment_id,
        refund=None if row.refund_id is None else str(row.refund_id),
        provider_account=row.provider_account,
        what=row.verb,
        outcome=row.outcome,
        detail=row.problem or row.said,
        ms=row.ms,
    )


def event_entry(row: AnyRow) -> TimelineEntry:
    return TimelineEntry(
        at=row.at,
        kind=EntryKind.EVENT,
        number=str(row.id),
        what=row.type,
        outcome="waiting" if row.position is None else "in_feed",
        detail="" if row.position is None else f"place {row.position} in the feed",
    )


def intervention_entry(row: AnyRow) -> TimelineEntry:
    """What a person did by hand."""
    return TimelineEntry(
        at=row.at,
        kind=EntryKind.INTERVENTION,
        number=str(row.id),
        payment=row.payment_id,
        refund=None if row.refund_id is None else str(row.refund_id),
        what=row.what,
        actor=row.actor,
        reason=row.reason,
    )
