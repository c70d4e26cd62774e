"""What endpoints were told about a thing, as entries of its timeline: the last attempt of each delivery."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, select

from app.models.endpoints import DELIVERIES, ENDPOINTS
from app.models.events import EVENTS
from app.services.base.context import Tx
from app.services.lookup.entries import EntryKind, TimelineEntry
from app.services.lookup.timeline_sources import Window

_d, _e, _n = DELIVERIES.c, EVENTS.c, ENDPOINTS.c


def tried_deliveries(
    tx: Tx, slot: int, events: tuple[ColumnElement[bool], ...], window: Window
) -> Iterator[TimelineEntry]:
    """Those of these events of the slot that were tried, at the moment of the last attempt."""
    wanted = select(*_d).join(EVENTS, (_e.slot == _d.slot) & (_e.id == _d.event_id)).where(_d.slot == slot, *events)
    names = tx.at_home(_names)
    for row in tx.execute(window.of(wanted, _d.tried_at, _d.id)):
        answered = f"HTTP {row.code}" if row.code is not None else row.problem
        yield TimelineEntry(
            at=row.tried_at,
            kind=EntryKind.DELIVERY,
            number=str(row.event_id),
            what=f"{names.get(row.endpoint_id, 'an endpoint that is gone')} of {row.type}",
            outcome=row.status,
            ms=row.latency_ms,
            detail=f"attempt {row.attempts}, {answered}",
        )


def _names(tx: Tx) -> dict[int, str]:
    return {row.id: row.name for row in tx.execute(select(_n.id, _n.name))}
