"""Orders read together with their payments, in one statement, with the columns that are shown."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, func, or_, select

from app.domain.numbers import MAX_NUMBER
from app.domain.status import OPEN_PAYMENT
from app.models.orders import Order, Payment
from app.services.base.statements import Statement, make_row_type
from app.services.base.transaction import Connected

_o, _p = Order.__table__.c, Payment.__table__.c
# What the client does next is long, and is shown of open payments only.
_ACTION = case((or_(*[_p.status == status for status in sorted(OPEN_PAYMENT)]), _p.action)).label("action")
UNSHOWN = ("intent", "request")
_PAYMENT_COLUMNS = [_ACTION if column.name == "action" else column for column in _p if column.name not in UNSHOWN]
_ShownOrder: Any = make_row_type("ShownOrder", _o)
_ShownPayment: Any = make_row_type("ShownPayment", _PAYMENT_COLUMNS)
_ORDER_WIDTH = len(list(_o))
_PAYMENT_ID = [column.name for column in _PAYMENT_COLUMNS].index("id")

_ALL = Payment.__table__.alias("all_payments")
ATTEMPTS = (
    select(func.count()).select_from(_ALL).where(_ALL.c.slot == _o.slot, _ALL.c.order_id == _o.id).scalar_subquery()
)
"""How many payments an order has, for statements that read the order."""

OrderWithPayments = tuple[Any, list[Any]]
"""An order and its payments in the order in which they were made."""


def _with_payments(orders: Select[Any]) -> Select[Any]:
    page = orders.subquery("page")
    return (
        select(page, *(column.label(f"payment_{column.name}") for column in _PAYMENT_COLUMNS))
        .select_from(page.outerjoin(Payment.__table__, and_(_p.slot == bindparam("slot"), _p.order_id == page.c.id)))
        .order_by(page.c.id.desc(), _p.attempt)
    )


_ONE = Statement(_with_payments(select(*_o).where(_o.slot == bindparam("slot"), _o.id == bindparam("id"))))
_OF_USER = Statement(
    _with_payments(
        select(*_o)
        .where(_o.slot == bindparam("slot"), _o.user_id == bindparam("user"), _o.id <= bindparam("last"))
        .order_by(_o.id.desc())
        .limit(bindparam("most"))
    )
)


def order_with_payments(tx: Connected, slot: int, order_id: int) -> OrderWithPayments | None:
    found = _grouped(_ONE.rows(tx, {"slot": slot, "id": order_id}))
    return found[0] if found else None


def orders_of_user(tx: Connected, slot: int, user_id: str, *, before: int | None, most: int) -> list[OrderWithPayments]:
    """The user's orders, newest first, older than the number `before`."""
    last = MAX_NUMBER if before is None else before - 1
    return _grouped(_OF_USER.rows(tx, {"slot": slot, "user": user_id, "last": last, "most": most}))


def _grouped(rows: list[Any]) -> list[OrderWithPayments]:
    found = []
    for _, lines in groupby(rows, key=itemgetter(1)):
        of_order = list(lines)
        order = _ShownOrder._make(of_order[0][:_ORDER_WIDTH])
        payments = [line[_ORDER_WIDTH:] for line in of_order]
        found.append((order, [_ShownPayment._make(each) for each in payments if each[_PAYMENT_ID] is not None]))
    return found
