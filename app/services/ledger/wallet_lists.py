"""Lists of what lies in wallets: lots, each with where its coins came from, and holds. Nothing here writes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, bindparam, case, or_, select

from app.domain.ledger import AccountName, NoSuchEntry
from app.domain.numbers import parse_number, slot_of_number, slot_of_user
from app.models.base import Moment
from app.models.ledger import ACCOUNTS, HOLDS, LOTS, TRANSFERS
from app.models.orders import Order, Payment
from app.services.base.context import Core, Tx
from app.services.base.list_pages import (
    ListPage,
    ListPlace,
    SpanBounds,
    TimeSpan,
    beyond,
    page_of,
    place_at,
    uuid_of_number,
    values_of,
    within,
)
from app.services.base.statements import Statement, make_row_type
from app.services.ledger import accounts
from app.services.ledger.hold_rows import CAPTURED, EXPIRED, OPEN, RELEASED

A, H, L, T = ACCOUNTS.c, HOLDS.c, LOTS.c, TRANSFERS.c
_o, _p = Order.__table__.c, Payment.__table__.c
LotsShown = Literal["left", "used_up", "all"]
HoldState = Literal["open", "captured", "released", "expired"]
_FIRST_LOT = 1
"""The version of the oldest lot that there can be."""

# --- lots ---


@dataclass(frozen=True, slots=True)
class LotFilter:
    """Which lots of a wallet are listed."""

    wallet: AccountName
    shown: LotsShown = "left"
    bonus: bool | None = None
    expires_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedLot:
    """Coins that came in together, what is left of them, and where they came from."""

    lot: int
    """The lot's name in its wallet: the version of the posting that made it."""
    bonus: bool
    granted: int
    left: int
    expires_at: datetime | None
    order: str | None
    """Number of the order of the user's that bought them."""
    payment: str | None
    product: str
    value_minor: int
    currency: str
    transfer: uuid.UUID
    """What brought them in, with its kind (`source`), its reference and its note."""
    source: str
    reference: str
    note: str
    created_at: datetime

    @property
    def kind(self) -> str:
        return "bonus" if self.bonus else "paid"


_LEFT = case((A.open_lot == L.version, A.open_left), else_=L.remaining)
_SHOWN: dict[LotsShown, list[ColumnElement[bool]]] = {
    # The first condition is that of the index of such lots; the second knows of the lot that is being spent.
    "left": [L.remaining > 0, _LEFT > 0],
    "used_up": [_LEFT == 0],
    "all": [],
}
_LOT_COLUMNS = (
    *(L.version, L.bonus, L.granted, _LEFT.label("left"), L.expires_at, L.payment, L.product, L.value_minor),
    *(L.currency, T.id, T.kind, T.reference, T.note, L.created_at),
)
_ListedRow: Any = make_row_type("ListedRow", _LOT_COLUMNS)


@cache
def _lots(shown: LotsShown, by_kind: bool, by_expiry: bool) -> Statement:
    """In the order in which they came in."""
    wanted = (
        select(*_LOT_COLUMNS)
        .join_from(LOTS, ACCOUNTS, and_(A.slot == L.slot, A.id == L.account_id))
        .join(TRANSFERS, and_(T.slot == L.slot, T.book_id == L.account_id, T.version == L.version))
        .where(*accounts.names_account(), L.version >= bindparam("first"), *_SHOWN[shown])
        .order_by(L.version)
        .limit(bindparam("most"))
    )
    if by_kind:
        wanted = wanted.where(L.bonus == bindparam("bonus"))
    if by_expiry:
        wanted = wanted.where(L.expires_at < bindparam("expires_before", type_=Moment))
    return Statement(wanted)


def list_lots(core: Core, wanted: LotFilter, place: ListPlace | None, limit: int) -> ListPage[ListedLot]:
    """A page of a wallet's lots, oldest first. What is left of all lots together is the wallet's balance, so coins that
    have expired are listed until a transfer takes them out."""
    slot = slot_of_user(wanted.wallet.user_id)
    values = {
        **accounts.account_keys((slot, wanted.wallet)),
        "first": _FIRST_LOT if place is None else place[0] + 1,
        "most": limit + 1,
        "bonus": wanted.bonus,
        "expires_before": wanted.expires_before,
    }
    statement = _lots(wanted.shown, wanted.bonus is not None, wanted.expires_before is not None)

    def read(tx: Tx) -> list[ListedLot]:
        rows = [_ListedRow._make(row) for row in statement.rows(tx, values)]
        orders = _orders_of(tx, wanted.wallet.user_id, {row.payment for row in rows if row.payment})
        return [_lot(row, orders) for row in rows]

    return page_of(core.of_user(wanted.wallet.user_id).read(read), limit, lambda lot: (lot.lot,))


def _orders_of(tx: Tx, user_id: str, payments: set[str]) -> dict[str, str]:
    """The numbers of the orders of the user's that these payments bought, by payment."""
    numbers = {number for number in map(parse_number, payments) if number is not None}
    if not numbers:
        return {}
    wanted = (
        select(_p.id, _p.order_id)
        .join_from(Payment.__table__, Order.__table__, and_(_o.slot == _p.slot, _o.id == _p.order_id))
        .where(_p.slot.in_({slot_of_number(number) for number in numbers}), _p.id.in_(numbers), _o.user_id == user_id)
    )
    return {str(row.id): str(row.order_id) for row in tx.execute(wanted)}


def _lot(row: Any, orders: dict[str, str]) -> ListedLot:
    order = orders.get(row.payment)
    return ListedLot(
        lot=row.version,
        bonus=bool(row.bonus),
        granted=row.granted,
        left=row.left,
        expires_at=row.expires_at,
        order=order,
        payment=None if order is None else row.payment,
        product=row.product,
        value_minor=row.value_minor,
        currency=row.currency,
        transfer=row.id,
        source=row.kind,
        reference=row.reference,
        note=row.note,
        created_at=row.created_at,
    )


# --- holds ---


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which holds of a user are listed."""

    user_id: str
    state: HoldState | None = None
    asset: str | None = None
    environment: str | None = None
    made: TimeSpan = field(default_factory=TimeSpan)


@dataclass(frozen=True, slots=True)
class ListedHold:
    """A hold as it stands for whoever looks: one whose time is over is expired, also before the worker comes."""

    id: uuid.UUID
    user: str
    asset: str
    environment: str
    amount: int
    captured: int
    released: int
    state: str
    reference: str
    note: str
    actor: str | None
    """Who made it. None: that is not told."""
    created_at: datetime
    expires_at: datetime

    @property
    def rest(self) -> int:
        """What is still reserved."""
        return self.amount - self.captured - self.released


_NOW = bindparam("now", type_=Moment)
_IS_OVER = and_(H.state == OPEN, H.expires_at <= _NOW)
_STATES: dict[HoldState, ColumnElement[bool]] = {
    "open": and_(H.state == OPEN, H.expires_at > _NOW),
    "captured": H.state == CAPTURED,
    "released": H.state == RELEASED,
    "expired": or_(H.state == EXPIRED, _IS_OVER),
}
_HOLD_COLUMNS = (
    *(H.id, A.user_id, A.asset, A.environment, H.amount, H.captured),
    case((_IS_OVER, H.amount - H.captured), else_=H.released).label("released"),
    case((_IS_OVER, EXPIRED), else_=H.state).label("state"),
    *(H.reference, H.note, H.actor, H.created_at, H.expires_at),
)
# The reservation of a refund is no hold of a caller's: it is shown by its refund, and only that ends it.
_HELD = (
    select(*_HOLD_COLUMNS)
    .join_from(HOLDS, ACCOUNTS, and_(A.slot == H.slot, A.id == H.account_id))
    .where(H.slot == bindparam("slot"), A.slot == bindparam("slot"), H.limited.is_(True))
)
_ONE_HOLD = Statement(_HELD.where(H.id == bindparam("id")))


@cache
def _holds(
    state: HoldState | None, by_asset: bool, by_environment: bool, bounds: SpanBounds, goes_on: bool
) -> Statement:
    """Newest first."""
    conditions = [A.user_id == bindparam("user"), *within(H.created_at, bounds)]
    if state is not None:
        conditions.append(_STATES[state])
    if by_asset:
        conditions.append(A.asset == bindparam("asset"))
    if by_environment:
        conditions.append(A.environment == bindparam("environment"))
    if goes_on:
        conditions.append(beyond(H.created_at, H.id))
    return Statement(_HELD.where(*conditions).order_by(H.created_at.desc(), H.id.desc()).limit(bindparam("most")))


def list_holds(core: Core, wanted: HoldFilter, place: ListPlace | None, limit: int) -> ListPage[ListedHold]:
    """A page of the user's holds, newest first."""
    values = {
        "slot": slot_of_user(wanted.user_id),
        "user": wanted.user_id,
        "asset": wanted.asset,
        "environment": wanted.environment,
        "now": core.clock.now(),
        "most": limit + 1,
        **wanted.made.values(),
        **values_of(place, uuid_of_number),
    }
    bounds = wanted.made.bounds()
    statement = _holds(
        wanted.state, wanted.asset is not None, wanted.environment is not None, bounds, place is not None
    )
    rows = [ListedHold(*row) for row in core.of_user(wanted.user_id).alone(lambda tx: statement.rows(tx, values))]
    return page_of(rows, limit, lambda hold: place_at(hold.created_at, hold.id.int))


def view_hold(core: Core, user_id: str | None, hold_id: uuid.UUID) -> ListedHold:
    """One hold of the user's; of any user for a caller who speaks for all (None). Raises NoSuchEntry."""
    values = {"slot": slot_of_number(hold_id.int), "id": hold_id, "now": core.clock.now()}
    row = core.of_number(hold_id.int).alone(lambda tx: _ONE_HOLD.row(tx, values))
    if row is None or user_id not in (None, row[1]):
        raise NoSuchEntry(f"no hold {hold_id}")
    return ListedHold(*row)
