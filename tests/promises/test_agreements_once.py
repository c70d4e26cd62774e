"""Nobody is charged twice for a period: not by workers at the same time, nor by one that dies at any step."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.facts import Fact
from app.services.base.context import Core
from app.services.calls import agreement_charges, agreement_queries
from tests.conftest import database_of
from tests.support import databases
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.faults import Fuse, Injected, fused_engine, raising
from tests.support.world import World, build_world

WORKERS = 4
DIES_AT_EACH = 3
"""Each so-many-th step of a charge is tried."""


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def test_workers_at_the_same_time_charge_a_period_once(house: AgreementHouse) -> None:
    house.world.clock.advance(7 * 3600)
    numbers = [house.signed(f"user-{n}") for n in range(3)]
    barrier = threading.Barrier(WORKERS)

    def work() -> None:
        barrier.wait(timeout=60)
        for number in numbers:
            agreement_queries.work_on_agreement(house.core, number)
            agreement_charges.charge_if_due(house.core, number)  # as one that is slower than its lease

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.later(minutes=5)
    assert sorted(trade.agreement for trade in house.debit.trades.values()) == sorted(map(str, numbers))
    for number in numbers:
        assert [period.status for period in house.periods(number)] == ["paid"]
        assert [payment.status for payment in house.payments(number)] == ["paid"]
    house.world.assert_balanced()


def test_of_agreements_that_are_signed_at_the_same_time_one_stays_and_the_others_are_never_charged(
    house: AgreementHouse,
) -> None:
    zones = ("UTC", "Asia/Shanghai", "Asia/Tokyo", "Europe/Paris")
    users = [f"user-{n}" for n in range(3)]
    for user in users:
        numbers = [house.sign(user, key=zone, zone=zone) for zone in zones]
        signed = [house.debit.user_signs(str(number)) for number in numbers]
        barrier = threading.Barrier(len(signed))

        def tell(fact: Fact, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(timeout=60)
            house.tell(fact)

        threads = [threading.Thread(target=tell, args=(fact,)) for fact in signed]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wanted_to_end = [number for number in numbers if house.row(number).cancel_at is not None]
        assert len(wanted_to_end) == len(numbers) - 1
    house.work()
    house.later(days=2)
    assert len(house.debit.trades) == len(users)
    assert [consent.ended_at is None for consent in house.debit.consents.values()].count(True) == len(users)
    house.world.assert_balanced()


@pytest.fixture(params=["sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, AgreementHouse]]:
    with database_of(request, tmp_path) as url, databases.engine_for(url) as engine:
        yield url, agreement_house(build_world(engine, databases.sessions_for(engine)))


def test_a_charge_that_dies_at_any_step_is_made_once_by_the_next_worker(place: tuple[str, AgreementHouse]) -> None:
    url, house = place
    house.world.clock.advance(7 * 3600)
    fuse = Fuse(raising)
    engine = fused_engine(url, fuse)
    dying: Core = replace(house.core, databases=databases.databases_of(databases.sessions_for(engine)))
    number = house.signed("nobody dies")
    with fuse.armed(0):
        agreement_queries.work_on_agreement(dying, number)
    steps = len(fuse.steps)
    assert steps > 20
    assert house.row(number).next_period == 1
    for at in range(1, steps + 1, DIES_AT_EACH):
        number = house.signed(f"user-{at}")
        with fuse.armed(at), contextlib.suppress(Injected):
            agreement_queries.work_on_agreement(dying, number)
        assert len(fuse.steps) >= at or at > steps - 4
        house.later(minutes=2)
        house.later(minutes=30)
        own = [trade for trade in house.debit.trades.values() if trade.agreement == str(number)]
        assert len(own) == 1, at
        assert house.world.coins(f"user-{at}") == 100, at
        assert [payment.status for payment in house.payments(number)] == ["paid"], at
        assert house.row(number).next_period == 1, at
    engine.dispose()
    house.world.assert_balanced()
