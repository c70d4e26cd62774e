"""Orders read together with their payments, in one statement, with the columns that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, bindparam, case, func, or_, select

from app.domain.numbers import MAX_NUMBER, slot_of_user
from app.domain.status import OPEN_PAYMENT, OrderStatus
from app.models.agreements import PERIODS
from app.models.orders import Order, Payment
from app.models.slot_guard import sweep
from app.services.base.list_pages import ListPlace, SpanBounds, TimeSpan, beyond, newest_of, place_at, values_of, within
from app.services.base.statements import Statement, make_row_type
from app.services.base.transaction import Transaction

_o, _p = Order.__table__.c, Payment.__table__.c
# What the client does next is long, and is shown of open payments only.
_ACTION = case((or_(*[_p.status == status for status in sorted(OPEN_PAYMENT)]), _p.action)).label("action")
UNSHOWN = ("intent", "request")
_PAYMENT_COLUMNS = [_ACTION if column.name == "action" else column for column in _p if column.name not in UNSHOWN]
_ShownOrder: Any = make_row_type("ShownOrder", _o)
_ShownPayment: Any = make_row_type("ShownPayment", _PAYMENT_COLUMNS)
LISTED = ("id", "provider_account", "way", "status", "action", "created_at", "paid_at")
"""What a list shows of a payment: a page has up to 200 orders, and each column costs time."""
_LISTED_COLUMNS = [column for column in _PAYMENT_COLUMNS if column.name in LISTED]
_ListedPayment: Any = make_row_type("ListedPayment", _LISTED_COLUMNS)
_ORDER_WIDTH = len(list(_o))

_ALL = Payment.__table__.alias("all_payments")
ATTEMPTS_OF_ORDER = (
    select(func.count()).select_from(_ALL).where(_ALL.c.slot == _o.slot, _ALL.c.order_id == _o.id).scalar_subquery()
)
"""How many payments an order has, for statements that read the order."""

OrderWithPayments = tuple[Any, list[Any]]
"""An order and its payments in the order in which they were made."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders are listed. Without a user: those of all users."""

    user_id: str | None = None
    status: OrderStatus | None = None
    made: TimeSpan = field(default_factory=TimeSpan)


def _with_payments(
    page: Subquery, *order: ColumnElement[Any], slot: ColumnElement[int], columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    # A store's order names no agreement, for it is made before the agreement's row: the period's row names the order.
    periods = {"agreement_id": PERIODS.c.agreement_id, "period_number": PERIODS.c.number}
    shown = [
        func.coalesce(column, periods[column.name]).label(column.name) if column.name in periods else column
        for column in page.c
    ]
    with_payments = page.outerjoin(Payment.__table__, and_(_p.slot == slot, _p.order_id == page.c.id))
    with_period = with_payments.outerjoin(PERIODS, and_(PERIODS.c.slot == slot, PERIODS.c.order_id == page.c.id))
    return (
        select(*shown, *(column.label(f"payment_{column.name}") for column in columns))
        .select_from(with_period)
        .order_by(*order, _p.attempt)
    )


def _in_slot(orders: Select[Any], columns: Sequence[ColumnElement[Any]]) -> Statement:
    page = orders.where(_o.slot == bindparam("slot")).subquery("page")
    return Statement(_with_payments(page, page.c.id.desc(), slot=bindparam("slot"), columns=columns))


_ONE = _in_slot(select(*_o).where(_o.id == bindparam("id")), _PAYMENT_COLUMNS)


@cache
def _of_user(by_status: bool, bounds: SpanBounds) -> Statement:
    wanted = select(*_o).where(_o.user_id == bindparam("user"), _o.id <= bindparam("last"))
    if by_status:
        wanted = wanted.where(_o.status == bindparam("status"))
    page = wanted.where(*within(_o.created_at, bounds)).order_by(_o.id.desc()).limit(bindparam("most"))
    return _in_slot(page, _LISTED_COLUMNS)


@cache
def _of_all_users(status: OrderStatus | None, bounds: SpanBounds, goes_on: bool) -> Statement:
    conditions = [*within(_o.created_at, bounds), *([beyond(_o.created_at, _o.id)] if goes_on else [])]
    statuses = OrderStatus if status is None else [status]
    page = newest_of([select(*_o).where(_o.status == one, *conditions) for one in statuses]).subquery("page")
    newest_first = page.c.created_at.desc(), page.c.id.desc()
    listed = _with_payments(page, *newest_first, slot=page.c.slot, columns=_LISTED_COLUMNS)
    return Statement(listed.prefix_with(sweep("lists")))


def order_with_payments(tx: Transaction, slot: int, order_id: int) -> OrderWithPayments | None:
    found = _grouped(_ONE.rows(tx, {"slot": slot, "id": order_id}), _ShownPayment)
    return found[0] if found else None


def all_orders(tx: Transaction, wanted: OrderFilter, place: ListPlace | None, most: int) -> list[OrderWithPayments]:
    """The newest orders of all users of this database that stand behind the place, at most so many."""
    values = {"status": wanted.status, "most": most, **wanted.made.values(), **values_of(place)}
    statement = _of_all_users(wanted.status, wanted.made.bounds(), place is not None)
    return _grouped(statement.rows(tx, values), _ListedPayment)


def orders_of_user(
    tx: Transaction, user_id: str, wanted: OrderFilter, place: ListPlace | None, most: int
) -> list[OrderWithPayments]:
    """The newest orders of one user that stand behind the place, at most so many."""
    last = MAX_NUMBER if place is None else place[0] - 1
    values = {"slot": slot_of_user(user_id), "user": user_id, "last": last}
    values |= {"status": wanted.status, "most": most, **wanted.made.values()}
    return _grouped(_of_user(wanted.status is not None, wanted.made.bounds()).rows(tx, values), _ListedPayment)


def place_in_time(found: OrderWithPayments) -> ListPlace:
    return place_at(found[0].created_at, found[0].id)


def place_of_user(found: OrderWithPayments) -> ListPlace:
    """The numbers of one user's orders rise with time, and their index begins with the user."""
    return (found[0].id,)


def _grouped(rows: list[Any], payment: Any) -> list[OrderWithPayments]:
    """`payment` is the type of the payments' rows."""
    found, id_at = [], _ORDER_WIDTH + payment._fields.index("id")
    for _, lines in groupby(rows, key=itemgetter(1)):
        of_order = list(lines)
        order = _ShownOrder._make(of_order[0][:_ORDER_WIDTH])
        payments = [payment._make(line[_ORDER_WIDTH:]) for line in of_order if line[id_at] is not None]
        found.append((order, payments))
    return found
