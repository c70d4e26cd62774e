"""Which purchases anything happened to between two moments. Only the transfers of that time are looked at, by the index
on their time of booking; the database sorts what was found, so memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CompoundSelect,
    Executable,
    Select,
    String,
    and_,
    bindparam,
    cast,
    column,
    or_,
    select,
    true,
    union,
)
from sqlalchemy.sql import ColumnElement

from app.domain.recognition import LIABILITY, RECOGNITION_KINDS
from app.domain.refunding import MONEY_KINDS
from app.models.agreements import PERIODS
from app.models.base import AnyRow, EachPair, Moment, OneOrder
from app.models.fulfilments import FULFILMENTS
from app.models.ledger import ACCOUNTS, LOTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.ledger.leg_sums import FOREVER
from app.services.ledger.purchase_rows import SALE, WITH_COINS, LotName, PurchasePlace

TOUCHED_AT_ONCE = 1000
"""The database sends so many names at a time."""
_A, _L, _T, _W = (table.c for table in (ACCOUNTS, LOTS, TRANSFERS, FULFILMENTS))
_D = PERIODS.c
_PAID = TRANSFERS.alias("paid")
_END = bindparam("p_end", type_=Moment)


def _within(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(column >= bindparam("p_start", type_=Moment), column < _END)


_BY_LOT = and_(_L.slot == _T.slot, _L.account_id == _T.book_id, _L.version == _T.lot)
_USED = select(_T.slot, _T.book_id, _T.uses).where(_within(_T.created_at), _T.uses.is_not(None)).cte("used")
"""What used several lots. Read as a whole: PostgreSQL cannot know how many pairs a row has, and would begin with the
lots of all times."""
_PART = EachPair(_USED.c.uses).table_valued(column("value", JSON), name="part")
_BY_PART = and_(
    _L.slot == _USED.c.slot,
    _L.account_id == _USED.c.book_id,
    _L.version == cast(_PART.c.value[0].as_string(), BigInteger),
)
_WITHOUT_PURCHASE = and_(_L.payment == "", or_(_L.value_minor > 0, _L.bonus.is_(False)))


def _of_lots(*columns: ColumnElement[Any], where: ColumnElement[bool]) -> tuple[Select[Any], ...]:
    """Lots that a transfer of that time made, used or restored: one that it names, or several that are listed."""
    one = select(*columns).join_from(TRANSFERS, LOTS, _BY_LOT).where(_within(_T.created_at), where)
    several = select(*columns).join_from(_USED, _PART, true()).join(LOTS, _BY_PART).where(where)
    return one.prefix_with(sweep("report")), several


def _places() -> tuple[Select[Any], ...]:
    """Where lots of purchases lie to which anything happened."""
    bought = _of_lots(_L.payment, _L.slot, where=_L.payment != "")
    paid = select(_T.reference, _T.slot).where(_within(_T.created_at), _T.kind == SALE)
    returned = (
        select(_PAID.c.reference, _PAID.c.slot)
        .join_from(TRANSFERS, _PAID, and_(_PAID.c.slot == _T.slot, _PAID.c.id == _T.cause_id))
        .where(_within(_T.created_at), _T.kind.in_(MONEY_KINDS), _PAID.c.kind == SALE)
    )
    delivered = select(cast(_W.payment_id, String), _W.slot).where(_within(_W.delivered_at))
    # A day of a plan is earned at its end, which may be so long after the plan's.
    lasting = and_(_D.starts_at < _END, _D.earned_until > bindparam("p_day_before", type_=Moment))
    earning = select(cast(_D.payment_id, String), _D.slot).where(lasting)
    return *bought, paid, returned, delivered, earning


def _in_order(*parts: Select[Any]) -> Select[Any]:
    found = union(*parts).subquery("found")
    payment, slot = found.c
    return select(payment, slot).order_by(OneOrder(payment), slot)


_LEFT = _L.remaining > 0
_UNDELIVERED = select(cast(_W.payment_id, String), _W.slot).where(_W.delivered_at.is_(None))
_TOUCHED, _ALIVE = _in_order(*_places()), _in_order(*_places(), *WITH_COINS, _UNDELIVERED)
_ALONE = _of_lots(_L.slot, _L.account_id, _L.version, where=_WITHOUT_PURCHASE)
_ALONE_WITH_COINS = select(_L.slot, _L.account_id, _L.version).where(_LEFT, _WITHOUT_PURCHASE)
_TOUCHED_ALONE: CompoundSelect[Any] = union(*_ALONE)
_ALIVE_ALONE: CompoundSelect[Any] = union(*_ALONE, _ALONE_WITH_COINS)


def _on_liability(side: ColumnElement[Any], *, is_credit: bool) -> Select[Any]:
    amount = _T.amount if is_credit else -_T.amount
    return (
        select(_T.created_at, _T.effective_at, _A.asset, _A.environment, amount.label("value_minor"))
        .join_from(TRANSFERS, ACCOUNTS, and_(_A.slot == _T.slot, _A.id == side))
        .where(_within(_T.created_at), _A.code == LIABILITY, _A.user_id == "")
        .where(_T.kind.not_in((SALE, *MONEY_KINDS, *RECOGNITION_KINDS)))
    )


_OTHERS = (
    _on_liability(_T.credit_id, is_credit=True)
    .prefix_with(sweep("report"))
    .union_all(_on_liability(_T.debit_id, is_credit=False))
)


def touched_places(tx: Transaction, start: datetime, end: datetime) -> Iterator[PurchasePlace]:
    """Where lots of purchases lie to which anything happened, in the order of payments."""
    return (PurchasePlace(row[1], row[0]) for row in _stream(tx, _TOUCHED, start, end))


def touched_lots(tx: Transaction, start: datetime, end: datetime) -> Iterator[LotName]:
    """Paid lots that nobody bought here, to which anything happened."""
    return (LotName(*row) for row in _stream(tx, _TOUCHED_ALONE, start, end))


def places_alive(tx: Transaction, since: datetime) -> Iterator[PurchasePlace]:
    """Where purchases lie of which anything may have been unspent at that moment, in the order of payments."""
    return (PurchasePlace(row[1], row[0]) for row in _stream(tx, _ALIVE, since, FOREVER))


def lots_alive(tx: Transaction, since: datetime) -> Iterator[LotName]:
    """Paid lots that nobody bought here, of which anything may have been unspent at that moment."""
    return (LotName(*row) for row in _stream(tx, _ALIVE_ALONE, since, FOREVER))


def other_movements(tx: Transaction, start: datetime, end: datetime) -> Iterator[AnyRow]:
    """What kinds of transfer that know nothing of purchases have booked to the contract liability."""
    return _stream(tx, _OTHERS, start, end)


def _stream(tx: Transaction, wanted: Executable, start: datetime, end: datetime) -> Iterator[AnyRow]:
    values = {"p_start": start, "p_end": end, "p_day_before": start - timedelta(days=1)}
    options = {"yield_per": TOUCHED_AT_ONCE}
    yield from tx.connection().execute(wanted, values, execution_options=options)
