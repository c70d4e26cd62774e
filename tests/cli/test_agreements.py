"""`tillbook agreements`, as operators run it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from app.cli import main
from tests.support.agreement_house import agreement_house
from tests.support.imported_periods import paid_before, refund_before, take_over_subscription
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command works on the world's database."""
    for name in [name for name in os.environ if name.startswith("TILLBOOK_")]:
        monkeypatch.delenv(name)
    url = engine.url.render_as_string(hide_password=False)
    (tmp_path / "tillbook.toml").write_text(f'env = "test"\ndatabase_url = "{url}"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def _said(*words: str) -> list[str]:
    done = CliRunner().invoke(main, ["agreements", *words])
    return [f"exit {done.exit_code}", *done.output.splitlines()]


@pytest.mark.usefixtures("settings")
def test_operators_see_what_is_past_due_and_end_it(world: World) -> None:
    house = agreement_house(world)
    house.debit.script.append("no_money")
    number = str(house.signed())
    house.later(days=1)
    ok, line = _said("list")
    assert ok == "exit 0"
    assert line.startswith(f"{number}  sandbox  debit  past_due  vip  15.00 CNY  user=alice  nothing paid  next charge")
    assert _said("list", "--status", "active") == _said("list", "--product", "gold") == ["exit 0"]
    assert _said("list", "--status", "past_due", "--account", "debit", "--product", "vip")[1] == line
    assert _said("list", "--csv")[2].startswith(f"{number},alice,vip,sandbox,debit,agr-{number},")
    assert _said("list", "--user", "alice")[1] == line
    shown = _said("show", number)
    assert "period 0  2026-01-02 03:04 to 2026-02-02 03:04  due" in shown[2]
    assert shown[2].endswith("refused: no_money")
    _said("cancel", number, "--by", "mei", "--at-once")
    row = house.row(int(number))
    assert (row.cancel_by, row.next_charge_at) == ("operator:mei", None)
    assert "exit 1" in _said("show", "77")[0]
    assert _said("show", "x")[0] == "exit 1"


@pytest.mark.usefixtures("settings")
def test_a_refund_of_what_an_earlier_system_sold_is_shown_and_ended_by_two_persons(world: World) -> None:
    house = agreement_house(world)
    take_over_subscription(house)
    house.world.clock.advance(86_400)
    house.tell(paid_before(), "store")
    fact = str(house.tell(refund_before(100_000), "store").fact_id)

    def ended(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["facts", "end", fact, *words])
        return done.exit_code, done.output

    would = "would book 9.00 CNY, debit opening, credit clearing:store, and end it"
    assert would in ended()[1]
    assert ended("--yes", "--actor", "mei")[0] == 2
    assert "waits for another person" in ended("--yes", "--reason", "gone", "--actor", "mei")[1]
    assert ended("--confirm", "--actor", "mei")[0] == 1
    for _ in range(2):
        assert ended("--confirm", "--actor", "li")[1].endswith("9.00 booked: ended\n")
    listed = CliRunner().invoke(main, ["facts", "list"])
    assert (listed.exit_code, listed.output) == (0, "")
