"""The file of a bill: forms that were published, and files that must not be believed.

The sample has the layout of bills that merchants published (2024): a mark at the beginning or none, lines ended in
either way, a refund on another day than its payment, a fee given back, a shop's JSON in 商户数据包.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.domain.money import Money
from app.providers import Fact, Kind, key_of
from plugins.wechat.bills.file import BillFile
from plugins.wechat.bills.reading import fact_of, oddities
from plugins.wechat.bills.rows import read_rows
from plugins.wechat.bills.table import OddRow, Row
from plugins.wechat.documents import Unreadable
from plugins.wechat.merchant import Merchant

MERCHANT = Merchant("1900000109", "wx2421b1c4370ec43b", live=True)
HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
PAYMENT = (
    "`2026-01-02 10:06:33,`wx2421b1c4370ec43b,`1900000109,`0,`,`4200002360202601020000000001,`4503599627370497,"
    "`oTest,`JSAPI,`SUCCESS,`OTHERS,`CNY,`58.00,`2.00,`0,`0,`0.00,`0.00,`,`,`600 coins,"
    '`{"shop":7,"till":"b"},`0.31000,`0.54%,`60.00,`0.00,`'
)
REFUND = (
    "`2026-01-02 16:47:58,`wx2421b1c4370ec43b,`1900000109,`0,`,`4200002166202512250000000002,`4503599627370001,"
    "`oTest,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`50302709992026010200000000001,`4503599627370009,`48.00,`0.00,"
    "`ORIGINAL,`SUCCESS,`600 coins,`,`-0.27000,`0.54%,`0.00,`50.00,`"
)
TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
SUMS = "`2,`58.00,`48.00,`0.00,`0.04000,`60.00,`50.00"
BILL = "\n".join([HEADER, PAYMENT, REFUND, TOTALS, SUMS]) + "\n"


def rows(content: bytes) -> Iterator[Row | OddRow]:
    return read_rows(BillFile(content).lines(), MERCHANT.mchid)


def facts(content: bytes) -> list[Fact]:
    return [fact_of(row, MERCHANT) for row in rows(content) if not isinstance(row, OddRow)]


def odd(content: bytes) -> list[int]:
    """The numbers of the odd rows."""
    return [row.number for row in rows(content) if isinstance(row, OddRow)]


def test_a_payment_is_told_with_what_was_ordered_and_what_it_cost() -> None:
    paid, _ = facts(BILL.encode())
    assert key_of(paid) == "paid:4200002360202601020000000001"
    assert (paid.kind, paid.money, paid.fee) == (Kind.PAID, Money(6000, "CNY"), Money(31, "CNY"))
    assert (paid.ref.ours, paid.ref.refund) == ("4503599627370497", None)
    assert paid.at == datetime(2026, 1, 2, 2, 6, 33, tzinfo=UTC)
    assert (paid.account, paid.live) == (MERCHANT.account, True)
    assert "用户标识" not in paid.raw
    assert paid.raw["商户数据包"] == '{"shop":7,"till":"b"}'


def test_a_refund_is_told_with_what_was_asked_back_and_the_fee_that_came_back() -> None:
    _, refunded = facts(BILL.encode())
    assert key_of(refunded) == "refunded:4200002166202512250000000002:4503599627370009"
    assert (refunded.kind, refunded.money, refunded.fee) == (Kind.REFUNDED, Money(5000, "CNY"), Money(27, "CNY"))
    assert (refunded.total, refunded.share) == (None, None)


@pytest.mark.parametrize(
    "form",
    [
        lambda text: ("\ufeff" + text).encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.strip().encode(),
        lambda text: (text + "\n\n").encode(),
        lambda text: gzip.compress(("\ufeff" + text).encode()),
        lambda text: text.replace("费率备注", "费率备注,新列").replace(",`\n", ",`,`x\n").encode(),
    ],
    ids=["a mark", "other line ends", "no last line end", "blank lines", "gzipped", "a new column"],
)
def test_the_forms_that_bills_come_in_are_read_alike(form: Callable[[str], bytes]) -> None:
    def told(content: bytes) -> list[object]:
        return [(fact.kind, fact.ref, fact.money, fact.at) for fact in facts(content)]

    assert told(form(BILL)) == told(BILL.encode())


@pytest.mark.parametrize("letter", ["\x0b", "\x1c", "\x85", "\u2028", "\r"])
def test_what_a_shop_wrote_breaks_no_line(letter: str) -> None:
    assert len(facts(BILL.replace("600 coins", f"600{letter}coins").encode())) == 2


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("SUCCESS", Kind.REFUNDED),
        ("PROCESSING", Kind.REFUND_PENDING),
        ("FAIL", Kind.REFUND_FAILED),
        ("CHANGE", Kind.REFUND_FAILED),
        ("TOMORROW", Kind.REFUND_PENDING),
    ],
)
def test_each_word_for_a_refund(word: str, kind: Kind) -> None:
    fact = _only(REFUND.replace("ORIGINAL,`SUCCESS", f"ORIGINAL,`{word}"))
    assert (fact.kind, fact.cause) == (kind, word)


@pytest.mark.parametrize(
    ("word", "kind"), [("SUCCESS", Kind.PAID), ("REVOKED", Kind.CLOSED), ("TOMORROW", Kind.PENDING)]
)
def test_each_word_for_a_payment(word: str, kind: Kind) -> None:
    fact = _only(PAYMENT.replace("JSAPI,`SUCCESS", f"JSAPI,`{word}"))
    assert (fact.kind, fact.cause) == (kind, word)
    assert (fact.fee is None) == (kind is not Kind.PAID)


def _only(line: str) -> Fact:
    """The fact of a bill with this one row."""
    money = "60.00,`0.00" if line.startswith(PAYMENT[:20]) else "0.00,`50.00"
    (fact,) = facts("\n".join([HEADER, line, TOTALS, f"`1,`0,`0,`0,`0,`{money}"]).encode())
    return fact


@pytest.mark.parametrize("fee", ["0.31005", "-0.31000", "free", ""])
def test_a_fee_that_is_no_whole_number_of_fen_is_not_told_and_shown(fee: str) -> None:
    line = PAYMENT.replace("`0.31000", f"`{fee}")
    assert _only(line).fee is None
    assert list(oddities(_row(line)))


@pytest.mark.parametrize(
    ("written", "fen"), [("-0.27000", 27), ("-0.27", 27), ("-0.3", 30), ("0.00000", 0), ("-0.00000", 0), ("0", 0)]
)
def test_a_fee_given_back_is_told_without_its_minus(written: str, fen: int) -> None:
    line = REFUND.replace("`-0.27000", f"`{written}")
    assert _only(line).fee == Money(fen, "CNY")
    assert not list(oddities(_row(line)))


def test_a_fee_that_a_refund_cost_is_shown_and_never_told_as_given_back() -> None:
    line = REFUND.replace("`-0.27000", "`0.27000")
    assert _only(line).fee is None
    assert list(oddities(_row(line)))


@pytest.mark.parametrize("word", ["PROCESSING", "CHANGE", "FAIL"])
def test_the_fee_of_a_refund_that_is_not_done_is_not_told(word: str) -> None:
    line = REFUND.replace("ORIGINAL,`SUCCESS", f"ORIGINAL,`{word}")
    assert _only(line).fee is None
    assert not list(oddities(_row(line)))


def _row(line: str) -> Row:
    return dict(zip(HEADER.split(","), line[1:].split(",`"), strict=True))


ODD: dict[str, Callable[[str], str]] = {
    "a cell too many": lambda text: text.replace("`600 coins,`{", "`600,`coins,`{"),
    "a cell lost": lambda text: text.replace(",`OTHERS", "", 1),
    "no backquote": lambda text: text.replace("\n`2026-01-02 10", "\n2026-01-02 10"),
    "a row of another merchant": lambda text: text.replace("`1900000109", "`1900000222", 1),
    "an amount in words": lambda text: text.replace("`60.00,`0.00,`", "`sixty,`0.00,`"),
    "an amount with an exponent": lambda text: text.replace("`60.00,`0.00,`", "`6e1,`0.00,`"),
    "no amount": lambda text: text.replace("`60.00,`0.00,`", "`,`0.00,`"),
}


@pytest.mark.parametrize("spoil", ODD.values(), ids=ODD)
def test_an_odd_row_is_told_as_odd_and_the_others_are_read(spoil: Callable[[str], str]) -> None:
    spoilt = spoil(BILL)
    assert spoilt != BILL
    assert odd(spoilt.encode()) == [1]
    assert [fact.kind for fact in facts(spoilt.encode())] == [Kind.REFUNDED]


def test_a_row_that_a_line_break_made_two_is_odd_and_the_others_are_read() -> None:
    content = BILL.replace("600 coins,`{", "600\ncoins,`{").encode()
    assert odd(content) == [1, 2]
    assert [fact.kind for fact in facts(content)] == [Kind.REFUNDED]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(REFUND + "\n", ""),
        lambda text: text.replace(REFUND, REFUND + "\n" + REFUND),
        lambda text: text.replace("`60.00,`50.00", "`60.00,`49.99"),
        lambda text: text.replace("`2,`58.00", "`1,`58.00"),
    ],
    ids=["a row lost", "a row twice", "less money than the rows", "fewer than the good rows and one"],
)
def test_an_odd_row_hides_no_other_fault(spoil: Callable[[str], str]) -> None:
    text = BILL.replace("`60.00,`0.00,`", "`sixty,`0.00,`")
    with pytest.raises(Unreadable, match="totals"):
        facts(spoil(text).encode())


@pytest.mark.parametrize("count", ["2", "2.0", "2.00", " 2 "])
def test_the_count_in_the_totals_is_a_number(count: str) -> None:
    assert len(facts(BILL.replace("`2,`58.00", f"`{count},`58.00").encode())) == 2


VECTORS = Path(__file__).parent / "vectors"
PUBLISHED = Merchant("1900000109", "wx8888888888888888", live=True)


def published(name: str, mchid: str = PUBLISHED.mchid) -> list[Fact]:
    """The facts of a published bill, none of whose rows is odd."""
    content = (VECTORS / name).read_bytes()
    return [fact_of(_good(row), PUBLISHED) for row in read_rows(BillFile(content).lines(), mchid)]


def _good(row: Row | OddRow) -> Row:
    assert not isinstance(row, OddRow)
    assert not list(oddities(row))
    return row


def test_a_published_bill_of_45_rows_whose_count_reads_45_0_is_read() -> None:
    told = published("trade_all_2019_fees.csv")
    paid = [fact for fact in told if fact.kind is Kind.PAID]
    back = [fact for fact in told if fact.kind is Kind.REFUNDED]
    assert (len(told), len(paid), len(back)) == (45, 31, 14)
    assert sum(fact.money.minor for fact in paid if fact.money) == 47
    assert sum(fact.money.minor for fact in back if fact.money) == 14
    assert sum(fact.fee.minor for fact in paid if fact.fee) == 8
    assert {fact.fee for fact in back} == {Money(0, "CNY")}


def test_a_published_bill_with_two_refunds_of_one_payment_is_read() -> None:
    told = published("trade_all_2024_partial_refunds.csv")
    assert [fact.kind for fact in told] == [Kind.PAID, Kind.REFUNDED, Kind.REFUNDED]
    assert len({fact.ref.theirs for fact in told}) == 1
    assert [fact.ref.refund for fact in told] == [None, "RF20240116A", "RF20240116B"]


def test_a_published_bill_of_the_old_layout_is_read() -> None:
    told = published("trade_all_2014_old_layout.csv", "10000100")
    assert [(fact.kind, fact.money, fact.fee) for fact in told] == [(Kind.PAID, Money(1, "CNY"), Money(0, "CNY"))] * 2
    assert [fact.at for fact in told] == [
        datetime(2014, 11, 10, 8, 33, 45, tzinfo=UTC),
        datetime(2014, 11, 10, 8, 46, 14, tzinfo=UTC),
    ]


OLD_HEADER = (
    "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "总金额,企业红包金额,微信退款单号,商户退款单号,退款金额,企业红包退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率"
)
OLD_REFUND = (
    "`2026-01-02 16:47:58,`wx2421b1c4370ec43b,`1900000109,`0,`,`4200002166202512250000000002,`4503599627370001,"
    "`oTest,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`50302709992026010200000000001,`4503599627370009,`50.00,`2.00,"
    "`ORIGINAL,`SUCCESS,`600 coins,`,`-0.27000,`0.54%"
)
OLD_TOTALS = "总交易单数,总交易额,总退款金额,总企业红包退款金额,手续费总金额"
OLD_BILL = "\n".join([OLD_HEADER, OLD_REFUND, OLD_TOTALS, "`1,`0.00,`50.00,`2.00,`-0.27000"]) + "\n"


@pytest.mark.parametrize("quoted", [True, False])
def test_a_refund_in_the_old_layout_is_told_whole_with_its_fee(quoted: bool) -> None:
    text = OLD_BILL if quoted else OLD_BILL.replace("`", "")
    (told,) = facts(text.encode())
    assert (told.kind, told.money, told.fee) == (Kind.REFUNDED, Money(5000, "CNY"), Money(27, "CNY"))
    assert told.ref.refund == "4503599627370009"


def test_the_totals_of_the_old_layout_are_compared_too() -> None:
    with pytest.raises(Unreadable, match="totals"):
        facts(OLD_BILL.replace("`1,`0.00,`50.00", "`1,`0.00,`50.01").encode())


SPOILT: dict[str, Callable[[str], str]] = {
    "nothing": lambda text: "",
    "a page": lambda text: "<html><body>502 Bad Gateway</body></html>",
    "a column lost": lambda text: text.replace("申请退款金额", "退款申请金额"),
    "a total lost": lambda text: text.replace("订单总金额,申请", "订单合计,申请"),
    "no totals": lambda text: text[: text.index(TOTALS)],
    "totals without numbers": lambda text: text[: text.index(SUMS)],
    "another count": lambda text: text.replace("`2,`58.00", "`3,`58.00"),
    "another sum": lambda text: text.replace("`60.00,`50.00", "`60.01,`50.00"),
    "another sum of refunds": lambda text: text.replace("`60.00,`50.00", "`60.00,`5.00"),
    "a row lost": lambda text: text.replace(PAYMENT + "\n", ""),
    "a row twice": lambda text: text.replace(PAYMENT, PAYMENT + "\n" + PAYMENT),
    "a row after the totals": lambda text: text + PAYMENT + "\n",
    "another merchant": lambda text: text.replace("1900000109", "1900000222"),
    "totals in words": lambda text: text.replace("`2,`58.00", "`two,`58.00"),
    "half a row more": lambda text: text.replace("`2,`58.00", "`2.5,`58.00"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_bill_that_is_not_whole_or_not_ours_is_not_believed(spoil: Callable[[str], str]) -> None:
    spoilt = spoil(BILL)
    assert spoilt != BILL
    with pytest.raises(Unreadable):
        facts(spoilt.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2026-01-02 10:06:33", "yesterday"),
        ("2026-01-02 10:06:33", "2026-02-30 10:06:33"),
        ("`CNY", "`Yuan"),
        ("4200002360202601020000000001", ""),
        ("4503599627370497", " "),
    ],
)
def test_a_row_that_says_nothing_certain_is_not_told(old: str, new: str) -> None:
    with pytest.raises(Unreadable):
        facts(BILL.replace(old, new).encode())


@pytest.mark.parametrize("amount", ["60.001", "0.00", "-60.00"])
def test_a_row_without_an_exact_amount_is_not_told(amount: str) -> None:
    text = BILL.replace("`60.00,`0.00,`", f"`{amount},`0.00,`").replace("`60.00,`50.00", f"`{amount},`50.00")
    with pytest.raises(Unreadable, match="订单金额"):
        facts(text.encode())


def test_a_refund_without_its_number_is_not_told() -> None:
    with pytest.raises(Unreadable):
        facts(BILL.replace("`4503599627370009", "`").encode())


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(BILL.encode())[:-9],
        gzip.compress(BILL.encode())[:-8] + b"\x00" * 8,
        b"\x1f\x8b" + b"\x00" * 40,
        BILL.encode("gb18030"),
        BILL.encode("utf-16"),
        b"x" * (1024 * 1024),
    ],
    ids=["cut", "another checksum", "no gzip", "gb18030", "utf-16", "one endless line"],
)
def test_a_file_that_is_none_is_not_believed(content: bytes) -> None:
    with pytest.raises(Unreadable):
        facts(content)


def test_a_small_file_does_not_become_a_huge_text() -> None:
    bomb = BillFile(gzip.compress(b"\n" * (8 * 1024 * 1024)), max_text_bytes=1024 * 1024)
    for act in (bomb.sha1, lambda: list(bomb.lines())):
        with pytest.raises(Unreadable, match="larger"):
            act()


def test_the_hash_is_that_of_the_text() -> None:
    plain, gzipped = BillFile(BILL.encode()), BillFile(gzip.compress(BILL.encode()))
    assert plain.sha1() == gzipped.sha1()
    assert (plain.name_ending, gzipped.name_ending) == (".csv", ".csv.gz")
