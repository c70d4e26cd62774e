"""Which bills there are: each is a feed of its own, so that one that is refused stops no other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from app.domain.bill_lines import BillSide

TRADE_BILL, FUND_BILL = "trade_bill", "fund_bill"
FUND_ACCOUNTS: Mapping[str, str] = MappingProxyType(
    {FUND_BILL: "BASIC", "fund_bill_operation": "OPERATION", "fund_bill_fees": "FEES"}
)
"""The merchant's balances at WeChat Pay, each with a fund flow bill: what payers pay goes to BASIC. By feed."""
BILL_FEEDS: Mapping[str, BillSide] = MappingProxyType(
    {TRADE_BILL: BillSide.TRADES} | dict.fromkeys(FUND_ACCOUNTS, BillSide.FUNDS)
)
