"""Bills as lines: the published files to the last row, the forms that files come in, and what must not be believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.providers import BillContent, BillLine, BillSide, LineKind, UnreadableBill
from plugins.alipay.bills.documents import MAX_PROBLEMS
from tests.plugins.alipay import samples
from tests.plugins.alipay.bill_files import csv_files, detail_text, read_rows, yuan_fen, zipped

TRADES = (samples.FOLDER / "bill_trade_20260103.zip").read_bytes()
FUNDS = (samples.FOLDER / "signcustomer_20261120_synthetic.zip").read_bytes()
FUNDS_OF_2012 = (samples.FOLDER / "signcustomer_detail_2012_excerpt.csv").read_bytes()
PUBLISHED = {
    "bill_trade_20260103.zip": ("trade_bill", TRADES),
    "signcustomer_20261120_synthetic.zip": ("account_bill", FUNDS),
    "signcustomer_detail_2012_excerpt.csv": ("account_bill", FUNDS_OF_2012),
}
Change = Callable[[str], str]


def read(feed: str, content: bytes, name: str = "") -> BillContent:
    return samples.provider().read_bill(feed, name, content)


def lines(feed: str, content: bytes, name: str = "") -> list[BillLine]:
    bill = read(feed, content, name)
    assert bill.problems == ()
    return list(bill.lines)


def trades(change: Change) -> bytes:
    return zipped({"业务明细.csv": change(detail_text(TRADES))})


def funds(change: Change) -> bytes:
    return zipped({"账务明细.csv": change(detail_text(FUNDS))})


def _reordered(text: str) -> str:
    """The last four columns the other way round, and a column of tomorrow before them."""
    made = []
    for line in text.splitlines():
        cells = line.split(",")
        made.append(line if line.startswith("#") or len(cells) < 16 else ",".join([*cells[:12], "", *cells[:11:-1]]))
    return "\n".join(made)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_file_is_read_to_its_last_row(name: str) -> None:
    """A second reader, which knows columns and signs only, comes to the same sums."""
    feed, content = PUBLISHED[name]
    rows, told = read_rows(detail_text(content)), lines(feed, content, name)
    assert len(told) == len(rows) > 0
    sums: Counter[str] = Counter()
    net: Counter[str] = Counter()
    for row in rows:
        word = row["业务类型"]
        if feed == "trade_bill":
            net[word] += int(yuan_fen(row["商家实收"]) + yuan_fen(row["服务费"]))
            sums[word] += int(yuan_fen(row["订单金额"]))
        else:
            change = yuan_fen(row["收入金额"]) - abs(yuan_fen(row["支出金额"]))
            net[word] += int(change)
            sums[word] += int(change)
    for line in told:
        net[line.word] -= line.net_minor
        sums[line.word] -= line.amount_minor
    assert set(sums.values()) == set(net.values()) == {0}
    assert [line.at for line in told] == [
        datetime.strptime(f"{row.get('发生时间') or row['完成时间']} +0800", "%Y-%m-%d %H:%M:%S %z") for row in rows
    ]
    if feed == "account_bill":
        assert [line.balance_minor for line in told] == [yuan_fen(row["账户余额"]) for row in rows]


def test_a_bill_says_whose_it_is_and_which_days_it_covers() -> None:
    bill = read("account_bill", FUNDS)
    assert (bill.side, bill.account, bill.zone) == (BillSide.FUNDS, samples.provider().account, "Asia/Shanghai")
    assert bill.since == datetime(2026, 11, 19, 16, tzinfo=UTC)
    assert bill.until - bill.since == timedelta(days=1)
    assert read("trade_bill", TRADES).side is BillSide.TRADES
    month = funds(lambda text: text.replace("2026年11月20日 00:00:00]   终", "2026年11月01日 00:00:00]   终"))
    assert read("account_bill", month).since == datetime(2026, 10, 31, 16, tzinfo=UTC)


def test_a_payment_a_refund_and_a_payout_move_the_balance_each_with_its_fee() -> None:
    told = lines("account_bill", FUNDS)
    trade, payout = "2026112022001499990000000001", "20261120110070101500000000000001"
    kinds = ["payment", "fee", "refund", "fee_return", "payout", "fee"]
    assert [(line.kind.value, line.amount_minor) for line in told] == list(
        zip(kinds, (10_000, -60, -4_000, 24, -100_000, -100), strict=True)
    )
    assert [(line.ours, line.theirs, line.refund, line.related) for line in told] == [
        ("ORDER1", trade, None, None),
        ("ORDER1", trade, None, None),
        ("ORDER1", trade, "REFUND1", None),
        ("ORDER1", trade, "REFUND1", None),
        (None, None, None, payout),
        (None, None, None, payout),
    ]
    assert sum(line.net_minor for line in told) + 100_000 == told[-1].balance_minor


def test_a_refund_that_only_its_trade_names_has_no_number() -> None:
    """Older files have no 业务订单号: the trade's number is in the column for all."""
    (line,) = [line for line in lines("account_bill", funds(_twelve_columns)) if line.kind is LineKind.REFUND]
    assert (line.theirs, line.ours, line.refund) == ("2026112022001499990000000001", "ORDER1", None)


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        (lambda text: text.replace("（", "(").replace("）", ")"), "gbk"),
        (lambda text: text.replace("\t", ""), "gbk"),
        (lambda text: text, "utf-8"),
        (lambda text: text, "utf-8-sig"),
        (lambda text: text.replace(",-", ",").replace("共-", "共"), "gbk"),
        (lambda text: text.replace("1100.00", '"1,100.00"').replace("1041.60元", "1,041.60元"), "gbk"),
        (lambda text: "\n".join(f"{line},,,," if line.startswith("#") else line for line in text.splitlines()), "gbk"),
        (lambda text: text.replace(",,-", ",0.00,-").replace(".00,,", ".00,0.00,"), "gbk"),
        (lambda text: text.replace("\r\n", "\r"), "gbk"),
        (lambda text: text.replace("\r\n", "\r"), "utf-8"),
        (_reordered, "gbk"),
    ],
    ids=[
        "half-width brackets", "without tabs", "utf-8", "utf-8 with a mark", "without signs", "thousands separators",
        "remarks filled up with commas", "zeros for nothing", "lines of an old Mac", "in utf-8 too",
        "other order of columns",
    ],
)  # fmt: skip
def test_the_forms_that_account_bills_come_in_are_read_alike(change: Change, encoding: str) -> None:
    made = change(detail_text(FUNDS)).encode(encoding)
    for content in (made, zipped({"x账务明细.csv": made})):
        assert lines("account_bill", content) == lines("account_bill", FUNDS)


def _twelve_columns(text: str) -> str:
    return "\n".join(line if line.startswith("#") else ",".join(line.split(",")[:12]) for line in text.splitlines())


def test_the_layout_of_twelve_columns_is_the_same_money() -> None:
    def moved(content: bytes) -> list[object]:
        told = lines("account_bill", content)
        return [(line.key, line.kind, line.amount_minor, line.balance_minor, line.theirs, line.at) for line in told]

    assert moved(funds(_twelve_columns)) == moved(FUNDS)


@pytest.mark.parametrize(
    ("feed", "content"),
    [
        ("account_bill", funds(lambda text: text.replace("支出合计：4笔", "支出合计：5笔"))),
        ("account_bill", funds(lambda text: text.replace("共100.24元", "共100.25元"))),
        ("account_bill", funds(lambda text: text.replace(",-40.00,", ",-41.00,"))),
        ("account_bill", funds(lambda text: "\n".join(line for line in text.splitlines() if ",退费," not in line))),
        ("account_bill", funds(lambda text: text.replace("#收入合计", "#"))),
        ("account_bill", funds(lambda text: text.replace("#账号", "#"))),
        ("account_bill", funds(lambda text: text.replace("#起始日期", "#"))),
        ("account_bill", funds(lambda text: text.replace("2026年11月21日", "2026年11月20日"))),
        ("account_bill", funds(lambda text: text.replace("2026年11月20日", "2026年11月31日"))),
        ("account_bill", funds(lambda text: text.replace("账户余额", "余额"))),
        ("account_bill", zipped({"a.csv": detail_text(FUNDS), "b.csv": detail_text(FUNDS)})),
        ("account_bill", zipped({name: text for name, text in csv_files(FUNDS).items() if "汇总" in name})),
        ("account_bill", TRADES),
        ("trade_bill", FUNDS),
        ("sales", TRADES),
        ("trade_bill", trades(lambda text: text.replace("退款合计：1笔", "退款合计：2笔"))),
        ("trade_bill", trades(lambda text: text.replace(",6.00,6.00,", ",6.00,5.00,"))),
    ],
)  # fmt: skip
def test_a_bill_that_is_not_whole_or_another_document_is_not_read(feed: str, content: bytes) -> None:
    with pytest.raises(UnreadableBill):
        read(feed, content)


def test_a_bill_covers_the_day_in_its_name() -> None:
    assert read("trade_bill", TRADES, "2088000000000001_20260103.zip").problems == ()
    for name in ("2088000000000001_20260104.zip", "2088000000000001_20260102_账务明细.csv"):
        with pytest.raises(UnreadableBill):
            read("trade_bill", TRADES, name)
    assert read("trade_bill", TRADES, "download_20260301_120000.zip").problems == ()
    unnamed = trades(lambda text: text.replace("#起始日期", "#"))
    assert read("trade_bill", unnamed, "20880000000000010156_20260103_1.csv").since == datetime(
        2026, 1, 2, 16, tzinfo=UTC
    )


def test_another_merchants_bill_says_so() -> None:
    for feed, content in (("account_bill", FUNDS), ("trade_bill", TRADES)):
        other = zipped({"明细.csv": detail_text(content).replace("00010156]", "00090156]")})
        assert read(feed, other).account == "2088000000000009"


def test_a_quiet_day_has_no_lines() -> None:
    quiet = "\n".join(line for line in detail_text(FUNDS).splitlines() if not line[:1].isdigit())
    for old, new in (
        ("支出合计：4笔，共-1041.60", "支出合计：0笔，共0.00"),
        ("收入合计：2笔，共100.24", "收入合计：0笔，共0.00"),
    ):
        quiet = quiet.replace(old, new)
    assert lines("account_bill", quiet.encode("gbk")) == []


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "amount", "kind"),
    [
        ("交易", "5.00,", LineKind.PAYMENT), ("交易付款", "5.00,", LineKind.PAYMENT),
        ("交易", ",-5.00", LineKind.OTHER),
        ("退款", ",-5.00", LineKind.REFUND), ("退款", "5.00,", LineKind.ADJUSTMENT),
        ("服务费", ",-5.00", LineKind.FEE), ("收费", "5.00,", LineKind.FEE_RETURN), ("退费", ",-5.00", LineKind.FEE),
        ("交易分账", ",-5.00", LineKind.SHARE), ("提现", "5.00,", LineKind.PAYOUT), ("提现", ",5.00", LineKind.PAYOUT),
        ("转账", "5.00,", LineKind.TRANSFER), ("充值", "5.00,", LineKind.TRANSFER), ("其它", ",-5.00", LineKind.OTHER),
        ("明天的词", "5.00,", LineKind.OTHER), ("", "5.00,", LineKind.OTHER), ("收费", ",", LineKind.FEE_RETURN),
    ],
)  # fmt: skip
def test_each_word_is_a_kind_by_its_direction(word: str, amount: str, kind: LineKind) -> None:
    (line,) = lines("account_bill", _one_row(f"1\t,2\t,\t,,2026-11-20 08:00:05,,{amount},9.00,支付宝,{word},"))
    assert (line.kind, line.word) == (kind, word)
    assert line.amount_minor == (0 if amount == "," else 500 if amount.endswith(",") else -500)


@pytest.mark.parametrize("remark", ["服务费退还[2]", "退还服务费", "退手续及服务费"])
def test_a_fee_that_came_back_under_another_word_is_known_by_its_remark(remark: str) -> None:
    row = f"1\t,2\t,T1\t,,2026-11-20 08:00:05,,0.24,,9.00,支付宝,其它,{remark}"
    (line,) = lines("account_bill", _one_row(row))
    assert (line.kind, line.theirs) == (LineKind.FEE_RETURN, "2")
    (taken,) = lines("account_bill", _one_row(row.replace("0.24,,", ",0.24,")))
    assert taken.kind is LineKind.OTHER


def _one_row(row: str) -> bytes:
    """An account bill of twelve columns with this row."""
    lines_ = [line for line in _twelve_columns(detail_text(FUNDS)).splitlines() if not line[:1].isdigit()]
    cells = row.split(",")
    moved = {"收入": Decimal(cells[6] or 0), "支出": abs(Decimal(cells[7] or 0))}
    counts = {"收入": int(not moved["支出"]), "支出": int(bool(moved["支出"]))}
    kept = [line for line in lines_ if "合计" not in line]
    feet = [f"#{side}合计：{counts[side]}笔，共{moved[side]:.2f}元" for side in moved]
    return "\n".join([*kept[:5], row, *kept[5:], *feet]).encode("gbk")


def test_no_name_and_no_free_remark_is_in_a_line() -> None:
    person = "张三 13800000000 zhang@example.com"
    row = f"1\t,2\t,\t,{person},2026-11-20 08:00:05,{person},5.00,,9.00,支付宝,转账,{person}"
    told = [*lines("account_bill", _one_row(row)), *lines("account_bill", FUNDS), *lines("account_bill", FUNDS_OF_2012)]
    assert not [word for word in ("张三", "138", "@", "买家", "银行") if word in repr(told)]
    fee = row.replace("5.00,,", ",-5.00,").replace("转账", "收费").rpartition(",")[0] + ",服务费[20261120]"
    assert lines("account_bill", _one_row(fee))[0].note == "服务费[20261120]"


@pytest.mark.parametrize(
    "row",
    [
        "1\t,2\t,\t,,20-11-2026,,5.00,,9.00,支付宝,转账,",
        "1\t,2\t,\t,,2026-11-20 08:00:05,,5.00,,待定,支付宝,转账,",
        "\t,2\t,\t,,2026-11-20 08:00:05,,5.00,,9.00,支付宝,转账,",
        "1.01E+17,2\t,\t,,2026-11-20 08:00:05,,5.00,,9.00,支付宝,转账,",
        "1\t,2\t,\t,,2026-11-20 08:00:05,,5.00,,9.00",
    ],
)
def test_an_odd_row_is_a_problem_and_tells_nothing(row: str) -> None:
    bill = read("account_bill", _one_row(row))
    assert list(bill.lines) == []
    (problem,) = bill.problems
    assert problem.startswith("row 1")


# --- trades --------------------------------------------------------------------------------------------------------


def test_a_refund_is_named_by_its_number_and_its_fee_by_its_sign() -> None:
    paid, refunded = lines("trade_bill", TRADES)
    assert (paid.amount_minor, paid.fee_minor, paid.net_minor) == (600, -4, 596)
    assert (refunded.amount_minor, refunded.fee_minor, refunded.net_minor) == (-200, 1, -199)
    assert (refunded.refund, refunded.ours) == ("R20260103000001", "T20260102030405000001")
    taken = trades(lambda text: text.replace("R20260103000001,0.01,", "R20260103000001,-0.01,"))
    assert lines("trade_bill", taken)[1].fee_minor == -1
    unsigned = trades(lambda text: text.replace(",-2.00,-2.00,", ",2.00,2.00,").replace(",,-0.04,", ",,0.04,"))
    assert lines("trade_bill", unsigned) == [paid, refunded]


def test_what_the_merchants_own_coupon_paid_never_reaches_the_balance() -> None:
    coupon = trades(
        lambda text: (
            text.replace(",6.00,6.00,0.00,0.00,0.00,0.00,", ",6.00,4.50,0.00,0.00,0.00,1.50,")
            .replace(",-2.00,-2.00,0.00,0.00,0.00,0.00,", ",-2.00,-1.50,0.00,0.00,0.00,-0.50,")
            .replace("实收共6.00元", "实收共4.50元")
            .replace("退款共-2.00元", "退款共-1.50元")
        )
    )
    paid, refunded = lines("trade_bill", coupon)
    assert (paid.amount_minor, paid.discount_minor, paid.net_minor) == (600, -150, 446)
    assert (refunded.amount_minor, refunded.discount_minor, refunded.net_minor) == (-200, 50, -149)


def test_a_difference_that_no_coupon_explains_is_a_problem() -> None:
    bill = read("trade_bill", trades(lambda text: text.replace(",6.00,6.00,", ",6.01,6.00,")))
    (problem,) = bill.problems
    assert "2026010322001412345678900001" in problem
    assert len(list(bill.lines)) == 2


def test_a_row_that_stands_there_twice_is_two_lines_with_two_keys() -> None:
    text = detail_text(TRADES)
    row = next(line for line in text.splitlines() if ",交易," in line)
    twice = text.replace(row, f"{row}\n{row}").replace(
        "交易合计：1笔，商家实收共6.00", "交易合计：2笔，商家实收共12.00"
    )
    first, second, _ = lines("trade_bill", twice.encode("gbk"))
    assert (first.key, second.key) == ("交易:2026010322001412345678900001", "交易:2026010322001412345678900001#2")


def test_of_many_odd_rows_some_are_named() -> None:
    text = detail_text(TRADES)
    row = next(line for line in text.splitlines() if ",交易," in line)
    many = "\n".join([row, *[row.replace("2026-01-03 09:00:05", "at nine")] * (MAX_PROBLEMS + 5)])
    count = MAX_PROBLEMS + 6
    content = text.replace(row, many).replace("合计：1笔，商家实收共6.00", f"合计：{count}笔，商家实收共{count * 6}.00")
    bill = read("trade_bill", content.encode("gbk"))
    assert (len(bill.problems), bill.problems[-1], len(list(bill.lines))) == (MAX_PROBLEMS + 1, "and 5 more", 2)


def test_the_longest_numbers_make_a_key_that_can_be_kept() -> None:
    long = trades(
        lambda text: text.replace("R20260103000001", "R" * 64).replace("2026010222001412345678901234", "2" * 64)
    )
    refunded = lines("trade_bill", long)[1]
    assert (len(refunded.key), refunded.refund) == (64, "R" * 64)
