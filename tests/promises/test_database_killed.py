"""The database is killed in mid-flight: nothing that was acknowledged is lost, and nothing is done twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from app.models.engine import UNREACHABLE_SECONDS, engine_options, prepare
from tests.conftest import create_schema
from tests.support import databases
from tests.support.own_server import Server, own_server
from tests.support.world import World, build_world

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]
USERS = 60
KILLS = 3


@pytest.fixture
def server() -> Iterator[Server]:
    with own_server() as running:
        yield running


def test_nothing_that_was_acknowledged_is_lost_when_the_database_is_killed(server: Server) -> None:
    create_schema(server.url)
    engine = prepare(create_engine(server.url, **engine_options(server.url)))
    world = build_world(engine, databases.sessions_for(engine))
    try:
        _pay_while_it_dies(world, server)
    finally:
        engine.dispose()


def _pay_while_it_dies(world: World, server: Server) -> None:
    ids = [world.order(f"user-{number}").payments[0].id for number in range(USERS)]
    for payment_id in ids:
        world.simulator.faults.lose = 1
        world.pay(payment_id)
    acknowledged: set[int] = set()
    waiting = threading.Semaphore(0)

    def provider_tells(payment_id: int) -> None:
        """Until it is acknowledged, as providers do."""
        while payment_id not in acknowledged:
            if world.receive(world.notification(payment_id)).status == 200:
                acknowledged.add(payment_id)
            waiting.release()

    with ThreadPoolExecutor(6) as pool:
        told = [pool.submit(provider_tells, payment_id) for payment_id in ids]
        for _ in range(KILLS):
            for _ in range(USERS // (KILLS + 2)):
                assert waiting.acquire(timeout=60)
            server.kill()
            # What was acknowledged up to here must be there when the server is back.
            before = set(acknowledged)
            server.start()
            _wait_until_read(world, ids[0])
            assert [i for i in before if world.payment(i).status != "paid"] == []
        for future in told:
            future.result(timeout=120)
    for number in range(USERS):
        assert world.coins(f"user-{number}") == 66
    assert world.money("sales") == USERS * 600
    world.assert_balanced()


def _wait_until_read(world: World, payment_id: int) -> None:
    """Whoever connected slowly while the server came back lets all others fail at once for a while."""
    until = time.monotonic() + 4 * UNREACHABLE_SECONDS
    while True:
        try:
            world.payment(payment_id)
            return
        except OperationalError:
            assert time.monotonic() < until
            time.sleep(0.1)
