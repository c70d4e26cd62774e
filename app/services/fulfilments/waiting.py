"""Fulfilments that a person should look at: unanswered for too long, or refused and the money is still here. A person
may end one by name."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import bindparam, select

from app.domain.numbers import slot_of_number
from app.models.base import Moment
from app.models.fulfilments import FULFILMENTS
from app.models.orders import Order
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.base.list_pages import ListPage, ListPlace, beyond, page_everywhere, place_at, values_of
from app.services.base.statements import Statement, make_row_type
from app.services.payments import fulfilments, interventions, payment_rows

LONGEST_ENDING = 240
"""Characters of the reason of a person who ends a fulfilment; more is cut."""
_f, _o = FULFILMENTS.c, Order.__table__.c
_OF_ORDER = ("environment", "sku", "quantity", "fulfilment_status")
_COLUMNS = (*_f, *(_o[name] for name in _OF_ORDER))
_Waiting: Any = make_row_type("WaitingFulfilment", _COLUMNS)
_log = structlog.get_logger(__name__)


class FulfilmentNotOpen(Exception):
    """This fulfilment cannot be ended by hand. The text says why."""


def _listed(goes_on: bool) -> Statement:
    wanted = (
        select(*_COLUMNS)
        .prefix_with(sweep("operator"))
        .join_from(FULFILMENTS, Order.__table__, (_o.slot == _f.slot) & (_o.id == _f.id))
        .where(_f.attention_at.is_not(None), _f.attention_at <= bindparam("now", type_=Moment))
    )
    if goes_on:
        wanted = wanted.where(beyond(_f.attention_at, _f.id, newest_first=False))
    return Statement(wanted.order_by(_f.attention_at, _f.id).limit(bindparam("most")))


_FIRST, _NEXT = _listed(goes_on=False), _listed(goes_on=True)


def list_waiting_fulfilments(core: Core, place: ListPlace | None, limit: int) -> ListPage[Any]:
    """A page of what a person should look at, that which waits longest first. Rows have the columns of the order that
    are shown with them."""
    values = {"now": core.clock.now(), "most": limit + 1, **values_of(place)}
    statement = _FIRST if place is None else _NEXT

    def read(tx: Tx) -> list[Any]:
        return [_Waiting._make(row) for row in statement.rows(tx, values)]

    return page_everywhere(core, read, limit, lambda row: place_at(row.attention_at, row.id), newest_first=False)


def end_fulfilment_by_hand(core: Core, order_id: int, *, by: str, reason: str) -> None:
    """Stop asking the backend, and take the order off the list, because a person has found out what became of it.
    Should the backend answer all the same, that counts. A later refund asks anew.

    Raises FulfilmentNotOpen.
    """
    name, why = by.strip()[: interventions.LONGEST_INTERVENER], reason.strip()[:LONGEST_ENDING]
    if not name or not why:
        raise FulfilmentNotOpen("say who you are, and why")
    slot = slot_of_number(order_id)

    def work(tx: Tx) -> None:
        order = payment_rows.lock_known_order(tx, slot, order_id)
        row = None if order is None else fulfilments.find_fulfilment(tx, slot, order_id)
        if row is None:
            raise FulfilmentNotOpen("there is no such order that the backend is to fulfil")
        if row.attention_at is None:
            raise FulfilmentNotOpen("nobody needs to look at it")
        fulfilments.change_fulfilment(tx, row, next_tell_at=None, attention_at=None, ended_by=name)
        interventions.write_down(tx, slot, row.payment_id, "fulfilment_ended", actor=name, reason=why)

    core.of_number(order_id).transact(work)
    _log.warning("fulfilment_ended_by_hand", order=order_id, by=name, reason=why)
