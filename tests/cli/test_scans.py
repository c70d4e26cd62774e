"""What a person sees of providers' histories, and how they go on behind what cannot be read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from app.cli import main
from app.providers.errors import Unknown
from app.providers.facts import Page
from app.services.calls import scans
from tests.promises.test_odd_rows import Feed, others
from tests.support.world import World


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture(autouse=True)
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)


def read(world: World, answer: Page | Exception) -> None:
    feed = Feed(world.account.provider, {None: answer})  # type: ignore[dict-item]
    account = type(world.account)("sandbox", "sandbox", False, feed)
    with capture_logs():
        scans.scan_due(world.core, account, "bill", timedelta(hours=1))
    world.clock.advance(86_400)


def test_a_feed_that_stands_still_is_listed_with_its_trouble_and_can_be_skipped(world: World) -> None:
    read(world, Unknown("the bill cannot be read"))
    [line] = run("scans", "list").output.splitlines()
    assert "sandbox  bill" in line
    assert line.endswith("failed 1 times: the bill cannot be read")
    done = run("scans", "skip", "sandbox", "bill", "--actor", "eve", "--reason", "zero bytes")
    assert (done.exit_code, done.output.startswith("sandbox bill: left, message ")) == (0, True)
    assert "complete" in run("scans", "list").output
    again = run("scans", "skip", "sandbox", "bill", "--actor", "eve", "--reason", "again")
    assert (again.exit_code, "no window is being read" in again.output) == (1, True)


def test_what_is_not_ours_is_counted_and_found_by_its_number(world: World) -> None:
    read(world, Page(tuple(others(str(number)) for number in range(3)), None))
    assert "sandbox  not ours: 3" in run("scans", "list").output
    assert run("facts", "list").output == ""
    [line] = run("facts", "list", "--outcome", "not_ours", "--theirs", "T-2").output.splitlines()
    assert line.endswith("ours=shop-2 theirs=T-2")
    assert run("facts", "list", "--outcome", "not_ours").exit_code == 2
