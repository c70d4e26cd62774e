"""A store's sales reports beside our books: what one side lacks is a difference, and goes when it is made good."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, select

from app.models.bills import BILL_LINES
from app.models.differences import DIFFERENCES
from app.services.bills import readings
from app.services.differences import comparisons
from app.services.differences.difference_rows import NotDone
from app.services.differences.repairs import Repair, carry_out, plan_repair
from app.services.differences.write_offs import confirm_write_off, propose_write_off
from plugins.apple.reports.calendar import day_period
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.databases import Sessions
from tests.support.world import build_world

FIRST = date(2026, 1, 1)
SINCE, UNTIL = datetime(2026, 1, 1, 8, tzinfo=UTC), datetime(2026, 1, 7, 8, tzinfo=UTC)
_d = DIFFERENCES.c


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    return Store(build_world(engine, sessions))


def bring_all(store: Store) -> None:
    """The reports of a week, made anew where there was one before."""
    for number in range(7):
        day = FIRST + timedelta(days=number)
        content = store.shop.store.reports.sales(day_period(day))
        if content is not None:
            readings.import_bill(store.core, store.account, "sales_report", f"sales {day}", content)


def differences(store: Store) -> list[tuple[str, str, str]]:
    wanted = select(_d.type, _d.subject, _d.state).order_by(_d.type, _d.subject)
    return [tuple(row) for row in store.core.whole.read(lambda tx: tx.execute(wanted).all())]


def test_a_purchase_that_nobody_told_us_is_a_difference_until_it_is_told(store: Store) -> None:
    device = store.device()
    device.buy(PRODUCT, quantity=2)
    store.shop.store.faults.lose = 1
    unheard = device.buy(PRODUCT, crash=True, storefront="JPN")
    store.deliver()
    store.shop.control("sell-other", sku="other.gems", app="SIMULATEDAPP", units=5, day="2026-01-06")
    bring_all(store)
    found = comparisons.compare_account(store.core, store.account, SINCE, UNTIL)
    assert (found.side, found.not_ours, found.zone) == ("sales", 5, "America/Los_Angeles")
    subject = f"1 x {PRODUCT}, JP, day 2026-01-01"
    assert differences(store) == [("theirs_not_ours", subject, "open")]
    device.resubmit(unheard)
    comparisons.compare_account(store.core, store.account, SINCE, UNTIL)
    assert differences(store) == [("theirs_not_ours", subject, "gone")]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_month_whose_refunds_differ_says_so_when_it_is_over(store: Store) -> None:
    back = store.device().buy(PRODUCT)
    store.deliver()
    store.shop.store.faults.lose = 2
    store.shop.control("refund", id=back)
    store.deliver()
    bring_all(store)
    assert comparisons.compare_account(store.core, store.account, SINCE, UNTIL).found == []
    month_end = datetime(2026, 2, 1, 8, tzinfo=UTC)
    comparisons.compare_account(store.core, store.account, SINCE, month_end)
    assert differences(store) == [("refund_extra", f"1 x {PRODUCT}, CN, refunds of 2026-01", "open")]


def repaired(store: Store, repair: Repair) -> str:
    row = store.core.whole.read(lambda tx: tx.execute(select(*_d)).one())
    plan = plan_repair(store.core, row.id, repair)
    carry_out(store.core, plan, actor="mei", reason="looked at the store's pages")
    return str(store.core.whole.read(lambda tx: tx.scalar(select(_d.state))))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_units_that_nobody_told_us_are_repaired_by_asking_the_store_what_it_told(store: Store) -> None:
    store.device().buy(PRODUCT)
    store.deliver()
    store.shop.store.faults.lose = 1
    store.device().buy(PRODUCT, crash=True)
    store.deliver()
    bring_all(store)
    comparisons.compare_account(store.core, store.account, SINCE, UNTIL)
    [(kind, _, state)] = differences(store)
    assert (kind, state) == ("theirs_not_ours", "open")
    assert repaired(store, Repair.ASK) == "gone"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_units_that_a_report_lacks_are_repaired_by_its_new_version_or_two_persons_say_that_nothing_is_to_be_done(
    store: Store,
) -> None:
    store.device().buy(PRODUCT)
    store.world.clock.advance(3 * 86_400)
    store.device("bob").buy(PRODUCT)
    store.deliver()
    store.shop.control("sell-other", sku="other.gems", app="SIMULATEDAPP", units=5, day="2026-01-06")
    bring_all(store)
    of_bob = BILL_LINES.c.at > SINCE + timedelta(days=2), BILL_LINES.c.at < SINCE + timedelta(days=5)
    store.core.whole.transact(lambda tx: tx.execute(delete(BILL_LINES).where(*of_bob)))
    comparisons.compare_account(store.core, store.account, SINCE, UNTIL)
    [(kind, subject, state)] = differences(store)
    assert (kind, state) == ("ours_not_theirs", "open"), subject
    row = store.core.whole.read(lambda tx: tx.execute(select(*_d)).one())
    assert repaired(store, Repair.ASK) == "open", "the store says that we are right"
    propose_write_off(store.core, row.id, "their report is wrong", actor="mei")
    with pytest.raises(NotDone, match="another person"):
        confirm_write_off(store.core, row.id, actor="mei")
    confirm_write_off(store.core, row.id, actor="li")
    assert comparisons.compare_account(store.core, store.account, SINCE, UNTIL).kept.reopened == 0
    assert differences(store) == [(kind, subject, "written_off")]
    readings.read_bills_again(store.core, store.account)
    comparisons.compare_account(store.core, store.account, SINCE, UNTIL)
    assert differences(store) == [(kind, subject, "open")], "a person takes the write-off back"
