"""Example events, for developers who try out a receiver: written into the feed, and sent as real ones are.

The cause of an example is `test`, its user is nobody's, and no books know of it.
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import insert

from app.domain import event_examples
from app.domain.event_types import EventType
from app.domain.ledger import microseconds
from app.domain.numbers import slot_of_user
from app.models.events import EVENTS
from app.services.base.context import Core, Tx
from app.services.base.outbox import event_id

BY_TEST = {"by": "test"}
"""The cause of what is no event: nothing happened."""


def write_example(core: Core, kind: EventType) -> uuid.UUID:
    """Write an example of that type; its number. The worker gives it its place in the feed and sends it."""
    slot = slot_of_user(event_examples.USER)

    def work(tx: Tx) -> uuid.UUID:
        at_us = microseconds(tx.now)
        new = event_id(slot, at_us)
        row: dict[str, Any] = {
            "slot": slot,
            "id": new,
            "user_id": event_examples.USER,
            "type": kind,
            "at": tx.now,
            "version": at_us,
            "body": {"data": event_examples.data_of(kind), "cause": BY_TEST},
        }
        tx.execute(insert(EVENTS).values(row))
        return new

    return core.at(slot).transact(work)
