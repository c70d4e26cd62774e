"""What cannot work is said at the start, in one sentence, and without the value that is wrong: it may be a secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests.support.clean_environment import forget_our_variables

SECRET = "the-secret-that-nobody-may-see-anywhere"
BASE = 'env = "test"\n'
BAD = {
    "no database": (BASE + 'database_url = "books.sqlite3"', "database_url: "),
    "another database": (BASE + f'database_url = "mysql://u:{SECRET}@h/books"', "database_url: "),
    "no port": (BASE + f'database_url = "postgresql://u:{SECRET}@h:port/books"', "database_url: "),
    "a file for a folder": (BASE + 'database_url = "sqlite:////dev/null/books.sqlite3"', "/dev/null cannot be made"),
    "a folder for a file": (BASE + 'database_url = "sqlite:////tmp"', "unable to open database file"),
    "nobody there": (
        BASE + f'database_url = "postgresql://u:{SECRET}@127.0.0.1:1/books"',
        "the database cannot be used",
    ),
    "not TOML": (BASE + f'=\nsecret = "{SECRET}"', "is not TOML"),
    "a misspelt name": (BASE + f'databse_url = "{SECRET}"', "databse_url: "),
    "a key of the wrong kind": (BASE + f'[user_jwt]\nalgorithm = "RS256"\nsecret = "{SECRET}"', "user_jwt: "),
    "a short secret": (BASE + '[user_jwt]\nsecret = "short"', "shorter than 32"),
    "no such plugin": (BASE + '[provider_accounts.shop]\nplugin = "nosuch"\nlive = false', "no plugin 'nosuch'"),
}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory, and no settings in the environment."""
    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check() -> Result:
    return CliRunner().invoke(main, ["check"])


@pytest.mark.parametrize(("document", "told"), BAD.values(), ids=BAD)
def test_a_setting_that_cannot_work_ends_every_command_with_one_sentence(
    folder: Path, document: str, told: str
) -> None:
    (folder / "tillbook.toml").write_text(document)
    done = check()
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)
    assert told in done.output
    assert SECRET not in done.output
    assert len(done.output.splitlines()) <= 4


def test_a_settings_file_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_CONFIG", "nowhere.toml")
    done = check()
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)
    assert "nowhere.toml" in done.output


def test_the_web_service_says_why_in_one_line_and_ends(folder: Path) -> None:
    (folder / "tillbook.toml").write_text(BASE + f'[user_jwt]\nalgorithm = "RS256"\nsecret = "{SECRET}"')
    root = Path(__file__).parents[2]
    environ = {**os.environ, "TILLBOOK_CONFIG": str(folder / "tillbook.toml"), "TILLBOOK_BIND": "127.0.0.1:0"}
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:app.serving", "wsgi:application"]
    done = subprocess.run(gunicorn, cwd=root, env=environ, capture_output=True, text=True, timeout=60, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    told = [line for line in lines if line["event"] == "not_started"]
    assert done.returncode == 3
    assert told
    assert all("user_jwt" in line["why"] for line in told)
    assert SECRET not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
