"""Lists of differences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, tuple_

from app.domain.ledger import moment_of
from app.models.differences import DIFFERENCES
from app.services.base.context import Core
from app.services.base.list_pages import ListPage, ListPlace, TimeSpan, page_of, place_at
from app.services.differences.difference_rows import UNSETTLED

_d = DIFFERENCES.c


@dataclass(frozen=True, slots=True)
class DifferenceFilter:
    """Which differences are listed."""

    provider_account: str | None = None
    type: str | None = None
    state: str | None = None
    """None: those that are not settled. `all`: every one."""
    at: TimeSpan = field(default_factory=TimeSpan)


def list_differences(core: Core, wanted: DifferenceFilter, place: ListPlace | None, limit: int) -> ListPage[Any]:
    """A page of them, the earliest first."""
    query = select(*_d).order_by(_d.at, _d.id).limit(limit + 1)
    if wanted.provider_account is not None:
        query = query.where(_d.provider_account == wanted.provider_account)
    if wanted.type is not None:
        query = query.where(_d.type == wanted.type)
    if wanted.state != "all":
        query = query.where(_d.state.in_(UNSETTLED) if wanted.state is None else _d.state == wanted.state)
    if wanted.at.since is not None:
        query = query.where(_d.at >= wanted.at.since)
    if wanted.at.until is not None:
        query = query.where(_d.at < wanted.at.until)
    if place is not None:
        query = query.where(tuple_(_d.at, _d.id) > (moment_of(place[0]), place[1]))
    rows = core.home.read(lambda tx: tx.execute(query).all())
    return page_of(rows, limit, lambda row: place_at(row.at, row.id))
