"""From a row of a bill to a fact."""

from __future__ import annotations

import re

from app.domain.money import Money, MoneyError, parse_decimal
from app.providers import Fact, Kind, Ref
from plugins.wechat.bills.rows import Row
from plugins.wechat.documents import Unreadable, beijing, text
from plugins.wechat.mapping import BILL_REFUND, BILL_REFUND_STATES, BILL_STATES
from plugins.wechat.merchant import Merchant

_NOT_FOR_THE_BOOKS = frozenset({"用户标识"})
"""The payer's openid."""
_FIVE_PLACES = re.compile(r"([0-9]+\.[0-9]{2})0*", re.ASCII)


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
        at=beijing(text(row, "交易时间"), "交易时间"),
        # The other two amounts, 应结订单金额 and 退款金额, are what coupons left of these.
        money=_money(row, "申请退款金额" if refund else "订单金额"),
        account=merchant.account_of(text(row, "商户号"), text(row, "公众账号ID")),
        live=merchant.live,
        fee=_fee(row) if kind is Kind.PAID else None,
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
    """Written with five decimal places, of which the last three are zeros in every published bill. Where they are not,
    no exact amount is known, and none is told."""
    match = _FIVE_PLACES.fullmatch(row["手续费"])
    return parse_decimal(match[1], row["货币种类"]) if match else None
