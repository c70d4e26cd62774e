"""Until when nobody needs to look for work of an endpoint in a database: while it is paused, gone, or taken to be down.

What knows how an endpoint is lies at home; what asks whether anything is due asks each database alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select, update

from app.models.endpoints import POSITIONS
from app.services.base.context import Place, Tx

ASLEEP = timedelta(minutes=1)
"""So long nobody looks for work of an endpoint that is paused or gone."""
_q = POSITIONS.c


def let_rest(place: Place, awake: Mapping[int, datetime | None]) -> None:
    """Have nobody look for work of endpoints that are not awake, or before the moment when one that is down is tried:
    `awake` has that moment by endpoint, None where there is none."""

    def changes(tx: Tx) -> dict[int, datetime | None]:
        found = {}
        for row in tx.execute(select(POSITIONS)):
            rests = row.rests_until if row.rests_until is not None and row.rests_until > tx.now else None
            wanted = awake.get(row.endpoint_id, rests or tx.now + ASLEEP)
            if (wanted if wanted is not None and wanted > tx.now else None) != rests:
                found[row.endpoint_id] = wanted
        return found

    def change(tx: Tx, found: Mapping[int, datetime | None]) -> None:
        for number, until in found.items():
            tx.execute(update(POSITIONS).where(_q.endpoint_id == number).values(rests_until=until))

    if found := place.read(changes):
        place.transact(partial(change, found=found))


def end_rest(tx: Tx, endpoint: int) -> None:
    """Let work of that endpoint be looked for in this database."""
    mine = (_q.endpoint_id == endpoint, _q.rests_until.is_not(None))
    tx.execute(update(POSITIONS).where(*mine).values(rests_until=None))
