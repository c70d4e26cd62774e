"""A request whose key is forgotten makes no second attempt to pay: the first one bears the request's name.

Keys may be deleted after some time. The name follows from caller and key, as the id of a transfer does: a repeat that
comes later finds what it made.
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, func, select

from app.domain.numbers import keyed_uuid
from app.models.orders import Payment
from app.services.base.context import Tx
from app.services.base.errors import KeyReused
from app.services.base.idempotency import Keyed
from app.services.base.statements import Statement, make_row_type, with_names

MADE_BEFORE = Payment.__table__.alias("made")
"""The attempt that the request made once; for an outer join."""
_p, _m = Payment.__table__.c, MADE_BEFORE.c
PAYMENT_MADE = (
    *(_m.id.label("made_id"), _m.order_id.label("made_order"), _m.provider_account.label("made_account")),
    *(_m.way.label("made_way"), _m.attempt.label("made_attempt")),
)
"""What is read of it; all null where there is none."""


def is_named(slot: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether `MADE_BEFORE` is the attempt of the request that is named by the value `request`."""
    return and_(_m.slot == slot, _m.request == bindparam("request", type_=Uuid))


_COUNT = (
    select(func.coalesce(func.max(_p.attempt), 0).label("attempts"))
    .where(_p.slot == bindparam("slot"), _p.order_id == bindparam("order"))
    .subquery("counted")
)
_Attempts: Any = make_row_type("Attempts", (_COUNT.c.attempts, *PAYMENT_MADE))
_ATTEMPTS = Statement(
    lambda _: select(_COUNT.c.attempts, *PAYMENT_MADE).select_from(
        _COUNT.outerjoin(MADE_BEFORE, is_named(bindparam("slot")))
    )
)


def request_name(slot: int, request: Keyed) -> uuid.UUID:
    """What names the attempt that a request makes, whether or not its key is still known."""
    return keyed_uuid(slot, f"payment:{request.caller}", request.key)


def attempts_of(tx: Tx, slot: int, order_id: int, request: Keyed) -> Any:
    """How many attempts to pay the order were made (`attempts`), and which of all attempts this request made."""
    return with_names(
        _Attempts, _ATTEMPTS.row(tx, {"slot": slot, "order": order_id, "request": request_name(slot, request)})
    )


def check_same_order(made: Any, order: Any, wanted: Any) -> None:
    """Raises KeyReused unless that attempt is the first one of such an order."""
    before = (order.user_id, order.sku, order.quantity, made.made_account, made.made_way, made.made_attempt)
    pay_by = wanted.pay_by
    if before != (wanted.user_id, wanted.sku, wanted.quantity, pay_by.provider_account, pay_by.way, 1):
        raise KeyReused


def check_same_attempt(made: Any, order_id: int, pay_by: Any) -> None:
    """Raises KeyReused unless that attempt is a later one of this order, by this way."""
    before = (made.made_order, made.made_account, made.made_way)
    if before != (order_id, pay_by.provider_account, pay_by.way) or made.made_attempt == 1:
        raise KeyReused
