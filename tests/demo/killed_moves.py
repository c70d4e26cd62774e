"""`python -m tests.demo.killed_moves [EACH]`: `tillbook slots move` is killed before each (or each so manyth) of its
commits, and run again.

Two PostgreSQL databases, and a slot whose user has bought and been told. After each kill the command is repeated;
then all rows must lie in the other database, once and as they were, nothing where they were, both maps must say so, and
the audit's seal must be the one from the beginning. The slot goes to and fro until no commit is left. Some minutes.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from app.domain.limits import LedgerRules
from app.domain.numbers import SLOTS
from app.domain.slot_map import map_of
from app.services.audit.ledger import AsOf, AuditState, audit_slot
from app.services.base.context import SystemClock
from app.services.base.slot_maps import newest_kept, write_missing
from app.services.moves.slot_rows import Digests, digests_of
from tests.conftest import create_schema
from tests.demo.house import ROOT
from tests.demo.people import say
from tests.support import databases
from tests.support.world import build_world

NAMES = ("first", "second")
OTHER = {"first": "second", "second": "first"}
SETTINGS = """
env = "test"
[provider_accounts.box]
plugin = "sandbox"
live = false
base_url = "http://127.0.0.1:1"
merchant = "m-1"
secret = "a secret that is long enough here"
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A slot as it lies in one of the databases."""

    rows: Digests
    seal: str


class KilledMoves:
    """One slot of the first database, moved to and fro by a command that dies."""

    def __init__(self, engines: dict[str, Engine], slot: int, folder: Path) -> None:
        self.engines = engines
        self.slot = slot
        self.lies_in = "first"
        self.lay_in_both = False
        """Whether both databases had its rows when the command was killed last: copied, and not yet deleted."""
        write_missing(engines, map_of([("first", [(0, SLOTS // 2 - 1)]), ("second", [(SLOTS // 2, SLOTS - 1)])]))
        listed = [
            {"name": name, "url": engine.url.render_as_string(hide_password=False)} for name, engine in engines.items()
        ]
        (folder / "tillbook.toml").write_text(SETTINGS)
        ours = {name: value for name, value in os.environ.items() if not name.upper().startswith("TILLBOOK_")}
        self._environ = {
            **ours,
            "TILLBOOK_CONFIG": str(folder / "tillbook.toml"),
            "TILLBOOK_DATABASES": json.dumps(listed),
        }
        self.was = self.look("first")
        assert self.was.rows
        assert self.was.seal

    def look(self, name: str) -> Found:
        with self.engines[name].connect() as connection:
            rows = digests_of(connection, [self.slot])
        state = AuditState()
        audit_slot(sessionmaker(self.engines[name]), self.slot, state, as_of=AsOf(LedgerRules(), SystemClock().now))
        assert state.clean
        return Found(rows, state.seal)

    def command(self, kill_at: int, *words: str) -> subprocess.CompletedProcess[str]:
        move = ("slots", "move", str(self.slot), "--to", OTHER[self.lies_in], "--wait", "0")
        program = [sys.executable, "-m", "tests.support.killed_command", str(kill_at), *move, *words]
        return subprocess.run(program, cwd=ROOT, env=self._environ, capture_output=True, text=True, check=False)

    def kill_before(self, commit: int) -> bool:
        """Move the slot, killed before that commit and run again; whether there was one."""
        killed = self.command(commit)
        self.lay_in_both = all(self.look(name).rows for name in NAMES)
        if killed.returncode == -signal.SIGKILL:
            again = self.command(0, "--resume")
            assert again.returncode == 0, again.stderr
        else:
            assert killed.returncode == 0, killed.stderr
        self.lies_in = OTHER[self.lies_in]
        self._check()
        return killed.returncode == -signal.SIGKILL

    def _check(self) -> None:
        assert self.look(self.lies_in) == self.was
        assert self.look(OTHER[self.lies_in]).rows == {}
        for name, engine in self.engines.items():
            kept = newest_kept({name: engine})
            assert kept.map.of_slot[self.slot] == self.lies_in
            assert not kept.map.frozen
        with self.engines["first"].connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM slot_moves WHERE running = 1").scalar_one() == 0


def killed_everywhere(moves: KilledMoves, each: int) -> Iterator[int]:
    """Each commit before which the command was killed."""
    commit = 1
    while moves.kill_before(commit):
        yield commit
        commit += each


def filled(engines: Sequence[Engine]) -> int:
    """The slot of a user of the first database who has bought and been told."""
    world = build_world(engines[0], databases.sessions_for(engines[0]))
    payment = world.order("alice").payments[0]
    world.pay(payment.id)
    world.deliver()
    return int(payment.slot)


def main() -> None:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with ExitStack() as stack:
        urls = [stack.enter_context(databases.postgres_database()) for _ in NAMES]
        for url in urls:
            create_schema(url)
        each = [stack.enter_context(databases.engine_for(url)) for url in urls]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        moves = KilledMoves(dict(zip(NAMES, each, strict=True)), filled(each), folder)
        killed = [*killed_everywhere(moves, int(sys.argv[1]) if len(sys.argv) > 1 else 1)]
        say(f"killed before {len(killed)} of {killed[-1]} commits: each row is there once, as it was; the same seal")


if __name__ == "__main__":
    main()
