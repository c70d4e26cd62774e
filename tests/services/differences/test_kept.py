"""A comparison that dies while it writes is followed by one that writes the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from app.domain.bill_lines import BillSide
from app.domain.differences import Difference, DifferenceType
from app.services.differences.difference_rows import DIFFERENCES_AT_ONCE, Where, keep_found
from tests.support.faults import Killed
from tests.support.settling_house import DAY, NOON, SECOND_DAY
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MANY = DIFFERENCES_AT_ONCE + 50


def found(dies_at: int | None = None) -> Iterator[tuple[BillSide, Difference]]:
    for number in range(MANY):
        if number == dies_at:
            raise Killed
        at = NOON + timedelta(seconds=number)
        yield BillSide.TRADES, Difference(DifferenceType.LATE, str(number), at, theirs=f"T-{number}")


def test_what_a_dying_comparison_left_is_written_by_the_next_one(world: World) -> None:
    where = Where("sandbox", SECOND_DAY, SECOND_DAY + DAY, "UTC")
    with pytest.raises(Killed):
        keep_found(world.core, where, found(dies_at=MANY - 1), "worker")
    done = keep_found(world.core, where, found(), "worker")
    assert (done.opened, done.stayed, done.gone) == (50, DIFFERENCES_AT_ONCE, 0)
    assert keep_found(world.core, where, [], "worker").gone == MANY
