"""`tillbook audit --anchor` and `--against` on the command line: exit statuses, files, keys."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from app.cli import main
from app.domain.numbers import slot_of_user
from app.domain.proof.anchors import AnchorHeader, signed_lines
from app.domain.seals import Seals
from app.domain.spending import grant
from app.services import ledger
from tests.support.database_console import edit
from tests.support.world import World

KEY, OTHER = "a key that is in no database, long enough", "another key that is in no database at all"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, world: World) -> Run:
    """Runs `tillbook audit …` over a shop with a paid order and a wallet with a grant."""
    world.pay(world.order("alice").payments[0].id)
    world.deliver()
    coins = grant("dave", "coin", 9, "gift", reason="sorry", actor="ann", environment="sandbox")
    slot = slot_of_user("dave")
    world.core.whole.transact(lambda tx: ledger.post(tx, slot, [coins]))
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    return partial(_run, monkeypatch)


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object, key: str | None = KEY) -> Result:
    for name, value in (("KEY", key), ("SINCE", "2026-06-01T00:00:00Z")):
        if key is None:
            monkeypatch.delenv(f"TILLBOOK_AUDIT__{name}", raising=False)
        else:
            monkeypatch.setenv(f"TILLBOOK_AUDIT__{name}", str(value))
    return CliRunner().invoke(main, ["audit", "--quiet", *map(str, arguments)])


def test_an_anchor_is_written_for_its_owner_alone_and_the_books_agree_with_it(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "anchor.jsonl"
    assert run("--anchor", file).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path).count("anchor.jsonl.new") == 0
    again = run("--against", file)
    assert (again.exit_code, again.output) == (0, "audit: balanced\n")


def test_what_was_deleted_since_is_named_with_the_anchor_and_exits_1(run: Run, tmp_path: Path, engine: Engine) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run("--anchor", first)
    run("--anchor", second)
    edit(engine, "DELETE FROM lots", "DELETE FROM transfers", "DELETE FROM accounts WHERE user_id = 'dave'")
    found = run("--against", first, "--against", second)
    assert found.exit_code == 1
    lines = [
        line for line in found.output.splitlines() if "of user dave" in line and line.startswith("anchored_gone: ")
    ]
    assert len(lines) == 2
    assert all("1 postings and a balance of 9" in line and "of http://127.0.0.1:8000)" in line for line in lines)


def test_an_anchor_is_never_written_over(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "anchor"
    file.write_text("kept")
    refused = run("--anchor", file)
    assert refused.exit_code == 2
    assert "is there already" in refused.output
    assert file.read_text() == "kept"


def test_without_a_key_an_anchor_is_a_digest_and_the_command_warns(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "anchor"
    for option in ("--anchor", "--against"):
        told = run(option, file, key=None)
        assert told.exit_code == 0
        assert "warning: `[audit] key` is not set" in told.stderr


@pytest.mark.parametrize("key", [OTHER, None])
def test_an_anchor_that_another_key_signed_exits_2(run: Run, tmp_path: Path, key: str | None) -> None:
    file = tmp_path / "anchor"
    run("--anchor", file, key=key)
    refused = run("--against", file)
    assert refused.exit_code == 2
    assert "no key of `[audit]` signed it" in refused.stderr


@pytest.mark.parametrize("spoil", [lambda b: b[:-40], lambda b: b.replace(b"dave", b"erin"), lambda b: b"{}\n" + b])
def test_a_file_that_was_cut_or_changed_exits_2_before_anything_is_audited(
    run: Run, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "anchor"
    run("--anchor", file)
    file.write_bytes(spoil(file.read_bytes()))
    refused = run("--against", file)
    assert refused.exit_code == 2
    assert "is no anchor to prove the books against" in refused.stderr
    assert refused.stdout == ""


def test_a_line_that_says_nothing_in_an_unsigned_anchor_exits_2(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "anchor"
    file.write_bytes(b"".join(signed_lines(AnchorHeader("", ""), [{"slot": 7}], Seals())))
    refused = run("--against", file, key=None)
    assert refused.exit_code == 2
    assert "says nothing that an anchor says" in refused.stderr


def test_a_folder_that_takes_no_file_exits_2_before_anything_is_audited(run: Run, tmp_path: Path) -> None:
    refused = run("--anchor", tmp_path / "nowhere" / "anchor")
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_where_a_row_cannot_be_read_no_anchor_is_written_and_the_findings_are_shown(
    run: Run, tmp_path: Path, engine: Engine
) -> None:
    edit(engine, "UPDATE facts SET at = 'yesterday' WHERE kind = 'paid'")
    told = run("--anchor", tmp_path / "anchor")
    assert told.exit_code == 2
    assert "unreadable: a row of orders, facts, refunds or keys cannot be read" in told.stdout
    assert "no anchor is written" in told.stderr
    assert list(tmp_path.glob("anchor*")) == []
