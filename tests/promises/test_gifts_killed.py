"""Gifts and recalls under `kill -9` at any statement or commit, repeated, and in both directions at once.

The process that dies is a fork of the test. Whatever it had done, the gift ends once: with the receiver, or back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import pytest
from sqlalchemy import Engine, select

from app.domain.numbers import slot_of_user
from app.models.gifts import GIFTS, RECALLS
from app.providers.facts import Kind
from app.services.gifts import journey, recalls
from app.services.ledger import freezes
from tests.conftest import database_of
from tests.support import databases
from tests.support.buyer import Buyer
from tests.support.forks import count_steps, kill_at
from tests.support.friends import Friends, buyer_in, friends_in
from tests.support.world import build_world

KILLS = 9
"""How many of the steps are tried, spread over all of them."""
_people = count(1)


@dataclass
class Place:
    """A database, and the friends in it."""

    url: str
    friends: Friends


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with database_of(request, tmp_path_factory.mktemp("killed")) as url:
        yield from _place(url)


def _place(url: str) -> Iterator[Place]:
    with databases.engine_for(url) as engine:
        yield Place(url, friends_in(build_world(engine, databases.sessions_for(engine))))


@dataclass
class Pair:
    """A giver, who has bought 66 coins, and a receiver."""

    friends: Friends
    ann: Buyer
    bob: str

    @property
    def coins(self) -> list[int]:
        return self.friends.coins(self.ann.user, self.bob)

    def give(self) -> None:
        self.friends.give(self.ann.user, self.bob, 40, key="the same")

    def freeze_bob(self) -> None:
        self.friends.credit(self.bob, 1)
        change = freezes.Change(self.bob, "sandbox", "coin", True, "a look at it", "operator:ann")
        self.friends.world.core.whole.transact(lambda tx: freezes.apply(tx, slot_of_user(self.bob), change))

    def refund_after_a_gift(self) -> None:
        self.friends.give(self.ann.user, self.bob, 66)
        self.friends.spend(self.bob, 10)
        self.ann.tell(self.ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))

    def recall(self) -> None:
        """As the worker does. What it had taken before it died is leased, and falls due a minute later."""
        core, open_here = self.friends.world.core, (RECALLS.c.slot == self.ann.slot, RECALLS.c.status == "open")
        for number in core.whole.read(lambda tx: list(tx.scalars(select(RECALLS.c.id).where(*open_here)))):
            recalls.work_on_recall(core, number)


@dataclass(frozen=True)
class Action:
    prepare: Callable[[Pair], None]
    run: Callable[[Pair], None]
    coins: list[int]
    debt: int = 0


ACTIONS = {
    "given": Action(lambda pair: None, Pair.give, [26, 40]),
    "given to a frozen wallet": Action(Pair.freeze_bob, Pair.give, [66, 1]),
    "recalled": Action(Pair.refund_after_a_gift, Pair.recall, [0, 0], 10),
}


def _pair(place: Place) -> Pair:
    number = next(_people)
    ann = buyer_in(place.friends, f"ann-{number}")
    return Pair(place.friends, ann, f"bob-{number}")


@pytest.mark.parametrize("name", ACTIONS)
def test_killed_at_any_step_it_is_finished_or_returned_and_never_both(place: Place, name: str) -> None:
    action = ACTIONS[name]
    steps = _count_steps(place, action)
    assert steps > KILLS
    for at in sorted({1 + number * (steps - 1) // (KILLS - 1) for number in range(KILLS)}):
        pair = _pair(place)
        action.prepare(pair)
        _kill(place, pair, action, at, steps)
        if name != "recalled":
            written = sum(pair.coins) + max(0, place.friends.in_transit)
            assert written in (66, 67), "nothing is lost in between"
        action.run(pair)  # the backend, which got no answer, repeats its request; the worker begins anew
        place.friends.work()
        assert (pair.coins, pair.ann.debt) == (action.coins, action.debt)
        assert place.friends.in_transit == 0
    place.friends.assert_balanced()


@pytest.mark.parametrize("name", ["given", "given to a frozen wallet"])
def test_killed_anywhere_the_worker_alone_ends_what_is_written_down(place: Place, name: str) -> None:
    """Nobody repeats the request: the gift has happened whole, or not at all."""
    action = ACTIONS[name]
    steps = _count_steps(place, action)
    for at in sorted({1 + number * (steps - 1) // (KILLS - 1) for number in range(KILLS)}):
        pair = _pair(place)
        action.prepare(pair)
        before = pair.coins
        _kill(place, pair, action, at, steps)
        place.friends.work()
        assert pair.coins in (before, action.coins)
        assert place.friends.in_transit == 0
    place.friends.assert_balanced()


def test_killed_twice_it_still_ends(place: Place) -> None:
    """The worker that carries on what a first process left dies as well."""
    work = Action(_send_only, _work_on, [26, 40])
    steps = _count_steps(place, work)
    pair = _pair(place)
    work.prepare(pair)
    for at in (1, 4, 8, 12):
        _kill(place, pair, work, at, steps)
        place.friends.world.clock.advance(61)
    place.friends.work()
    assert (pair.coins, place.friends.in_transit) == ([26, 40], 0)
    place.friends.assert_balanced()


def _send_only(pair: Pair) -> None:
    pair.friends.send_only(pair.ann.user, pair.bob, 40)
    pair.friends.world.clock.advance(61)


def _work_on(pair: Pair) -> None:
    """As the worker does with a gift that has fallen due."""
    core, sent_here = pair.friends.world.core, (GIFTS.c.slot == pair.ann.slot, GIFTS.c.giver == pair.ann.user)
    for number in core.whole.read(lambda tx: list(tx.scalars(select(GIFTS.c.id).where(*sent_here)))):
        journey.work_on_gift(core, number)


def test_ended_by_many_at_once_it_ends_once(place: Place) -> None:
    for prepare, coins in ((None, [26, 40]), (Pair.freeze_bob, [66, 1])):
        pair = _pair(place)
        if prepare is not None:
            prepare(pair)
        number = place.friends.send_only(pair.ann.user, pair.bob, 40)
        _at_once(*[partial(journey.advance, place.friends.world.core, number)] * 6)
        assert (pair.coins, place.friends.in_transit) == (coins, 0)
    place.friends.assert_balanced()


def test_one_request_sent_many_times_at_once_is_one_gift(place: Place) -> None:
    pair = _pair(place)
    _at_once(*[pair.give for _ in range(6)])
    assert (pair.coins, place.friends.in_transit) == ([26, 40], 0)
    place.friends.assert_balanced()


def test_gifts_in_both_directions_at_once_wait_for_nobody(place: Place) -> None:
    """Each transaction locks the wallet of one user: there is no order in which two could wait for each other."""
    pair = _pair(place)
    place.friends.credit(pair.bob, 66)
    there = [lambda: place.friends.give(pair.ann.user, pair.bob, 3) for _ in range(4)]
    back = [lambda: place.friends.give(pair.bob, pair.ann.user, 5) for _ in range(4)]
    _at_once(*[work for both in zip(there, back, strict=True) for work in both])
    assert pair.coins == [66 - 12 + 20, 66 + 12 - 20]
    assert place.friends.in_transit == 0
    place.friends.assert_balanced()


def test_spenders_and_gifts_at_once_take_no_coin_twice(place: Place) -> None:
    pair = _pair(place)
    spends = [lambda: place.friends.spend(pair.ann.user, 10) for _ in range(6)]
    gifts = [lambda: _try_to_give(pair, 10) for _ in range(6)]
    _at_once(*[work for both in zip(spends, gifts, strict=True) for work in both])
    assert pair.coins[0] == 6
    assert pair.coins[1] % 10 == 0
    place.friends.assert_balanced()


def _try_to_give(pair: Pair, amount: int) -> None:
    from app.services.gifts.giver import TooFewToGive

    try:
        pair.friends.give(pair.ann.user, pair.bob, amount)
    except TooFewToGive:
        return


def _at_once(*works: Callable[[], object]) -> None:
    """Run all of them in threads that start together. An exception in one fails the test."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _count_steps(place: Place, action: Action) -> int:
    pair = _pair(place)
    action.prepare(pair)
    return count_steps(place.url, lambda engine: action.run(_elsewhere(pair, engine)))


def _kill(place: Place, pair: Pair, action: Action, at: int, steps: int) -> None:
    kill_at(place.url, lambda engine: action.run(_elsewhere(pair, engine)), at, steps)


def _elsewhere(pair: Pair, engine: Engine) -> Pair:
    """The pair, seen through connections of its own."""
    world = pair.friends.world
    core = replace(world.core, databases=databases.databases_of(databases.sessions_for(engine)))
    return Pair(Friends(replace(world, core=core)), pair.ann, pair.bob)
