"""Events about agreements: each is written in the transaction that changes the row of the agreement."""

from __future__ import annotations

from typing import Any

from app.domain import representations
from app.domain.event_types import EventType
from app.models.agreements import AGREEMENTS
from app.models.base import AnyRow
from app.services.base.context import Tx
from app.services.base.outbox import events_of, write_events


def tell_agreement(tx: Tx, kind: EventType, agreement: AnyRow, period: AnyRow | None = None) -> None:
    """Tell the agreement as it is now, and the period that the change is about."""
    data: dict[str, Any] = {"agreement": representations.agreement_data(agreement)}
    if period is not None:
        data["period"] = representations.period_data(period)
    write_events(tx, AGREEMENTS, agreement.slot, agreement.id, events_of(tx, kind, agreement.user_id, data))
