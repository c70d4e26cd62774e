"""Receivers that restart, are too busy, or ask to be left alone: what waits goes on soon after they are back."""

from __future__ import annotations

import threading
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

from app.domain.delivery_schedule import (
    DELIVERY_LEASE_SECONDS,
    LONGEST_ASKED_PAUSE,
)
from app.domain.retries import JITTER, RETRIES, Retried
from app.services.events import deliveries, endpoint_health
from app.services.events.delivery_rounds import Dispatcher
from tests.support.receiver import (
    Message,
    add,
    answering,
    deliveries_of,
    dying,
    endpoint,
    plan,
    pushing,
    receiving,
    tell,
)
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
RESTARTS = 5
UNTRIED = RETRIES[Retried.UNTRIED_DELIVERY].pauses
PATIENCE_SECONDS = 60


@pytest.fixture
def here(world: World) -> World:
    return pushing(world)


def send_all(world: World) -> None:
    dispatcher = Dispatcher(world.core)
    while dispatcher.run_once():
        pass


def rest_of(world: World, user: str) -> float:
    row = deliveries_of(world.core, user)[0]
    assert row.status == "failed"
    return float((row.next_at - world.clock.now()).total_seconds())


# --- Retry-After ---


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_moment", [False, True])
def test_a_receiver_that_asks_to_be_left_alone_gets_nothing_until_then(
    here: World, status: int, as_moment: bool
) -> None:
    asked = 90
    text = format_datetime(here.clock.now() + timedelta(seconds=asked), usegmt=True) if as_moment else str(asked)
    with receiving(answering(status, **{"Retry-After": text})) as receiver:
        add(here.core, receiver)
        for user in ("alice", "bob", "carol"):
            tell(here.core, user, 1)
        send_all(here)
        tried = len(receiver.got)
        receiver.answer = answering(204)
        here.clock.advance(asked - 2)
        tell(here.core, "dave", 1)
        send_all(here)
        assert len(receiver.got) == tried, "neither what failed nor what is new is sent before the asked moment"
        here.clock.advance(3)
        send_all(here)
    assert [row.status for row in deliveries_of(here.core)] == ["done"] * 4


def test_a_receiver_that_asks_for_less_than_the_back_off_gets_the_back_off(here: World) -> None:
    """The seventh attempt is followed by 30 s, whatever the receiver says."""
    with receiving(answering(429, **{"Retry-After": "0"})) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        for planned in UNTRIED:
            send_all(here)
            assert rest_of(here, "alice") >= planned * (1 - JITTER)
            here.clock.advance(rest_of(here, "alice") + 1)
    assert len(receiver.got) == len(UNTRIED)


def test_a_receiver_that_asks_for_a_year_is_tried_after_an_hour(here: World) -> None:
    with receiving(answering(503, **{"Retry-After": str(365 * 86400)})) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        send_all(here)
        here.clock.advance(LONGEST_ASKED_PAUSE.total_seconds() - 1)
        send_all(here)
        assert len(receiver.got) == 1
        here.clock.advance(2)
        send_all(here)
        assert len(receiver.got) == 2


def test_what_was_under_way_when_the_receiver_asked_does_not_end_the_pause(here: World) -> None:
    """Two are sent at one time; the later answer, a success, was given to what was sent before."""
    sent, refused = threading.Event(), threading.Event()

    def one_refused_one_taken(handler: BaseHTTPRequestHandler, message: Message) -> None:
        if message.user == "alice":
            sent.wait(PATIENCE_SECONDS)
            answering(429, **{"Retry-After": "600"})(handler, message)
            return
        sent.set()
        refused.wait(PATIENCE_SECONDS)
        answering(200)(handler, message)

    with receiving(one_refused_one_taken) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        tell(here.core, "bob", 1)
        sender = threading.Thread(target=send_all, args=(here,))
        sender.start()
        try:
            for _ in range(PATIENCE_SECONDS * 50):
                if endpoint(here.core).probe_at is not None:
                    break
                refused.wait(0.02)
        finally:
            refused.set()
            sender.join()
        probe_at = endpoint(here.core).probe_at
        assert probe_at is not None
        assert (probe_at - here.clock.now()).total_seconds() == 600
        assert {row.user_id: row.status for row in deliveries_of(here.core)} == {"alice": "failed", "bob": "done"}


# --- back soon ---


def test_a_receiver_that_restarted_five_times_gets_everything_within_seconds(here: World) -> None:
    """Restarts say nothing about the events that were under way: each rests for seconds, also after the fifth time."""
    longest = UNTRIED[0] * (1 + JITTER)
    with receiving() as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        for number in range(RESTARTS):
            receiver.answer = dying
            send_all(here)
            assert rest_of(here, "alice") <= longest
            receiver.answer = answering(204)
            tell(here.core, "bob", number)
            send_all(here)  # the receiver is back, and takes what is new
            here.clock.advance(longest)
        send_all(here)
    assert receiver.of("alice") == [1] * (RESTARTS + 1)
    assert {row.status for row in deliveries_of(here.core)} == {"done"}


def test_an_event_that_the_receiver_dies_of_is_tried_less_and_less_while_others_are_taken(here: World) -> None:
    with receiving(lambda h, m: (dying if m.user == "alice" else answering(200))(h, m)) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        for number, planned in enumerate((*UNTRIED, UNTRIED[-1])):
            tell(here.core, "bob", number)
            send_all(here)
            assert planned * (1 - JITTER) <= rest_of(here, "alice") <= planned * (1 + JITTER)
            here.clock.advance(rest_of(here, "alice"))
    assert receiver.of("bob") == list(range(len(UNTRIED) + 1))


def test_what_a_killed_worker_was_sending_is_sent_by_another_when_the_lease_is_over(here: World) -> None:
    with receiving() as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        plan(here.core)
        place = here.core.of_user("alice")
        (due,) = deliveries.due_deliveries(here.core.everywhere()[0], endpoint(here.core).id, 1)
        # The worker that takes it dies before it has sent it.
        assert place.transact(lambda tx: deliveries.LEASES.take(tx, due, tx.now)) is not None
        here.clock.advance(DELIVERY_LEASE_SECONDS - 1)
        send_all(here)
        assert receiver.got == []
        here.clock.advance(1)
        send_all(here)
    assert receiver.of("alice") == [1]


def test_the_right_to_probe_of_a_killed_worker_ends_with_the_lease_too(here: World) -> None:
    with receiving(answering(503, **{"Retry-After": "60"})) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        send_all(here)
        here.clock.advance(61)
        row = here.core.whole.read(deliveries.active_endpoints)[0]
        assert endpoint_health.claim_probe(here.core, row)
        receiver.answer = answering(204)
        here.clock.advance(DELIVERY_LEASE_SECONDS)
        send_all(here)
    assert [row.status for row in deliveries_of(here.core)] == ["done"]
