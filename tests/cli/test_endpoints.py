"""Endpoints and events from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from app.cli import main
from app.domain.event_types import EventType
from app.models.endpoints import ENDPOINTS
from app.services.base.context import SystemClock
from app.services.events.delivery_rounds import Dispatcher
from app.worker import Worker
from tests.support.receiver import answering, endpoint, pushing, receiving, secret_of, tell
from tests.support.world import World


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def lines(*words: str) -> list[str]:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def today(world: World) -> World:
    """The world with the clock that commands have."""
    here = pushing(world)
    return replace(here, core=replace(here.core, clock=SystemClock()))


@pytest.fixture(autouse=True)
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("TILLBOOK_EVENTS__ALLOW_PRIVATE_ENDPOINTS", "true")


def test_an_endpoint_is_added_shown_rotated_paused_resumed_and_removed(world: World) -> None:
    [secret] = lines("endpoints", "add", "game", "https://game.example/e", "--type", "order.paid", "--actor", "eve")
    assert secret == secret_of(world.core)
    assert endpoint(world.core).made_by == "operator:eve"
    assert lines("endpoints", "list") == [
        "game  active  https://game.example/e  order.paid  0 open, 0 not looked at",
    ]
    again = run("endpoints", "add", "game", "https://game.example/e")
    assert (again.exit_code, "endpoint_exists" in again.output) == (1, True)
    [newer] = lines("endpoints", "rotate", "game", "--overlap-hours", "1")
    assert [each["secret"] for each in endpoint(world.core).secrets] == [newer, secret]
    lines("endpoints", "pause", "game", "--reason", "a move", "--actor", "eve")
    [shown] = lines("endpoints", "list")
    assert "game  paused" in shown
    assert shown.endswith("by operator:eve: a move")
    [warning] = [line for line in run("check").output.splitlines() if "endpoint game" in line]
    assert warning.startswith("warning  endpoint game: paused since")
    lines("endpoints", "resume", "game")
    assert "ok       endpoint game: active" in run("check").output.splitlines()
    lines("endpoints", "remove", "game")
    assert lines("endpoints", "list") == []
    assert run("endpoints", "resume", "game").exit_code == 1


def test_check_tells_of_an_endpoint_that_fails(world: World) -> None:
    lines("endpoints", "add", "game", "https://game.example/e")
    since = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    world.core.whole.transact(lambda tx: tx.execute(update(ENDPOINTS).values(failures=7, failing_since=since)))
    output = run("check").output
    assert "warning  endpoint game: failing, has taken nothing since 2026-01-02 03:04 (7 attempts)" in output


def test_a_test_message_is_taken_or_not(world: World) -> None:
    with receiving() as receiver:
        lines("endpoints", "add", "game", receiver.url)
        [said] = lines("endpoints", "test", "game")
        assert said.startswith("game: HTTP 204 after")
        receiver.answer = answering(401, b"who are you")
        refused = run("endpoints", "test", "game")
        assert (refused.exit_code, "not taken  who are you" in refused.output) == (1, True)
    away = run("endpoints", "test", "game")
    assert (away.exit_code, "no answer" in away.output) == (1, True)


def test_deliveries_are_listed_sent_again_and_given_up(world: World) -> None:
    here = today(world)
    with receiving(answering(500)) as receiver:
        lines("endpoints", "add", "game", receiver.url)
        event = tell(here.core, "alice", 1)
        Dispatcher(here.core).run_once()
        [shown] = lines("endpoints", "deliveries", "game", "--status", "failed")
        assert shown.startswith(f"{event}  coins.credited  alice  failed  1 attempts")
        assert "HTTP 500" in shown
        lines("endpoints", "give-up", "game", str(event))
        assert run("endpoints", "give-up", "game", str(event)).exit_code == 1
        receiver.answer = answering(200)
        lines("endpoints", "resend", "game", str(event))
        Dispatcher(here.core).run_once()
        [shown] = lines("endpoints", "deliveries", "game")
        assert "  done  1 attempts  " in shown
        [said] = lines("endpoints", "resend", "game", "--since", "2026-01-02T03:04:05Z")
        assert said == "game: 1 events are gone through again"
        assert run("endpoints", "resend", "game").exit_code == 2


def test_the_feed_is_followed_and_goes_on_from_its_cursor(world: World) -> None:
    first = tell(world.core, "alice", 1)
    tell(world.core, "bob", 2, EventType.COINS_SPENT)
    done = run("events", "tail", "--after", "oldest", "--no-follow", "--user", "alice")
    [shown] = [json.loads(line) for line in done.stdout.splitlines()]
    assert (shown["id"], shown["data"]["number"]) == (str(first), 1)
    cursor = done.stderr.split()[-1]
    third = tell(world.core, "alice", 3)
    [line] = lines("events", "tail", "--after", cursor, "--no-follow")
    assert json.loads(line)["id"] == str(third)
    assert lines("events", "tail", "--no-follow") == []
    assert run("events", "tail", "--after", "nonsense", "--no-follow").exit_code == 1


def test_an_example_is_sent_as_a_test_and_is_in_no_books(world: World) -> None:
    here = today(world)
    with receiving() as receiver:
        lines("endpoints", "add", "game", receiver.url)
        [number] = lines("events", "trigger", "order.paid")
        worker = Worker(here.core)
        while worker.run_once():
            pass
    (message,) = receiver.got
    assert (message.id, message.content["type"], message.content["cause"]) == (number, "order.paid", {"by": "test"})
    world.assert_balanced()
    assert world.coins("example-user") == 0


def test_an_example_is_not_written_in_production_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_ENV", "production")
    monkeypatch.setenv("TILLBOOK_PUBLIC_URL", "https://pay.example")
    refused = run("events", "trigger", "order.paid")
    assert (refused.exit_code, "env is production" in refused.output) == (1, True)
    lines("events", "trigger", "order.paid", "--in-production")
