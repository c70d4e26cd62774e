"""The rows of holds. What they mean for a wallet is in `holds` and in `LedgerTransaction`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Uuid, and_, bindparam, select, update

from app.domain.ledger import AccountName
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS, HOLDS
from app.services.base.statements import Move, Sized, Statement, make_row_type
from app.services.base.transaction import Transaction

A, H = ACCOUNTS.c, HOLDS.c
OPEN, CAPTURED, RELEASED, EXPIRED = "open", "captured", "released", "expired"


@dataclass(frozen=True, slots=True)
class Held:
    """A hold as it stands."""

    slot: int
    id: uuid.UUID
    account: AccountName
    amount: int
    captured: int
    released: int
    state: str
    expires_at: datetime
    created_at: datetime
    fingerprint: bytes
    limited: bool = True
    """Whether it counts for the spend limits: that of a refund does not."""
    repeated: bool = False

    @property
    def user(self) -> str:
        return self.account.user_id

    @property
    def asset(self) -> str:
        return self.account.asset

    @property
    def environment(self) -> str:
        return self.account.environment

    @property
    def rest(self) -> int:
        """What is still reserved."""
        return self.amount - self.captured - self.released


HOLD_WITH_ACCOUNT = select(HOLDS, A.user_id, A.code, A.asset, A.environment).join(
    ACCOUNTS, and_(A.slot == H.slot, A.id == H.account_id)
)
_Row: Any = make_row_type("_Row", HOLD_WITH_ACCOUNT.selected_columns)
HOLDS_AT_ONCE = 8
"""One statement reads so many holds by their names."""
_READ = Sized(
    lambda size: HOLD_WITH_ACCOUNT.where(
        H.slot == bindparam("p_slot"), H.id.in_([bindparam(f"p_id_{i}", type_=Uuid) for i in range(size)])
    ),
    HOLDS_AT_ONCE,
)
_OVER = Statement(
    HOLD_WITH_ACCOUNT.where(
        H.slot == bindparam("p_slot"),
        H.account_id == bindparam("p_account"),
        H.state == OPEN,
        H.expires_at <= bindparam("p_at"),
    ).order_by(H.expires_at, H.id)
)
_CHANGE = Statement(
    update(HOLDS)
    .where(H.slot == bindparam("p_slot"), H.id == bindparam("p_id"))
    .values(captured=bindparam("p_captured"), released=bindparam("p_released"), state=bindparam("p_state"))
)


def find_hold(tx: Transaction, slot: int, hold_id: uuid.UUID) -> Held | None:
    return find_holds(tx, slot, [hold_id])[hold_id]


def find_holds(tx: Transaction, slot: int, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Held | None]:
    """The holds with these ids; None for those that there are not."""
    return ask_holds(tx, slot, ids)()


def ask_holds(tx: Transaction, slot: int, ids: Sequence[uuid.UUID]) -> Callable[[], dict[uuid.UUID, Held | None]]:
    """Gives what `find_holds` does; asked for with what is sent next."""
    parts = []
    for start in range(0, len(ids), HOLDS_AT_ONCE):
        values: dict[str, Any] = {"p_slot": slot}
        part = ids[start : start + HOLDS_AT_ONCE]
        for i, hold_id in enumerate(part):
            values[f"p_id_{i}"] = hold_id
        parts.append(_READ.of(len(part)).asked(tx, values, _Row))
    return lambda: dict.fromkeys(ids) | {row.id: held_of(row) for rows in parts for row in rows()}


def held_of(row: AnyRow) -> Held:
    """Read one row of HOLD."""
    return Held(
        slot=row.slot,
        id=row.id,
        account=AccountName(row.user_id, row.code, row.asset, row.environment),
        amount=row.amount,
        captured=row.captured,
        released=row.released,
        state=row.state,
        expires_at=row.expires_at,
        created_at=row.created_at,
        fingerprint=bytes(row.fingerprint),
        limited=row.limited,
    )


def over(tx: Transaction, slot: int, account_id: int, at: datetime) -> list[Held]:
    """The open holds of an account whose time is over, oldest first."""
    values = {"p_slot": slot, "p_account": account_id, "p_at": at}
    return [held_of(_Row._make(row)) for row in _OVER.rows(tx, values)]


def over_among(holds: Iterable[Held], at: datetime) -> list[Held]:
    """Those of the holds that are open though their time is over, oldest first."""
    found = [held for held in holds if held.state == OPEN and held.expires_at <= at]
    return sorted(found, key=lambda held: (held.expires_at, held.id))


def change_of(held: Held) -> Move:
    """How its row gets to where the hold has come."""
    values = {"p_slot": held.slot, "p_id": held.id, "p_state": held.state}
    return _CHANGE, {**values, "p_captured": held.captured, "p_released": held.released}
