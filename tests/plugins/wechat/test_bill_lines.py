"""Lines of bills: signs, kinds, keys, days, and bills that are not believed."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from app.domain.bill_lines import BillContent, BillLine, LineKind
from app.providers import UnreadableBill
from plugins.wechat.bills.content import MAX_PROBLEMS, read_bill
from plugins.wechat.bills.feeds import FUND_BILL, TRADE_BILL
from plugins.wechat.merchant import Merchant
from tests.plugins.wechat.test_bill_files import BILL, HEADER, MERCHANT, PAYMENT, REFUND, SUMS, TOTALS

FUND_HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FUND_TOTALS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
TRANSACTION, REFUND_ID = "4200002360202601020000000001", "50302709992026010200000000001"


def read(
    content: str | bytes, feed: str = TRADE_BILL, name: str = "x.csv", merchant: Merchant = MERCHANT
) -> BillContent:
    return read_bill(merchant, feed, name, content.encode() if isinstance(content, str) else content)


def trades(*rows: str, totals: str = "") -> str:
    """A bill of these rows, with their totals."""
    cells = [row[1:].split(",`") for row in rows]
    names = HEADER.split(",")

    def total(column: str) -> str:
        return f"{sum(round(float(each[names.index(column)]) * 100) for each in cells) / 100:.2f}"

    columns = ("应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额")
    sums = totals or ",".join([f"`{len(rows)}", *(f"`{total(column)}" for column in columns)])
    return "\n".join([HEADER, *rows, TOTALS, sums]) + "\n"


def moved(
    fen: int,
    name: str,
    word: str,
    *,
    remark: str = "",
    numbers: tuple[str, str, str] = (TRANSACTION, TRANSACTION, "4503599627370497"),
    at: str = "2026-01-02 10:12:00",
) -> str:
    way, yuan = "收入" if fen > 0 else "支出", f"{abs(fen) / 100:.2f}"
    return f"`{at},`{numbers[0]},`{numbers[1]},`{name},`{word},`{way},`{yuan},`99.00,`system,`{remark},`{numbers[2]}"


def funds(*rows: str) -> str:
    sums = []
    for way in ("收入", "支出"):
        amounts = [float(row.split(",`")[6]) for row in rows if f"`{way}," in row]
        sums += [str(len(amounts)), f"{sum(amounts):.2f}"]
    return "\n".join([FUND_HEADER, *rows, FUND_TOTALS, ",".join(f"`{each}" for each in [len(rows), *sums])]) + "\n"


def only(bill: BillContent) -> BillLine:
    (line,) = bill.lines
    assert bill.problems == ()
    return line


def fund_line(row: str) -> BillLine:
    return only(read(funds(row), FUND_BILL))


def test_a_payment_with_the_merchants_own_coupon() -> None:
    line, _ = read(BILL).lines
    assert (line.kind, line.amount_minor, line.discount_minor, line.fee_minor) == (LineKind.PAYMENT, 60_00, -2_00, -31)
    assert line.net_minor == 57_69
    assert (line.key, line.ours, line.theirs) == (f"payment/{TRANSACTION}", "4503599627370497", TRANSACTION)
    assert line.at == datetime(2026, 1, 2, 2, 6, 33, tzinfo=UTC)


def test_a_refund_gives_the_coupon_and_the_fee_back() -> None:
    _, line = read(BILL).lines
    assert (line.kind, line.amount_minor, line.discount_minor, line.fee_minor) == (LineKind.REFUND, -50_00, 2_00, 27)
    assert line.net_minor == -47_73
    assert (line.key, line.refund, line.theirs) == (
        f"refund/{REFUND_ID}",
        "4503599627370009",
        "4200002166202512250000000002",
    )


def test_a_fee_that_a_refund_cost_goes_out() -> None:
    assert only(read(trades(REFUND.replace("`-0.27000", "`0.27000")))).fee_minor == -27


@pytest.mark.parametrize("word", ["PROCESSING", "FAIL", "CHANGE", "TOMORROW"])
def test_a_refund_that_had_not_arrived_when_the_bill_was_made_is_undecided(word: str) -> None:
    line = only(read(trades(REFUND.replace("ORIGINAL,`SUCCESS", f"ORIGINAL,`{word}"))))
    assert (line.kind, line.undecided, line.word) == (LineKind.REFUND, True, f"REFUND {word}")
    assert line.key == f"refund/{REFUND_ID}"


@pytest.mark.parametrize(("state", "kind"), [("REVOKED", LineKind.ADJUSTMENT), ("TOMORROW", LineKind.OTHER)])
def test_another_state_of_a_payment_is_a_line_of_its_own_kind(state: str, kind: LineKind) -> None:
    line = only(read(trades(PAYMENT.replace("JSAPI,`SUCCESS", f"JSAPI,`{state}"))))
    assert (line.kind, line.amount_minor, line.word) == (kind, 60_00, state)


@pytest.mark.parametrize("number", ["", " ", "A" * 200, "caf\x07"])
def test_an_order_number_of_any_form_spoils_no_row(number: str) -> None:
    line = only(read(trades(PAYMENT.replace("`4503599627370497", f"`{number}"))))
    assert (line.ours, line.theirs) == (None, TRANSACTION)
    back = only(read(trades(REFUND.replace("`4503599627370009", f"`{number}"))))
    assert (back.refund, back.key) == (None, f"refund/{REFUND_ID}")


def test_a_row_of_nothing_is_odd_unless_its_state_says_why() -> None:
    empty = PAYMENT.replace("`58.00,`2.00", "`0.00,`0.00").replace("`60.00,`0.00,`", "`0.00,`0.00,`")
    revoked = empty.replace("JSAPI,`SUCCESS", "JSAPI,`REVOKED").replace(TRANSACTION, "42000revoked")
    bill = read(trades(empty, revoked), name="2026-01-02.csv")
    assert [(line.kind, line.amount_minor) for line in bill.lines] == [(LineKind.ADJUSTMENT, 0)]
    assert bill.problems == ("row 1: amounts that do not go together",)


def test_rows_of_the_merchants_other_apps_are_left_out_and_counted() -> None:
    other = PAYMENT.replace("wx2421b1c4370ec43b", "wxffffffffffffffff")
    bill = read(trades(PAYMENT, other))
    assert [line.theirs for line in bill.lines] == [TRANSACTION]
    with pytest.raises(UnreadableBill):
        read(trades(PAYMENT, other).replace(other + "\n", ""))


def test_a_row_that_is_there_twice_has_two_keys() -> None:
    bill = read(trades(PAYMENT, PAYMENT))
    assert [line.key for line in bill.lines] == [f"payment/{TRANSACTION}", f"payment/{TRANSACTION}/2"]
    row = moved(60_00, "交易", "交易")
    first, second, other = (line.key for line in read(funds(row, row, moved(-1, "交易", "交易")), FUND_BILL).lines)
    assert (second, other.split("/")[0]) == (f"{first}/2", "BASIC")
    assert first != other


def test_the_balances_of_a_merchant_have_rows_of_their_own() -> None:
    content = funds(moved(60_00, "交易", "交易"))
    keys = {only(read(content, feed)).key for feed in (FUND_BILL, "fund_bill_operation", "fund_bill_fees")}
    assert len(keys) == 3


@pytest.mark.parametrize(
    "column", ["应结订单总金额", "退款总金额", "手续费总金额", "订单总金额", "申请退款总金额", "总交易单数"]
)
def test_each_total_of_a_trade_bill_is_compared(column: str) -> None:
    sums = SUMS.split(",")
    place = TOTALS.split(",").index(column)
    sums[place] = f"`{float(sums[place][1:]) + 1:.5f}"
    with pytest.raises(UnreadableBill, match="do not agree"):
        read(BILL.replace(SUMS, ",".join(sums)))


@pytest.mark.parametrize("place", range(5))
def test_each_total_of_a_fund_bill_is_compared(place: int) -> None:
    content = funds(moved(60_00, "交易", "交易"), moved(-31, "交易", "扣除交易手续费"))
    header, sums = content.rstrip().rsplit("\n", 1)
    cells = sums.split(",")
    cells[place] = f"`{float(cells[place][1:]) + 1}"
    with pytest.raises(UnreadableBill, match="do not agree"):
        read(f"{header}\n{','.join(cells)}\n", FUND_BILL)


def test_a_row_that_cannot_be_read_is_a_problem_of_the_bill() -> None:
    odd = {
        "a settled amount in words": PAYMENT.replace("`58.00,`2.00", "`some,`2.00"),
        "a fee of half a fen": PAYMENT.replace("`0.31000", "`0.31500"),
        "more settled than ordered": PAYMENT.replace("`58.00,`2.00", "`61.00,`2.00"),
        "no time": PAYMENT.replace("2026-01-02 10:06:33", "yesterday"),
        "no number": PAYMENT.replace(TRANSACTION, ""),
        "another merchant's": PAYMENT.replace("`1900000109", "`1900000222"),
    }
    sums = {
        "a settled amount in words": "`2,`58.00,`48.00,`0,`0.04,`60.00,`50.00",
        "a fee of half a fen": "`2,`58.00,`48.00,`0,`0.045,`60.00,`50.00",
    }
    for what, row in odd.items():
        bill = read(trades(row, REFUND, totals=sums.get(what) or trades(row, REFUND).split("\n")[-2]))
        assert [line.kind for line in bill.lines] == [LineKind.REFUND], what
        assert [problem.split(":")[0] for problem in bill.problems] == ["row 1"], what


def test_an_odd_row_of_a_fund_bill_is_a_problem_and_hides_nothing_else() -> None:
    good, bad = moved(60_00, "交易", "交易"), moved(-31, "交易", "扣除交易手续费")
    content = funds(good, bad)
    bill = read(content.replace("`支出,`0.31", "`支出,`some"), FUND_BILL)
    assert [line.kind for line in bill.lines] == [LineKind.PAYMENT]
    assert len(bill.problems) == 1
    for spoil in (("`支出,`0.31", "`sideways,`0.31"), ("10:12:00,`4", "10:12:61,`4")):
        assert read(content.replace(*spoil, 1), FUND_BILL).problems
    with pytest.raises(UnreadableBill):
        read(content.replace("`支出,`0.31", "`支出,`some").replace("`收入,`60.00", "`收入,`60.01"), FUND_BILL)


def test_very_many_problems_are_counted() -> None:
    rows = [PAYMENT.replace("2026-01-02 10:06:33", "yesterday")] * (MAX_PROBLEMS + 7)
    problems = read(trades(*rows), name="2026-01-02.csv").problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == "and 7 more rows"


WORDS: list[tuple[str, str, int, LineKind]] = [
    ("交易", "交易", 1, LineKind.PAYMENT),
    ("交易", "扣除交易手续费", -1, LineKind.FEE),
    ("退款", "退款", -1, LineKind.REFUND),
    ("退款", "退还交易手续费", 1, LineKind.FEE_RETURN),
    ("退款", "退款关闭", 1, LineKind.ADJUSTMENT),
    ("退款", "扣除交易手续费", -1, LineKind.FEE),
    ("交易", "交易", -1, LineKind.ADJUSTMENT),
    ("充值/提现", "提现", -1, LineKind.PAYOUT),
    ("充值/提现", "提现", 1, LineKind.PAYOUT),
    ("充值/提现", "充值", 1, LineKind.TRANSFER),
    ("充值/提现", "充值/提现", -1, LineKind.PAYOUT),
    ("充值/提现", "tomorrow", 1, LineKind.TRANSFER),
    ("企业付款", "tomorrow", -1, LineKind.TRANSFER),
    ("分账", "分账", -1, LineKind.SHARE),
    ("代金券/立减/折扣", "tomorrow", -1, LineKind.OTHER),
    ("交易", "tomorrow", 1, LineKind.OTHER),
    ("充值/提现", "", -1, LineKind.PAYOUT),
    ("", "", 1, LineKind.OTHER),
]


def test_each_word_of_a_fund_bill_has_its_kind() -> None:
    rows = [moved(fen, name, word) for name, word, fen, _ in WORDS]
    bill = read(funds(*rows), FUND_BILL)
    assert bill.problems == ()
    lines = list(bill.lines)
    assert [(line.kind, line.amount_minor) for line in lines] == [(kind, fen) for _, _, fen, kind in WORDS]
    assert [line.word for line in lines[:2] + lines[-2:]] == ["交易", "交易 扣除交易手续费", "充值/提现", ""]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (moved(99_40, "交易", "交易", remark="结算总金额 100.00 元;含手续费 0.60 元"), (100_00, -60)),
        (moved(100_00, "交易", "交易", remark="结算总金额 100.00 元;含手续费 0.60 元"), (100_00, 0)),
        (moved(-39_76, "退款", "退款", remark="退款总金额40.00元;含手续费0.24元"), (-40_00, 24)),
        (moved(-40_00, "退款", "退款", remark="退款总金额40.00元;含手续费0.24元"), (-40_00, 0)),
        (moved(-40_00, "退款", "退款", remark="退款总金额40.00元；含手续费0.00元"), (-40_00, 0)),
        (moved(98_00, "交易", "交易", remark="结算总金额 100.00 元;含手续费 0.60 元"), (98_00, 0)),
    ],
)
def test_a_net_row_has_its_fee_from_the_remark(row: str, told: tuple[int, int]) -> None:
    line = fund_line(row)
    assert (line.amount_minor, line.fee_minor) == told
    assert line.note.startswith(("结算总金额", "退款总金额"))


def test_a_number_that_others_wrote_with_signs_that_are_escaped_names_nothing() -> None:
    assert fund_line(moved(1, "交易", "交易", numbers=(TRANSACTION, TRANSACTION, "A\\1B"))).ours is None


def test_no_person_is_named_in_a_line() -> None:
    row = moved(-100, "企业付款", "企业付款", remark="给张三的奖金").replace("`system", "`li.si@1900000109")
    assert not any(word in repr(fund_line(row)) for word in ("张三", "li.si"))
    assert "oTest" not in repr(list(read(BILL).lines))


def test_the_units_of_a_fund_bill_stand_in_brackets_of_either_width() -> None:
    content = funds(moved(1, "交易", "交易"))
    assert list(read(content.replace("(元)", "（元）"), FUND_BILL).lines) == list(read(content, FUND_BILL).lines)


@pytest.mark.parametrize("feed", [TRADE_BILL, FUND_BILL])
@pytest.mark.parametrize("form", [lambda text: gzip.compress(text.encode()), lambda text: text.encode("utf-8-sig")])
def test_a_bill_that_is_packed_in_another_way_has_the_lines_that_it_had(feed: str, form: object) -> None:
    content = trades(PAYMENT) if feed == TRADE_BILL else funds(moved(1, "交易", "交易"))
    assert callable(form)
    assert list(read(form(content), feed).lines) == list(read(content, feed).lines)


def test_the_days_of_a_bill_are_those_of_its_rows() -> None:
    later = moved(1, "交易", "交易", at="2026-01-31 23:59:59")
    month = read(funds(moved(1, "交易", "交易", at="2026-01-01 00:00:00"), later), FUND_BILL)
    assert (month.since, month.until) == (
        datetime(2025, 12, 31, 16, tzinfo=UTC),
        datetime(2026, 1, 31, 16, tzinfo=UTC),
    )


def test_a_bill_that_was_fetched_is_of_the_day_of_its_name() -> None:
    late = PAYMENT.replace("2026-01-02 10:06:33", "2026-01-01 23:59:59").replace(TRANSACTION, "42000late")
    bill = read(trades(PAYMENT, late), name="1900000109_20260102.csv.gz")
    assert (bill.since, bill.until) == (datetime(2026, 1, 1, 16, tzinfo=UTC), datetime(2026, 1, 2, 16, tzinfo=UTC))
    assert len(list(bill.lines)) == 2
    only_late = read(trades(late), name="1900000109_20260102.csv")
    assert (only_late.since, len(list(only_late.lines))) == (bill.since, 1)
    for day in ("20260101", "20260106"):
        with pytest.raises(UnreadableBill, match="another day"):
            read(trades(PAYMENT), name=f"1900000109_{day}.csv")


def test_a_bill_without_rows_is_of_the_day_that_its_name_says() -> None:
    empty = "\n".join([HEADER, TOTALS, "`0,`0.00,`0.00,`0.00,`0.00000,`0.00,`0.00"])
    assert read(empty, name="微信支付账单(2026-01-02).csv").since == datetime(2026, 1, 1, 16, tzinfo=UTC)
    assert list(read(empty, name="1900000109_20260102.csv").lines) == []
    with pytest.raises(UnreadableBill, match="name of its file"):
        read(empty, name="download.csv")


@pytest.mark.parametrize(
    ("feed", "content"),
    [
        (TRADE_BILL, ""),
        (TRADE_BILL, funds(moved(1, "交易", "交易"))),
        (FUND_BILL, trades(PAYMENT)),
        (FUND_BILL, funds(moved(1, "交易", "交易")).rsplit("\n", 3)[0]),
        (FUND_BILL, funds(moved(1, "交易", "交易")) + moved(1, "交易", "交易")),
        (FUND_BILL, funds(moved(1, "交易", "交易")).replace("业务凭证号", "凭证")),
        (TRADE_BILL, trades(PAYMENT).replace("1900000109", "1900000222")),
        ("another_bill", trades(PAYMENT)),
    ],
)
def test_what_is_no_whole_bill_of_ours_is_refused(feed: str, content: str) -> None:
    with pytest.raises(UnreadableBill):
        read(content, feed)
