"""Published bills, read to the last line. What is read is held against a second reader and the bill's totals."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.bill_lines import BillContent, BillLine, BillSide, LineKind
from app.providers import UnreadableBill
from plugins.wechat.bills.content import read_bill
from plugins.wechat.bills.feeds import FUND_BILL, TRADE_BILL
from plugins.wechat.merchant import Merchant
from tests.plugins.wechat.second_reader import completed, read_sheet

VECTORS = Path(__file__).parent / "vectors"
REPLACED = Merchant("1900000109", "wx8888888888888888", live=True)
WHOLE_TRADES = {
    "trade_all_2014_old_layout.csv": Merchant("10000100", "wx2421b1c4370ec43b", live=True),
    "trade_all_2019_fees.csv": REPLACED,
    "trade_all_2024_partial_refunds.csv": REPLACED,
    "trade_refund_2021.csv": REPLACED,
    "trade_success_2021.csv": REPLACED,
}
ABRIDGED_TRADES = {
    "trade_refund_2019_negative_fee_total.csv": Merchant("xxx", "xxx", live=True),
    "trade_success_2019_seven_totals.csv": Merchant("XXX", "XXXX", live=True),
}
TRADE_SUMS = {
    "总交易单数": "*",
    "应结订单总金额": "应结订单金额",
    "退款总金额": "退款金额",
    "充值券退款总金额": "充值券退款金额",
    "手续费总金额": "手续费",
    "订单总金额": "订单金额",
    "申请退款总金额": "申请退款金额",
}
FUND_SUMS = {
    "资金流水总笔数": "*",
    "收入笔数": "* where 收支类型=收入",
    "收入金额": "收支金额(元) where 收支类型=收入",
    "支出笔数": "* where 收支类型=支出",
    "支出金额": "收支金额(元) where 收支类型=支出",
}


def content_of(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def read(feed: str, content: bytes, merchant: Merchant = REPLACED) -> tuple[BillContent, list[BillLine]]:
    bill = read_bill(merchant, feed, "a file that finance downloaded.csv", content)
    assert bill.problems == ()
    return bill, list(bill.lines)


def amounts(lines: list[BillLine], kind: LineKind, direction: int = 1) -> list[int]:
    return [line.amount_minor * direction for line in lines if line.kind is kind and line.amount_minor * direction > 0]


@pytest.mark.parametrize("name", WHOLE_TRADES)
def test_a_published_trade_bill_is_read_whole(name: str) -> None:
    bill, lines = read(TRADE_BILL, content_of(name), WHOLE_TRADES[name])
    sheet = read_sheet(content_of(name))
    ordered = "总金额" if "总金额" in sheet.header else "订单金额"
    back = "退款金额" if ordered == "总金额" else "申请退款金额"

    assert (bill.side, bill.account, bill.zone) == (BillSide.TRADES, WHOLE_TRADES[name].account, "Asia/Shanghai")
    assert len(lines) == len(sheet.rows) == sheet.totals["总交易单数"]
    assert amounts(lines, LineKind.PAYMENT) == [fen for fen in sheet.fen(ordered) if fen]
    asked_back = [fen for fen in sheet.fen(back) if fen] if back in sheet.header else []
    assert amounts(lines, LineKind.REFUND, -1) == asked_back
    assert [-line.fee_minor for line in lines] == sheet.fen("手续费")
    assert -sum(line.fee_minor for line in lines) == sheet.totals["手续费总金额"] * 100
    assert len({line.key for line in lines}) == len(lines)
    assert all(bill.since <= line.at < bill.until for line in lines)
    assert not any(line.undecided or line.discount_minor for line in lines)


def test_a_charged_coupon_lowers_nothing_of_what_the_merchant_gets() -> None:
    _, lines = read(TRADE_BILL, content_of("trade_all_2019_fees.csv"))
    sheet = read_sheet(content_of("trade_all_2019_fees.csv"))
    assert sum(sheet.fen("代金券金额")) == 4
    assert sum(line.net_minor for line in lines) == sum(sheet.fen("应结订单金额")) - 14 - 8


@pytest.mark.parametrize("name", ABRIDGED_TRADES)
def test_an_abridged_trade_bill_is_refused_until_its_totals_fit(name: str) -> None:
    with pytest.raises(UnreadableBill, match="totals do not agree"):
        read(TRADE_BILL, content_of(name), ABRIDGED_TRADES[name])
    sums = (
        TRADE_SUMS
        if "refund" in name
        else TRADE_SUMS | dict.fromkeys(("退款总金额", "充值券退款总金额", "申请退款总金额"), "代金券金额")
    )
    _, (line,) = read(TRADE_BILL, completed(content_of(name), sums), ABRIDGED_TRADES[name])
    assert abs(line.amount_minor) == 1


def test_a_bill_of_type_refund_is_dated_by_its_refunds() -> None:
    bill, (line,) = read(TRADE_BILL, content_of("trade_refund_2021.csv"))
    assert f"{line.at:%Y-%m-%d %H:%M:%S}" == "2021-02-01 06:33:21"
    assert (f"{bill.since:%m-%d %H}", f"{bill.until:%m-%d %H}") == ("01-31 16", "02-01 16")
    assert (line.kind, line.refund, line.theirs) == (
        LineKind.REFUND,
        "S20210201143320649393",
        "4200002040368421810528244132",
    )


def test_a_bill_of_type_success_needs_no_totals_of_refunds() -> None:
    text = content_of("trade_success_2021.csv").decode()
    four = (
        text[: text.index("总交易单数")]
        + "总交易单数,应结订单总金额,手续费总金额,订单总金额\n`1,`0.01,`0.00000,`0.01\n"
    )
    for content in (text, four):
        _, (line,) = read(TRADE_BILL, content.encode())
        assert (line.kind, line.amount_minor, line.note) == (LineKind.PAYMENT, 1, "1.00%")


def test_a_day_of_funds_is_read_whole() -> None:
    content = content_of("fundflow_day_synthetic.csv")
    bill, lines = read(FUND_BILL, content)
    sheet = read_sheet(content)
    assert (bill.side, bill.account) == (BillSide.FUNDS, None)
    assert [abs(line.net_minor) for line in lines] == sheet.fen("收支金额(元)")
    assert [line.balance_minor for line in lines] == sheet.fen("账户结余(元)")
    assert sum(line.net_minor for line in lines if line.net_minor > 0) == sheet.totals["收入金额"] * 100
    assert sum(line.net_minor for line in lines if line.net_minor < 0) == -sheet.totals["支出金额"] * 100
    assert [(line.kind, line.amount_minor, line.fee_minor) for line in lines] == [
        (LineKind.PAYMENT, 100_00, 0),
        (LineKind.FEE, -60, 0),
        (LineKind.REFUND, -40_00, 0),
        (LineKind.FEE_RETURN, 24, 0),
        (LineKind.PAYOUT, -1000_00, 0),
    ]
    payment, refund = "4200009926202611200000000001", "REFUND1"
    assert [(line.ours, line.theirs, line.refund) for line in lines] == [
        ("ORDER1", payment, None),
        ("ORDER1", payment, None),
        (None, payment, refund),
        (None, payment, refund),
        (None, None, None),
    ]
    assert lines[-1].related == "1010000000202611200000000001"


@pytest.mark.parametrize("name", ["fundflow_2018_official.csv", "fundflow_refunds_2021.csv"])
def test_an_abridged_fund_bill_is_refused_until_its_totals_fit(name: str) -> None:
    with pytest.raises(UnreadableBill, match="totals do not agree"):
        read(FUND_BILL, content_of(name))
    content = completed(content_of(name), FUND_SUMS)
    _, lines = read(FUND_BILL, content)
    sheet = read_sheet(content)
    assert [(line.kind, -line.net_minor) for line in lines] == [
        (LineKind.REFUND, fen) for fen in sheet.fen("收支金额(元)")
    ]
    assert [line.balance_minor for line in lines] == sheet.fen("账户结余(元)")


def test_the_payment_of_a_refund_is_named_where_the_fund_bill_names_it() -> None:
    def named(name: str) -> list[tuple[str | None, str | None]]:
        _, lines = read(FUND_BILL, completed(content_of(name), FUND_SUMS))
        return [(line.theirs, line.refund) for line in lines]

    assert named("fundflow_2018_official.csv") == [(None, "REF4200000068201801293084726067")]
    assert named("fundflow_refunds_2021.csv") == [
        ("4200003720254701217415496340", "S20210201135356381941"),
        ("4200002305967804380163902013", "S20210201140044552846"),
    ]


def test_the_reason_of_a_refund_stays_in_the_bill() -> None:
    """Somebody wrote it, and it may name a payer."""
    _, (line,) = read(FUND_BILL, completed(content_of("fundflow_2018_official.csv"), FUND_SUMS))
    assert (line.word, line.note) == ("退款", "")
