"""`tillbook audit` on the command line: how it shows how far it is, and that it survives being killed."""

from __future__ import annotations

import os
import pty
import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from app.domain.limits import LedgerRules
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend, grant
from app.services.audit.ledger import AsOf, AuditState, audit_ledger
from app.services.base.transaction import Sessions
from app.services.ledger.batches import book_batch
from tests.support.commands import end_of, fork_command, run_command
from tests.support.ledger_core import books_at

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USERS = 400
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Auditor:
    """Runs `tillbook audit …` in a process of its own."""

    def __init__(self, database_url: str) -> None:
        self.environ = {**os.environ, "TILLBOOK_ENV": "test", "TILLBOOK_DATABASE_URL": database_url}

    def run(self, *arguments: str) -> tuple[int, str, str]:
        done = run_command("audit", *arguments, environ=self.environ)
        return done.code, done.out, done.err

    def die_once_it_has_saved(self, file: Path) -> AuditState:
        """An audit that is killed by its next statement after it has saved its state for the first time; that state."""

        def be_mortal() -> None:
            @event.listens_for(Engine, "before_cursor_execute")
            def die(*_: object) -> None:
                if file.exists():
                    os.kill(os.getpid(), signal.SIGKILL)

        with Path(os.devnull).open("wb") as nowhere:
            streams = (nowhere.fileno(), nowhere.fileno())
            dying = fork_command(("audit", "--state", str(file)), self.environ, streams, prepare=be_mortal)
            assert end_of(dying) == -signal.SIGKILL
        return AuditState.from_json(file.read_text())

    def run_on_a_terminal(self) -> str:
        """What it writes to a terminal as its standard error."""
        ours, theirs = pty.openpty()
        with Path(os.devnull).open("wb") as nowhere:
            writing = fork_command(("audit",), self.environ, (nowhere.fileno(), theirs))
            os.close(theirs)
            shown = b"".join(iter(lambda: _read(ours), b""))
            assert end_of(writing) == 1, "rows were tampered with"
        os.close(ours)
        return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so when the other side is closed
        return b""


@pytest.fixture
def auditor(database_url: str) -> Auditor:
    return Auditor(database_url)


@pytest.fixture
def filled(sessions: Sessions) -> Sessions:
    """Hundreds of slots with a few transfers each; in the first and in the last of them a row is tampered with."""
    users = [f"user-{number}" for number in range(USERS)]
    for start in range(0, USERS, 100):
        some = users[start : start + 100]
        items = [grant(user, "coin", 10, "g", reason="test", actor="ann") for user in some]
        items += [Spend(user, "coin", 1, f"s{number}") for user in some for number in range(3)]
        books_at(sessions, NOW).transact(partial(book_batch, items=items, all_or_nothing=True))
    slots = sorted(slot_of_user(user) for user in users)
    engine = sessions.kw["bind"]
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER transfers_no_update")
    for slot in (slots[0], slots[-1]):
        edit = text("UPDATE transfers SET note = 'x' WHERE slot = :slot AND version = 3")
        with engine.begin() as connection:
            connection.execute(edit, {"slot": slot})
    return sessions


def test_a_killed_audit_goes_on_where_it_stopped_and_finds_the_same(
    auditor: Auditor, filled: Sessions, tmp_path: Path
) -> None:
    whole = audit_ledger(filled, as_of=AsOf(LedgerRules(), lambda: NOW))
    _, findings, _ = auditor.run()
    assert len(whole.findings) >= 2
    file = tmp_path / "audit.json"
    stopped = auditor.die_once_it_has_saved(file)
    assert 0 < stopped.next_slot < 4096
    assert 0 < stopped.transfers < whole.transfers
    resumed = audit_ledger(filled, as_of=AsOf(LedgerRules(), lambda: NOW), state=AuditState.from_json(file.read_text()))
    assert resumed == whole
    code, again, _ = auditor.run("--state", str(file))
    assert (code, again) == (1, findings)
    assert whole.seal in again
    assert not file.exists()


def test_into_a_file_it_writes_a_line_for_each_tenth_and_quiet_is_quiet(auditor: Auditor, filled: Sessions) -> None:
    code, out, err = auditor.run()
    assert code == 1
    assert f"ledger: {USERS * 4} transfers in" in out
    lines = [line for line in err.splitlines() if line.startswith("ledger: ")]
    assert lines[0] == f"ledger: {USERS * 4} transfers to prove"
    assert lines[-1] == f"ledger: {USERS * 4} of {USERS * 4} transfers"
    assert 3 <= len(lines) <= 11
    code, quiet, err = auditor.run("--quiet")
    assert (code, err) == (1, "")
    assert [line.split(":")[0] for line in quiet.splitlines()] == ["ledger_transfers", "ledger_transfers", "audit"]


def test_on_a_terminal_it_shows_a_bar_over_the_transfers(auditor: Auditor, filled: Sessions) -> None:
    shown = auditor.run_on_a_terminal()
    assert "\r" in shown
    assert f"{USERS * 4}/{USERS * 4}" in shown
    assert "####" in shown


def test_a_file_that_holds_something_else_is_refused(auditor: Auditor, tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    for text_ in ("not JSON", "[]", '{"next": 1}'):
        file.write_text(text_)
        code, _, err = auditor.run("--state", str(file))
        assert code == 1
        assert "holds no state of an audit" in err
    assert file.exists()
