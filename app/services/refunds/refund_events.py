"""Events about refunds: each step of a refund is told, with the refund as it is then."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Table

from app.domain import representations
from app.domain.event_types import EventType
from app.domain.refunding import RefundStatus
from app.models.refunds import Refund
from app.services.base.context import Tx
from app.services.base.outbox import events_of, write_events

_REFUNDS = cast(Table, Refund.__table__)
_OF_STATUS = {
    RefundStatus.CREATED: EventType.REFUND_REQUESTED,
    RefundStatus.PENDING: EventType.REFUND_PENDING,
    RefundStatus.UNKNOWN: EventType.REFUND_PENDING,
    RefundStatus.DONE: EventType.REFUND_DONE,
    RefundStatus.DECLINED: EventType.REFUND_DECLINED,
    RefundStatus.UNDONE: EventType.REFUND_UNDONE,
}


def tell_status(tx: Tx, row: Any, user_id: str) -> None:
    """The refund has come to the status that its row has now."""
    _tell(tx, _OF_STATUS[RefundStatus(row.status)], row, user_id)


def tell_change(tx: Tx, before: Any, after: Any, user_id: str) -> None:
    """A refund has changed: an event if its status has, or if more of its money came back to the merchant."""
    if before.status != after.status:
        tell_status(tx, after, user_id)
    elif before.undone_minor != after.undone_minor:
        _tell(tx, EventType.REFUND_UNDONE, after, user_id)


def _tell(tx: Tx, kind: EventType, row: Any, user_id: str) -> None:
    data = {"refund": representations.refund_data(row, user_id)}
    write_events(tx, _REFUNDS, row.slot, row.id, events_of(tx, kind, user_id, data, row.caller))
