"""`tillbook find NUMBER`: what a number names, and what happened, in plain words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.worker import Worker
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Run = Callable[..., Result]


@pytest.fixture
def find(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    return lambda *words: CliRunner().invoke(main, ["find", *words])


def test_an_order_whose_notification_was_lost_tells_its_story(find: Run, world: World) -> None:
    view = world.order("bob")
    payment_id = view.payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    world.clock.advance(6)
    Worker(world.core).run_once()
    told = find("sbx_1", "--timeline")
    assert told.exit_code == 0, told.stderr
    first, *rest = told.stdout.splitlines()
    assert first.startswith(f"payment  {payment_id}  paid  user=bob  order={view.order.id}  account=sandbox")
    said = [line.split("  ", 1)[1] for line in rest if line.startswith("2026-")]
    assert said[0] == f"order {view.order.id} was made: coins-60 6.00 CNY"
    assert [line for line in said if "was called: query" in line and "answered" in line and "(paid)" in line]
    assert f"sandbox told by query that it is paid 6.00 CNY about payment {payment_id}: applied" in said
    assert [line for line in said if line.startswith("booked: purchase 60 coin (issuance to wallet)")]


def test_what_names_nothing_or_no_order_ends_with_1(find: Run, world: World) -> None:
    world.order("bob")
    assert (find("nothing").exit_code, find("bob").exit_code) == (1, 0)
    assert "nothing here has the number nothing" in find("nothing").stderr
    nobody = find("bob", "--timeline")
    assert nobody.exit_code == 1
    assert nobody.stdout.startswith("user  bob")


def test_a_long_timeline_is_cut_and_says_so(find: Run, world: World) -> None:
    view = world.order("bob")
    cut = find(str(view.order.id), "--timeline", "--limit", "2").stdout.splitlines()
    assert len([line for line in cut if line.startswith("2026-")]) == 2
    assert cut[-1] == "… and more: raise --limit"
