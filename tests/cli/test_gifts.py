"""`tillbook gifts`, as operators run it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from app.cli import main
from app.providers.facts import Kind
from tests.support.friends import buyer_in, friends_in
from tests.support.world import World


@pytest.fixture
def settings(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command works on the world's database."""
    for name in [name for name in os.environ if name.startswith("TILLBOOK_")]:
        monkeypatch.delenv(name)
    url = engine.url.render_as_string(hide_password=False)
    (tmp_path / "tillbook.toml").write_text(f'env = "test"\ndatabase_url = "{url}"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def _waiting() -> list[str]:
    done = CliRunner().invoke(main, ["gifts", "waiting"])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.usefixtures("settings")
def test_what_waits_is_listed_until_it_has_ended(world: World) -> None:
    """The command goes by the real clock, long after the world's: everything under way has waited for long."""
    friends = friends_in(world)
    ann = buyer_in(friends, "ann")
    assert _waiting() == []
    number = friends.send_only("ann", "bob", 40)
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    gift, *recalls = _waiting()
    assert gift.startswith(f"gift {number}  2026-01-02 03:04:05  40 coin (sandbox)  ann to bob  tried 0 times")
    assert [line.split()[0] for line in recalls] == ["recall"] * len(recalls)
    assert all(f"payment={ann.payment_id}  asks {number}" in line for line in recalls)
    assert len(recalls) == 2, "one for the paid coins, one for the bonus"
    friends.work()
    assert _waiting() == []
