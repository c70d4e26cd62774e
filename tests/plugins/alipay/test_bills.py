"""The trade bill: the sample, the simulator's, and files that must not be believed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.money import Money
from app.providers import Declined, Kind, Misconfigured, Retryable, Unknown, key_of
from plugins.alipay.bills.documents import MAX_ENTRIES, MAX_PROBLEMS
from plugins.alipay.bills.downloads import TRADE_BILL
from plugins.alipay.bills.trade_bill import Bill, read_bill
from plugins.alipay.formats import beijing_day, day_start
from plugins.alipay.mapping import Merchant
from tests.plugins.alipay.actors import Stage, intent_for, stage
from tests.plugins.alipay.samples import FOLDER

SAMPLE = (FOLDER / "bill_trade_20260103.zip").read_bytes()
MERCHANT = Merchant("2021000000000001", "2088000000000001", "", live=True)
DAY = timedelta(days=1)


def zipped(text: str, name: str = "x业务明细.csv", more: int = 0) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, text.encode("gb18030"))
        for number in range(more):
            archive.writestr(f"{number}.txt", "")
    return target.getvalue()


def sample_text() -> str:
    with zipfile.ZipFile(io.BytesIO(SAMPLE), metadata_encoding="gbk") as archive:
        name = next(name for name in archive.namelist() if name.endswith("业务明细.csv"))
        return archive.read(name).decode("gbk")


def test_the_sample_bill_tells_a_payment_and_a_refund() -> None:
    paid, refunded = read_bill(SAMPLE, MERCHANT).facts
    assert (paid.kind, paid.money, paid.fee) == (Kind.PAID, Money(600, "CNY"), Money(4, "CNY"))
    assert key_of(paid) == "paid:2026010322001412345678900001"
    assert paid.at == datetime(2026, 1, 3, 1, 0, 5, tzinfo=UTC)
    assert (refunded.kind, refunded.money, refunded.fee) == (Kind.REFUNDED, Money(200, "CNY"), Money(1, "CNY"))
    assert key_of(refunded) == "refunded:2026010222001412345678901234:R20260103000001"
    assert paid.account == MERCHANT.account


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("（", "(").replace("）", ")"),
        lambda text: text.replace("\t", ""),
        lambda text: text.replace("备注", "备注,新列").replace("\r\n", "\n"),
        lambda text: text.replace(",-2.00,-2.00,", ",2.00,2.00,").replace("共-2.00", "共2.00"),
    ],
    ids=["half-width brackets", "without tabs", "a new column", "a positive refund"],
)
def test_the_forms_that_bills_come_in_are_read_alike(change: Callable[[str], str]) -> None:
    def told(content: bytes) -> list[object]:
        return [(fact.kind, fact.ref, fact.money, fact.at) for fact in read_bill(content, MERCHANT).facts]

    assert told(zipped(change(sample_text()))) == told(SAMPLE)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("交易合计：1笔", "交易合计：2笔"),
        lambda text: text.replace("商家实收共6.00元", "商家实收共6.01元"),
        lambda text: "\n".join(line for line in text.splitlines() if "退款," not in line),
        lambda text: text.replace("#退款合计", "#"),
        lambda text: text.replace("20880000000000010156", "20880000000000090156"),
        lambda text: text.replace("支付宝交易号,", "交易号,"),
        lambda text: "",
    ],
    ids=["count", "sum", "a row lost", "no foot", "another account", "no column", "empty"],
)
def test_a_bill_that_is_not_whole_or_not_ours_is_not_believed(change: Callable[[str], str]) -> None:
    with pytest.raises(Unknown):
        read_bill(zipped(change(sample_text())), MERCHANT)


def test_a_kind_that_did_not_occur_that_day_needs_no_total() -> None:
    lines = [line for line in sample_text().splitlines() if "退款" not in line or "支付宝交易号" in line]
    (paid,) = read_bill(zipped("\n".join(lines)), MERCHANT).facts
    assert paid.kind is Kind.PAID
    quiet = [line for line in lines if line.startswith(("#", "支付宝交易号")) and "合计" not in line]
    assert read_bill(zipped("\n".join([*quiet, "#交易合计：0笔，商家实收共0.00元"])), MERCHANT) == Bill((), ())
    with pytest.raises(Unknown):
        read_bill(zipped("\n".join(quiet)), MERCHANT)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", SAMPLE[:-30], SAMPLE.replace(b"PK\x01\x02", b"PK\x01\x00"), zipped("x", name="other.csv")],
    ids=["empty", "a stub", "cut", "no directory", "no detail file"],
)
def test_what_is_no_bill_is_not_believed(content: bytes) -> None:
    with pytest.raises(Unknown):
        read_bill(content, MERCHANT)


def test_an_archive_of_too_many_files_is_not_opened() -> None:
    with pytest.raises(Unknown):
        read_bill(zipped(sample_text(), more=MAX_ENTRIES), MERCHANT)


@pytest.fixture
def here() -> Stage:
    """A payment and its partial refund on 2 January, Beijing time."""
    made = stage()
    made.paid(intent_for(made.clock))
    made.clock.advance(60)
    made.alipay.refund_by_hand("4503599627370497", 150, "R1")
    return made


def test_a_bill_is_one_page_a_day_with_its_file(here: Stage) -> None:
    second = day_start(date(2026, 1, 2))
    here.clock.advance((3 * DAY).total_seconds())
    page = here.provider.scan(TRADE_BILL, second, second + 2 * DAY, None)
    assert [fact.kind for fact in page.facts] == [Kind.PAID, Kind.REFUNDED]
    assert page.cursor == "2026-01-03"
    assert [name for name, _ in page.files] == ["2088000000000001_20260102.zip"]
    last = here.provider.scan(TRADE_BILL, second, second + 2 * DAY, page.cursor)
    assert (last.facts, last.cursor) == ((), None)


def test_a_bill_tells_the_same_payment_as_the_notice(here: Stage) -> None:
    told = here.provider.receive(here.inbox.messages[0]).facts[0]
    second = day_start(date(2026, 1, 2))
    here.clock.advance((2 * DAY).total_seconds())
    listed = here.provider.scan(TRADE_BILL, second, second + DAY, None).facts[0]
    assert (key_of(told), told.money, told.at, told.ref) == (key_of(listed), listed.money, listed.at, listed.ref)


def test_a_window_inside_a_day_cuts_the_page(here: Stage) -> None:
    now = here.clock.now()
    here.clock.advance((2 * DAY).total_seconds())
    page = here.provider.scan(TRADE_BILL, now - timedelta(seconds=30), now + timedelta(hours=1), None)
    assert [fact.kind for fact in page.facts] == [Kind.REFUNDED]


def test_a_bill_that_is_not_made_yet_is_to_be_asked_for_again(here: Stage) -> None:
    now = here.clock.now()
    with pytest.raises(Retryable) as error:
        here.provider.scan(TRADE_BILL, now - timedelta(hours=1), now, None)
    assert error.value.code == "BILL_NOT_EXIST"
    nine_the_next_morning = day_start(beijing_day(now - timedelta(hours=1))) + DAY + timedelta(hours=9)
    assert error.value.not_before == nine_the_next_morning > now
    here.clock.advance((nine_the_next_morning - now).total_seconds() + 60)
    here.alipay.gateway.business_faults = ["BILL_NOT_EXIST"]
    with pytest.raises(Retryable) as error:
        here.provider.scan(TRADE_BILL, now - timedelta(hours=1), now, None)
    assert error.value.not_before == here.clock.now() + timedelta(minutes=30)


@pytest.mark.parametrize("code", ["BILL_NOT_EXIST", "NO_BILL_DATA", "isp.NO_BILL_DATA"])
def test_a_day_without_trades_is_an_empty_page_once_its_bill_is_overdue(here: Stage, code: str) -> None:
    since = day_start(date(2026, 1, 2))
    here.clock.advance((3 * DAY).total_seconds())
    here.alipay.gateway.business_faults = [code]
    if code.startswith("isp."):
        with pytest.raises(Unknown):
            here.provider.scan(TRADE_BILL, since, since + DAY, None)
        return
    page = here.provider.scan(TRADE_BILL, since, since + DAY, None)
    assert (page.facts, page.files) == ((), ())


def test_a_foreign_cursor_or_feed_is_refused(here: Stage) -> None:
    now = here.clock.now()
    with pytest.raises(Declined):
        here.provider.scan(TRADE_BILL, now, now, "page-2")
    with pytest.raises(Misconfigured):
        here.provider.scan("ledger", now, now, None)


def test_a_bills_address_dies_after_half_a_minute(here: Stage) -> None:
    here.clock.advance((2 * DAY).total_seconds())
    gateway = here.alipay.gateway
    gateway.bill_urls["t"] = (here.clock.now() + timedelta(seconds=30), "trade", "2026-01-02")
    assert gateway.bill("t")
    here.clock.advance(30)
    assert gateway.bill("t") is None
    assert gateway.bill("never given out") is None


def test_a_bill_of_a_past_day_is_made_once(here: Stage) -> None:
    """What is dated back later is in no bill: Alipay does not make one again."""
    second = day_start(date(2026, 1, 2))
    here.clock.advance((2 * DAY).total_seconds())
    before = here.provider.scan(TRADE_BILL, second, second + DAY, None)
    trade = here.alipay.gateway.trades.find("4503599627370497")
    trade.refunds[0].at = second
    trade.refunds[0].fen = 1
    after = here.provider.scan(TRADE_BILL, second, second + DAY, None)
    assert before == after


# --- odd rows, and fees that come back


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ("2026-01-03 09:00:05", "yesterday", Kind.REFUNDED),
        (",6.00,6.00,", ",6.001,6.00,", Kind.REFUNDED),
        (",6.00,6.00,", ",6.00,six,", Kind.REFUNDED),
        ("2026010322001412345678900001", "no number", Kind.REFUNDED),
        ("2026-01-03 10:00:00", "2026-13-03 10:00:00", Kind.PAID),
        ("R20260103000001", "R" * 65, Kind.PAID),
        (",退款,", ",转账,", Kind.PAID),
        (",交易,", ",,", Kind.REFUNDED),
    ],
)
def test_an_odd_row_becomes_a_problem_and_stops_no_other(old: str, new: str, left: Kind) -> None:
    text = sample_text()
    row = next(line for line in text.splitlines() if old in line and not line.startswith("#"))
    bill = read_bill(zipped(text.replace(row, row.replace(old, new, 1))), MERCHANT)
    assert [fact.kind for fact in bill.facts] == [left]
    (problem,) = bill.problems
    assert problem.startswith("row ")
    assert "买家" not in problem


def test_a_row_that_was_cut_short_is_a_problem() -> None:
    text = sample_text()
    row = next(line for line in text.splitlines() if ",交易," in line)
    bill = read_bill(zipped(text.replace(row, row[: row.index("2026-01-03 09:00:05")])), MERCHANT)
    assert [fact.kind for fact in bill.facts] == [Kind.REFUNDED]
    assert len(bill.problems) == 1


@pytest.mark.parametrize("subject", ['"金币', '金"币"', "金币\x00", "金币, 大包"])
def test_a_products_name_harms_its_own_row_at_most(subject: str) -> None:
    text = sample_text().replace(",交易,金币包,", f",交易,{subject},")
    bill = read_bill(zipped(text), MERCHANT)
    assert Kind.REFUNDED in [fact.kind for fact in bill.facts]
    assert len(bill.facts) + len(bill.problems) == 2


def test_a_letter_that_is_no_letter_costs_nothing() -> None:
    content = sample_text().encode("gb18030").replace("金币".encode("gb18030"), b"\xff\xff", 1)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x业务明细.csv", content)
    assert len(read_bill(target.getvalue(), MERCHANT).facts) == 2


def test_of_many_odd_rows_some_are_named_and_the_rest_counted() -> None:
    text = sample_text()
    row = next(line for line in text.splitlines() if ",交易," in line)
    many = text.replace(row, "\r\n".join([row] + [row.replace(",交易,", ",转账,")] * (MAX_PROBLEMS + 5)))
    bill = read_bill(zipped(many), MERCHANT)
    assert (len(bill.facts), len(bill.problems), bill.problems[-1]) == (2, MAX_PROBLEMS + 1, "and 5 more")


def test_totals_without_a_heading_are_a_quiet_day() -> None:
    text = "#支付宝业务明细查询\n#账号：[20880000000000010156]\n#交易合计：0笔，商家实收共0.00元，商家优惠共0.00元\n"
    assert read_bill(zipped(text), MERCHANT) == Bill((), ())


@pytest.mark.parametrize(
    ("fee", "money", "problems"),
    [("0.01", 1, 0), ("0.00", 0, 0), ("", None, 0), ("-0.01", None, 1), ("-0.00", 0, 0)],
)
def test_the_fee_of_a_refund_row_is_what_came_back(fee: str, money: int | None, problems: int) -> None:
    text = sample_text().replace("R20260103000001,0.01,", f"R20260103000001,{fee},")
    bill = read_bill(zipped(text), MERCHANT)
    assert bill.facts[1].fee == (None if money is None else Money(money, "CNY"))
    assert len(bill.problems) == problems


def test_the_fees_of_a_day_of_the_simulator_come_back_in_part(here: Stage) -> None:
    here.alipay.gateway.gives_fees_back = True
    second = day_start(date(2026, 1, 2))
    here.clock.advance((2 * DAY).total_seconds())
    paid, refunded = here.provider.scan(TRADE_BILL, second, second + DAY, None).facts
    assert (paid.fee, refunded.fee) == (Money(4, "CNY"), Money(1, "CNY"))


def test_a_bill_that_stays_unreadable_is_handed_on_with_its_problem(here: Stage) -> None:
    """Cut short on its way it is fetched again; after two days the feed goes on, and a person has the file."""
    second = day_start(date(2026, 1, 2))
    here.alipay.gateway.bills.made["trade", "2026-01-02"] = b"PK spoilt"
    here.clock.advance((day_start(date(2026, 1, 3)) + timedelta(hours=10) - here.clock.now()).total_seconds())
    with pytest.raises(Unknown):
        here.provider.scan(TRADE_BILL, second, second + 2 * DAY, None)
    here.clock.advance(DAY.total_seconds())
    page = here.provider.scan(TRADE_BILL, second, second + 2 * DAY, None)
    assert (page.facts, page.cursor, [content for _, content in page.files]) == ((), "2026-01-03", [b"PK spoilt"])
    (problem,) = page.problems
    assert "cannot be read" in problem
