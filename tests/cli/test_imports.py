"""`tillbook agreements import` and `tillbook owners import`, as operators run them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from app.cli import main
from app.services.accounts.catalog import import_products, parse_catalogue
from tests.support.agreement_house import PLANS
from tests.support.world import CATALOGUE, World

HEAD = "provider_account,provider_number,user,product,status,paid_until,amount,currency,way\n"
GOOD = "sandbox,S-1,alice,vip,active,2099-01-10T00:00:00+08:00,15.00,CNY,page\n"
SANDBOX = """
[provider_accounts.sandbox]
plugin = "sandbox"
live = false
base_url = "http://127.0.0.1:1"
merchant = "m-1"
secret = "a secret that is long enough here"
"""

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def file(world: World, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("TILLBOOK_")]:
        monkeypatch.delenv(name)
    url = engine.url.render_as_string(hide_password=False)
    settings = f'env = "test"\ndatabase_url = "{url}"\n' + SANDBOX
    (tmp_path / "tillbook.toml").write_text(settings, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    catalogue = parse_catalogue(CATALOGUE + PLANS)
    import_products(world.core, catalogue)
    return tmp_path / "agreements.csv"


def said(*words: str) -> tuple[int, list[str]]:
    done = CliRunner().invoke(main, words)
    return done.exit_code, [line for line in done.output.splitlines() if not line.startswith("importing")]


def count(world: World, table: str) -> int:
    query = text(f"/* sweep: audit */ SELECT count(*) FROM {table}")
    return int(world.core.whole.read(lambda tx: tx.execute(query).scalar_one()))


def test_a_file_is_checked_whole_then_taken_over_once(world: World, file: Path) -> None:
    bad = "sandbox,S-2,bob,vip,signing,,15.00,CNY,page\n" + GOOD.replace("S-1", "S-3").replace("vip", "none")
    bad += "sandbox,S-4,carl,vip,active,2026-01-10T00:00:00,15.00,CNY,page\n"
    file.write_text(HEAD + GOOD + bad, encoding="utf-8")
    status, lines = said("agreements", "import", str(file))
    assert (status, count(world, "agreements"), count(world, "claims"), count(world, "users")) == (1, 0, 0, 0)
    assert lines[1:] == [
        "line 3: status: one of active, ended, past_due, paused, not 'signing'",
        "line 4: product: there is no 'none'",
        "line 5: paid_until: without a time zone",
    ]
    file.write_text(HEAD + GOOD, encoding="utf-8")
    assert said("agreements", "import", str(file), "--check") == (0, ["1 agreements can be imported; nothing was"])
    assert count(world, "agreements") == 0
    assert said("agreements", "import", str(file)) == (0, ["imported: 1 agreements; imported before: 0"])
    assert said("agreements", "import", str(file)) == (0, ["imported: 0 agreements; imported before: 1"])
    (line,) = said("agreements", "list")[1]
    assert "sandbox  active  vip  15.00 CNY  user=alice  paid until 2099-01-09 16:00" in line
    assert said("find", "S-1")[1] != []
    file.write_text(HEAD + GOOD.replace("15.00", "18.00"), encoding="utf-8")
    assert said("agreements", "import", str(file))[1][1:] == ["line 2: amount: was imported as 1500"]


def test_tokens_are_taken_only_for_stores(world: World, file: Path) -> None:
    file.write_text("provider_account,token,user\nsandbox,8b1f4a4e-0000-4000-8000-000000000001,alice\n")
    status, lines = said("owners", "import", str(file))
    assert (status, lines[1:]) == (1, ["line 2: provider_account: 'sandbox' is no store"])
    file.write_text("provider_account,token,user\nsandbox,8b1f,alice\n")
    assert said("owners", "import", str(file))[1][1:] == ["line 2: token: not a UUID: '8b1f'"]
    assert count(world, "claims") == 0
