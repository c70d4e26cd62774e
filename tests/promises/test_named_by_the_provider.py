"""Promise 11: what an authentic message names by the provider's own number is asked about until there is an answer, or
a person is shown the message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.retries import RETRIES, Retried
from app.domain.schedule import HINT_GAP_SECONDS
from app.providers.facts import Fact, Message, Received, Ref, Reply
from app.providers.registry import ProviderAccount
from app.services.calls import payment_queries, reference_queries
from app.services.facts import inbox
from app.worker import Worker
from tests.support.world import World

ASKS = "/* sweep: operator */ SELECT payment_id, theirs, tries, next_try_at FROM asks ORDER BY id"


@dataclass
class Naming:
    """A provider whose messages about refunds only name: its own number, and perhaps the refund's."""

    inner: Any
    asked: list[Ref]
    while_asked: Any = None
    """Called in the middle of a query."""
    silent: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def receive(self, message: Message) -> Received:
        named = json.loads(message.body)
        return Received((), Reply(200, "text/plain", b"ok"), asks=(Ref(**named),))

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        self.asked.append(ref)
        facts: tuple[Fact, ...] = () if self.silent else self.inner.query(replace(ref, refund=None))
        if self.while_asked is not None:
            self.while_asked, during = None, self.while_asked
            during()
        return facts


@dataclass
class NamingWorld:
    world: World
    provider: Naming

    def is_named(self, **ref: str) -> None:
        reply = self.world.receive(Message("notification", json.dumps(ref).encode()))
        assert reply.status == 200

    def work(self) -> None:
        Worker(self.world.core, ()).run_once()

    def asks(self) -> list[Any]:
        return list(self.world.core.whole.read(lambda tx: tx.execute(text(ASKS)).all()))

    def shown(self) -> list[str]:
        return [row.reason for row in self.world.core.whole.read(inbox.waiting_messages)]


@pytest.fixture
def naming(world: World) -> Iterator[NamingWorld]:
    provider = Naming(world.account.provider, [])
    account = ProviderAccount("sandbox", "sandbox", False, provider)
    world.serve(account)
    yield NamingWorld(world, provider)
    world.assert_balanced()


def paid(world: World, user: str = "alice") -> Any:
    """A payment that was started here, paid, and heard of by our own question."""
    payment_id = world.order(user, key=user).payments[0].id
    world.simulator.faults.lose = 10
    world.pay(payment_id)
    world.clock.advance(60)
    Worker(world.core, ()).run_once()
    world.clock.advance(600)
    assert world.coins(user) == 66
    return world.payment(payment_id)


def test_a_refund_of_a_started_payment_named_by_the_providers_number_is_heard_of(naming: NamingWorld) -> None:
    payment = paid(naming.world)
    naming.world.simulator.console_refund(naming.world.at_provider(payment.id), 600)
    naming.is_named(theirs=payment.theirs)
    assert naming.world.coins() == 66, "the message was believed"
    for _ in range(2):  # the payment is found, then its provider is asked
        naming.work()
    assert naming.world.coins() == 0
    assert all(row.next_try_at is None for row in naming.asks())
    assert naming.shown() == []


def test_a_started_payment_that_is_named_while_it_is_open_is_asked_about(naming: NamingWorld) -> None:
    payment_id = naming.world.order().payments[0].id
    payment = naming.world.payment(payment_id)
    naming.world.simulator.faults.lose = 10
    naming.world.pay(payment_id)
    naming.is_named(theirs=payment.theirs or naming.world.at_provider(payment_id).id)
    for _ in range(2):
        naming.work()
    assert naming.world.coins() == 66


def test_another_accounts_payment_of_that_number_is_not_asked_about(naming: NamingWorld) -> None:
    payment = paid(naming.world)
    naming.provider.asked.clear()
    naming.world.core.whole.transact(
        lambda tx: tx.execute(
            text("UPDATE payments SET provider_account = 'other' WHERE slot = :slot"), {"slot": payment.slot}
        )
    )
    naming.is_named(theirs=payment.theirs)
    naming.work()
    assert naming.provider.asked == []
    naming.world.core.whole.transact(
        lambda tx: tx.execute(
            text("UPDATE payments SET provider_account = 'sandbox' WHERE slot = :slot"), {"slot": payment.slot}
        )
    )


def test_what_is_not_found_is_looked_for_again_and_shown_to_a_person_at_the_end(naming: NamingWorld) -> None:
    naming.is_named(theirs="T-of-nobody", refund="R-1")
    naming.is_named(theirs="T-of-nobody", refund="R-1")
    assert len(naming.asks()) == 1, "one question for one name"
    rule = RETRIES[Retried.PAYMENT_NOT_FOUND]
    for seconds in (*rule.pauses, *(rule.pauses[-1],) * ((rule.most or 0) - len(rule.pauses))):
        naming.work()
        assert naming.shown() == [], "a person is bothered before it is time"
        assert naming.asks()[0].next_try_at is not None
        naming.world.clock.advance(seconds + 1)
    naming.work()
    assert naming.shown() == [reference_queries.ASK_NOT_FOUND]
    assert naming.asks()[0].next_try_at is None
    [kept] = naming.world.core.whole.read(inbox.waiting_messages)
    assert json.loads(kept.body) == {"theirs": "T-of-nobody", "refund": "R-1"}


def test_a_payment_that_comes_to_be_known_later_is_found_by_the_question_that_waits(naming: NamingWorld) -> None:
    payment = paid(naming.world)
    hidden, slot = f"hidden-{payment.theirs}", {"slot": payment.slot}
    rename = text("UPDATE payments SET theirs = :theirs WHERE slot = :slot")
    naming.world.core.whole.transact(lambda tx: tx.execute(rename, {**slot, "theirs": hidden}))
    naming.world.simulator.console_refund(naming.world.at_provider(payment.id), 600)
    naming.is_named(theirs=payment.theirs)
    naming.work()
    assert naming.world.coins() == 66
    naming.world.core.whole.transact(lambda tx: tx.execute(rename, {**slot, "theirs": payment.theirs}))
    naming.world.clock.advance(RETRIES[Retried.PAYMENT_NOT_FOUND].pauses[0] + 1)
    for _ in range(2):
        naming.work()
    assert naming.world.coins() == 0


def test_an_ask_within_a_minute_of_another_is_put_off_and_not_dropped(naming: NamingWorld) -> None:
    payment = paid(naming.world)
    naming.is_named(ours=str(payment.id), refund="R-1")
    naming.work()
    naming.provider.asked.clear()
    naming.world.clock.advance(10)
    naming.world.simulator.console_refund(naming.world.at_provider(payment.id), 600)
    naming.is_named(ours=str(payment.id), refund="R-1")
    naming.work()
    assert naming.provider.asked == [], "asked twice within a minute"
    naming.world.clock.advance(HINT_GAP_SECONDS)
    naming.work()
    assert naming.provider.asked, "the second message of a burst was dropped"
    assert naming.world.coins() == 0


def test_a_burst_of_messages_about_one_payment_is_one_question_that_is_asked_after_the_last(
    naming: NamingWorld,
) -> None:
    payment = paid(naming.world)
    for second in range(30):
        naming.is_named(theirs=payment.theirs)
        naming.work()
        if second == 20:
            naming.world.simulator.console_refund(naming.world.at_provider(payment.id), 600)
        naming.world.clock.advance(1)
    assert len(naming.provider.asked) < 10
    for _ in range(3):
        naming.world.clock.advance(HINT_GAP_SECONDS)
        naming.work()
    assert naming.world.coins() == 0


def test_a_message_that_comes_while_its_question_is_being_asked_is_asked_about_anew(naming: NamingWorld) -> None:
    payment = paid(naming.world)

    def meanwhile() -> None:
        naming.world.simulator.console_refund(naming.world.at_provider(payment.id), 600)
        naming.is_named(ours=str(payment.id), refund="R-1")

    naming.is_named(ours=str(payment.id), refund="R-1")
    naming.provider.while_asked = meanwhile
    naming.work()
    assert naming.world.coins() == 66, "the answer was given before the refund"
    naming.world.clock.advance(HINT_GAP_SECONDS)
    naming.work()
    assert naming.world.coins() == 0


def test_a_closed_payment_that_is_named_while_it_is_asked_is_asked_again(naming: NamingWorld) -> None:
    payment_id = naming.world.order().payments[0].id
    naming.world.simulator.faults.lose = 10
    naming.world.clock.advance(86_400)
    naming.work()
    naming.world.core.whole.transact(
        lambda tx: tx.execute(
            text("UPDATE payments SET status = 'closed', next_query_at = :now WHERE slot = :slot"),
            {"slot": naming.world.payment(payment_id).slot, "now": str(naming.world.clock.now())},
        )
    )

    def meanwhile() -> None:
        naming.world.clock.advance(2)
        naming.is_named(ours=str(payment_id))

    naming.provider.while_asked = meanwhile
    payment_queries.take_due(naming.world.core, payment_id)
    asked = payment_queries.ask(naming.world.core, payment_id)
    assert asked is not None
    payment_queries.schedule_next(naming.world.core, asked.row)
    due = naming.world.payment(payment_id).next_query_at
    assert due is not None
    assert due <= naming.world.clock.now() + timedelta(seconds=5)


def test_a_provider_that_never_knows_what_was_named_leaves_the_message_to_a_person(naming: NamingWorld) -> None:
    payment = paid(naming.world)
    naming.provider.silent = True
    naming.is_named(theirs=payment.theirs, refund="R-of-nobody")
    for _ in range((RETRIES[Retried.UNANSWERED_QUESTION].most or 0) + 3):
        naming.work()
        naming.world.clock.advance(RETRIES[Retried.UNANSWERED_QUESTION].pauses[-1] * 1.3)
    assert naming.shown() == [reference_queries.ASK_UNANSWERED]
    assert all(row.next_try_at is None for row in naming.asks())


def test_a_message_about_a_number_of_ours_that_is_not_here_is_shown(naming: NamingWorld) -> None:
    naming.is_named(ours="123456789", refund="R-1")
    assert naming.shown() == ["unknown_number"]
