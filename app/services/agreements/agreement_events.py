"""Events about agreements: each is written in the transaction that changes the row of the agreement."""

from __future__ import annotations

from typing import Any

from app.domain import representations
from app.domain.event_types import EventType
from app.models.agreements import AGREEMENTS
from app.models.base import AnyRow
from app.services.base import outbox
from app.services.base.context import Tx
from app.services.base.outbox import Event
from app.services.base.statements import write_rows


def tell_agreement(tx: Tx, kind: EventType, agreement: AnyRow, period: AnyRow | None = None) -> None:
    """Tell the agreement as it is now, and the period that the change is about."""
    if kind not in tx.core.rules.ledger.events:
        return
    data: dict[str, Any] = {"agreement": representations.agreement_data(agreement)}
    if period is not None:
        data["period"] = representations.period_data(period)
    event = Event(kind, agreement.user_id, tx.now, data, outbox.cause_in(tx))
    write_rows(tx, [outbox.event_move(AGREEMENTS, agreement.slot, agreement.id, event, written_at=tx.now)])
