"""Gifts and recalls that do not end: a person should know why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from app.domain.gifts import GiftStatus
from app.models.base import AnyRow
from app.models.gifts import GIFTS, RECALLS
from app.models.slot_guard import sweep
from app.services.base.context import Core, WhatAnswers
from app.services.refunds import recall_rows

WAITS_AFTER = timedelta(minutes=10)
"""What is under way for longer is listed: a gift ends within seconds, or a minute later by the worker."""
_G, _R = GIFTS.c, RECALLS.c


@dataclass(frozen=True, slots=True)
class Waiting:
    """Gifts under way and open recalls, both oldest first."""

    gifts: list[AnyRow]
    recalls: list[AnyRow]


def list_waiting_gifts(core: Core, limit: int) -> WhatAnswers[Waiting]:
    """What a person should look at."""
    since = core.clock.now() - WAITS_AFTER
    gifts = select(GIFTS).prefix_with(sweep("operator")).where(_G.status == GiftStatus.SENT, _G.created_at <= since)
    recalls = (
        select(RECALLS).prefix_with(sweep("operator")).where(_R.status == recall_rows.OPEN, _R.created_at <= since)
    )
    return core.what_answers(
        lambda tx: Waiting(
            list(tx.execute(gifts.where(_G.next_try_at.is_not(None)).order_by(_G.created_at, _G.id).limit(limit))),
            list(tx.execute(recalls.where(_R.next_try_at.is_not(None)).order_by(_R.created_at, _R.id).limit(limit))),
        )
    )
