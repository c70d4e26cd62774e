"""`tillbook fulfilments`, as operators run it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from app.cli import main
from tests.support.backend_wallets import ExternalBuyer, sell_externally
from tests.support.world import World


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["fulfilments", *arguments])


def test_what_waits_is_listed_until_a_person_ends_it(
    world: World, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command goes by the real clock, long after the world's: everything unanswered has waited for long."""
    for name in [name for name in os.environ if name.startswith("TILLBOOK_")]:
        monkeypatch.delenv(name)
    url = engine.url.render_as_string(hide_password=False)
    (tmp_path / "tillbook.toml").write_text(f'env = "test"\ndatabase_url = "{url}"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    buyer = ExternalBuyer(sell_externally(world))
    assert _run("waiting").output == ""
    buyer.pay()
    assert _run("waiting").output == (
        f"{buyer.order_id}  2026-01-02 03:04:05  waiting  asks delivery  {buyer.user} (sandbox)"
        "  coins-60: 60 of 60 coin, 6 of 6 coin  revision 1, told 1 times\n"
    )
    ended = _run("end", str(buyer.order_id), "--by", "mei", "--reason", "handed over")
    assert (ended.exit_code, ended.output.splitlines()[-1]) == (0, f"{buyer.order_id}: ended")
    again = _run("end", str(buyer.order_id), "--by", "mei", "--reason", "again")
    assert (again.exit_code, "nobody needs to look at it" in again.output) == (1, True)
    assert "there is no such order" in _run("end", "4097", "--by", "mei", "--reason", "?").output
    assert _run("waiting").output == ""
