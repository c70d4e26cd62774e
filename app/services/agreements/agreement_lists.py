"""Lists of agreements: a user's, with the periods of one of them, and those of all users for the operator."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from app.domain.numbers import MAX_NUMBER, slot_of_user
from app.models.agreements import AGREEMENTS
from app.models.base import AnyRow
from app.models.slot_guard import sweep
from app.services.agreements import agreement_rows
from app.services.base.context import Core, Tx
from app.services.base.list_pages import ListPage, ListPlace, page_of

_A = AGREEMENTS.c
_OF_USER = (
    select(*_A)
    .where(_A.slot == bindparam("p_slot"), _A.user_id == bindparam("p_user"), _A.id < bindparam("p_before"))
    .order_by(_A.id.desc())
    .limit(bindparam("p_most"))
)


def agreements_of_user(core: Core, user_id: str, place: ListPlace | None, limit: int) -> ListPage[AnyRow]:
    """A page of the user's agreements, newest first."""
    before = MAX_NUMBER if place is None else place[0]
    values = {"p_slot": slot_of_user(user_id), "p_user": user_id, "p_before": before, "p_most": limit + 1}
    rows = core.read(lambda tx: list(tx.execute(_OF_USER, values)))
    return page_of(rows, limit, lambda row: (row.id,))


def periods_of(core: Core, agreement: AnyRow, place: ListPlace | None, limit: int) -> ListPage[AnyRow]:
    """A page of the periods of an agreement, newest first."""
    before = agreement.next_period + 1 if place is None else place[0]
    rows = core.read(lambda tx: agreement_rows.periods_before(tx, agreement, before, limit + 1))
    return page_of(rows, limit, lambda row: (row.number,))


def agreements_of_status(tx: Tx, status: str, limit: int) -> list[AnyRow]:
    """Agreements of all users that stand so, oldest first, for the operator."""
    wanted = select(*_A).prefix_with(sweep("operator")).where(_A.status == status)
    return list(tx.execute(wanted.order_by(_A.created_at, _A.id).limit(limit)))
