"""Fund flow bills of the simulated WeChat Pay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from plugins.wechat.bills.feeds import FUND_ACCOUNTS
from plugins.wechat.bills.fund_rows import (
    BOOKED_AT,
    BUSINESS_NUMBER,
    COMES_IN,
    COUNT,
    DIRECTION,
    FLOW_NUMBER,
    GOES_OUT,
    NAME,
    REMARK,
    VOUCHER,
    WORD,
)
from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.bill_sheet import FUND_COLUMNS, BillFaults, SheetRow, in_yuan, written
from plugins.wechat.simulated.funds import Funds

AMOUNT, BALANCE = "收支金额(元)", "账户结余(元)"


def make_fund_bill(funds: Funds, feed: str, day: date, faults: BillFaults) -> str:
    """The bill of a balance and a Beijing day; empty if nothing moved. A fault changes rows, and no balance behind
    them."""
    rows = faults.listed(feed, day, _rows(funds, FUND_ACCOUNTS[feed], day))
    if not rows:
        return ""
    totals = {COUNT: str(len(rows))}
    for way in (COMES_IN, GOES_OUT):
        fen = [row.fen[AMOUNT] for row in rows if row.cells[DIRECTION] == way]
        totals |= {f"{way}笔数": str(len(fen)), f"{way}金额": in_yuan(sum(fen))}
    return written(FUND_COLUMNS, rows, totals)


def _rows(funds: Funds, account: str, day: date) -> Iterator[SheetRow]:
    there = 0
    for one in funds.movements(datetime.combine(day, time(23, 59, 59, 999_999), BEIJING), account):
        there += one.fen
        cells = {
            BOOKED_AT: f"{one.at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
            BUSINESS_NUMBER: one.business,
            FLOW_NUMBER: one.flow,
            NAME: one.name,
            WORD: one.word,
            DIRECTION: COMES_IN if one.fen > 0 else GOES_OUT,
            AMOUNT: in_yuan(abs(one.fen)),
            BALANCE: in_yuan(there),
            "资金变更提交申请人": one.applicant,
            REMARK: one.remark,
            VOUCHER: one.voucher,
        }
        if one.at.astimezone(BEIJING).date() >= day - timedelta(days=1):
            yield SheetRow(one.voucher, one.at, cells, {AMOUNT: abs(one.fen)}, one.word)
