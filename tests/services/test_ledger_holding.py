"""Holds: reserve, capture in parts, release, expiry; and what time does to coins that are held."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from app.domain.ledger import InvalidTransfer, KeyConflict, Lot, NoSuchEntry, Posted, Refused, Transfer, system
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.spending import Capture, HoldRequest, Spend, debit
from app.services.base.transaction import Sessions, read
from app.services.ledger import balance, balances, post, spend
from app.services.ledger.clawback import hold_id, reserve
from app.services.ledger.clawback import release as release_reserved
from app.services.ledger.hold_rows import Held, find
from app.services.ledger.holds import capture, hold, release
from tests.services.ledger_world import DAY, HOUR, NOW, World, code


def _hold(world: World, amount: int, key: str = "h", seconds: int = 3600) -> Any:
    return world.do(hold, HoldRequest(world.user, "coin", amount, key, seconds, reference="room-1"))


def _capture(world: World, of: Held, amount: int | None = None, key: str = "c", *, final: bool = False) -> Any:
    return world.do(capture, Capture(of.id, key, amount, final))


def _state(world: World, of: Held) -> tuple[str, int, int, int]:
    found = read(world.sessions, lambda session: find(session, world.slot, of.id))
    assert found is not None
    return (found.state, found.captured, found.released, found.rest)


def test_held_coins_are_there_but_not_available(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    assert (world.balance().balance, world.balance().held, world.balance().available) == (10, 7, 3)
    assert code(world.spend(4)) == "insufficient_funds"
    assert isinstance(world.spend(3), Posted)
    assert _state(world, held) == ("open", 0, 0, 7)
    assert world.findings() == []


def test_a_hold_is_captured_in_parts_until_nothing_is_left(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    assert _capture(world, held, 3, "1").amount == 3
    assert _capture(world, held, 2, "2").amount == 2
    assert code(_capture(world, held, 3, "3")) == "hold_exceeded"
    assert _capture(world, held, None, "4").amount == 2
    assert _state(world, held) == ("captured", 7, 0, 0)
    assert code(_capture(world, held, 1, "5")) == "hold_closed"
    assert (world.balance().balance, world.balance().held) == (3, 0)
    assert [line.kind for line in world.lines()] == ["grant", "capture", "capture", "capture"]
    assert world.findings() == []


def test_a_final_capture_gives_the_rest_back(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    assert _capture(world, held, 3, final=True).amount == 3
    assert _state(world, held) == ("captured", 3, 4, 0)
    assert world.balance().available == 7


def test_a_repeated_capture_takes_nothing_more(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    first = _capture(world, held, 3)
    again = _capture(world, held, 3)
    assert (again.id, again.repeated) == (first.id, True)
    with pytest.raises(KeyConflict):
        _capture(world, held, 4)
    everything = _capture(world, held, None, "all")
    assert _capture(world, held, None, "all").amount == everything.amount == 4
    assert world.balance().balance == 3


def test_a_repeated_hold_is_the_hold_as_it_stands(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    _capture(world, held, 3)
    world.now += HOUR / 2
    again = _hold(world, 7)
    assert (again.id, again.rest, again.repeated) == (held.id, 4, True)
    with pytest.raises(KeyConflict):
        _hold(world, 8)
    assert world.balance().held == 4


def test_a_refused_hold_stays_refused(world: World) -> None:
    assert code(_hold(world, 7)) == "insufficient_funds"
    world.credit(10)
    assert code(_hold(world, 7)) == "insufficient_funds"
    assert isinstance(_hold(world, 7, "h2"), Held)


def test_release_gives_back_and_is_harmless_to_repeat(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    _capture(world, held, 2)
    assert world.do(release, held.id).rest == 0
    assert world.do(release, held.id).repeated
    assert _state(world, held) == ("released", 2, 5, 0)
    assert world.balance().available == 8
    assert world.findings() == []


def test_the_worker_releases_what_ran_out(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    world.now += HOUR
    assert world.sweep() >= 1
    assert _state(world, held) == ("expired", 0, 7, 0)
    assert world.balance().available == 10
    assert world.sweep() == 0


def test_a_capture_after_expiry_is_refused_even_before_the_worker_came(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    world.now += HOUR
    assert code(_capture(world, held, 7)) == "hold_expired"
    assert _state(world, held) == ("expired", 0, 7, 0)
    assert code(_capture(world, held, 7)) == "hold_expired"
    assert world.balance().available == 10


def test_coins_that_expire_while_held_are_kept_for_the_hold_only(world: World) -> None:
    world.credit(10, lot=Lot(expires_at=NOW + HOUR))
    world.credit(10)
    held = _hold(world, 6, seconds=3 * 24 * 3600)
    world.now += DAY
    world.sweep()
    assert world.balance().balance == 16  # 4 of the 10 that expired are gone, 6 are kept
    assert isinstance(world.spend(10), Posted)
    assert code(world.spend(1)) == "insufficient_funds"
    assert _capture(world, held, 4).amount == 4
    world.do(release, held.id)
    assert world.balance().balance == 0  # the last 2 expired as the hold let go of them
    assert [line.kind for line in world.lines()] == ["grant", "grant", "expiry", "spend", "capture", "expiry"]
    assert world.findings() == []


def test_kept_coins_do_not_keep_the_worker_busy(world: World) -> None:
    world.credit(10, lot=Lot(expires_at=NOW + HOUR))
    _hold(world, 10, seconds=3 * 24 * 3600)
    world.now += DAY
    world.sweep()  # whatever other users of this database have due
    assert world.sweep() == 0
    assert world.balance().balance == 10


def test_a_hold_counts_for_the_limit_on_the_day_it_is_made(books: Sessions) -> None:
    world = World(books, rules=LedgerRules(limits={"coin": SpendLimit(day=10)}))
    world.credit(100)
    held = _hold(world, 8)
    refused = world.spend(3)
    assert isinstance(refused, Refused)
    assert refused.details["spent"] == 8
    _capture(world, held, 3, final=True)
    assert isinstance(world.spend(7), Posted)
    assert code(world.spend(1)) == "spend_limit"


def test_a_hold_of_nothing_or_for_ever_is_no_hold(world: World) -> None:
    for amount, seconds in ((0, 60), (-1, 60), (1, 0), (1, 91 * 24 * 3600)):
        with pytest.raises(InvalidTransfer):
            HoldRequest(world.user, "coin", amount, "k", seconds)
    with pytest.raises(InvalidTransfer):
        Capture(uuid.uuid4(), "k", 0)


def test_an_unknown_hold_is_not_found(world: World) -> None:
    with pytest.raises(NoSuchEntry):
        world.do(capture, Capture(uuid.uuid4(), "k", 1))
    with pytest.raises(NoSuchEntry):
        world.do(release, uuid.uuid4())


def test_a_spend_after_the_end_of_a_hold_needs_no_worker(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7, seconds=60)
    assert code(world.spend(10)) == "insufficient_funds"
    world.now += timedelta(seconds=61)
    assert isinstance(world.spend(10), Posted)
    assert _state(world, held) == ("expired", 0, 7, 0)
    assert world.findings() == []


def test_everybody_who_looks_sees_that_a_hold_is_over(books: Sessions) -> None:
    """A balance, another hold, a debit, a batch, a transfer that must happen."""
    looks: list[Any] = [
        lambda world: _hold(world, 10, "other"),
        lambda world: world.do(spend, debit(world.user, "coin", 10, "d", reason="fraud", actor="ann")),
        lambda world: world.do_batch([Spend(world.user, "coin", 10, "b")]).answers[0],
        lambda world: world.do(
            post, [Transfer("must", world.user, world.wallet(), system("revenue", "coin"), 10, "fee")]
        )[0],
    ]
    for look in looks:
        world = World(books)
        world.credit(10)
        _hold(world, 7, seconds=60)
        world.now += timedelta(seconds=60)
        seen = read(world.sessions, partial(balance, slot=world.slot, account=world.wallet(), at=world.now))
        all_seen = read(world.sessions, partial(balances, slot=world.slot, user_id=world.user, at=world.now))
        assert (seen.available, all_seen[0].available) == (10, 10)
        assert isinstance(look(world), Posted | Held)
        assert world.findings() == []


def test_a_hold_that_ended_counts_no_more_for_the_limit(books: Sessions) -> None:
    world = World(books, rules=LedgerRules(limits={"coin": SpendLimit(day=10)}))
    world.credit(100)
    _hold(world, 8, seconds=60)
    assert code(world.spend(3)) == "spend_limit"
    world.now += timedelta(seconds=60)
    assert isinstance(world.spend(10), Posted)
    assert world.findings() == []


def test_a_hold_that_somebody_found_over_is_expired_for_its_capture_too(world: World) -> None:
    world.credit(10)
    held = _hold(world, 7)
    world.now += HOUR
    world.spend(9)
    assert code(_capture(world, held, 7)) == "hold_expired"


def test_the_reservation_of_a_refund_is_no_hold_of_a_caller(world: World) -> None:
    world.credit(10)
    assert world.do(reserve, world.wallet(), 6, key="refund-1", reference="1") == 6
    reserved = hold_id(world.slot, world.user, "refund-1")
    with pytest.raises(NoSuchEntry):
        world.do(release, reserved)
    with pytest.raises(NoSuchEntry):
        world.do(capture, Capture(reserved, "c"))
    assert world.balance().held == 6
    world.do(release_reserved, world.wallet(), [reserved])
    assert world.balance().held == 0
    assert world.findings() == []


def test_a_frozen_wallet_refuses_a_capture_and_allows_the_operators_debit(world: World) -> None:
    world.credit(10)
    held = _hold(world, 4)
    world.freeze()
    assert code(_capture(world, held, 2)) == "wallet_frozen"
    assert code(world.spend(1)) == "wallet_frozen"
    taken = world.do(spend, debit(world.user, "coin", 6, "d", reason="fraud", actor="ann"))
    assert isinstance(taken, Posted)
    assert (world.balance().balance, world.balance().held) == (4, 4)
