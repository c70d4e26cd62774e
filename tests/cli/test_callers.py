"""`tillbook keys` and `tillbook callers` as operators run them: a key replaced without an outage, and what was said."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, create_engine, text

from app import create_app
from app.cli import main
from app.config import load
from tests.support.clean_environment import forget_our_variables
from tests.support.web_client import ApiClient

OLD = "tbk_a-key-that-stands-in-the-settings"
SETTINGS = f"""
env = "test"
database_url = "sqlite:///books.sqlite3"
[user_jwt]
secret = "a secret that is long enough for a test of it"
audience = "tillbook"
[api_keys.old]
sha256 = "{hashlib.sha256(OLD.encode()).hexdigest()}"
scopes = ["read", "grant"]
caller = "shop"
"""
CAPS = "[callers.shop.grants.coin]\nper_call = 100\n[callers.nobody.grants.coin]\nper_day = 1\n"
READ = ("--scope", "read", "--in-database", "--actor", "mei")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory with settings and a database."""
    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tillbook.toml").write_text(SETTINGS)
    assert run("migrate").exit_code == 0
    return tmp_path


@pytest.fixture
def database(folder: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{folder / 'books.sqlite3'}")
    yield engine
    engine.dispose()


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def _made(*words: str) -> str:
    """The key that a command has made."""
    done = run("keys", "new", *words)
    assert done.exit_code == 0, done.output
    return done.stderr.split("(give it to the backend): ")[1].split()[0]


def _status(key: str) -> int:
    """What a web process that starts now answers to this key."""
    app = create_app(load())
    try:
        return ApiClient(app.test_client(), key).get("/v1/products").status_code
    finally:
        app.extensions["tillbook_house"].engine.dispose()


def test_a_key_in_the_settings_is_replaced_by_one_in_the_database_without_an_outage(database: Engine) -> None:
    new = _made("shop-2026", "--caller", "shop", *READ)
    assert (_status(OLD), _status(new)) == (200, 200)
    listed = run("keys", "list").output.splitlines()
    assert [line.split()[:4] for line in listed] == [
        ["shop", "old", "settings", "grant,read"],
        ["shop", "shop-2026", "database", "read"],
    ]
    assert all("last used never" not in line for line in listed)
    revoked = run("keys", "revoke", "old", "--actor", "mei")
    assert (revoked.exit_code, "take it out of the settings" in revoked.output) == (0, True)
    assert (_status(OLD), _status(new)) == (401, 200)
    assert run("keys", "revoke", "shop-2026", "--actor", "mei").exit_code == 0
    assert _status(new) == 401
    ended = run("keys", "list").output
    assert "old  settings  grant,read  expires never" in ended
    assert "by operator:mei" in ended


def test_the_key_itself_is_told_once_and_kept_nowhere(folder: Path, database: Engine) -> None:
    made = run("keys", "new", "shop-2026", "--caller", "shop", *READ)
    key = made.stderr.split("(give it to the backend): ")[1].split()[0]
    assert key not in made.stdout
    for command in (("keys", "list"), ("callers", "list"), ("check",)):
        assert key not in run(*command).output
    database.dispose()
    for file in folder.glob("books.sqlite3*"):
        assert key.encode() not in file.read_bytes()
    with database.connect() as connection:
        kept = connection.execute(text("SELECT sha256 FROM caller_keys")).scalar_one()
    assert kept == hashlib.sha256(key.encode()).hexdigest()


def test_a_caller_that_nobody_knows_is_made_first(database: Engine) -> None:
    refused = run("keys", "new", "robot-1", "--caller", "robot", *READ)
    assert (refused.exit_code, "there is no caller robot" in refused.output) == (1, True)
    assert "tbk_" not in refused.output, "no key is told that does not count"
    assert run("callers", "new", "robot", "--actor", "mei").exit_code == 0
    assert run("callers", "new", "robot", "--actor", "mei").exit_code == 1
    assert _status(_made("robot-1", "--caller", "robot", *READ)) == 200
    assert run("callers", "list").output.splitlines() == ["robot  keys: robot-1", "shop  keys: old"]


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "new", "old", "--caller", "shop", *READ),
        ("keys", "new", "shop-1", "--caller", "shop", "--scope", "read", "--in-database"),
        ("keys", "new", "Shop 1", "--caller", "shop", *READ),
        ("keys", "new", "shop-1", "--caller", "shop", "--expires-at", "tomorrow", *READ),
        ("keys", "revoke", "nothing", "--actor", "mei"),
        ("keys", "revoke", "old"),
        ("callers", "new", "Robot", "--actor", "mei"),
        ("callers", "cap", "nobody", "--on", "grants", "--per-day", "1", "--actor", "mei"),
        ("callers", "cap", "shop", "--on", "spends", "--per-day", "1", "--actor", "mei"),
        ("callers", "cap", "shop", "--on", "refunds", "--unit", "coin", "--per-day", "1", "--actor", "mei"),
        ("callers", "cap", "shop", "--on", "grants", "--per-day", "-1", "--actor", "mei"),
        ("callers", "cap", "shop", "--on", "grants", "--unit", "no coin", "--per-day", "1", "--actor", "mei"),
    ],
)
def test_what_cannot_be_done_ends_with_a_sentence_and_changes_nothing(database: Engine, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.exit_code in (1, 2)
    assert "Traceback" not in done.output
    with database.connect() as connection:
        for table in ("callers", "caller_keys", "caller_caps"):
            assert connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one() == 0


def test_a_name_is_taken_once_in_the_database(database: Engine) -> None:
    _made("shop-1", "--caller", "shop", *READ)
    again = run("keys", "new", "shop-1", "--caller", "shop", *READ)
    assert (again.exit_code, "there is an API key shop-1 already" in again.output) == (1, True)
    assert "tbk_" not in again.output


def test_an_expiry_is_kept_shown_and_warned_of() -> None:
    assert _status(_made("shop-1", "--caller", "shop", "--expires-at", "2020-01-01T00:00:00Z", *READ)) == 401
    assert "expires 2020-01-01 00:00 UTC  last used never  expired" in run("keys", "list").output
    assert "warning  API key shop-1: it ends at 2020-01-01 00:00 UTC" in run("check").output


def test_a_key_for_the_settings_may_name_its_caller_and_its_end(folder: Path) -> None:
    made = run(
        "keys", "new", "next", "--scope", "read", "--caller", "shop", "--expires-at", "2031-01-01T08:00:00+08:00"
    )
    table = tomllib.loads(made.stdout)["api_keys"]["next"]
    assert (table["caller"], table["expires_at"].isoformat()) == ("shop", "2031-01-01T00:00:00+00:00")
    key = made.stderr.split("(give it to the backend): ")[1].split()[0]
    (folder / "tillbook.toml").write_text(SETTINGS + made.stdout)
    assert _status(key) == 200


def test_caps_are_set_shown_changed_and_taken_away(folder: Path) -> None:
    (folder / "tillbook.toml").write_text(SETTINGS + CAPS)
    cap = ("callers", "cap", "shop", "--on", "grants", "--unit", "coin", "--actor", "mei")
    assert run(*cap, "--per-call", "50", "--per-day", "500").output == "shop: grants of coin: 50 a call, 500 a day\n"
    assert run(*cap, "--per-day", "700").exit_code == 0
    assert run("callers", "cap", "shop", "--on", "refunds", "--per-call", "9", "--actor", "mei").exit_code == 0
    assert run("callers", "list").output.splitlines() == [
        "nobody  keys: -",
        "  grants of coin: 1 a day (settings)",
        "shop  keys: old",
        "  grants of coin: 100 a call (settings)",
        "  grants of coin: 700 a day (database)",
        "  refunds of *: 9 a call (database)",
    ]
    assert run(*cap).output == "shop: grants of coin: no cap\n"
    assert "700" not in run("callers", "list").output


def test_check_tells_of_keys_in_the_database_and_of_caps_that_hold_nobody(folder: Path) -> None:
    (folder / "tillbook.toml").write_text(SETTINGS + CAPS)
    _made("shop-1", "--caller", "shop", *READ)
    told = run("check").output
    assert "ok       API keys: old" in told
    assert "ok       API keys in the database: shop-1" in told
    assert "warning  callers.nobody: no API key is of this caller" in told
    assert "callers.shop" not in told


def test_check_fails_for_a_key_whose_seal_does_not_count_any_more(folder: Path) -> None:
    _made("shop-1", "--caller", "shop", *READ)
    assert run("check").exit_code == 0
    sealed = f'[audit]\nkey = "{"k" * 32}"\nsince = 2026-01-01T00:00:00Z\n'
    (folder / "tillbook.toml").write_text(SETTINGS + sealed)
    done = run("check")
    assert (done.exit_code, "FAIL     API key shop-1: its seal is of no key" in done.output) == (1, True)
    assert "refused: its seal is of no key in [audit]" in run("keys", "list").output
    assert run("keys", "revoke", "shop-1", "--actor", "mei").exit_code == 0
    assert run("check").exit_code == 0


def test_in_production_a_key_in_the_database_is_somebody_who_can_call(folder: Path) -> None:
    production = SETTINGS.replace('"test"', '"production"').partition("[user_jwt]")[0]
    (folder / "tillbook.toml").write_text(production.replace("env", 'public_url = "https://pay.example"\nenv'))
    assert "FAIL     user tokens" in run("check").output
    assert run("callers", "new", "shop", "--actor", "mei").exit_code == 0
    _made("shop-1", "--caller", "shop", *READ)
    assert "FAIL     user tokens" not in run("check").output
