"""Holds callers to their caps, in the transaction that moves the coins or the money.

What a caller has moved in a day is one row: raising it is the last statement of the transaction, and a conditional one.
So requests at the same time are counted one by one, and what is rolled back was never counted; but where the row lies
in another database than the coins, it is committed first, and a call that fails at its own commit stays counted: the
cap errs on the safe side. A caller without a cap for the day costs no statement.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from sqlalchemy import bindparam, select

from app.domain.caps import CallerCaps
from app.domain.ledger import microseconds
from app.domain.limits import periods, start_us
from app.models.callers import CallerDay
from app.services.base.context import Tx
from app.services.base.errors import DomainError
from app.services.base.upsert import insert_or_change

_DAYS = CallerDay.__table__
_d = _DAYS.c
_KEY = ("caller", "verb", "unit", "environment", "day")
_USED = select(_d.used).where(*(_d[name] == bindparam(f"p_{name}") for name in _KEY))


class OverCallCap(DomainError):
    """More than this caller may move in one call."""

    code = "over_call_cap"
    remembered = False


class OverDayCap(DomainError):
    """More than is left of what this caller may move in a day. `retry_after` says when the next day begins."""

    code = "over_day_cap"
    remembered = False


def count(tx: Tx, caps: CallerCaps, verb: str, unit: str, environment: str, amount: int) -> None:
    """Count what this transaction moves for the caller. Raises OverCallCap, OverDayCap: the transaction is undone.

    Call it when all is written but the commit, and never for what was done before under the same key.
    """
    cap = caps.cap(verb, unit)
    if cap.per_call is not None and amount > cap.per_call:
        raise OverCallCap(about=verb, unit=unit, amount=amount, cap=cap.per_call)
    if cap.per_day is None:
        return
    zone = tx.core.rules.ledger.zone
    day = periods(tx.now, zone).day
    key = dict(zip(_KEY, (caps.caller, verb, unit, environment, day), strict=True))
    used = tx.at_home(partial(_raise, key=key, amount=amount, most=cap.per_day))
    if used is not None:
        wait = math.ceil((start_us(day + 1, zone) - microseconds(tx.now)) / 1_000_000)
        raise OverDayCap(about=verb, unit=unit, amount=amount, cap=cap.per_day, used=used, retry_after=max(1, wait))


def _raise(tx: Tx, *, key: dict[str, Any], amount: int, most: int) -> int | None:
    """None if so much more fits into the day: then it is counted. Else what is used. Waits for whoever is counting
    there just now."""
    row = {**key, "used": amount}
    fits = _d.used <= most - amount
    if amount <= most and insert_or_change(tx, _DAYS, row, lambda new: {"used": _d.used + new.used}, fits):
        return None
    return tx.scalar(_USED, {f"p_{name}": value for name, value in key.items()}) or 0
