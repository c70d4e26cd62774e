"""Reads what belongs to purchases, many purchases at a time, wherever their coins went: lots, gifts under way, money,
and what happened to the lots from a moment on. Sweeps over all slots: each statement names the rows that it wants."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Select, and_, case, or_, select, tuple_
from sqlalchemy.sql import ColumnElement

from app.domain.deciding import Booking, sale_scope, sale_steps
from app.domain.facts import Kind
from app.domain.gifts import GIFT_RECEIVED, GiftStatus
from app.domain.ledger import REVERSAL
from app.domain.numbers import keyed_uuid, parse_number, slot_of_number, slot_of_user
from app.domain.refunding import MONEY_KINDS, REFUND
from app.models.agreements import PERIODS
from app.models.base import AnyRow
from app.models.fulfilments import FULFILMENTS
from app.models.gifts import GIFT_PARTS, GIFTS
from app.models.ledger import ACCOUNTS, LOTS, TRANSFERS
from app.models.orders import FACTS, Order, Payment
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction

SALE = "payment"
"""The kind of the transfer that books a payment to sales; its reference is the number of the payment."""
ROWS_NAMED = 100
"""One statement names so many rows at the most."""
_A, _L, _T, _G, _P, _F = (table.c for table in (ACCOUNTS, LOTS, TRANSFERS, GIFTS, GIFT_PARTS, FACTS))
_OF = TRANSFERS.alias("of")
_O, _Y, _W, _D = Order.__table__.c, Payment.__table__.c, FULFILMENTS.c, PERIODS.c
_Item = TypeVar("_Item")


class PurchasePlace(NamedTuple):
    """Lots of one payment in one slot."""

    slot: int
    payment: str


class LotName(NamedTuple):
    """One lot."""

    slot: int
    account_id: int
    version: int


@dataclass(slots=True)
class PurchaseRows:
    """What the database says about some purchases, by the text of their payment numbers."""

    lots: dict[str, list[AnyRow]] = field(default_factory=lambda: defaultdict(list))
    under_way: dict[str, list[AnyRow]] = field(default_factory=lambda: defaultdict(list))
    """Parts of gifts that have left their giver and have not arrived."""
    sales: dict[str, list[AnyRow]] = field(default_factory=lambda: defaultdict(list))
    refunds: dict[str, list[AnyRow]] = field(default_factory=lambda: defaultdict(list))
    orders: dict[str, AnyRow] = field(default_factory=dict)
    """The orders of purchases that brought no coins."""


_LEFT = case((_A.open_lot == _L.version, _A.open_left), else_=_L.remaining)
_LOTS = (
    select(
        *(_L.slot, _L.account_id, _L.version, _L.granted, _L.bonus, _L.payment, _L.product, _L.value_minor),
        *(
            _L.currency,
            _L.created_at,
            _T.effective_at,
            _A.asset,
            _A.environment,
            _A.user_id,
            _LEFT.label("left"),
            _T.id,
            _T.kind,
            _T.reference,
        ),
    )
    .prefix_with(sweep("report"))
    .join(ACCOUNTS, and_(_A.slot == _L.slot, _A.id == _L.account_id))
    .join(TRANSFERS, and_(_T.slot == _L.slot, _T.book_id == _L.account_id, _T.version == _L.version))
)
_PARTS = (
    select(_P.slot, _P.payment, _P.bonus, _P.amount, _G.id, _G.asset, _G.receiver)
    .prefix_with(sweep("report"))
    .join(GIFTS, and_(_G.slot == _P.slot, _G.id == _P.gift_id))
    .where(_G.status != GiftStatus.RETURNED)
)
_PAID = (
    select(_F.slot, _F.payment_id, _F.provider_account, _F.environment, _F.key)
    .prefix_with(sweep("report"))
    .where(_F.kind == Kind.PAID, _F.booking == Booking.SALE)
)
_MONEY = (
    select(_T.slot, _T.id, _T.kind, _T.amount, _T.created_at, _T.effective_at, _T.cause_id, _A.asset, _A.environment)
    .prefix_with(sweep("report"))
    .join(ACCOUNTS, and_(_A.slot == _T.slot, _A.id == _T.credit_id))
)
_ORDERS = (
    select(_Y.slot, _Y.id, _O.sku, _O.fulfilment, _W.delivered_at, _D.starts_at, _D.earned_until)
    .prefix_with(sweep("report"))
    .join(Order, and_(_O.slot == _Y.slot, _O.id == _Y.order_id))
    .outerjoin(FULFILMENTS, and_(_W.slot == _Y.slot, _W.id == _Y.order_id))
    .outerjoin(PERIODS, and_(_D.slot == _Y.slot, _D.order_id == _Y.order_id, _D.payment_id == _Y.id))
)
_BEFORE = TRANSFERS.alias("before")
_POSTINGS = (
    select(
        *(_T.slot, _T.book_id, _T.version, _T.kind, _T.lot, _T.amount, _T.created_at, _T.effective_at, _T.cause_id),
        _T.uses,
        (_T.credit_id == _T.book_id).label("is_credit"),
        _OF.c.kind.label("of_kind"),
    )
    .prefix_with(sweep("report"))
    .outerjoin(_OF, and_(_T.kind == REVERSAL, _OF.c.slot == _T.slot, _OF.c.id == _T.cause_id))
)


WITH_COINS = (
    select(_L.payment, _L.slot).where(_L.remaining > 0, _L.payment != ""),
    select(_P.payment, _P.slot)
    .join(GIFTS, and_(_G.slot == _P.slot, _G.id == _P.gift_id))
    .where(_G.next_try_at.is_not(None), _P.payment != ""),
)
"""Places of purchases that have coins left: in wallets, and in gifts under way."""


def groups_of(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """The items, so many at a time."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def home_of(payment: str) -> int | None:
    """The slot of the buyer; None for a text that is no number of ours."""
    number = parse_number(payment)
    return None if number is None else slot_of_number(number)


def read_purchases(tx: Transaction, places: Iterable[PurchasePlace]) -> PurchaseRows:
    """Everything of these purchases but what happened to their lots."""
    found = PurchaseRows()
    wanted = set(places)
    payments = {place.payment for place in wanted}
    wanted |= {PurchasePlace(home, payment) for payment in payments if (home := home_of(payment)) is not None}
    _read_lots(tx, wanted, found)
    homes = sorted(PurchasePlace(home, payment) for payment in payments if (home := home_of(payment)) is not None)
    _read_money(tx, homes, found)
    _read_orders(tx, [place for place in homes if place.payment not in found.lots], found)
    return found


def read_named_lots(tx: Transaction, names: Sequence[LotName]) -> list[AnyRow]:
    """Lots by their names."""
    return list(_rows(tx, _LOTS, (_L.slot, _L.account_id, _L.version), names))


def postings_of(tx: Transaction, since: Mapping[tuple[int, int], int]) -> list[AnyRow]:
    """What was booked in these accounts after the given version of each."""
    postings = list[AnyRow]()
    for part in groups_of(sorted(since.items()), ROWS_NAMED):
        booked = or_(*(and_(_T.slot == s, _T.book_id == book, _T.version > v) for (s, book), v in part))
        postings += tx.connection().execute(_POSTINGS.where(booked))
    return postings


def versions_before(tx: Transaction, accounts: Iterable[tuple[int, int]], moment: datetime) -> dict[Any, int]:
    """The last version of each account before that moment; 0 if it had none."""
    last = (
        select(_BEFORE.c.version)
        .where(_BEFORE.c.slot == _A.slot, _BEFORE.c.book_id == _A.id, _BEFORE.c.created_at < moment)
        .order_by(_BEFORE.c.version.desc())
        .limit(1)
        .scalar_subquery()
    )
    wanted = select(_A.slot, _A.id, last.label("version")).prefix_with(sweep("report"))
    rows = _rows(tx, wanted, (_A.slot, _A.id), sorted(set(accounts)))
    return {(row.slot, row.id): row.version or 0 for row in rows}


def _read_lots(tx: Transaction, wanted: set[PurchasePlace], found: PurchaseRows) -> None:
    """The lots of the payments in these slots, and wherever gifts brought coins of them."""
    seen, sent, arrived = set[PurchasePlace](), list[AnyRow](), set[str]()
    while wanted:
        places = sorted(wanted)
        seen |= wanted
        for row in _rows(tx, _LOTS, (_L.slot, _L.payment), places):
            found.lots[row.payment].append(row)
            if row.kind == GIFT_RECEIVED:
                arrived.add(row.reference)
        parts = list(_rows(tx, _PARTS, (_P.slot, _P.payment), places))
        sent += parts
        wanted = {PurchasePlace(slot_of_user(row.receiver), row.payment) for row in parts} - seen
    for row in sent:
        if str(row.id) not in arrived:
            found.under_way[row.payment].append(row)


def _read_money(tx: Transaction, homes: Sequence[PurchasePlace], found: PurchaseRows) -> None:
    ids = dict[tuple[int, uuid.UUID], str]()
    keys = [(place.slot, int(place.payment)) for place in homes]
    for row in _rows(tx, _PAID, (_F.slot, _F.payment_id), keys):
        for step in sale_steps(row.key):
            ids[row.slot, keyed_uuid(row.slot, sale_scope(row.provider_account, row.environment), step)] = str(
                row.payment_id
            )
    paid = _MONEY.where(_T.kind == SALE)
    for row in _rows(tx, paid, (_T.slot, _T.id), list(ids)):
        found.sales[ids[row.slot, row.id]].append(row)
    back = _MONEY.where(_T.kind.in_(MONEY_KINDS))
    for row in _rows(tx, back, (_T.slot, _T.cause_id), list(ids)):
        found.refunds[ids[row.slot, row.cause_id]].append(row)


def _read_orders(tx: Transaction, homes: Sequence[PurchasePlace], found: PurchaseRows) -> None:
    keys = [(place.slot, int(place.payment)) for place in homes]
    for row in _rows(tx, _ORDERS, (_Y.slot, _Y.id), keys):
        found.orders[str(row.id)] = row


def minor_back(row: AnyRow) -> int:
    """How much money this transfer gave back to the payer, in minor units; below zero where money came back to us."""
    return int(row.amount if row.kind == REFUND else -row.amount)


def _rows(
    tx: Transaction, wanted: Select[Any], columns: Sequence[ColumnElement[Any]], keys: Sequence[tuple[Any, ...]]
) -> Iterator[AnyRow]:
    for part in groups_of(keys, ROWS_NAMED):
        yield from tx.connection().execute(wanted.where(tuple_(*columns).in_(part)))
