"""The sandbox's bills: when they are made, what is in them, and what is no bill."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.money import Money
from app.providers import BillContent, BillLine, BillSide, Declined, LineKind, Retryable, Unknown, UnreadableBill
from app.providers.testing.conformance import make_intent
from app.providers.testing.conformance.checks import online
from app.providers.testing.doubles import FixedClock
from plugins.sandbox.bills import MAX_PROBLEMS, BillingSandbox
from tests.plugins.sandbox.billing_world import BillingWorld
from tests.plugins.sandbox.world import MERCHANT

DAY = date(2026, 1, 2)
START = datetime(2026, 1, 2, tzinfo=UTC)
A_DAY = timedelta(days=1)


class Till:
    """A merchant of the sandbox on one day, and the bills of that day."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.world = BillingWorld(self.clock)
        provider = online(self.world)
        assert isinstance(provider, BillingSandbox)
        self.provider = provider
        self.desk = self.world.simulator.bills

    def sell(self, minor: int = 600, currency: str = "CNY") -> str:
        """A paid payment; its number."""
        intent = make_intent(self.clock, "page", Money(minor, currency))
        self.provider.start(intent)
        self.world.pay(intent)
        return str(intent.ref.ours)

    def bill(self, feed: str) -> BillContent:
        self.clock.advance(max(0.0, (START + 2 * A_DAY - self.clock.now()).total_seconds()))
        page = self.provider.scan(feed, START, START + A_DAY, None)
        assert (page.facts, page.cursor) == ((), None)
        bill = self.provider.read_bill(feed, *page.files[0])
        assert bill.problems == page.problems
        return bill

    def lines(self, feed: str) -> list[BillLine]:
        return list(self.bill(feed).lines)


@pytest.fixture
def till() -> Till:
    return Till()


def document(*rows: dict[str, object], **foot: object) -> bytes:
    """A bill of trades with these rows and this foot."""
    head = {"bill": "TRADES", "merchant": MERCHANT, "live": False}
    head |= {"since": "2026-01-02T00:00:00Z", "until": "2026-01-03T00:00:00Z"}
    told = {"rows": len(rows), "sums": {}, **foot}
    return "".join(f"{json.dumps(line)}\n" for line in (head, *rows, told)).encode()


def row(**changes: object) -> dict[str, object]:
    named = {"id": "1", "payment_id": "sbx_1", "payment_number": "77"}
    return {**named, "kind": "PAYMENT", "at": "2026-01-02T03:04:05Z", "amount": 0, "currency": "CNY", **changes}


def test_a_bill_is_made_an_hour_after_its_day(till: Till) -> None:
    till.clock.advance((START + A_DAY + timedelta(minutes=59) - till.clock.now()).total_seconds())
    with pytest.raises(Retryable):
        till.provider.scan("trade_bill", START, START + A_DAY, None)
    till.clock.advance(60)
    page = till.provider.scan("trade_bill", START, START + A_DAY, None)
    assert [name for name, _ in page.files] == [f"{MERCHANT}_2026-01-02_trades.jsonl"]


def test_a_bill_is_one_page_a_day(till: Till) -> None:
    till.clock.advance(5 * A_DAY.total_seconds())
    page = till.provider.scan("fund_bill", START, START + 2 * A_DAY, None)
    assert page.cursor == "2026-01-03"
    assert till.provider.scan("fund_bill", START, START + 2 * A_DAY, page.cursor).cursor is None
    with pytest.raises(Declined):
        till.provider.scan("fund_bill", START, START + 2 * A_DAY, "tomorrow")


def test_both_sides_of_a_day_tell_the_same_money(till: Till) -> None:
    number = till.sell()
    payment = till.world.simulator.books.find(MERCHANT, number=number)
    till.world.simulator.console_refund(payment, 150)
    trades, funds = till.bill("trade_bill"), till.bill("fund_bill")
    assert (trades.side, funds.side) == (BillSide.TRADES, BillSide.FUNDS)
    assert [(line.amount_minor, line.fee_minor) for line in trades.lines] == [(600, -4), (-150, 1)]
    assert [(line.kind.value, line.amount_minor, line.balance_minor) for line in funds.lines] == [
        ("payment", 600, 600),
        ("fee", -4, 596),
        ("refund", -150, 446),
        ("fee_return", 1, 447),
    ]
    assert sum(line.net_minor for line in trades.lines) == sum(line.net_minor for line in funds.lines) == 447
    assert {line.ours for line in funds.lines} == {number}


def test_a_refund_that_was_taken_back_and_the_fee_of_a_dispute_are_rows(till: Till) -> None:
    simulator = till.world.simulator
    payment = simulator.books.find(MERCHANT, number=till.sell())
    simulator.dispute(payment, 600, 150)
    till.clock.advance(60)
    simulator.decide_refund(payment, payment.refunds[0], "REVERSED")
    told = {line.kind: line for line in till.lines("fund_bill") if line.word != "FEE"}
    assert (told[LineKind.REFUND].amount_minor, told[LineKind.FEE].amount_minor) == (-600, -150)
    back = told[LineKind.ADJUSTMENT]
    assert (back.amount_minor, back.refund) == (600, payment.refunds[0].number)
    assert back.at - told[LineKind.REFUND].at == timedelta(minutes=1)


def test_each_currency_has_a_balance_of_its_own(till: Till) -> None:
    till.sell()
    till.sell(1_000, "JPY")
    till.desk.gives_fees_back = False
    number = till.desk.pay_out(MERCHANT, 500, "JPY")
    last = {line.currency: line for line in till.lines("fund_bill")}
    assert (last["CNY"].balance_minor, last["JPY"].balance_minor) == (596, 494)
    assert (last["JPY"].kind, last["JPY"].related, last["JPY"].theirs) == (LineKind.PAYOUT, number, None)


def test_the_balance_changes_by_hand(till: Till) -> None:
    asked = json.dumps({"kind": "GIFT", "amount": 7, "currency": "CNY"}).encode()
    path = f"http://sandbox.example/_control/merchants/{MERCHANT}/movements"
    number = json.loads(till.world.http.request("POST", path, body=asked).body)["number"]
    (line,) = till.lines("fund_bill")
    assert (line.kind, line.word, line.amount_minor, line.related) == (LineKind.OTHER, "GIFT", 7, number)


def test_rows_are_left_out_or_there_twice_on_demand(till: Till) -> None:
    first, second = (till.world.simulator.books.find(MERCHANT, number=till.sell()).id for _ in range(2))
    till.desk.missing.add(f"{first}-payment")
    till.desk.twice.add(f"{second}-payment")
    told = till.lines("trade_bill")
    assert [(line.theirs, line.key) for line in told] == [
        (second, f"{second}-payment"),
        (second, f"{second}-payment_again"),
    ]


def test_an_odd_row_is_a_problem_and_the_others_are_told(till: Till) -> None:
    good, odd = till.sell(), till.sell()
    till.world.simulator.books.find(MERCHANT, number=odd).odd = {"amount": "six hundred"}
    bill = till.bill("trade_bill")
    assert [line.ours for line in bill.lines] == [good]
    assert bill.problems == ("row 2 is not as documented: amount",)


def test_of_many_odd_rows_some_are_named(till: Till) -> None:
    content = document(*[row(amount="?")] * (MAX_PROBLEMS + 2))
    assert till.provider.read_bill("trade_bill", "", content).problems[-1] == "and 2 more"


def test_zero_and_no_sum_are_equal(till: Till) -> None:
    for sums in ({}, {"CNY": {"amount": 0, "fee": 0}}):
        (line,) = till.provider.read_bill("trade_bill", "", document(row(), sums=sums)).lines
        assert line.amount_minor == 0


@pytest.mark.parametrize(
    ("feed", "content"),
    [
        ("trade_bill", document(row(), rows=2)),
        ("trade_bill", document(row(amount=1))),
        ("trade_bill", document(row(fee=-1))),
        ("trade_bill", document(row(), sums={"JPY": {"amount": 1, "fee": 0}})),
        ("trade_bill", document(row())[:-1]),
        ("trade_bill", document().partition(b"\n")[0] + b"\n"),
        ("trade_bill", document().replace(b"2026-01-03", b"2026-01-02")),
        ("fund_bill", document()),
        ("payments", document()),
        ("trade_bill", b"\n\n\n"),
    ],
    ids=["count", "amounts", "fees", "currency", "cut", "head alone", "no time", "another side", "no bill", "blank"],
)
def test_what_does_not_add_up_is_not_read(till: Till, feed: str, content: bytes) -> None:
    with pytest.raises(UnreadableBill):
        till.provider.read_bill(feed, "", content)


def test_a_spoilt_bill_is_fetched_again(till: Till) -> None:
    till.desk.made[MERCHANT, "trades", DAY.isoformat()] = "spoilt"
    till.clock.advance(2 * A_DAY.total_seconds())
    with pytest.raises(Unknown, match="cannot be read"):
        till.provider.scan("trade_bill", START, START + A_DAY, None)
