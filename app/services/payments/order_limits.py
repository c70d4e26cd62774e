"""What a user may have going at one time, and how much time a payment needs: checked before anything is written."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, func, or_, select, true

from app.domain.numbers import number_at
from app.domain.status import OrderStatus
from app.models.base import Moment
from app.models.orders import Order, Payment
from app.providers.registry import ProviderAccount
from app.providers.verbs import least_seconds
from app.services.base.context import Tx
from app.services.base.errors import TooLittleTime, TooManyOpenOrders, TooManyStarts
from app.services.base.statements import Statement

LOOK_BACK = timedelta(minutes=24 * 60)
"""The longest `order_minutes` that the settings allow. An order that is older than this is not open any more, or it is
the charge of an agreement, which the user did not begin."""
START_WINDOW = timedelta(minutes=1)

_o, _p = Order.__table__.c, Payment.__table__.c
_MINE = (_o.slot == bindparam("slot"), _o.user_id == bindparam("user"), _o.id >= bindparam("since"))
_OPEN = (
    select(func.count().label("count"), func.min(_o.expires_at, type_=Moment()).label("first"))
    .where(*_MINE, _o.status == OrderStatus.OPEN, _o.expires_at > bindparam("now", type_=Moment()))
    .subquery("open_orders")
)
_STARTS = (
    select(func.count().label("count"), func.min(_p.created_at, type_=Moment()).label("first"))
    .select_from(Order)
    .join(Payment, and_(_p.slot == _o.slot, _p.order_id == _o.id))
    .where(
        *_MINE,
        _p.slot == bindparam("slot"),
        _p.created_at > bindparam("after", type_=Moment()),
        _p.created_at <= bindparam("now", type_=Moment()),
        # A purchase that was made in a store before we heard of it is nobody's start.
        or_(_o.amount_minor.is_not(None), _p.theirs.is_(None)),
    )
    .subquery("starts")
)
_GOING_ON = Statement(
    lambda _: select(
        _OPEN.c.count.label("open_count"),
        _OPEN.c.first.label("first_end"),
        _STARTS.c.count.label("start_count"),
        _STARTS.c.first.label("first_start"),
    ).select_from(_OPEN.join(_STARTS, true()))
)


def check_limits(tx: Tx, slot: int, user_id: str, *, new_order: bool) -> None:
    """Raises TooManyOpenOrders or TooManyStarts, each with the seconds to wait.

    The caller holds a lock on the user or on the order, so that requests at the same time are counted one by one.
    """
    now, rules = tx.now, tx.core.rules
    values = {
        "slot": slot,
        "user": user_id,
        "since": number_at(now - LOOK_BACK),
        "now": now,
        "after": now - START_WINDOW,
    }
    ((open_count, first_end, start_count, first_start),) = _GOING_ON.rows(tx, values)
    if new_order and open_count >= rules.most_open_orders:
        wait = _seconds_until(first_end, now)
        raise TooManyOpenOrders(limit=rules.most_open_orders, retry_after=wait)
    if start_count >= rules.most_starts_per_minute:
        wait = _seconds_until(first_start + START_WINDOW, now)
        raise TooManyStarts(limit=rules.most_starts_per_minute, retry_after=wait)


def check_time(account: ProviderAccount, expires_at: datetime, now: datetime) -> None:
    """Raises TooLittleTime for a payment that the provider would refuse because it ends too soon."""
    left = (expires_at - now).total_seconds()
    least = least_seconds(account.provider)
    if left <= least:
        raise TooLittleTime(seconds_left=max(0, math.floor(left)), least_seconds=least)


def _seconds_until(moment: datetime, now: datetime) -> int:
    return max(1, math.ceil((moment - now).total_seconds()))
