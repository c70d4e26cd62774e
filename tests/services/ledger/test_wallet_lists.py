"""Lists of lots and of holds, as they stand for whoever looks."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from app.domain.ledger import NoSuchEntry, Posted, wallet
from app.domain.numbers import slot_of_user
from app.domain.spending import Capture, HoldRequest, Spend, grant
from app.services import ledger
from app.services.base.list_pages import ListPlace, TimeSpan
from app.services.ledger import holds
from app.services.ledger.clawback import reserve
from app.services.ledger.hold_rows import Held
from app.services.ledger.wallet_lists import (
    HoldFilter,
    ListedLot,
    LotFilter,
    list_holds,
    list_lots,
    view_hold,
)
from app.worker import Worker
from tests.support.world import World

ALICE = slot_of_user("alice")
DAY = timedelta(days=1)


def _all(read: Any, world: World, wanted: Any, size: int) -> list[Any]:
    found: list[Any] = []
    place: ListPlace | None = None
    while True:
        page = read(world.core, wanted, place, size)
        found += page.rows
        place = page.next
        if place is None:
            return found


def _lots(world: World, environment: str = "sandbox", size: int = 2, **wanted: Any) -> list[ListedLot]:
    return _all(list_lots, world, LotFilter(wallet("alice", "coin", environment), **wanted), size)


def _buy(world: World, key: str) -> int:
    """66 coins, 6 of them a bonus for 30 days; the number of the order."""
    view = world.order(key=key)
    world.pay(view.payments[0].id)
    world.deliver()
    return int(view.order.id)


def _spend(world: World, amount: int, key: str) -> None:
    request = Spend("alice", "coin", amount, key, environment="sandbox")
    assert isinstance(world.core.whole.transact(lambda tx: ledger.spend(tx, ALICE, request)), Posted)


def _grant(world: World, amount: int, key: str, days: int | None = None) -> None:
    expires_at = None if days is None else world.clock.now() + days * DAY
    transfer = grant(
        "alice", "coin", amount, key, reason="welcome", actor="backend:shop", reference="gift-1", expires_at=expires_at
    )
    world.core.whole.transact(lambda tx: ledger.post(tx, ALICE, [transfer]))


def test_a_lot_tells_what_is_left_of_it_when_it_expires_and_which_order_bought_it(world: World) -> None:
    first, second = _buy(world, "k1"), _buy(world, "k2")
    _spend(world, 20, "s")  # the bonus that expires first and the next one, then 8 of the first order's coins
    lots = _lots(world, shown="all")
    assert [(lot.order, lot.bonus, lot.granted, lot.left) for lot in lots] == [
        (str(first), False, 60, 52),
        (str(first), True, 6, 0),
        (str(second), False, 60, 60),
        (str(second), True, 6, 0),
    ]
    assert [lot.expires_at for lot in lots] == [None, world.clock.now() + 30 * DAY] * 2
    assert [(lot.product, lot.value_minor, lot.currency) for lot in lots[:2]] == [
        ("coins-60", 600, "CNY"),
        ("coins-60", 0, ""),
    ]
    assert [(lot.source, lot.reference) for lot in lots[:2]] == [("purchase", str(first)), ("bonus", str(first))]
    order = world.order_row(first)
    assert {lot.payment for lot in lots[:2]} == {str(order.paid_payment_id)}


def test_what_is_left_of_all_lots_is_the_balance_whatever_is_spent(world: World) -> None:
    for number, amount in enumerate((5, 61, 1, 66)):
        _buy(world, f"k{number}")
        _spend(world, amount, f"s{number}")
        left = _lots(world)
        assert sum(lot.left for lot in left) == world.coins()
        assert all(lot.left > 0 for lot in left)
        used_up = _lots(world, shown="used_up")
        assert all(lot.left == 0 for lot in used_up)
        assert sorted(lot.lot for lot in (*left, *used_up)) == [lot.lot for lot in _lots(world, shown="all", size=50)]


def test_lots_are_found_by_kind_and_by_when_they_expire(world: World) -> None:
    _grant(world, 7, "g1")
    _grant(world, 8, "g2", days=3)
    _grant(world, 9, "g3", days=10)
    found = _lots(world, "live")
    assert [(lot.granted, lot.order, lot.payment, lot.source, lot.reference, lot.note) for lot in found] == [
        (amount, None, None, "grant", "gift-1", "welcome") for amount in (7, 8, 9)
    ]
    soon = world.clock.now() + 3 * DAY
    assert [lot.granted for lot in _lots(world, "live", expires_before=soon)] == []
    assert [lot.granted for lot in _lots(world, "live", expires_before=soon + DAY)] == [8]
    assert [lot.granted for lot in _lots(world, "live", bonus=True, size=1)] == [7, 8, 9]
    assert _lots(world, "live", bonus=False) == []
    _buy(world, "k1")
    assert [lot.bonus for lot in _lots(world, bonus=False)] == [False]
    assert [lot.lot for lot in _lots(world, "live", size=50)] == [lot.lot for lot in found], "of one wallet only"


def test_lots_that_come_in_while_somebody_pages_come_at_the_end(world: World) -> None:
    wanted = LotFilter(wallet("alice", "coin"), "all")
    for number in range(4):
        _grant(world, 1, f"g{number}")
    first = list_lots(world.core, wanted, None, 3)
    _grant(world, 1, "late")
    second = list_lots(world.core, wanted, first.next, 3)
    assert [lot.lot for lot in (*first.rows, *second.rows)] == [1, 2, 3, 4, 5]


def _hold(world: World, amount: int, key: str, seconds: int = 3600, user: str = "alice", asset: str = "coin") -> Held:
    request = HoldRequest(user, asset, amount, key, seconds, reference=f"room-{key}", note="n", actor="backend:shop")
    slot = slot_of_user(user)
    held = world.core.whole.transact(lambda tx: holds.hold(tx, slot, request))
    assert isinstance(held, Held)
    return held


def _holds(world: World, size: int = 2, user: str = "alice", **wanted: Any) -> list[Any]:
    return _all(list_holds, world, HoldFilter(user, **wanted), size)


def test_holds_are_found_by_state_newest_first(world: World) -> None:
    _grant(world, 100, "g")
    made = {name: _hold(world, 10, name) for name in ("open", "captured", "released", "short")}
    taken = Capture(made["captured"].id, "c", 10)
    world.core.whole.transact(lambda tx: holds.capture(tx, ALICE, taken))
    world.core.whole.transact(lambda tx: holds.release(tx, ALICE, made["released"].id))
    world.clock.advance(60)
    made["short"] = _hold(world, 5, "later", seconds=30)
    world.core.whole.transact(lambda tx: holds.capture(tx, ALICE, Capture(made["short"].id, "c2", 2)))
    newest = _holds(world)
    assert [(hold.created_at, hold.id.int) for hold in newest] == sorted(
        ((hold.created_at, hold.id.int) for hold in newest), reverse=True
    )
    assert len(newest) == 5
    assert {hold.id for hold in _holds(world, state="captured")} == {made["captured"].id}
    assert {hold.id for hold in _holds(world, state="released", size=1)} == {made["released"].id}
    assert len(_holds(world, state="open", size=1)) == 3
    assert _holds(world, state="expired") == []
    late = _holds(world, made=TimeSpan(since=world.clock.now()))
    assert [(hold.id, hold.reference, hold.note, hold.actor) for hold in late] == [
        (made["short"].id, "room-later", "n", "backend:shop")
    ]


def test_a_hold_whose_time_is_over_is_expired_before_and_after_the_worker_comes(world: World) -> None:
    _grant(world, 10, "g")
    held = _hold(world, 7, "h", seconds=30)
    world.core.whole.transact(lambda tx: holds.capture(tx, ALICE, Capture(held.id, "c", 3)))
    world.clock.advance(30)
    for _ in range(2):
        assert _holds(world, state="open") == []
        (seen,) = _holds(world, state="expired")
        assert (seen.state, seen.captured, seen.released, seen.rest) == ("expired", 3, 4, 0)
        assert view_hold(world.core, "alice", held.id) == seen
        Worker(world.core).run_once()


def test_holds_are_of_one_user_and_perhaps_one_wallet(world: World) -> None:
    _grant(world, 10, "g")
    held = _hold(world, 1, "h")
    assert [hold.id for hold in _holds(world, asset="coin", environment="live")] == [held.id]
    assert _holds(world, asset="gem") == []
    assert _holds(world, environment="sandbox") == []
    assert _holds(world, user="bob") == []
    assert view_hold(world.core, None, held.id).user == "alice"
    with pytest.raises(NoSuchEntry):
        view_hold(world.core, "bob", held.id)
    with pytest.raises(NoSuchEntry):
        view_hold(world.core, None, uuid.UUID(int=held.id.int ^ (1 << 90)))


def test_what_a_refund_reserves_is_no_hold_of_a_caller(world: World) -> None:
    _grant(world, 10, "g")
    name = wallet("alice", "coin")
    world.core.whole.transact(lambda tx: reserve(tx, ALICE, name, 4, 1))
    assert world.core.whole.read(lambda tx: ledger.balance(tx, ALICE, name)).held == 4
    assert _holds(world) == []
