"""`tillbook operators`: who may sign in to the console, and what is told once."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from app import create_app
from app.cli import main
from app.config import load
from app.services.accounts.operators import Credentials
from tests.support.clean_environment import forget_our_variables
from tests.support.console_browser import SECRET, Browser

SETTINGS = f"""
env = "test"
database_url = "sqlite:///books.sqlite3"
[console]
secret_key = "{SECRET}"
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory with settings and a database."""
    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tillbook.toml").write_text(SETTINGS)
    assert run("migrate").exit_code == 0
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["operators", *words] if words[0] != "migrate" else list(words))


def _told(done: Result) -> Credentials:
    assert done.exit_code == 0, done.output
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    return Credentials(lines["password"], lines["authenticator"])


def _signs_in(told: Credentials, name: str = "mei") -> bool:
    """Whether a web process that starts now lets the operator in."""
    app = create_app(load())
    try:
        codes = pyotp.parse_uri(told.address)
        assert isinstance(codes, pyotp.TOTP)
        fields = {"name": name, "password": told.password, "code": codes.now()}
        return Browser(app.test_client()).send("/console/sign-in", **fields).path == "/console/"
    finally:
        app.extensions["tillbook_house"].engine.dispose()


def test_what_a_new_operator_is_told_opens_the_console_and_ends_with_the_operator() -> None:
    told = _told(run("new", "mei", "--role", "support", "--actor", "ann"))
    assert _signs_in(told)
    (line,) = run("list").output.splitlines()
    assert line.startswith("mei  support  made by operator:ann  last signed in 2")
    assert run("end", "mei", "--actor", "ann").output == "mei: ended\n"
    assert not _signs_in(told)
    assert "ended" in run("list").output
    anew = _told(run("renew", "mei", "--role", "finance", "--actor", "ann"))
    assert not _signs_in(told)
    assert _signs_in(anew)
    assert run("list").output.startswith("mei  finance")


def test_a_renewed_operator_keeps_the_roles_unless_others_are_given() -> None:
    _told(run("new", "mei", "--role", "support", "--role", "finance", "--actor", "ann"))
    _told(run("renew", "mei", "--actor", "li"))
    assert run("list").output.startswith("mei  finance,support  made by operator:li  last signed in never")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("new", "Mei", "--role", "support", "--actor", "ann"), "not a name"),
        (("new", "li", "--actor", "ann"), "needs --role"),
        (("new", "li", "--role", "admin", "--actor", "ann"), "'admin' is not one of"),
        (("new", "mei", "--role", "support", "--actor", "ann"), "there is an operator mei already"),
        (("renew", "li", "--actor", "ann"), "there is no operator li"),
        (("end", "li", "--actor", "ann"), "there is no operator li"),
    ],
)
def test_what_cannot_be_done_says_why(words: tuple[str, ...], why: str) -> None:
    _told(run("new", "mei", "--role", "support", "--actor", "ann"))
    done = run(*words)
    assert done.exit_code != 0
    assert why in done.output
    assert len(run("list").output.splitlines()) == 1


def test_without_a_secret_nobody_is_made(folder: Path) -> None:
    (folder / "tillbook.toml").write_text(SETTINGS.partition("[console]")[0])
    done = run("new", "mei", "--role", "support", "--actor", "ann")
    assert (done.exit_code, "there is no console: set console.secret_key" in done.output) == (1, True)


def test_a_row_that_was_edited_is_shown_as_refused(folder: Path) -> None:
    told = _told(run("new", "mei", "--role", "support", "--actor", "ann"))
    engine = create_engine(f"sqlite:///{folder / 'books.sqlite3'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE operators SET roles = '[\"finance\"]'"))
    engine.dispose()
    assert "refused: its seal is of no key in [audit]" in run("list").output
    assert not _signs_in(told)
