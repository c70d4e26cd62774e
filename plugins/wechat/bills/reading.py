"""From a row of a bill to a fact."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from app.domain.money import Money, MoneyError, parse_decimal
from app.providers import Fact, Kind, Ref
from plugins.wechat.bills.rows import ASKED_BACK, ORDERED
from plugins.wechat.bills.table import Row, yuan
from plugins.wechat.documents import Unreadable, beijing, text
from plugins.wechat.mapping import BILL_REFUND, BILL_REFUND_STATES, BILL_STATES
from plugins.wechat.merchant import Merchant

_NOT_FOR_THE_BOOKS = frozenset({"用户标识"})
"""The payer's openid."""
_FEN_IN_A_YUAN = 100
_WITH_FEE = (Kind.REFUNDED, Kind.PAID)
"""Whose fee is told. That of a refund in progress is told with its end, by the signed answer about it."""


def is_refund(row: Row) -> bool:
    return row["交易状态"] == BILL_REFUND


def fact_of(row: Row, merchant: Merchant) -> Fact:
    """What the row says. Raises Unreadable."""
    refund = is_refund(row)
    kind = _kind(row)
    return Fact(
        kind=kind,
        ref=Ref(
            ours=text(row, "商户订单号"),
            theirs=text(row, "微信订单号"),
            refund=text(row, "商户退款单号") if refund else None,
        ),
        at=row_time(row),
        # The other two amounts, 应结订单金额 and 退款金额, are what coupons left of these.
        money=_money(row, ASKED_BACK if refund else ORDERED),
        account=merchant.account_of(text(row, "商户号"), text(row, "公众账号ID")),
        live=merchant.live,
        fee=_fee(row) if kind in _WITH_FEE else None,
        cause=row["退款状态"] if refund else row["交易状态"],
        raw={name: value for name, value in row.items() if name not in _NOT_FOR_THE_BOOKS},
    )


def _kind(row: Row) -> Kind:
    if is_refund(row):
        return BILL_REFUND_STATES.get(row["退款状态"], Kind.REFUND_PENDING)
    return BILL_STATES.get(row["交易状态"], Kind.PENDING)


def _money(row: Row, name: str) -> Money:
    try:
        money = parse_decimal(row[name], row["货币种类"])
    except MoneyError:
        raise Unreadable(f"{name} is not an amount") from None
    if money.minor == 0:
        raise Unreadable(f"{name} is nothing")
    return money


def _fee(row: Row) -> Money | None:
    """What was taken of a payment, or given back with a refund: there the file has it with a minus (a published refund
    bill of 2019), and the fact without. It is written with five decimal places, of which the last three are
    zeros in every published bill. Where they are not no exact amount is known, and none is told."""
    try:
        amount = _signed_fee(row) * _FEN_IN_A_YUAN
    except Unreadable:
        return None
    if amount < 0 or amount != amount.to_integral_value():
        return None
    return Money(int(amount), row["货币种类"])


def _signed_fee(row: Row) -> Decimal:
    """Positive in the direction that is usual for the row."""
    fee = yuan(row["手续费"])
    return -fee if is_refund(row) else fee


def oddities(row: Row) -> Iterator[str]:
    """What a row that can be read says beyond its fact, and a person has to see."""
    if _kind(row) in _WITH_FEE and _fee(row) is None:
        yield "a fee in the wrong direction, or of no whole fen"


def row_time(row: Row) -> datetime:
    """交易时间; the colons are wide ones in bills of 2014. Raises Unreadable."""
    return beijing(text(row, "交易时间").replace("：", ":"), "交易时间")
