"""The `tillbook` command, as operators run it: over a real database, with its exit codes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from app.cli import main
from app.models import schema
from tests.world import CATALOGUE, World

SETTINGS = """
env = "test"
database_url = "sqlite:///books.sqlite3"
[provider_accounts.box]
plugin = "sandbox"
live = false
base_url = "http://127.0.0.1:1"
merchant = "m-1"
secret = "a secret that is long enough here"
"""


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory with a configuration, and no database yet."""
    for name in list(os.environ):
        if name.startswith("TILLBOOK_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tillbook.toml").write_text(SETTINGS)
    (tmp_path / "products.toml").write_text(CATALOGUE)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_from_an_empty_folder_to_balanced_books(shop: Path) -> None:
    assert run("check").exit_code == 1, "there is no schema yet"
    for _ in range(2):
        done = run("migrate")
        assert (done.exit_code, done.output.strip()) == (0, f"schema: {schema.newest()}")
    checked = run("check")
    assert checked.exit_code == 0
    assert "provider account box: sandbox, sandbox" in checked.output
    assert run("products", "import", "products.toml").output.strip() == "added 1, changed 0, unchanged 0, retired 0"
    assert run("products", "import", "products.toml").output.strip() == "added 0, changed 0, unchanged 1, retired 0"
    assert "done:" in run("worker", "--once").output
    assert run("messages", "list").output == ""
    audited = run("audit", "--quiet")
    assert (audited.exit_code, audited.output.strip()) == (0, "audit: balanced")


def test_a_bad_catalogue_changes_nothing_and_says_why(shop: Path) -> None:
    run("migrate")
    (shop / "bad.toml").write_text(CATALOGUE + CATALOGUE)
    done = run("products", "import", "bad.toml")
    assert done.exit_code == 1
    assert "coins-60" in done.output
    assert run("products", "import", "nowhere.toml").exit_code == 2
    (shop / "bad.toml").write_bytes(b"\xff\xfe")
    assert run("products", "import", "bad.toml").exit_code == 1


def test_the_audit_exits_with_one_and_lists_what_differs(shop: Path) -> None:
    run("migrate")
    engine = create_engine(f"sqlite:///{shop}/books.sqlite3")
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO users (slot, id, token, created_at)"
            " VALUES (175, 'alice', '00000000000000000000000000000000', '2026-01-01')",
            "INSERT INTO orders (slot, id, user_id, environment, sku, title, quantity, grants, status, paid_payment_id,"
            " created_at, expires_at, paid_at) VALUES (175, 175, 'alice', 'live', 'x', 'x', 1, '[]', 'paid', 1,"
            " '2026-01-01 00:00:00', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
        ):
            connection.execute(text(statement))
    engine.dispose()
    audited = run("audit", "--quiet")
    assert audited.exit_code == 1
    assert "order_status: order 175 is paid with 0 applied payments" in audited.output
    assert "findings" in audited.output


def test_a_new_key_is_shown_once_with_what_belongs_into_the_settings(shop: Path) -> None:
    made = run("keys", "new", "backend", "--scope", "read", "--scope", "spend")
    key = made.output.split("(give it to the backend): ")[1].split()[0]
    assert key.startswith("tbk_")
    assert len(key) > 40
    assert f'sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"' in made.output
    assert "[api_keys.backend]" in made.output
    assert run("keys", "new", "backend").exit_code == 2
    assert run("keys", "new", "backend", "--scope", "everything").exit_code == 2


def test_wrong_settings_end_every_command_with_the_field_and_without_the_secret(shop: Path) -> None:
    (shop / "tillbook.toml").write_text('env = "test"\n[user_jwt]\nsecret = "hunter2"\n[more]\n')
    for words in (["check"], ["migrate"], ["audit"], ["worker", "--once"]):
        done = run(*words)
        assert done.exit_code == 1
        assert "user_jwt" in done.output
        assert "more" in done.output
        assert "hunter2" not in done.output


def test_a_named_file_that_is_not_there_is_named(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_CONFIG", "other.toml")
    done = run("check")
    assert (done.exit_code, "other.toml" in done.output) == (1, True)


def test_kept_messages_are_listed_replayed_and_resolved(
    world: World, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    world.deliver()
    for trade in ("second", "third"):
        world.at_provider(payment_id).id = trade
        world.receive(world.notification(payment_id))
    url = world.core.sessions.kw["bind"].url.render_as_string(hide_password=False)
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", url)
    monkeypatch.setenv("TILLBOOK_PROVIDER_ACCOUNTS__SANDBOX", _account())
    listed = run("messages", "list").output.splitlines()
    assert [line.split("  ")[2:] for line in listed] == [["sandbox", "surplus: second_trade_of_one_number"]] * 2
    first, second = (line.split()[0] for line in listed)
    replayed = run("messages", "replay", first)
    assert (replayed.exit_code, replayed.stdout.strip()) == (0, "duplicate surplus")
    assert run("messages", "resolve", second).exit_code == 0
    assert run("messages", "list").output == ""
    assert "no such message" in run("messages", "replay", "12345").output


def _account() -> str:
    import json

    from tests.world import SECRET

    return json.dumps(
        {"plugin": "sandbox", "live": False, "base_url": "http://127.0.0.1:1", "merchant": "m-1", "secret": SECRET}
    )
