"""Lists of differences, and which others a person may think belong to one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, tuple_

from app.domain.ledger import moment_of
from app.domain.settling import POOL
from app.models.base import AnyRow
from app.models.differences import DIFFERENCES
from app.services.base.context import Core, Tx
from app.services.base.list_pages import ListPage, ListPlace, TimeSpan, page_of, place_at
from app.services.differences.difference_rows import UNSETTLED

MOST_PROPOSED = 5
"""So many others are proposed as the other side of a difference."""
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
    rows = core.read(lambda tx: tx.execute(query).all())
    return page_of(rows, limit, lambda row: place_at(row.at, row.id))


def proposed_others(tx: Tx, row: AnyRow) -> Sequence[AnyRow]:
    """Open differences of the account that one side alone has, of the same sum and about the same time, where this one
    is of the other side: for a person to look at. Nothing is ever matched by amount and time alone."""
    if (row.ours_minor is None) == (row.theirs_minor is None):
        return ()
    near = (_d.at >= row.at - POOL, _d.at < row.at + POOL, _d.state.in_(UNSETTLED))
    if row.ours_minor is None:
        other = (_d.ours_minor == row.theirs_minor, _d.ours_currency == row.theirs_currency, _d.theirs_minor.is_(None))
    else:
        other = (_d.theirs_minor == row.ours_minor, _d.theirs_currency == row.ours_currency, _d.ours_minor.is_(None))
    wanted = select(*_d).where(_d.provider_account == row.provider_account, *near, *other)
    return tx.execute(wanted.order_by(_d.at, _d.id).limit(MOST_PROPOSED)).all()
