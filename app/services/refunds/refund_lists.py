"""Lists of refunds: of one order, of one user, or of all users, each refund with its user."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, select

from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.refunding import RefundStatus
from app.models.orders import Order
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.base.errors import NotFound
from app.services.base.list_pages import (
    ListPage,
    ListPlace,
    SpanBounds,
    TimeSpan,
    beyond,
    newest_of,
    page_everywhere,
    page_of,
    place_at,
    values_of,
    within,
)
from app.services.base.statements import Statement, make_row_type

_r, _o = Refund.__table__.c, Order.__table__.c
_COLUMNS = (*_r, _o.user_id)
_ListedRefund: Any = make_row_type("ListedRefund", _COLUMNS)

_OWNED = Statement(
    select(_r.id)
    .join_from(Refund.__table__, Order.__table__, and_(_o.slot == _r.slot, _o.id == _r.order_id))
    .where(_r.slot == bindparam("slot"), _r.id == bindparam("id"), _o.user_id == bindparam("user"))
)


@dataclass(frozen=True, slots=True)
class RefundFilter:
    """Which refunds are listed. Without an order and a user: those of all users."""

    order_id: int | None = None
    user_id: str | None = None
    status: RefundStatus | None = None
    made: TimeSpan = field(default_factory=TimeSpan)


def list_refunds(core: Core, wanted: RefundFilter, place: ListPlace | None, limit: int) -> ListPage[Any]:
    """A page of refunds: newest first, but those of one order oldest first. An order of another user has none."""
    slots = [slot_of_user(wanted.user_id)] if wanted.user_id is not None else []
    slots += [slot_of_number(wanted.order_id)] if wanted.order_id is not None else []
    if len(set(slots)) > 1:
        return ListPage([], None)
    values = {
        "slot": slots[0] if slots else None,
        "order": wanted.order_id,
        "user": wanted.user_id,
        "status": wanted.status,
        "most": limit + 1,
        **wanted.made.values(),
        **values_of(place),
    }
    statement = _statement(
        wanted.order_id is not None,
        wanted.user_id is not None,
        wanted.status,
        wanted.made.bounds(),
        place is not None,
    )

    def read(tx: Tx) -> list[Any]:
        return [_ListedRefund._make(row) for row in statement.rows(tx, values)]

    if not slots:
        return page_everywhere(core, read, limit, _place)
    return page_of(core.at(slots[0]).alone(read), limit, _place)


def check_owner(core: Core, user_id: str, refund_id: int) -> None:
    """Raises NotFound unless there is such a refund of an order of the user's."""
    values = {"slot": slot_of_number(refund_id), "id": refund_id, "user": user_id}
    if core.of_number(refund_id).alone(lambda tx: _OWNED.row(tx, values)) is None:
        raise NotFound(refund=str(refund_id))


@cache
def _statement(
    of_order: bool, of_user: bool, status: RefundStatus | None, bounds: SpanBounds, goes_on: bool
) -> Statement:
    conditions = within(_r.created_at, bounds)
    if goes_on:
        conditions.append(beyond(_r.created_at, _r.id, newest_first=not of_order))
    if of_order or of_user:
        return Statement(_of_one(of_order, of_user, status).where(*conditions))
    statuses = RefundStatus if status is None else [status]
    page = newest_of([select(*_r).where(_r.status == one, *conditions) for one in statuses]).subquery("page")
    listed = (
        select(page, _o.user_id)
        .join_from(page, Order.__table__, and_(_o.slot == page.c.slot, _o.id == page.c.order_id))
        .order_by(page.c.created_at.desc(), page.c.id.desc())
    )
    return Statement(listed.prefix_with(sweep("lists")))


def _of_one(of_order: bool, of_user: bool, status: RefundStatus | None) -> Select[Any]:
    """The refunds of one order, or of one user."""
    wanted = (
        select(*_COLUMNS)
        .join_from(Refund.__table__, Order.__table__, and_(_o.slot == bindparam("slot"), _o.id == _r.order_id))
        .where(_r.slot == bindparam("slot"))
        .limit(bindparam("most"))
    )
    if of_user:
        wanted = wanted.where(_o.user_id == bindparam("user"))
    if status is not None:
        wanted = wanted.where(_r.status == status)
    if of_order:
        return wanted.where(_r.order_id == bindparam("order")).order_by(_r.created_at, _r.id)
    return wanted.order_by(_r.created_at.desc(), _r.id.desc())


def _place(row: Any) -> ListPlace:
    return place_at(row.created_at, row.id)
