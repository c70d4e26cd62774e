"""The trade bill: the sample, the simulator's, and files that must not be believed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.money import Money
from app.providers import Declined, Kind, Misconfigured, Retryable, Unknown, key_of
from plugins.alipay.bills import MAX_ENTRIES, TRADE_BILL, read_bill
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
    paid, refunded = read_bill(SAMPLE, MERCHANT)
    assert (paid.kind, paid.money, paid.fee) == (Kind.PAID, Money(600, "CNY"), Money(4, "CNY"))
    assert key_of(paid) == "paid:2026010322001412345678900001"
    assert paid.at == datetime(2026, 1, 3, 1, 0, 5, tzinfo=UTC)
    assert (refunded.kind, refunded.money, refunded.fee) == (Kind.REFUNDED, Money(200, "CNY"), None)
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
        return [(fact.kind, fact.ref, fact.money, fact.at) for fact in read_bill(content, MERCHANT)]

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
        lambda text: text.replace("2026-01-03 09:00:05", "yesterday"),
        lambda text: text.replace(",6.00,6.00,", ",6.001,6.00,"),
        lambda text: "",
    ],
    ids=["count", "sum", "a row lost", "no foot", "another account", "no column", "odd time", "odd amount", "empty"],
)
def test_a_bill_that_is_not_whole_or_not_ours_is_not_believed(change: Callable[[str], str]) -> None:
    with pytest.raises(Unknown):
        read_bill(zipped(change(sample_text())), MERCHANT)


def test_a_kind_that_did_not_occur_that_day_needs_no_total() -> None:
    lines = [line for line in sample_text().splitlines() if "退款" not in line or "支付宝交易号" in line]
    (paid,) = read_bill(zipped("\n".join(lines)), MERCHANT)
    assert paid.kind is Kind.PAID
    quiet = [line for line in lines if line.startswith(("#", "支付宝交易号")) and "合计" not in line]
    assert read_bill(zipped("\n".join([*quiet, "#交易合计：0笔，商家实收共0.00元"])), MERCHANT) == ()
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
    gateway.bill_urls["t"] = (here.clock.now() + timedelta(seconds=30), "2026-01-02")
    assert gateway.bill("t")
    here.clock.advance(30)
    assert gateway.bill("t") is None
    assert gateway.bill("never given out") is None
