"""The database is killed in mid-flight: nothing that was acknowledged is lost, and nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from app.models.engine import engine_options, prepare
from tests.conftest import create_schema
from tests.support import databases
from tests.support.world import World, build_world

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]
USERS = 60
KILLS = 3


class Server:
    """A PostgreSQL of this test's own, with durable commits, on a socket in its own folder."""

    def __init__(self, folder: Path) -> None:
        self._bin = Path(databases.server_package().__file__).parent / "pginstall" / "bin"
        self._data = folder / "data"
        self._folder = folder
        self._user = "postgres" if os.geteuid() else self._unprivileged()
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=on -c synchronous_commit=on -c max_connections=40"
        options += " -c recovery_init_sync_method=syncfs"  # one flush after a crash, in place of one for each file
        self._control("start", "-o", options, "-l", str(self._folder / "log"))

    def kill(self) -> None:
        """As if the machine lost its power: no checkpoint, no goodbye."""
        self._control("stop", "-m", "immediate")

    def _control(self, action: str, *arguments: str) -> None:
        self._run("pg_ctl", action, "-D", str(self._data), "-w", "-t", "60", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        account = {"user": self._user, "group": self._user, "extra_groups": []} if not os.geteuid() else {}
        done = subprocess.run(  # type: ignore[call-overload]
            [str(self._bin / program), *arguments],
            check=False,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,  # a pipe would be inherited by the server and never end
            stderr=subprocess.DEVNULL,
            **account,
        )
        assert done.returncode == 0, f"{program} {arguments[0]}: {done.returncode}"

    def _unprivileged(self) -> str:
        """PostgreSQL refuses to run as root: the account that the package made for its own server."""
        databases.server_url()
        name = "pgserver"
        os.chown(self._folder, *_ids(name))
        return name


def _ids(name: str) -> tuple[int, int]:
    import pwd

    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="tb-", dir="/tmp") as folder:
        running = Server(Path(folder))
        try:
            yield running
        finally:
            with contextlib.suppress(AssertionError):
                running.kill()


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
            assert [i for i in before if world.payment(i).status != "paid"] == []
        for future in told:
            future.result(timeout=120)
    for number in range(USERS):
        assert world.coins(f"user-{number}") == 66
    assert world.money("sales") == USERS * 600
    world.assert_balanced()
