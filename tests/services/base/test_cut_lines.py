"""The line to PostgreSQL is cut anywhere in a payment: what was asked is done once, by the repeated transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from tests.support import databases
from tests.support.cut_line import DOWN, UP, Line, line_to
from tests.support.world import World, build_world

pytestmark = [
    pytest.mark.one_database,
    pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True),
]
PLACES = 9


@pytest.fixture
def line(database_url: str) -> Iterator[tuple[Line, World]]:
    with line_to(database_url) as (line, url), databases.engine_for(url) as engine:
        yield line, build_world(engine, databases.sessions_for(engine))


def _pay(world: World, user: str) -> int:
    payment_id = world.order(user).payments[0].id
    world.pay(payment_id)
    return payment_id


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_notification_whose_line_is_cut_anywhere_is_taken_in_once(line: tuple[Line, World], direction: str) -> None:
    """Among the places are those just before the end: COMMIT was sent, and has no answer, or half of one."""
    cut, world = line
    for user in ("first", "second"):
        notification = world.notification(_pay(world, user))
        before = cut.carried[direction]
        world.receive(notification)
    size = cut.carried[direction] - before  # with everything prepared
    last = (size, size - 1, size - 8)
    for number, place in enumerate([*range(1, size, size // (PLACES - len(last))), *last]):
        notification = world.notification(_pay(world, f"user-{number}"))
        cut.cut_after(direction, place)
        with capture_logs() as logged:
            assert world.receive(notification).status == 200
        assert len([line for line in logged if line["event"] == "fact"]) == 1, "what was undone is not said"
        assert world.coins(f"user-{number}") == 66
    assert cut.cuts >= PLACES
    world.assert_balanced()


def test_answers_that_come_byte_by_byte_are_whole(line: tuple[Line, World]) -> None:
    in_pieces, world = line
    in_pieces.piece = 1
    assert world.receive(world.notification(_pay(world, "alice"))).status == 200
    assert world.coins("alice") == 66
