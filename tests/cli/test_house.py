"""What every command has at hand."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from app.cli import main
from app.cli.house import house
from app.providers.testing.doubles import FixedClock
from app.providers.tools import StoredKey
from app.services.accounts.provider_keys import DatabaseKeys
from app.services.base.transaction import Sessions

ACCOUNT = '{"sandbox": {"plugin": "sandbox", "base_url": "https://sandbox.test", "merchant": "m-1", "live": false, '
ACCOUNT += '"secret": "a secret that is long enough for a test of it"}}'


@pytest.fixture(autouse=True)
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("TILLBOOK_PROVIDER_ACCOUNTS", ACCOUNT)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_command_has_the_public_keys_that_the_worker_fetched(sessions: Sessions) -> None:
    """Without them no answer to `bills fetch` is believed, and no message that is replayed is genuine."""
    DatabaseKeys("sandbox", lambda: sessions, FixedClock()).put(StoredKey("platform", b"a public key"))
    with click.Context(main):
        assert house().keys["sandbox"].get("platform") is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_command_begins_where_there_are_no_tables_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", f"sqlite:///{tmp_path / 'new.sqlite3'}")
    with click.Context(main):
        assert house().keys["sandbox"].all() == ()
