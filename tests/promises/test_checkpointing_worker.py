"""The worker's round writes checkpoints, pauses when nothing is due, and goes on when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, text

from app.services.events import feed
from app.worker import CHECKPOINT_PAUSE, Worker
from tests.support.books import DAY, HOUR, Books
from tests.support.world import World


@contextmanager
def touched(engine: Engine) -> Iterator[list[str]]:
    """The statements about checkpoints that are sent inside."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "checkpoint" in statement:
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def one_round(world: World, worker: Worker) -> int:
    """What a round does besides putting events in order."""
    while feed.place_events(world.core):
        pass
    return worker.run_once()


def test_a_round_writes_what_is_due_and_the_next_look_is_a_minute_later(world: World, engine: Engine) -> None:
    books, worker = Books(world.core.whole.sessions), Worker(world.core)
    books.issue(5, world.clock.now())
    world.clock.advance((2 * DAY).total_seconds())
    assert one_round(world, worker) == 1
    assert len(books.days()) == 1
    assert one_round(world, worker) == 0
    with touched(engine) as statements:
        for _ in range(3):
            world.clock.advance(CHECKPOINT_PAUSE.total_seconds() / 4)
            assert one_round(world, worker) == 0
    assert statements == []
    books.issue(5, world.clock.now())
    world.clock.advance((2 * DAY).total_seconds())
    assert one_round(world, worker) == 1
    books.assert_checkpoints_are_right()


def test_a_backlog_is_written_one_day_a_round(world: World) -> None:
    books, worker = Books(world.core.whole.sessions), Worker(world.core)
    start = world.clock.now()
    for days in range(3):
        books.issue(5, start + days * DAY)
    world.clock.advance((20 * DAY).total_seconds())
    assert [one_round(world, worker) for _ in range(4)] == [1, 1, 1, 0]
    assert len(books.days()) == 3
    books.assert_checkpoints_are_right()


def test_a_worker_whose_clock_was_ahead_looks_again_when_it_is_right(world: World) -> None:
    books, worker = Books(world.core.whole.sessions), Worker(world.core)
    world.clock.advance((400 * DAY).total_seconds())
    one_round(world, worker)
    world.clock.advance((-399 * DAY).total_seconds())
    books.issue(5, world.clock.now() - 3 * DAY)
    assert one_round(world, worker) == 1
    assert len(books.days()) == 1


def test_when_they_cannot_be_written_the_rest_of_the_round_is_done_and_they_are_not_tried_at_once_again(
    world: World, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Worker(world.core)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE checkpoints RENAME TO elsewhere"))
    order = world.order()
    world.pay(order.payments[0].id)
    world.clock.advance((2 * HOUR).total_seconds())
    assert worker.run_once() > 0
    assert world.coins() == 66, "the payment was asked about all the same"
    assert "checkpointing_failed" in capsys.readouterr().err
    with touched(engine) as statements:
        worker.run_once()
    assert statements == []
