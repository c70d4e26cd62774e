"""A closed month never changes; what comes late counts when it is booked; and every trial balance by accounting time is
the naive sum over all transfers."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, select, update

from app.domain.accounting_time import Basis, Span, accounting_at, month_span
from app.domain.bill_lines import LineKind
from app.domain.ledger import Transfer, system
from app.domain.report_tables import Amount
from app.models.differences import DIFFERENCES
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import transact
from app.services.finance import closings, recognition
from app.services.finance.accounting_periods import closed_months, moved_by, prior_period_adjustments
from app.services.finance.closings import MonthToClose, NotClosable
from app.services.finance.liability_reports import liability_lines
from app.services.ledger import post
from app.services.ledger.deferred import deferred_revenue
from app.services.reports.general_ledger import ADJUSTMENT_COLUMNS, adjustments_table
from app.services.reports.unspent_coins import unspent_coins
from tests.services.finance.conftest import CHINA, Shop, line
from tests.support.database_console import edit
from tests.support.ledger_core import books_at

MEI, LI = "operator:mei", "operator:li"
END = month_span("2026-01", CHINA).until
FIRST_DAYS = datetime(2026, 2, 3, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def _close(shop: Shop, month: str = "2026-01") -> None:
    closings.propose(shop.world.core, month, actor=MEI, checks=[closings.bills_are_booked])
    closings.confirm(shop.world.core, month, actor=LI)


def _three_are_open(_: object, month: MonthToClose) -> str:
    return f"three differences of {month.month}"


def _naive(shop: Shop, moment: datetime) -> dict[str, int]:
    core = shop.world.core
    closed = core.whole.read(closed_months)
    accounts = {
        (row.slot, row.id): row
        for row in core.whole.read(lambda s: s.execute(select(ACCOUNTS).prefix_with(sweep("audit"))).all())
    }
    sums: dict[str, int] = {}
    for row in core.whole.read(lambda s: s.execute(select(TRANSFERS).prefix_with(sweep("audit"))).all()):
        if accounting_at(row.created_at, row.effective_at, closed) <= moment:
            for number, minor in ((row.debit_id, -row.amount), (row.credit_id, row.amount)):
                account = accounts[row.slot, number]
                if account.asset == "CNY":
                    sums[account.code] = sums.get(account.code, 0) + minor
    return sums


def test_a_closed_month_stays_as_it_is_and_a_late_payment_counts_when_it_is_booked(shop: Shop, engine: Engine) -> None:
    shop.sell("k1")
    payment = shop.world.order("bob", key="k2").payments[0]
    shop.world.pay(payment.id)  # in January, but its message comes much later
    shop.bill([line("1", LineKind.FEE, -4, datetime(2026, 1, 2, 4, tzinfo=UTC))])
    with pytest.raises(NotClosable, match="a day later"):
        closings.propose(shop.world.core, "2026-01", actor=MEI)
    shop.go_to(FIRST_DAYS)
    shop.book()
    with pytest.raises(NotClosable, match="checkpoints are behind"):
        closings.propose(shop.world.core, "2026-01", actor=MEI)
    shop.write_checkpoints()
    with pytest.raises(NotClosable, match="three differences"):
        closings.propose(shop.world.core, "2026-01", actor=MEI, checks=[_three_are_open])
    despite = "the bank is closed"
    row = closings.propose(shop.world.core, "2026-01", actor=MEI, checks=[_three_are_open], despite=despite)
    assert (row.status, row.despite) == ("proposed", "the bank is closed")
    with pytest.raises(NotClosable, match="another person"):
        closings.confirm(shop.world.core, "2026-01", actor="backend:shop/mei")
    closings.confirm(shop.world.core, "2026-01", actor=LI)
    before = shop.balances(END - TICK)
    assert before == {"clearing:sandbox": -600, "sales": 600}, "the fee was booked after the books were closed"
    shop.world.deliver()
    shop.go_to(FIRST_DAYS + timedelta(days=3))
    shop.write_checkpoints()
    assert shop.balances(END - TICK) == before == _naive(shop, END - TICK)
    assert shop.balances(FIRST_DAYS - TICK)["sales"] == 600
    assert shop.balances(FIRST_DAYS + timedelta(hours=1))["sales"] == 1200
    core, span = shop.world.core, Span(END, shop.world.clock.now())
    adjusted = core.whole.read(lambda tx: [(row.kind, row.amount) for row in prior_period_adjustments(tx, span)])
    assert sorted(adjusted) == [("bill_fee", 4), ("bonus", 6), ("payment", 600), ("purchase", 60)]
    rows = core.whole.read(lambda tx: [list(row) for row in adjustments_table(tx, span).rows])
    told = [dict(zip(ADJUSTMENT_COLUMNS, row, strict=True)) for row in rows]
    assert {row["kind"]: row["amount"] for row in told}["payment"] == Amount(600, "CNY")
    assert {row["kind"]: row["amount"] for row in told}["purchase"] == 60
    assert {END - timedelta(days=31) <= row["effective_at"] < END <= row["booked_at"] for row in told} == {True}
    assert shop.audited() == []
    with pytest.raises(NotClosable, match="closed already"):
        closings.confirm(shop.world.core, "2026-01", actor="operator:wu")
    with pytest.raises(NotClosable, match="one after another"):
        closings.propose(shop.world.core, "2025-12", actor=MEI)


def test_a_payment_that_is_told_after_its_month_was_closed_is_a_sale_of_the_month_of_its_booking(shop: Shop) -> None:
    core, payment = shop.world.core, shop.world.order("bob", key="k2").payments[0]
    shop.sell("k1")
    shop.world.pay(payment.id)
    shop.go_to(FIRST_DAYS)
    shop.write_checkpoints()
    assert recognition.recognise_next(core)
    _close(shop)
    shop.world.deliver()
    shop.go_to(FIRST_DAYS + timedelta(days=3))
    while recognition.recognise_next(core):
        pass
    until = FIRST_DAYS.date() + timedelta(days=1)
    rolled = core.whole.read(
        lambda tx: [(one.about.sale_month, one.closing_minor) for one in liability_lines(tx, until, until)]
    )
    assert rolled == [("2026-01", 600), ("2026-02", 600)]
    closed = core.whole.read(closed_months)
    deferred = core.whole.read(lambda tx: deferred_revenue(tx, closed=closed))
    assert [(about.month, sums.value_minor) for about, sums in deferred.items()] == rolled
    by_user = core.whole.read(lambda tx: [(row[0], row[4], row[7]) for row in unspent_coins(tx).rows], snapshot=True)
    cny = Amount(600, "CNY")
    assert sorted(by_user, key=str) == [("alice", "2026-01", cny), ("bob", "2026-02", cny)]


def test_an_open_month_is_reported_by_effective_time_and_as_it_was_booked(shop: Shop) -> None:
    payment = shop.world.order("bob", key="k2").payments[0]
    shop.world.pay(payment.id)
    paid = shop.world.clock.now()
    shop.world.clock.advance(timedelta(days=2).total_seconds())
    shop.world.deliver()
    assert shop.balances(paid)["sales"] == 600
    assert shop.balances(paid, Basis.BOOKING) == {}
    assert shop.balances(paid - TICK) == {}
    core = shop.world.core
    moved = core.whole.read(
        lambda tx: moved_by(tx, Basis.EFFECTIVE, now=core.clock.now(), since=paid + TICK), snapshot=True
    )
    assert moved.sheets == ()
    shop.world.assert_balanced()


def test_at_every_moment_it_is_the_naive_sum_by_accounting_time(shop: Shop) -> None:
    chance, core = random.Random(5), shop.world.core
    start = shop.world.clock.now()
    keys = itertools.count()
    for month in ("2026-01", "2026-02"):
        for _ in range(40):
            shop.world.clock.advance(chance.choice((60, 3600, 70_000, 110_000)))
            at = shop.world.clock.now()
            told = at - timedelta(hours=chance.choice((0, 0, 1, 30, 900))) + timedelta(seconds=chance.choice((0, 5)))
            pair = [system(code, "CNY") for code in chance.sample(("clearing:a", "sales", "suspense", "bank:a"), 2)]
            transfer = Transfer("t", str(next(keys)), *pair, chance.randrange(1, 999), "payment", effective_at=told)
            books_at(core.whole.sessions, at).transact(lambda tx, t=transfer: post(tx, int(t.key) % 9, [t]))
        if shop.world.clock.now() < (until := month_span(month, CHINA).until + timedelta(days=2)):
            shop.go_to(until)
        shop.write_checkpoints()
        _close(shop, month)
        last = shop.world.clock.now()
        for _ in range(12):
            moment = start + chance.random() * (last - start)
            assert shop.balances(moment) == _naive(shop, moment), moment
    assert len(core.whole.read(closed_months)) == 2
    assert "closing" not in shop.audited()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_proposal_that_another_closing_overtook_is_made_anew(shop: Shop) -> None:
    core = shop.world.core
    shop.sell("k1")
    shop.go_to(FIRST_DAYS + timedelta(days=60))
    shop.write_checkpoints()
    for month in ("2026-02", "2026-01", "2026-03"):
        closings.propose(core, month, actor=MEI, checks=[closings.bills_are_booked])
    shop.world.clock.advance(timedelta(days=1).total_seconds())
    closings.propose(core, "2026-01", actor=MEI, checks=[closings.bills_are_booked])
    closings.confirm(core, "2026-01", actor=LI)
    for month in ("2026-02", "2026-03"):
        with pytest.raises(NotClosable, match="propose again"):
            closings.confirm(core, month, actor=LI)
    _close(shop, "2026-02")
    assert shop.audited() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whoever_changes_a_closed_month_is_found(shop: Shop, engine: Engine) -> None:
    shop.sell("k1")
    shop.go_to(FIRST_DAYS)
    shop.write_checkpoints()
    _close(shop)
    assert shop.audited() == []
    for change, what in {
        "UPDATE closings SET booked_until = '2026-02-20 00:00:00.000000'": "seal",
        "UPDATE closings SET document = '{}'": "closing",
        "UPDATE transfers SET created_at = '2026-03-01 00:00:00.000000' WHERE kind = 'payment'": "closing",
    }.items():
        edit(engine, change)
        assert what in shop.audited(), change


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_month_with_an_open_difference_is_closed_only_with_a_reason(shop: Shop) -> None:
    core = shop.world.core
    shop.sell("k1")
    happened = shop.world.clock.now()
    shop.go_to(FIRST_DAYS)
    shop.write_checkpoints()
    while recognition.recognise_next(core):
        pass
    about = {"provider_account": "sandbox", "id": 1, "side": "trades", "type": "amount", "subject": "s", "zone": "UTC"}
    times = {"at": happened, "opened_at": happened, "changed_at": happened}
    transact(core.whole.sessions, lambda tx: tx.execute(insert(DIFFERENCES).values(**about, **times, state="open")))
    with pytest.raises(NotClosable, match="1 differences are open"):
        closings.propose(core, "2026-01", actor=MEI)
    assert closings.propose(core, "2026-01", actor=MEI, despite="the bank answers in May").despite
    settled = update(DIFFERENCES).values(state="gone", closed_at=happened)
    transact(core.whole.sessions, lambda tx: tx.execute(settled))
    assert closings.propose(core, "2026-01", actor=MEI).despite == ""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_month_waits_for_its_bills(shop: Shop, engine: Engine) -> None:
    """Only for those that the worker fetches: it says how far it is, and a reason closes the month all the same."""
    shop.go_to(FIRST_DAYS)
    shop.write_checkpoints()
    shop.world.serve(replace(shop.world.account, scan={"payments": 60, "trade_bill": 60, "fund_bill": 60}))

    def refusal() -> str:
        with pytest.raises(NotClosable) as refused:
            closings.propose(shop.world.core, "2026-01", actor=MEI, checks=[closings.bills_are_fetched])
        return refused.value.detail

    assert refusal().startswith("fund_bill of sandbox was fetched never")
    row = "INSERT INTO scans (provider_account, feed, since, until, cursor, next_at, tries, problem) VALUES "
    edit(engine, f"{row} ('sandbox', 'fund_bill', '{END}', '{END + TICK}', NULL, '{END}', 0, '')")
    started = END - timedelta(days=2)
    edit(engine, f"{row} ('sandbox', 'trade_bill', '{started}', '{FIRST_DAYS}', '2026-01-30', '{END}', 9, 'no answer')")
    assert refusal().startswith("trade_bill of sandbox was fetched until 2026-01-29T16:00:00+00:00")
    despite = "the provider has lost it"
    closings.propose(shop.world.core, "2026-01", actor=MEI, despite=despite, checks=[closings.bills_are_fetched])
    edit(engine, "UPDATE scans SET cursor = NULL")
    assert closings.propose(shop.world.core, "2026-01", actor=MEI, checks=[closings.bills_are_fetched]).despite == ""
