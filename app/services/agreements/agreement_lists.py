"""Lists of agreements: of one user or of all users, and the periods of one agreement."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select

from app.domain.agreements import AgreementStatus
from app.domain.numbers import slot_of_user
from app.models.agreements import AGREEMENTS
from app.models.base import AnyRow
from app.models.slot_guard import sweep
from app.services.agreements import agreement_rows
from app.services.base.context import Core, Tx
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

_A = AGREEMENTS.c
_ListedAgreement: Any = make_row_type("ListedAgreement", _A)


@dataclass(frozen=True, slots=True)
class AgreementFilter:
    """Which agreements are listed. Without a user: those of all users."""

    user_id: str | None = None
    status: AgreementStatus | None = None
    provider_account: str | None = None
    sku: str | None = None
    made: TimeSpan = field(default_factory=TimeSpan)


def list_agreements(core: Core, wanted: AgreementFilter, place: ListPlace | None, limit: int) -> ListPage[Any]:
    """A page of agreements, newest first. A place in the list of one user is the number of an agreement; in the list of
    all users, its moment and its number."""
    user_id = wanted.user_id
    values: dict[str, Any] = {"account": wanted.provider_account, "sku": wanted.sku, "most": limit + 1}
    values |= wanted.made.values()
    filters = (wanted.status, wanted.provider_account is not None, wanted.sku is not None, wanted.made.bounds())
    if user_id is None:
        statement, values = _of_all(*filters, place is not None), {**values, **values_of(place)}
    else:
        statement = _of_user(*filters, place is not None)
        values |= {"slot": slot_of_user(user_id), "user": user_id, "before": None if place is None else place[0]}

    def read(tx: Tx) -> list[Any]:
        return [_ListedAgreement._make(row) for row in statement.rows(tx, values)]

    if user_id is None:
        return page_everywhere(core, read, limit, lambda row: place_at(row.created_at, row.id))
    return page_of(core.of_user(user_id).alone(read), limit, lambda row: (row.id,))


@cache
def _of_user(
    status: AgreementStatus | None, of_account: bool, of_sku: bool, bounds: SpanBounds, goes_on: bool
) -> Statement:
    conditions = _conditions(of_account, of_sku, bounds)
    if status is not None:
        conditions.append(_A.status == status)
    if goes_on:
        conditions.append(_A.id < bindparam("before"))
    mine = select(*_A).where(_A.slot == bindparam("slot"), _A.user_id == bindparam("user"), *conditions)
    return Statement(mine.order_by(_A.id.desc()).limit(bindparam("most")))


@cache
def _of_all(
    status: AgreementStatus | None, of_account: bool, of_sku: bool, bounds: SpanBounds, goes_on: bool
) -> Statement:
    conditions = _conditions(of_account, of_sku, bounds)
    if goes_on:
        conditions.append(beyond(_A.created_at, _A.id))
    statuses = AgreementStatus if status is None else [status]
    listed = newest_of([select(*_A).where(_A.status == one, *conditions) for one in statuses])
    return Statement(listed.prefix_with(sweep("lists")))


def _conditions(of_account: bool, of_sku: bool, bounds: SpanBounds) -> list[Any]:
    conditions: list[Any] = within(_A.created_at, bounds)
    if of_account:
        conditions.append(_A.provider_account == bindparam("account"))
    if of_sku:
        conditions.append(_A.sku == bindparam("sku"))
    return conditions


def periods_of(core: Core, agreement: AnyRow, place: ListPlace | None, limit: int) -> ListPage[AnyRow]:
    """A page of the periods of an agreement, newest first."""
    before = agreement.next_period + 1 if place is None else place[0]
    rows = core.at(agreement.slot).read(lambda tx: agreement_rows.periods_before(tx, agreement, before, limit + 1))
    return page_of(rows, limit, lambda row: (row.number,))
