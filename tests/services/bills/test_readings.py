"""Kept bills are read into lines once, whoever dies on the way; what cannot be read is refused and says nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.bill_lines import BillContent, BillLine
from app.providers.facts import Page
from app.services.bills import readings
from app.services.bills.kept_bills import BillWindow, keep_bills
from app.worker import Worker
from tests.support.faults import Killed
from tests.support.settling_house import (
    DAY,
    NOON,
    SECOND_DAY,
    BillMaker,
    SettlingHouse,
    alien_line,
    bill_bytes_of,
    line_of,
    settling_house,
)
from tests.support.world import World

MANY = readings.LINES_IN_BATCH + 500


@pytest.fixture
def house(world: World) -> SettlingHouse:
    return settling_house(world)


@dataclass
class Interrupted(BillMaker):
    """In the middle of its first long bill something happens."""

    happens: Callable[[], None] | None = None

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        told = super().read_bill(feed, name, content)
        return replace(told, lines=self._until_it_happens(told.lines))

    def _until_it_happens(self, lines: Iterable[BillLine]) -> Iterator[BillLine]:
        for number, line in enumerate(lines):
            if number == MANY - 1 and self.happens is not None:
                happens, self.happens = self.happens, None
                happens()
            yield line


class Mended(BillMaker):
    """It knows now that the number of rows at the head of a bill cannot be relied on."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        told = json.loads(content)
        return super().read_bill(feed, name, json.dumps({**told, "rows": len(told["lines"])}).encode())


def keep(house: SettlingHouse, name: str, content: bytes, feed: str = "trade") -> None:
    keep_bills(house.world.core, BillWindow("sandbox", feed, SECOND_DAY, SECOND_DAY + DAY), [(name, content)])


def read_all(house: SettlingHouse) -> int:
    return readings.read_unread(house.world.core, [house.account], 100)


def lines(house: SettlingHouse) -> list[Any]:
    wanted = readings.LineFilter("sandbox")
    return list(readings.list_lines(house.world.core, wanted, None, 10_000).rows)


def test_a_reader_that_died_is_followed_by_one_that_goes_on_behind_it(house: SettlingHouse) -> None:
    def die() -> None:
        raise Killed

    house.set_account(provider=Interrupted(house.maker.inner, happens=die))
    keep(house, "2026-01-02", bill_bytes_of([alien_line(f"T-{number}", None) for number in range(MANY)]))
    with pytest.raises(Killed):
        read_all(house)
    assert house.readings() == [("2026-01-02", "reading", readings.LINES_IN_BATCH)]
    assert (lines(house), house.compare().side) == ([], None), "half a bill says nothing"
    assert read_all(house) == 1
    assert house.readings() == [("2026-01-02", "read", MANY)]
    assert [line.theirs for line in lines(house)] == [f"T-{number}" for number in range(MANY)]
    assert read_all(house) == 0, "the same bytes are read once"


def test_of_two_who_read_one_bill_at_once_one_stops(house: SettlingHouse) -> None:
    other: list[int] = []
    house.set_account(provider=Interrupted(house.maker.inner, happens=lambda: other.append(read_all(house))))
    keep(house, "2026-01-02", bill_bytes_of([alien_line(f"T-{number}", None) for number in range(MANY)]))
    assert (read_all(house), other) == (0, [1])
    assert house.readings() == [("2026-01-02", "read", MANY)]
    assert len(lines(house)) == MANY


def test_a_bill_that_is_made_anew_takes_the_place_of_the_earlier_one_in_whatever_order_they_are_read(
    house: SettlingHouse,
) -> None:
    keep(house, "2026-01-02", bill_bytes_of([alien_line("T-1", None)]))
    house.world.clock.advance(1)
    keep(house, "2026-01-02", bill_bytes_of([alien_line("T-1", None), alien_line("T-2", None)]))
    assert read_all(house) == 2
    assert sorted(status for _, status, _ in house.readings()) == ["read", "replaced"]
    assert [line.theirs for line in lines(house)] == ["T-1", "T-2"]
    assert readings.read_bills_again(house.world.core, house.account) == 2
    assert [line.theirs for line in lines(house)] == ["T-1", "T-2"]


def test_what_cannot_be_read_is_refused_with_its_reason_and_read_when_its_plugin_is_mended(
    house: SettlingHouse,
) -> None:
    good = [alien_line("T-1", None)]
    keep(house, "garbage", b"PK\x03\x04")
    keep(house, "short", bill_bytes_of(good, rows=2))
    keep(house, "another's", bill_bytes_of(good, account="m-2"))
    keep(house, "odd", bill_bytes_of(good, problems=["row 3: no time"]))
    with capture_logs() as logged:
        assert read_all(house) == 4
    assert [line["log_level"] for line in logged if line["event"] == "bill_refused"] == ["error"] * 4
    refused = house.world.core.whole.read(lambda tx: readings.list_readings(tx, "sandbox", "refused"))
    assert {row.name: row.problem for row in refused} == {
        "garbage": "not a bill",
        "short": "rows are missing",
        "another's": "the bill of another merchant",
        "odd": "1 rows cannot be read: row 3: no time",
    }
    assert (lines(house), read_all(house)) == ([], 0)
    with pytest.raises(readings.NotReadable, match="rows are missing"):
        readings.import_bill(house.world.core, house.account, "trade", "by hand", bill_bytes_of(good, rows=2))
    house.set_account(provider=Mended(house.maker.inner))
    assert readings.read_bills_again(house.world.core, house.account, "short", refused_only=True) == 1
    assert [line.theirs for line in lines(house)] == ["T-1"]


def test_the_worker_reads_a_bill_that_it_fetched_compares_its_day_and_does_so_again_until_the_pool_is_over(
    house: SettlingHouse,
) -> None:
    paid, unknown = house.paid("a"), house.paid("b")
    house.set_account(scan={"trade": 60})
    house.maker.page = Page((), None, (("2026-01-02", bill_bytes_of([line_of(paid)])),))
    worker = Worker(house.world.core)
    worker.run_once()
    assert house.readings() == [("2026-01-02", "read", 1)]
    assert house.listed("all") == []
    house.maker.page = Page((), None)
    for _ in range(6):
        house.world.clock.advance(86_400)
        worker.run_once()
    assert [(row.type, row.theirs) for row in house.listed()] == [("ours_not_theirs", unknown.ref.theirs)]
    late = bill_bytes_of([line_of(unknown, at=NOON + timedelta(hours=1))], SECOND_DAY + 4 * DAY)
    house.maker.page = Page((), None, (("2026-01-06", late),))
    house.world.clock.advance(86_400)
    worker.run_once()
    assert (house.only("gone").theirs, house.listed()) == (unknown.ref.theirs, [])


def test_a_provider_that_goes_back_to_an_earlier_version_of_a_bill_is_believed(house: SettlingHouse) -> None:
    paid = house.paid("alice")
    right, wrong = [line_of(paid)], [line_of(paid, amount_minor=700)]
    for lines in (right, wrong, right, wrong):
        house.bring("2026-01-02", lines)
        house.world.clock.advance(60)
        house.compare()
        assert [row.type for row in house.listed()] == ([] if lines is right else ["amount"])
    assert [status for _, status, _ in house.readings()] == ["replaced", "read"]
