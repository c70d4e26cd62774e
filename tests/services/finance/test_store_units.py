"""Units by a store's sales reports beside those by its signed purchases, with reports that the test writes by hand."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.bill_lines import BillLine, BillSide, LineKind, StoreCell
from app.domain.facts import Fact, Kind
from app.domain.imported_agreements import OwnerLine
from app.domain.money import Money
from app.domain.store_cells import UnitDifference, UnitFault
from app.services.facts import parked
from app.services.finance.store_units import refund_differences, unit_differences
from app.services.intake.imported_owners import import_owners
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.bill_writer import BillWriter
from tests.support.imported_periods import paid_before
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PACIFIC = ZoneInfo("America/Los_Angeles")
FIRST, LAST = date(2026, 1, 2), date(2026, 1, 4)
PRODUCT = "vip.monthly"


@pytest.fixture
def house(world: World) -> AgreementHouse:
    house = agreement_house(world)
    world.clock.advance(86_400 * 10)
    return house


def bought(house: AgreementHouse, name: str, day: date, **told: object) -> Fact:
    at = datetime.combine(day, time(12), PACIFIC).astimezone(UTC)
    fact = paid_before(storefront="CN")
    fact = replace(fact, ref=replace(fact.ref, theirs=name, agreement=name), at=at, period_end=at + timedelta(days=30))
    fact = replace(fact, **told)  # type: ignore[arg-type]
    house.tell(fact, "store")
    return fact


def report(house: AgreementHouse, day: date, *units: int, price: int = 900, days: int = 1) -> None:
    """The store's report from that day on."""
    since = datetime.combine(day, time(), PACIFIC)
    at = since + timedelta(hours=12)
    cells = [StoreCell(PRODUCT, "CN", count, price, "CNY") for count in units]
    lines: Iterable[BillLine] = [
        BillLine(f"{day}:{number}", LineKind.OTHER, at, 0, "CNY", cell=cell) for number, cell in enumerate(cells)
    ]
    writer = BillWriter(house.core.whole.sessions, "store", str(PACIFIC), numbers=_NUMBERS)
    writer.write(f"sales {day}", BillSide.SALES, since, since + timedelta(days=days), lines, house.core.clock.now())


_NUMBERS = itertools.count(1)


def units(house: AgreementHouse) -> list[UnitDifference]:
    account = house.core.registry.get("store")
    assert account is not None
    return house.core.whole.read(lambda tx: unit_differences(tx, account, FIRST, LAST))


def test_units_agree_across_midnight_and_what_one_side_knows_alone_is_found(house: AgreementHouse) -> None:
    bought(house, "t-1", FIRST, quantity=2)
    bought(house, "t-2", FIRST + timedelta(days=1))
    bought(house, "t-free", FIRST, price=Money(0, "CNY"))
    assert units(house) == [], "nothing is reported yet"
    report(house, FIRST, 2)
    report(house, FIRST + timedelta(days=1))
    report(house, FIRST + timedelta(days=2), 1)  # the store counts t-2 on the next day
    report(house, FIRST + timedelta(days=3))
    assert units(house) == []
    report(house, FIRST + timedelta(days=2), 1, 3)
    assert units(house) == [UnitDifference(UnitFault.THEIRS_NOT_OURS, PRODUCT, "CN", FIRST + timedelta(days=2), 3)]


def test_refunds_are_counted_by_month_and_a_purchase_once(house: AgreementHouse) -> None:
    paid = bought(house, "t-1", FIRST)
    for number, share in (("1", 40_000), ("2", 100_000)):
        ref = replace(paid.ref, refund=number)
        house.tell(replace(paid, kind=Kind.REFUNDED, ref=ref, share=share, price=None, at=paid.at), "store")
    account = house.core.registry.get("store")
    assert account is not None
    report(house, FIRST, 1, -1)

    def refunds() -> list[UnitDifference]:
        return house.core.whole.read(lambda tx: refund_differences(tx, account, FIRST.replace(day=1)))

    assert refunds() == []
    report(house, FIRST, 1, -2)
    assert [(one.fault, one.units) for one in refunds()] == [(UnitFault.THEIRS_NOT_OURS, 1)]


def test_a_purchase_whose_buyer_became_known_later_is_one_purchase(house: AgreementHouse) -> None:
    token = uuid.UUID(int=77)
    bought(house, "t-1", FIRST + timedelta(days=1), owner=str(token))
    import_owners(house.core, [OwnerLine("store", token, "carol")])
    assert parked.look_at_parked(house.core, parked.PARKED_START)[0] == 1
    for day in range(4):
        report(house, FIRST + timedelta(days=day), *([1] if day == 1 else []))
    assert units(house) == []
