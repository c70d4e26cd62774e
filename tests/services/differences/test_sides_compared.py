"""A day's trade bill and account bill agree by number: what is in one and not in the other is a difference."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.domain.bill_lines import BillLine, LineKind
from app.providers.facts import Fact
from app.services.differences.repairs import Repair, plan_repair
from app.services.differences.write_offs import write_off_entries
from tests.support.settling_house import DAY, NOON, SECOND_DAY, SettlingHouse, alien_line, line_of, settling_house
from tests.support.world import World

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> SettlingHouse:
    return settling_house(world)


def fund_rows(fact: Fact, at: datetime | None = None, fee: int = -4, **changes: object) -> list[BillLine]:
    """How an account bill tells of this fact: gross, and the fee in a row of its own."""
    line = replace(line_of(fact, fee_minor=0), at=at or fact.at, **changes)  # type: ignore[arg-type]
    kind = LineKind.FEE if fee < 0 else LineKind.FEE_RETURN
    taken = replace(line, key=f"fee of {line.key}", kind=kind, amount_minor=fee, at=line.at + timedelta(seconds=1))
    return [line, taken] if fee else [line]


def found(house: SettlingHouse) -> Counter[tuple[str, str]]:
    return Counter((row.side, row.type) for row in house.listed())


def test_each_disagreement_of_the_two_bills_has_its_type_and_what_agrees_is_none(house: SettlingHouse) -> None:
    same, missing, amount, fee, no_fee, back = (house.paid(f"user {n}") for n in range(6))
    coupon, twice = house.paid("coupon"), house.paid("twice")
    gone, kept, unnamed = (house.refunded(back, f"R-{n}", 100 + n) for n in range(3))
    trades = [line_of(fact, fee_minor=-4) for fact in (same, missing, amount, fee, no_fee, back, twice)]
    trades.append(line_of(coupon, fee_minor=-4, discount_minor=-50))
    trades += [line_of(fact, fee_minor=1) for fact in (gone, kept, unnamed)]
    trades.append(line_of(gone, key="asked", refund="R-7", undecided=True))
    funds = [*fund_rows(same), *fund_rows(amount, amount_minor=700), *fund_rows(fee, fee=-5), *fund_rows(no_fee, fee=0)]
    funds += [*fund_rows(back), *fund_rows(twice), *fund_rows(coupon, amount_minor=550)]
    funds.append(replace(line_of(twice), key="a second row"))
    funds += [*fund_rows(gone, fee=1), *fund_rows(unnamed, fee=1, refund=None, ours=None)]
    funds += fund_rows(gone, fee=0, key="one more", refund="R-9", amount_minor=-70)
    funds.append(alien_line("T-nobody", "1234567890123456789"))
    house.bring("2026-01-02", trades)
    house.bring("funds", funds, feed="funds")
    house.world.clock.advance(30 * 86_400)
    assert house.compare().matched == 11, "the books agree with the trades"
    every = [
        "ours_not_theirs",
        "amount",
        "fee",
        "fee",
        "duplicate",
        "refund_missing",
        "refund_extra",
        "theirs_not_ours",
    ]
    assert found(house) == Counter(("funds", kind) for kind in every)
    told = {row.type: (row.theirs, row.refund, row.ours_minor, row.theirs_minor) for row in house.listed()}
    assert told["ours_not_theirs"] == (missing.ref.theirs, None, 600, None)
    assert told["amount"] == (amount.ref.theirs, None, 600, 700)
    assert told["refund_missing"] == (kept.ref.theirs, "R-1", -101, None)
    assert told["refund_extra"] == (gone.ref.theirs, "R-9", None, -70)
    assert {(row.theirs, row.ours_minor, row.theirs_minor) for row in house.listed() if row.type == "fee"} == {
        (fee.ref.theirs, -4, -5),
        (no_fee.ref.theirs, -4, 0),
    }
    again = house.compare()
    assert (again.kept.opened, again.kept.reopened, again.kept.gone) == (0, 0, 0)


@ONE_DATABASE
def test_a_row_of_the_next_day_or_of_the_agreed_cycle_is_no_difference_and_days_without_a_bill_say_nothing(
    house: SettlingHouse,
) -> None:
    """The first day's trade bill is missing: the account bill's row just after midnight is of that day."""
    before, at_midnight = house.paid("before", at=SECOND_DAY - timedelta(seconds=5)), house.paid("midnight")
    end = SECOND_DAY + DAY
    house.bring("2026-01-02", [line_of(at_midnight, fee_minor=-4)])
    house.bring("funds 2", fund_rows(before, at=SECOND_DAY + timedelta(seconds=5)), feed="funds")
    assert house.compare().found == []
    house.bring("2026-01-03", [], end)
    house.bring("funds 3", fund_rows(at_midnight, at=end + timedelta(seconds=9)), end, feed="funds")
    house.world.clock.advance(30 * 86_400)
    house.compare(days=2)
    assert house.listed("all") == []
    house.bring("funds 3", [], end, feed="funds")
    house.bring("funds 9", fund_rows(at_midnight, at=NOON + 7 * DAY), SECOND_DAY + 7 * DAY, feed="funds")
    house.compare(days=8)
    assert found(house) == Counter([("funds", "late")])
    house.set_account(settles_within_days=8)
    house.compare(days=8)
    assert house.listed() == []


@ONE_DATABASE
def test_what_other_systems_sold_on_a_shared_account_is_not_compared_and_a_difference_of_two_bills_asks_the_provider(
    house: SettlingHouse,
) -> None:
    alien, mine = alien_line("T-1", "shop-1"), house.paid("a")
    house.set_account(shared=True)
    back = replace(alien, key="back", kind=LineKind.REFUND, amount_minor=-100, refund="r-1", ours=None)
    house.bring("2026-01-02", [alien, line_of(mine)])
    house.bring("funds", [replace(alien, amount_minor=500), back], feed="funds")
    house.world.clock.advance(30 * 86_400)
    house.compare()
    row = house.only()
    assert (row.side, row.type, row.ours) == ("funds", "ours_not_theirs", mine.ref.ours)
    assert plan_repair(house.world.core, row.id).repair is Repair.ASK
    house.bring("funds", fund_rows(mine, fee=0), feed="funds")
    assert house.compare().kept.gone == 1


@ONE_DATABASE
def test_where_the_account_bill_agrees_with_the_books_the_trade_bill_alone_is_odd_and_that_is_one_difference(
    house: SettlingHouse,
) -> None:
    missing, amount, back = house.paid("a"), house.paid("b"), house.paid("c")
    named, unnamed = house.refunded(back, "R-1", 100), house.refunded(back, "R-2", 150)
    house.bring("2026-01-02", [line_of(amount, amount_minor=700), line_of(back)])
    rows = [fund_rows(missing, fee=0), fund_rows(amount, fee=0), fund_rows(back, fee=0), fund_rows(named, fee=0)]
    rows.append(fund_rows(unnamed, fee=0, refund=None, ours=None))
    house.bring("funds", [row for each in rows for row in each], feed="funds")
    house.world.clock.advance(30 * 86_400)
    house.compare()
    said = ["ours_not_theirs", "amount", "refund_missing", "refund_missing"]
    assert found(house) == Counter(("trades", kind) for kind in said)
    house.bring("funds", [*rows[0], *fund_rows(amount, amount_minor=650, fee=0)], feed="funds")
    house.compare()
    more = [("funds", "amount"), ("funds", "ours_not_theirs")]
    assert found(house) == Counter([*(("trades", kind) for kind in said), *more]), "of the refunds no bill tells"


@ONE_DATABASE
def test_what_the_trade_bill_alone_tells_wrongly_is_written_off_without_money(house: SettlingHouse) -> None:
    """The account bill has the money as the books do, so they owe each other nothing. What neither bill has is lost."""
    house.set_account(settles_within_days=1)
    missing, other, coupon, lost = (house.paid(name) for name in ("missing", "other sum", "coupon", "lost"))
    back = house.refunded(coupon, "R-1", 100)
    told = line_of(coupon, amount_minor=650, discount_minor=-50)
    house.bring("trades", [line_of(other, amount_minor=700), told])
    rows = [*fund_rows(missing), *fund_rows(other), *fund_rows(coupon, amount_minor=550), *fund_rows(back, fee=0)]
    house.bring("funds", rows, feed="funds")
    for number in range(1, 8):
        for feed in ("trade", "funds"):
            house.bring(f"{feed} {number}", [], SECOND_DAY + number * DAY, feed=feed)
    house.compare()
    core = house.world.core

    def booked(theirs: str | None, refund: str | None = None) -> list[tuple[int, str]]:
        [row] = [row for row in house.listed() if (row.side, row.theirs, row.refund) == ("trades", theirs, refund)]
        entries = core.home.read(lambda tx: write_off_entries(tx, row))
        return [(entry.total, next(line.account for line in entry.lines if line.debit)) for entry in entries]

    assert [booked(fact.ref.theirs) for fact in (missing, other, coupon)] == [[], [], []]
    assert booked(back.ref.theirs, "R-1") == []
    assert booked(lost.ref.theirs) == [(600, "writeoff")]
