"""Deliveries: each event once for each endpoint, in order for each user, until it is taken or given up."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from app.domain.delivery_schedule import BREAKER_FAILURES
from app.domain.event_types import EventType
from app.domain.numbers import slot_of_uuid
from app.domain.retries import RETRIES, Retried
from app.services.base.context import Core
from app.services.base.errors import NotFound
from app.services.events import deliveries, endpoint_health, endpoints
from app.services.events.delivery_rounds import Dispatcher
from app.worker import UNSENT_EVENTS, Worker
from tests.support.receiver import (
    Message,
    Receiver,
    add,
    answering,
    deliveries_of,
    endpoint,
    pushing,
    receiving,
    tell,
)
from tests.support.world import World

DAY = 24 * 3600


@pytest.fixture
def here(world: World) -> World:
    return pushing(world)


def resend(core: Core, event: uuid.UUID) -> None:
    row = endpoint(core)
    core.at(slot_of_uuid(event)).transact(lambda tx: deliveries.resend_event(tx, row, event))


def give_up(core: Core, event: uuid.UUID) -> None:
    row = endpoint(core)
    core.at(slot_of_uuid(event)).transact(lambda tx: deliveries.give_up_delivery(tx, row, event, "operator:me"))


def send_all(world: World) -> int:
    """Rounds until nothing is to be done; how many things were done."""
    dispatcher, done = Dispatcher(world.core), 0
    while now_done := dispatcher.run_once():
        done += now_done
    return done


def test_an_event_is_sent_signed_with_the_secret_and_its_delivery_is_done(here: World) -> None:
    with receiving(answering(200, b"thank you")) as receiver:
        secret = add(here.core, receiver)
        event = tell(here.core, "alice", 1)
        send_all(here)
    (message,) = receiver.got
    assert message.is_signed_with(secret)
    assert message.id == str(event)
    assert message.headers["content-type"] == "application/json"
    assert message.content == {
        "id": str(event),
        "type": "coins.credited",
        "timestamp": "2026-01-02T03:04:05Z",
        "version": message.content["version"],
        "user": "alice",
        "data": {"number": 1, "note": "金币"},
        "cause": {"by": "rule"},
    }
    (row,) = deliveries_of(here.core)
    assert (row.status, row.attempts, row.code, row.answer, row.next_at) == ("done", 1, 200, "thank you", None)


def test_what_happened_before_the_endpoint_was_added_is_not_sent(here: World) -> None:
    with receiving() as receiver:
        tell(here.core, "alice", 1)
        add(here.core, receiver)
        tell(here.core, "alice", 2)
        send_all(here)
    assert receiver.of("alice") == [2]


def test_an_endpoint_gets_the_types_that_it_wants_and_every_endpoint_gets_its_own(here: World) -> None:
    with receiving() as one, receiving() as other:
        add(here.core, one, "one", EventType.COINS_SPENT)
        add(here.core, other, "other")
        tell(here.core, "alice", 1)
        tell(here.core, "alice", 2, EventType.COINS_SPENT)
        send_all(here)
    assert (one.of("alice"), other.of("alice")) == ([2], [1, 2])


def test_a_failed_event_holds_the_later_ones_of_its_user_and_nobody_elses(here: World) -> None:
    def refuses_the_first_of_alice(handler: object, message: Message) -> None:
        refused = message.user == "alice" and message.content["data"]["number"] == 1 and len(receiver.of("alice")) < 3
        answering(500 if refused else 200)(handler, message)  # type: ignore[arg-type]

    with receiving(refuses_the_first_of_alice) as receiver:
        add(here.core, receiver)
        for number in (1, 2, 3):
            tell(here.core, "alice", number)
            tell(here.core, "bob", number)
        send_all(here)
        assert (receiver.of("alice"), receiver.of("bob")) == ([1], [1, 2, 3])
        for _ in range(2):
            here.clock.advance(60)
            send_all(here)
    assert receiver.of("alice") == [1, 1, 1, 2, 3]
    assert receiver.of("bob") == [1, 2, 3]
    assert {message.body for message in receiver.got if message.id == receiver.got[0].id} == {receiver.got[0].body}


def test_while_a_users_event_rests_the_worker_has_nothing_to_look_for(here: World) -> None:
    """What is behind it is put off, and follows at once when the first is taken."""
    with receiving(lambda h, m: answering(500 if m.user == "alice" else 200)(h, m)) as receiver:
        add(here.core, receiver)
        for number in (1, 2, 3):
            tell(here.core, "alice", number)
        tell(here.core, "bob", 1)
        worker = Worker(here.core)
        while worker.run_once():
            pass
        assert UNSENT_EVENTS not in worker._due_kinds()
        tell(here.core, "alice", 4)
        assert UNSENT_EVENTS in worker._due_kinds()
        worker.run_once()
        assert UNSENT_EVENTS not in worker._due_kinds()
        receiver.answer = answering(200)
        here.clock.advance(6)
        while worker.run_once():
            pass
    assert receiver.of("alice") == [1, 1, 2, 3, 4]


def test_money_of_nobody_known_waits_for_no_other(here: World) -> None:
    with receiving(answering(500)) as receiver:
        add(here.core, receiver)
        tell(here.core, "", 1)
        tell(here.core, "", 2)
        send_all(here)
    assert sorted(message.content["data"]["number"] for message in receiver.got) == [1, 2]


def test_pauses_between_attempts_grow_to_a_day(here: World) -> None:
    """One user's event is refused while others are taken, so the endpoint is not down."""
    with receiving(lambda h, m: answering(500 if m.user == "alice" else 200)(h, m)) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        pauses = []
        for number in range(12):
            tell(here.core, "bob", number)
            send_all(here)
            row = deliveries_of(here.core, "alice")[0]
            pauses.append((row.next_at - here.clock.now()).total_seconds())
            here.clock.advance(pauses[-1])
    for pause, planned in zip(pauses, (5, 30, 120, 600, 1800, 3600, 10800, 21600, 43200, DAY, DAY, DAY), strict=True):
        assert planned * 0.8 <= pause <= planned * 1.2
    assert endpoint(here.core).paused_at is None
    assert receiver.of("alice") == [1] * 12


def test_an_endpoint_that_is_down_for_an_hour_is_tried_by_one_delivery_at_a_time_and_then_gets_all_in_order(
    here: World,
) -> None:
    users = [f"user-{number}" for number in range(20)]
    with receiving(answering(503)) as receiver:
        add(here.core, receiver)
        for number in (1, 2):
            for user in users:
                tell(here.core, user, number)
        worker = Worker(here.core)
        for _ in range(60):
            worker.run_once()
            here.clock.advance(60)
        tried = len(receiver.got)
        assert BREAKER_FAILURES <= tried <= BREAKER_FAILURES + 3 + 13
        receiver.answer = answering(200)
        receiver.got.clear()
        here.clock.advance(RETRIES[Retried.ENDPOINT_DOWN].pauses[-1] * 1.2)
        while worker.run_once():
            pass
        here.clock.advance(60)
        while worker.run_once():
            pass
    for user in users:
        assert receiver.of(user) == [1, 2]
    assert endpoint(here.core).failures == 0
    assert endpoint(here.core).probe_at is None


def test_while_an_endpoint_is_down_what_is_new_waits_in_the_feed_and_no_rows_pile_up(here: World) -> None:
    with receiving(answering(500)) as receiver:
        add(here.core, receiver)
        for number in range(10):
            tell(here.core, f"user-{number}", 1)
        send_all(here)
        rows = len(deliveries_of(here.core))
        for number in range(10, 20):
            tell(here.core, f"user-{number}", 1)
        here.clock.advance(3600)
        send_all(here)
        assert len(deliveries_of(here.core)) == rows == 10
        receiver.answer = answering(200)
        here.clock.advance(3600)
        send_all(here)
    assert [row.status for row in deliveries_of(here.core)] == ["done"] * 20


def test_two_workers_do_not_probe_at_once(here: World) -> None:
    with receiving(answering(500)) as receiver:
        add(here.core, receiver)
        for number in range(30):
            tell(here.core, f"user-{number}", 1)
        send_all(here)
        receiver.got.clear()
        here.clock.advance(10)
        row = here.core.whole.read(deliveries.active_endpoints)[0]
        assert endpoint_health.claim_probe(here.core, row)
        assert send_all(here) == 0
        assert receiver.got == []


def test_an_endpoint_that_takes_nothing_for_three_days_is_paused_and_alarmed_once(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiving(answering(500)) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        for _ in range(3 * 24 + 3):
            send_all(here)
            here.clock.advance(3600)
        row = endpoint(here.core)
        assert row.paused_at is not None
        assert "has taken nothing since 2026-01-02 03:04 UTC" in row.paused_why
        tried = len(receiver.got)
        tell(here.core, "alice", 2)
        assert send_all(here) == 0
        assert len(receiver.got) == tried
        receiver.answer = answering(200)
        receiver.got.clear()
        here.core.house.transact(lambda tx: endpoints.resume_endpoint(tx, "game"))
        tell(here.core, "alice", 3)
        send_all(here)
    assert receiver.of("alice") == [1, 2, 3]
    assert capsys.readouterr().err.count("endpoint_paused") == 1


def test_gone_pauses_at_once(here: World) -> None:
    with receiving(answering(410)) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        tell(here.core, "bob", 1)
        send_all(here)
        here.clock.advance(DAY)
        assert send_all(here) == 0
        assert 1 <= len(receiver.got) <= 2
    assert "410" in endpoint(here.core).paused_why


def test_an_endpoint_that_is_paused_and_resumed_gets_what_it_missed_in_order(here: World) -> None:
    with receiving() as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        send_all(here)
        here.core.whole.transact(lambda tx: endpoints.pause_endpoint(tx, "game", "a test", "operator:me"))
        for number in (2, 3, 4):
            tell(here.core, "alice", number)
        assert send_all(here) == 0
        here.core.house.transact(lambda tx: endpoints.resume_endpoint(tx, "game"))
        send_all(here)
    assert receiver.of("alice") == [1, 2, 3, 4]


def test_while_a_secret_is_replaced_the_old_one_signs_besides_until_its_time_is_over(here: World) -> None:
    with receiving() as receiver:
        old = add(here.core, receiver)
        here.core.whole.transact(lambda tx: endpoints.rotate_secret(tx, "game", timedelta(hours=24)))
        new = endpoint(here.core).secrets[0]["secret"]
        tell(here.core, "alice", 1)
        send_all(here)
        here.clock.advance(DAY + 1)
        tell(here.core, "alice", 2)
        send_all(here)
    first, second = receiver.got
    assert (first.is_signed_with(old), first.is_signed_with(new)) == (True, True)
    assert (second.is_signed_with(old), second.is_signed_with(new)) == (False, True)
    assert len(first.headers["webhook-signature"].split(" ")) == 2


def test_one_event_is_sent_again_with_its_id_and_bytes(here: World) -> None:
    with receiving() as receiver:
        add(here.core, receiver)
        event = tell(here.core, "alice", 1)
        send_all(here)
        resend(here.core, event)
        send_all(here)
        assert [message.id for message in receiver.got] == [str(event)] * 2
        assert receiver.got[0].body == receiver.got[1].body
        with pytest.raises(NotFound):
            resend(here.core, uuid.uuid4())
    assert len(deliveries_of(here.core)) == 1


def test_everything_since_a_moment_is_sent_again_in_order_also_what_was_never_sent(here: World) -> None:
    with receiving() as receiver:
        tell(here.core, "alice", 1)
        here.clock.advance(60)
        tell(here.core, "alice", 2)
        add(here.core, receiver)
        here.clock.advance(60)
        tell(here.core, "alice", 3)
        send_all(here)
        assert receiver.of("alice") == [3]
        receiver.got.clear()
        since = here.clock.now() - timedelta(seconds=60)
        assert here.core.house.transact(lambda tx: deliveries.resend_since(tx, "game", since)) == 2
        send_all(here)
    assert receiver.of("alice") == [2, 3]


def test_a_delivery_that_a_person_gives_up_lets_the_next_one_go(here: World) -> None:
    with receiving(lambda h, m: answering(500 if m.content["data"]["number"] == 1 else 200)(h, m)) as receiver:
        add(here.core, receiver)
        event = tell(here.core, "alice", 1)
        tell(here.core, "alice", 2)
        send_all(here)
        give_up(here.core, event)
        send_all(here)
        with pytest.raises(deliveries.DeliveryEnded):
            give_up(here.core, event)
    assert receiver.of("alice") == [1, 2]
    assert [row.status for row in deliveries_of(here.core)] == ["given_up", "done"]


def test_old_deliveries_and_those_of_removed_endpoints_are_deleted(here: World) -> None:
    with receiving() as receiver:
        add(here.core, receiver)
        add(here.core, Receiver(receiver.url), "other")
        tell(here.core, "alice", 1)
        send_all(here)
        here.core.whole.transact(lambda tx: endpoints.remove_endpoint(tx, "other"))
        here.clock.advance(31 * DAY)
        tell(here.core, "alice", 2)
        send_all(here)
        worker = Worker(here.core)
        for _ in range(3):
            worker.run_once()
            worker._look_for_old_at = 0.0
    assert [row.position for row in deliveries_of(here.core)] == [2]
    assert [row.name for row in here.core.whole.read(endpoints.all_endpoints)] == ["game"]
    add(here.core, Receiver(receiver.url), "other")
