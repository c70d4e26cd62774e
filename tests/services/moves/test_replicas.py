"""Reports of several databases are read at a replica of each, and never over two that do not fit together."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select, update

from app.composition import build_replica
from app.config import Settings
from app.models.base import Base
from app.models.slot_guard import sweep
from app.models.slot_map import SLOT_MAP
from app.services.base.context import Core
from app.services.base.errors import SlotsFrozen
from app.services.base.replica import ReportsUnavailable
from app.services.payments import orders
from app.services.payments.order_rows import OrderFilter
from tests.services.moves.house import DELETING, HIGH, MAP, MOVED, SLOT, STAYS, House, before_commit, blow
from tests.support import databases
from tests.support.faults import Injected

pytestmark = pytest.mark.one_database
_numbers = itertools.count()


@pytest.fixture
def copied(house: House, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """The URL of what a replica of the database of this name knows that has heard of nothing since."""
    with ExitStack() as stack:

        def copy(name: str) -> str:
            file = tmp_path / f"{name}-{next(_numbers)}.sqlite3"
            return stack.enter_context(databases.copy_of(house.engines[name], file))

        yield copy


@contextlib.contextmanager
def _reading(house: House, first: str, second: str) -> Iterator[Core]:
    """The service with these replicas."""
    each = [
        {"name": name, "url": engine.url.render_as_string(hide_password=False), "reports_url": url}
        for (name, engine), url in zip(house.engines.items(), (first, second), strict=True)
    ]
    replica = build_replica(Settings(env="test", databases=each))
    assert replica is not None
    try:
        yield replace(house.core, replica=replica)
    finally:
        replica.dispose()


def _listed(core: Core) -> list[str]:
    page = orders.list_orders(core, OrderFilter(None, None), None, 10)
    return sorted(view.order.user_id for view in page.rows)


def _sum(core: Core) -> int:
    wanted = select(func.count()).select_from(Base.metadata.tables["orders"]).prefix_with(sweep("report"))
    return int(core.whole.read(lambda tx: tx.scalar(wanted), snapshot=True))


def test_reports_say_what_the_replicas_have_heard_and_a_move_stops_none(
    house: House, copied: Callable[[str], str]
) -> None:
    house.buys(MOVED)
    house.buys(HIGH)
    with _reading(house, copied("first"), copied("second")) as core:
        house.buys(STAYS)
        assert (_listed(core), _sum(core)) == ([MOVED, STAYS, HIGH], 3)
        behind = core.for_reports()
        assert (_listed(behind), _sum(behind)) == ([MOVED, HIGH], 2)

        def while_frozen() -> None:
            assert house.maps.is_current()
            with pytest.raises(SlotsFrozen):
                _sum(core)
            assert _sum(core.for_reports()) == 2

        list(house.mover(while_frozen).move([SLOT], "second", at_once=1))


def test_replicas_that_have_not_heard_of_the_same_map_are_not_summed(
    house: House, copied: Callable[[str], str]
) -> None:
    house.buys(MOVED)
    house.buys(HIGH)
    before = {name: copied(name) for name in house.engines}
    with before_commit(house.engines["first"], DELETING, blow), pytest.raises(Injected):
        house.move()
    assert _listed(house.core) == [MOVED, HIGH], "once, though its rows are in both"
    both = {name: copied(name) for name in house.engines}
    house.move(resume=True)
    after = {name: copied(name) for name in house.engines}
    for first, second in ((before, after), (after, before), (both, both), (before, both), (after, both)):
        with (
            _reading(house, first["first"], second["second"]) as core,
            pytest.raises(ReportsUnavailable, match="not all replicas have heard of it yet"),
        ):
            core.for_reports()
    with _reading(house, after["first"], after["second"]) as core:
        assert _sum(core.for_reports()) == 2
        began = core.for_reports()
        engine = create_engine(after["second"])
        with engine.begin() as connection:
            connection.execute(update(SLOT_MAP).values(document=MAP.freezing([SLOT]).document))
        engine.dispose()
        with pytest.raises(ReportsUnavailable, match="at this moment"):
            _sum(began)
    with (
        _reading(house, before["second"], before["first"]) as core,
        pytest.raises(ReportsUnavailable, match="the replica of 'first' follows another database: 'second'"),
    ):
        core.for_reports()
