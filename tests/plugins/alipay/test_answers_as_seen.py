"""Answers to `alipay.trade.query` in the shapes in which Alipay was seen to give them, logged by merchants between 2016
and 2025 and published with their code; names and numbers here are invented.

What the pages do not say and these show: a paid trade may tell zero for all amounts but `total_amount`, an unpaid one
never has `send_pay_date`, and a closed one had it each time (six answers, all of which may be payments refunded in
full).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import Kind
from plugins.alipay.mapping import Merchant, query_facts

MERCHANT = Merchant("2021000000000001", "2088000000000001", "", live=True)
NOW = datetime(2026, 1, 3, tzinfo=UTC)
BASE: dict[str, Any] = {
    "code": "10000",
    "msg": "Success",
    "buyer_logon_id": "abc***@example.com",
    "buyer_pay_amount": "0.00",
    "buyer_user_id": "2088000000000002",
    "buyer_user_type": "PRIVATE",
    "invoice_amount": "0.00",
    "out_trade_no": "4503599627370497",
    "point_amount": "0.00",
    "receipt_amount": "0.00",
    "total_amount": "4.00",
    "trade_no": "2023102122001452010501222200",
}
PAID_AT = {"send_pay_date": "2023-10-21 10:39:34"}
SEEN: dict[str, tuple[dict[str, Any], list[Kind]]] = {
    "waiting, 2020": (BASE | {"trade_status": "WAIT_BUYER_PAY"}, [Kind.PENDING]),
    "paid, 2025": (BASE | PAID_AT | {"trade_status": "TRADE_SUCCESS"}, [Kind.PAID]),
    "finished, 2016": (BASE | PAID_AT | {"trade_status": "TRADE_FINISHED", "open_id": "2088"}, [Kind.PAID]),
    "closed, 2023": (BASE | PAID_AT | {"trade_status": "TRADE_CLOSED"}, [Kind.PAID, Kind.REFUNDED]),
    "with its funds, 2017": (
        BASE
        | PAID_AT
        | {
            "trade_status": "TRADE_SUCCESS",
            "receipt_amount": "4.00",
            "fund_bill_list": [{"amount": "4.00", "fund_channel": "PCREDIT"}],
            "discount_goods_detail": "",
            "store_id": "",
            "passback_params": "https://example.com/#/back",
        },
        [Kind.PAID],
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_each_answer_is_read_for_what_was_ordered_and_when_it_was_paid(name: str) -> None:
    content, kinds = SEEN[name]
    facts = query_facts(content, MERCHANT, NOW)
    assert [fact.kind for fact in facts] == kinds
    for fact in facts:
        assert (fact.ref.ours, fact.ref.theirs) == (BASE["out_trade_no"], BASE["trade_no"])
        assert fact.money in (None, Money(400, "CNY"))
        assert "buyer_logon_id" not in fact.raw
    if Kind.PAID in kinds:
        assert (facts[0].money, facts[0].at) == (Money(400, "CNY"), datetime(2023, 10, 21, 2, 39, 34, tzinfo=UTC))
