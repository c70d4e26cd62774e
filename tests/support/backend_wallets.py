"""A world whose product is delivered by the app's backend, and what that backend is told and answers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app.domain.fulfilment import FulfilmentStatus
from app.models.base import AnyRow
from app.models.events import EVENTS
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.context import Core
from app.services.base.idempotency import keyed
from app.services.fulfilments import answers
from app.services.fulfilments.answers import FulfilmentAnswer
from app.services.payments import fulfilments
from tests.support.buyer import Buyer
from tests.support.world import CATALOGUE, World

_keys = itertools.count(1)
_e = EVENTS.c


def sell_externally(world: World) -> World:
    """From now on the world's product is delivered by the app's backend."""
    text = CATALOGUE.replace("[[products]]\n", '[[products]]\nfulfilment = "external"\n')
    import_products(world.core, parse_catalogue(text))
    return world


@dataclass
class ExternalBuyer(Buyer):
    """A buyer whose coins are with the app's backend."""

    @property
    def status(self) -> str | None:
        return str(self.world.order_row(self.order_id).fulfilment_status)

    @property
    def row(self) -> AnyRow:
        row = self.world.core.whole.read(lambda tx: fulfilments.find_fulfilment(tx, self.slot, self.order_id))
        assert row is not None
        return row

    @property
    def due(self) -> list[int]:
        return [unit["due"] for unit in self.row.units]

    def told(self) -> list[dict[str, Any]]:
        """All events of the user about fulfilments, oldest first: their type and what they show."""
        wanted = (
            select(_e.id, _e.type, _e.body)
            .where(_e.slot == self.slot, _e.user_id == self.user, _e.type.startswith("fulfilment."))
            .order_by(_e.version)
        )
        rows = self.world.core.whole.read(lambda tx: tx.execute(wanted).all())
        return [{"id": row.id, "type": row.type, **row.body["data"]["fulfilment"]} for row in rows]

    def steps(self) -> list[tuple[str, int, list[int]]]:
        """Of each event: what it is, the revision, and the units that are due."""
        return [
            (each["type"].partition(".")[2], each["revision"], [unit["due"] for unit in each["units"]])
            for each in self.told()
        ]

    def answer(self, status: str, revision: int = 1, *, key: str | None = None, reason: str = "") -> None:
        answer_for(self.world.core, self.order_id, status, revision, key=key, reason=reason)


def answer_for(
    core: Core, order_id: int, status: str, revision: int, *, key: str | None = None, reason: str = ""
) -> None:
    """Answer as the API does for the backend."""
    given = FulfilmentAnswer(order_id, revision, FulfilmentStatus(status), reason, "", "backend:game")
    content = {"order": order_id, "status": status, "revision": revision, "reason": reason}
    request = keyed("backend:game", key or f"answer-{next(_keys)}", "answer_fulfilment", content)
    answers.take_answer(core, given, request)
