"""Questions to providers: what has ended is kept for a while, and then deleted."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import text

from app.providers.facts import Ref
from app.services.calls import reference_queries
from app.services.calls.reference_queries import raise_ask
from app.services.refunds import overdue
from app.worker import Worker
from tests.support.buyer import Buyer
from tests.support.world import World

DAY = 86_400
ASKS = "/* sweep: operator */ SELECT refund FROM asks ORDER BY refund"


def kept(world: World) -> list[str]:
    return [row.refund for row in world.core.whole.read(lambda tx: tx.execute(text(ASKS)).all())]


def answered_question(world: World, refund: str = "") -> Buyer:
    """A paid payment that a message named, and about which the provider has answered."""
    buyer = Buyer(world)
    buyer.pay()
    assert raise_ask(world.core, world.account, Ref(ours=str(buyer.payment_id), refund=refund or None))
    Worker(world.core).run_once()
    return buyer


def test_a_question_that_has_ended_is_deleted_when_it_was_kept_long_enough(world: World) -> None:
    answered_question(world)
    world.clock.advance(89 * DAY)
    Worker(world.core).run_once()
    assert kept(world) == [""]
    world.clock.advance(2 * DAY)
    Worker(world.core).run_once()
    assert kept(world) == []


def test_the_setting_says_how_long_a_question_that_has_ended_is_kept(world: World) -> None:
    short = world.with_rules(replace(world.core.rules, question_days=2))
    answered_question(short)
    short.clock.advance(DAY)
    Worker(short.core).run_once()
    assert kept(short) == [""]
    short.clock.advance(DAY + 1)
    Worker(short.core).run_once()
    assert kept(short) == []


def test_a_question_that_is_still_asked_is_kept_however_old_it_is(world: World) -> None:
    short = world.with_rules(replace(world.core.rules, question_days=1))
    answered_question(short, refund="nobody knows it")
    short.clock.advance(5 * DAY)
    assert reference_queries.delete_old_questions(short.core, 100) == 0
    assert kept(short) == ["nobody knows it"]


def test_a_question_that_was_raised_again_today_is_kept_though_it_is_old(world: World) -> None:
    buyer = answered_question(world)
    world.clock.advance(100 * DAY)
    assert raise_ask(world.core, world.account, Ref(ours=str(buyer.payment_id)))
    Worker(world.core).run_once()
    assert reference_queries.delete_old_questions(world.core, 100) == 0
    assert kept(world) == [""]


def test_a_question_that_a_person_ended_is_kept_so_that_the_same_word_does_not_raise_it_again(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.tell(replace(buyer.paid(), refunds_unknown=True), "query")
    overdue.end_by_hand(world.core, buyer.payment_id, by="Ann", reason="seen on the merchant's page")
    world.clock.advance(400 * DAY)
    Worker(world.core).run_once()
    assert kept(world) == [""]
    buyer.tell(replace(buyer.paid(), refunds_unknown=True), "query")
    assert overdue.list_overdue_refunds(world.core, 10).found.payments == []


def test_many_old_questions_are_deleted_in_bounded_steps(world: World) -> None:
    for _ in range(3):
        answered_question(world)
    world.clock.advance(91 * DAY)
    assert [reference_queries.delete_old_questions(world.core, 2) for _ in range(3)] == [2, 1, 0]
