"""What was sold, by product and provider account, and what went back: drawn from the transfers that booked the money,
so that the sums are those of the trial balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, String, and_, cast, select

from app.domain.refunding import MONEY_KINDS, REFUND
from app.domain.report_tables import Amount, Cell, ReportTable
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS, LOTS, TRANSFERS
from app.models.orders import Order, Payment
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.ledger.purchase_rows import SALE
from app.services.reports.movements import AT_ONCE, Period, T, may_count

SALES_COLUMNS = (
    *("environment", "product", "provider_account", "currency"),
    *("payments", "units", "gross", "refunded", "net", "unvalued_coins"),
)
REFUND_COLUMNS_OF_MONEY = (
    *("at", "environment", "provider_account", "product", "user", "order", "payment", "kind", "amount", "currency"),
)
PURCHASE = "purchase"
"""The kind of transfer that books a sale's paid coins."""
_p, _o, _A, _L = Payment.__table__.c, Order.__table__.c, ACCOUNTS.c, LOTS.c
_PAID = TRANSFERS.alias("paid")
_ABOUT = (
    *(_A.environment, _A.asset.label("currency"), _p.provider_account, _o.sku, _o.quantity),
    *(_o.user_id, _p.order_id, _p.id.label("payment_id")),
)
_TIMES = (T.slot, T.created_at, T.effective_at)
_CREDITED = and_(_A.slot == T.slot, _A.id == T.credit_id)
_ORDERED = and_(_o.slot == _p.slot, _o.id == _p.order_id)
_SOLD = (
    select(*_TIMES, T.amount, *_ABOUT)
    .prefix_with(sweep("report"))
    .join(ACCOUNTS, _CREDITED)
    .join(Payment.__table__, and_(_p.slot == T.slot, cast(_p.id, String) == T.reference))
    .join(Order.__table__, _ORDERED)
    .where(T.kind == SALE)
)
_BACK = (
    select(*_TIMES, T.kind, T.amount, *_ABOUT)
    .prefix_with(sweep("report"))
    .join(_PAID, and_(_PAID.c.slot == T.slot, _PAID.c.id == T.cause_id))
    .join(ACCOUNTS, and_(_A.slot == _PAID.c.slot, _A.id == _PAID.c.credit_id))
    .join(Payment.__table__, and_(_p.slot == T.slot, cast(_p.id, String) == _PAID.c.reference))
    .join(Order.__table__, _ORDERED)
    .where(T.kind.in_(MONEY_KINDS), _PAID.c.kind == SALE)
)
_WITHOUT_PRICE = (
    select(*_TIMES, T.amount, *_ABOUT)
    .prefix_with(sweep("report"))
    .join(ACCOUNTS, _CREDITED)
    .join(LOTS, and_(_L.slot == T.slot, _L.account_id == T.book_id, _L.version == T.version))
    .join(Payment.__table__, and_(_p.slot == T.slot, cast(_p.id, String) == _L.payment))
    .join(Order.__table__, _ORDERED)
    .where(T.kind == PURCHASE, _L.value_minor == 0)
)
"""Coins that a store sold without telling a price."""


class _Sold(NamedTuple):
    environment: str
    product: str
    provider_account: str
    currency: str


class _Sums:
    def __init__(self) -> None:
        self.payments, self.units, self.gross = Counter[_Sold](), Counter[_Sold](), Counter[_Sold]()
        self.refunded, self.unvalued = Counter[_Sold](), Counter[_Sold]()


def sales(tx: Transaction, period: Period) -> ReportTable:
    """By product, provider account and currency: payments, units, money in and money back, each in the period in which
    the transfer counts. Paid coins without a price stand in lines of their own, without a currency."""
    sums = _Sums()
    for _, row in _counted(tx, _SOLD, period):
        heading = _Sold(row.environment, row.sku, row.provider_account, row.currency)
        sums.payments[heading] += 1
        sums.units[heading] += row.quantity
        sums.gross[heading] += row.amount
    for _, row in _counted(tx, _BACK, period):
        heading = _Sold(row.environment, row.sku, row.provider_account, row.currency)
        sums.refunded[heading] += row.amount if row.kind == REFUND else -row.amount
    for _, row in _counted(tx, _WITHOUT_PRICE, period):
        heading = _Sold(row.environment, row.sku, row.provider_account, "")
        sums.payments[heading] += 1
        sums.units[heading] += row.quantity
        sums.unvalued[heading] += row.amount
    return ReportTable("sales", "Sales", SALES_COLUMNS, _sales_lines(sums))


def refunds_of_money(tx: Transaction, period: Period) -> ReportTable:
    """Each movement of money back to a payer (or, taken back, to us), in no order, line by line."""
    rows = (_refund_line(moment, row) for moment, row in _counted(tx, _BACK, period))
    return ReportTable("refunds", "Refunds", REFUND_COLUMNS_OF_MONEY, rows)


def _counted(tx: Transaction, wanted: Select[Any], period: Period) -> Iterator[tuple[datetime, AnyRow]]:
    statement = wanted.where(may_count(period))
    for row in tx.connection().execute(statement, execution_options={"yield_per": AT_ONCE}):
        moment = period.counted_at(row.created_at, row.effective_at)
        if moment is not None:
            yield moment, row


def _sales_lines(sums: _Sums) -> Iterator[Sequence[Cell]]:
    for heading in sorted(sums.payments.keys() | sums.refunded.keys()):
        gross, refunded, currency = sums.gross[heading], sums.refunded[heading], heading.currency
        money = (Amount(gross, currency), Amount(refunded, currency), Amount(gross - refunded, currency))
        yield (
            *heading,
            sums.payments[heading],
            sums.units[heading],
            *(money if currency else (None, None, None)),
            sums.unvalued[heading] or None,
        )


def _refund_line(moment: datetime, row: AnyRow) -> Sequence[Cell]:
    return (
        *(moment, row.environment, row.provider_account, row.sku, row.user_id, str(row.order_id), str(row.payment_id)),
        *(row.kind, Amount(row.amount, row.currency), row.currency),
    )
