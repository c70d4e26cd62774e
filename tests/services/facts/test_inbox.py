"""Messages that a person has to look at: kept raw beside their fact, listed, replayed, resolved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.providers.facts import Message, Received, Ref, Reply
from app.providers.registry import ProviderAccount, Registry
from app.services.calls.reference_queries import raise_ask
from app.services.facts import inbox
from app.services.intake import notifications
from app.services.intake.notifications import NotReplayed
from app.worker import Worker
from tests.support.world import World

DAY = 24 * 3600


def kept(world: World) -> list[Any]:
    return world.core.whole.read(inbox.waiting_messages)


def surplus(world: World) -> Message:
    """A genuine message about a second trade of a paid payment."""
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    world.deliver()
    world.at_provider(payment_id).id = "another-trade"
    return world.notification(payment_id)


def test_a_message_is_kept_as_it_came_without_credentials(world: World) -> None:
    message = surplus(world)
    headers = {**message.headers, "authorization": "Bearer secret", "cookie": "secret", "x-forwarded-for": "::1"}
    sent = Message("notification", message.body, headers, "a=%00&b=1")
    assert world.receive(sent).status == 200
    [row] = kept(world)
    assert (row.reason, row.detail) == ("surplus", "second_trade_of_one_number")
    back = inbox.kept_message(row)
    assert (back.body, back.query_string) == (sent.body, sent.query_string)
    assert "secret" not in str(back.headers)
    assert back.headers["x-forwarded-for"] == "::1"


def test_a_repeat_that_is_acknowledged_is_not_kept_again(world: World) -> None:
    message = surplus(world)
    for _ in range(3):
        assert world.receive(message).status == 200
    assert len(kept(world)) == 1


def test_what_needs_nobody_is_not_kept(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    world.deliver()
    assert world.receive(world.notification(payment_id)).status == 200
    assert kept(world) == []


def test_a_replay_moves_no_money_twice_and_takes_the_message_off_the_list(world: World) -> None:
    world.receive(surplus(world))
    [row] = kept(world)
    world.clock.advance(30 * 24 * 3600)
    before = world.money("surplus")
    assert str(notifications.replay(world.core, row.id)) == "duplicate surplus"
    assert kept(world) == []
    assert world.money("surplus") == before
    world.assert_balanced()


def test_a_replay_still_verifies(world: World) -> None:
    message = surplus(world)
    number = world.core.whole.transact(
        lambda tx: inbox.keep_message(tx, 7, "sandbox", replace(message, body=message.body + b" "), "parked", ""),
    )
    with pytest.raises(NotReplayed, match="refused"):
        notifications.replay(world.core, number)
    assert len(kept(world)) == 1


def test_there_is_nothing_to_replay_under_another_number(world: World) -> None:
    with pytest.raises(NotReplayed, match="no such message"):
        notifications.replay(world.core, 12345)


def test_a_message_of_an_account_that_is_not_configured_any_more_cannot_be_replayed(world: World) -> None:
    world.receive(surplus(world))
    without = world.with_accounts().core
    with pytest.raises(NotReplayed, match="'sandbox' is not configured"):
        notifications.replay(without, kept(world)[0].id)


def test_a_resolved_message_is_off_the_list(world: World) -> None:
    world.receive(surplus(world))
    [row] = kept(world)
    world.core.whole.transact(lambda tx: inbox.resolve(tx, row.id))
    assert kept(world) == []


def test_an_authentic_message_that_says_nothing_usable_is_kept_for_a_person(world: World) -> None:
    class Puzzled:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.account.provider, name)

        def receive(self, message: Message) -> Received:
            return Received((), Reply(200, "text/plain", b"ok"), note="an event of tomorrow")

    provider: Any = Puzzled()
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    puzzled = replace(world, core=replace(world.core, registry=registry))
    assert puzzled.receive(Message("notification", b"{}")).status == 200
    assert [(row.reason, row.detail) for row in kept(world)] == [("note", "an event of tomorrow")]


# --- how long they are kept ---


def all_kept(world: World) -> set[int]:
    wanted = text("/* sweep: operator */ SELECT id FROM messages")
    return set(world.core.whole.read(lambda tx: tx.scalars(wanted).all()))


def keep(world: World, *, aside: bool = False, slot: int = 7) -> int:
    message = Message("notification", b"what a provider wrote about a payer")
    return world.core.whole.transact(
        lambda tx: inbox.keep_message(tx, slot, "sandbox", message, "parked", "", aside=aside)
    )


def test_a_settled_message_is_deleted_when_it_was_kept_long_enough_and_a_waiting_one_is_not(world: World) -> None:
    waits, resolved, aside = keep(world), keep(world), keep(world, aside=True, slot=8)
    world.clock.advance(10 * DAY)
    world.core.whole.transact(lambda tx: inbox.resolve(tx, resolved))
    world.clock.advance(89 * DAY)
    Worker(world.core).run_once()
    assert all_kept(world) == {waits, resolved}, "settled 99 days ago, 89 days ago, and not at all"
    world.clock.advance(2 * DAY)
    Worker(world.core).run_once()
    assert all_kept(world) == {waits}
    world.clock.advance(4000 * DAY)
    Worker(world.core).run_once()
    assert all_kept(world) == {waits}
    assert aside not in all_kept(world)


def test_the_setting_says_how_long_a_settled_message_is_kept(world: World) -> None:
    short = world.with_rules(replace(world.core.rules, message_days=2))
    keep(short, aside=True)
    short.clock.advance(DAY)
    Worker(short.core).run_once()
    assert len(all_kept(short)) == 1
    short.clock.advance(DAY + 1)
    Worker(short.core).run_once()
    assert all_kept(short) == set()


def test_a_message_whose_question_is_still_asked_is_kept(world: World) -> None:
    """Such a message is put aside, and is shown if its question finds no answer."""
    short = world.with_rules(replace(world.core.rules, message_days=1))
    message = Message("notification", b"names a payment that nobody knows here")
    assert raise_ask(short.core, short.account, Ref(theirs="somebody's"), message)
    short.clock.advance(2 * DAY)
    assert inbox.delete_old_messages(short.core, 100) == 0
    for _ in range(20):
        short.clock.advance(timedelta(hours=12).total_seconds())
        Worker(short.core).run_once()
    assert [row.reason for row in kept(short)] == ["ask_not_found"]


def test_many_old_messages_are_deleted_in_bounded_steps(world: World) -> None:
    for slot in range(5):
        keep(world, aside=True, slot=slot)
    world.clock.advance(100 * DAY)
    assert [inbox.delete_old_messages(world.core, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert all_kept(world) == set()
