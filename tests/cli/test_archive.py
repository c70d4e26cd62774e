"""`tillbook archive`: a file that can be read however the command ended, and is proved against the facts."""

from __future__ import annotations

import gzip
import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_words_are_written_proved_and_found_when_they_are_changed(
    database_url: str, monkeypatch: pytest.MonkeyPatch, world: World, tmp_path: Path
) -> None:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    world.pay(world.order("alice").payments[0].id)
    world.deliver()
    file, run = tmp_path / "words.gz", CliRunner().invoke

    written = run(main, ["archive", "write", str(file), "--before", "2026-02-01"])
    assert (written.exit_code, written.output.split(";")[0]) == (0, "archived: the words of 2 facts")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(main, ["archive", "prove", str(file)]).exit_code == 0
    again = run(main, ["archive", "write", str(file), "--before", "2026-02-01"])
    assert (again.exit_code, "cannot be written" in again.output) == (2, True)
    assert run(main, ["archive", "write", str(tmp_path / "x"), "--before", "2999-01-01"]).exit_code == 2

    lines = gzip.decompress(file.read_bytes()).splitlines()
    edited = [json.dumps({**json.loads(line), "words": "{}"}).encode() for line in lines]
    file.write_bytes(gzip.compress(b"\n".join(edited)))
    wrong = run(main, ["archive", "prove", str(file)])
    assert (wrong.exit_code, wrong.output.count("not the words of fact")) == (1, 2)
    file.write_bytes(file.read_bytes()[:-9])
    assert "cannot be read" in run(main, ["archive", "prove", str(file)]).output
