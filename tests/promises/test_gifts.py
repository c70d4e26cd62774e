"""Gifts: coins move from user to user with all that they are, and each gift ends, whatever stands in its way."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from app.domain.gifts import MOST_PARTS
from app.domain.ledger import MAX_AMOUNT, Lot
from app.domain.numbers import slot_of_user
from app.domain.retries import RETRIES, Retried
from app.services.base.errors import DomainError, KeyReused
from app.services.gifts import journey
from app.services.gifts.giver import GiftLimitReached, GiverFrozen, TooFewToGive
from app.services.gifts.journey import GiftsNotAllowed, GiftToSelf
from app.services.ledger import freezes
from tests.support.friends import LIMITS, Friends, LotSeen, friends_in
from tests.support.world import START, World

WEEK = timedelta(days=7)


@pytest.fixture
def friends(world: World) -> Friends:
    return friends_in(world)


def _freeze(friends: Friends, user: str, *, frozen: bool = True) -> None:
    change = freezes.Change(user, friends.environment, "coin", frozen, "a look at it", "operator:ann")
    friends.world.core.whole.transact(lambda tx: freezes.apply(tx, slot_of_user(user), change))


def _bought(value: int = 600, payment: str = "4711", expires: datetime | None = None) -> Lot:
    return Lot(False, expires, payment, "pack", value, "CNY" if value else "")


def test_a_gift_takes_the_lots_along_with_value_expiry_and_origin(friends: Friends) -> None:
    soon = START + WEEK
    friends.credit("ann", 60, lot=_bought())
    friends.credit("ann", 10, lot=Lot(bonus=True, expires_at=soon))
    gift = friends.give("ann", "bob", 30, message="for you")
    assert (gift.status, gift.reason, gift.ended_at) == ("received", "", START)
    assert friends.lots("bob") == [
        LotSeen(10, True, soon, "", "", 0),
        LotSeen(20, False, None, "4711", "pack", 200),
    ]
    assert friends.lots("ann") == [LotSeen(40, False, None, "4711", "pack", 600)]
    assert friends.in_transit == 0
    friends.assert_balanced()


def test_the_statements_of_both_show_the_gift(friends: Friends) -> None:
    friends.credit("ann", 5)
    gift = friends.give("ann", "bob", 5, message="for you")
    last, first = friends.lines("ann")[-1], friends.lines("bob")[0]
    assert (last.kind, last.amount, last.other) == ("gift", -5, "transit")
    assert (first.kind, first.amount, first.other) == ("gift_received", 5, "transit")
    assert {last.reference, first.reference} == {str(gift.id)}
    assert {last.note, first.note} == {"for you"}


@pytest.mark.parametrize("amounts", [(1, 1, 1), (7, 20, 33), (59, 1), (1,) * 20])
def test_no_value_is_lost_or_made_by_rounding(friends: Friends, amounts: tuple[int, ...]) -> None:
    """The value of what is left and of what was given is that of the whole, after every gift."""
    from app.domain.lots import unspent_value

    friends.credit("ann", 60, lot=_bought(value=601))
    for number, amount in enumerate(amounts):
        friends.give("ann", f"friend-{number}", amount)
        given = sum(lot.value_minor for each in range(number + 1) for lot in friends.lots(f"friend-{each}"))
        assert given + unspent_value(601, 60, 60 - sum(amounts[: number + 1])) == 601
    friends.assert_balanced()


def test_a_repeat_is_the_first_gift_and_another_request_is_a_conflict(friends: Friends) -> None:
    friends.credit("ann", 60)
    first = friends.give("ann", "bob", 10, key="k")
    assert friends.give("ann", "bob", 10, key="k").id == first.id
    with pytest.raises(KeyReused):
        friends.give("ann", "cem", 10, key="k")
    assert friends.coins("ann", "bob", "cem") == [50, 10, 0]


def test_a_forgotten_key_makes_no_second_gift(friends: Friends) -> None:
    from sqlalchemy import text

    friends.credit("ann", 60)
    first = friends.give("ann", "bob", 10, key="k")
    friends.world.core.whole.transact(lambda tx: tx.execute(text("DELETE FROM idempotency /* sweep: operator */")))
    assert friends.give("ann", "bob", 10, key="k").id == first.id
    friends.world.core.whole.transact(lambda tx: tx.execute(text("DELETE FROM idempotency /* sweep: operator */")))
    with pytest.raises(KeyReused):
        friends.give("ann", "bob", 11, key="k")
    assert friends.coins("ann", "bob") == [50, 10]


def test_the_worker_ends_a_gift_whose_process_has_died(friends: Friends) -> None:
    friends.credit("ann", 60, lot=_bought())
    number = friends.send_only("ann", "bob", 25)
    assert (friends.gift(number).status, friends.in_transit, friends.coins("ann", "bob")) == ("sent", 25, [35, 0])
    friends.assert_balanced()
    friends.work(seconds=30)
    assert friends.gift(number).status == "sent", "who asked for it may still be at it"
    friends.work()
    assert (friends.gift(number).status, friends.in_transit, friends.coins("ann", "bob")) == ("received", 0, [35, 25])
    friends.assert_balanced()


def test_a_repeat_of_the_request_ends_a_gift_whose_process_has_died(friends: Friends) -> None:
    friends.credit("ann", 60)
    wanted, key = friends.request("ann", "bob", 25, "k")
    row = friends.give("ann", "bob", 25, key="k")
    number = friends.send_only("ann", "bob", 10)
    assert journey.give(friends.world.core, wanted, key).id == row.id
    assert journey.advance(friends.world.core, number)
    assert friends.coins("ann", "bob") == [25, 35]


# --- the receiver cannot take it ---


def test_a_frozen_receiver_gets_nothing_and_the_lots_are_as_they_were(friends: Friends) -> None:
    friends.credit("bob", 1)
    _freeze(friends, "bob")
    friends.credit("ann", 60, lot=_bought())
    friends.credit("ann", 10, lot=Lot(bonus=True, expires_at=START + WEEK))
    before = friends.lots("ann")
    gift = friends.give("ann", "bob", 30)
    assert (gift.status, gift.reason) == ("returned", "receiver_frozen")
    assert friends.lots("ann") == before
    assert (friends.coins("ann", "bob"), friends.in_transit) == ([70, 1], 0)
    last = friends.lines("ann")[-1]
    assert (last.kind, last.amount, last.reference, last.note) == ("reversal", 30, str(gift.id), "receiver_frozen")
    friends.assert_balanced()


def test_what_was_refused_stays_refused_when_the_receiver_is_unfrozen(friends: Friends) -> None:
    friends.credit("bob", 1)
    _freeze(friends, "bob")
    friends.credit("ann", 60)
    gift = friends.give("ann", "bob", 30, key="k")
    _freeze(friends, "bob", frozen=False)
    assert friends.give("ann", "bob", 30, key="k").status == gift.status == "returned"
    assert friends.give("ann", "bob", 30, key="another").status == "received"
    friends.assert_balanced()


def test_a_receiver_whose_balance_would_overflow_gets_nothing(friends: Friends) -> None:
    friends.credit("bob", MAX_AMOUNT - 5)
    friends.credit("ann", 10)
    assert friends.give("ann", "bob", 5).status == "received"
    gift = friends.give("ann", "bob", 1)
    assert (gift.status, gift.reason) == ("returned", "balance_overflow")
    assert friends.coins("ann", "bob") == [5, MAX_AMOUNT]
    friends.assert_balanced()


def test_a_gift_that_can_neither_arrive_nor_return_waits_and_ends_later(friends: Friends) -> None:
    friends.credit("bob", MAX_AMOUNT)
    friends.credit("ann", 10)
    number = friends.send_only("ann", "bob", 5)
    friends.credit("ann", MAX_AMOUNT - 5)
    friends.work()
    assert (friends.gift(number).status, friends.in_transit) == ("sent", 5)
    friends.assert_balanced()
    friends.spend("ann", 100)
    friends.work(seconds=RETRIES[Retried.GIFT].pauses[-1])
    assert (friends.gift(number).status, friends.in_transit) == ("returned", 0)
    friends.assert_balanced()


def test_coins_that_expire_under_way_arrive_and_expire_with_the_receiver(friends: Friends) -> None:
    friends.credit("ann", 10, lot=Lot(bonus=True, expires_at=START + timedelta(seconds=30)))
    friends.credit("ann", 10)
    number = friends.send_only("ann", "bob", 20)
    friends.work()
    assert friends.gift(number).status == "received"
    assert [(line.kind, line.amount) for line in friends.lines("bob")] == [
        ("gift_received", 10),
        ("gift_received", 10),
        ("expiry", -10),
    ]
    assert (friends.coins("ann", "bob"), friends.in_transit) == ([0, 10], 0)
    friends.assert_balanced()


def test_coins_that_expire_under_way_and_come_back_expire_with_the_giver(friends: Friends) -> None:
    friends.credit("bob", 1)
    _freeze(friends, "bob")
    friends.credit("ann", 10, lot=Lot(bonus=True, expires_at=START + timedelta(seconds=30)))
    number = friends.send_only("ann", "bob", 10)
    friends.work()
    assert friends.gift(number).status == "returned"
    assert [(line.kind, line.amount) for line in friends.lines("ann")][1:] == [
        ("gift", -10),
        ("reversal", 10),
        ("expiry", -10),
    ]
    friends.assert_balanced()


def test_a_giver_who_is_frozen_meanwhile_gets_the_coins_back(friends: Friends) -> None:
    friends.credit("bob", 1)
    friends.credit("ann", 10)
    number = friends.send_only("ann", "bob", 10)
    _freeze(friends, "bob")
    _freeze(friends, "ann")
    friends.work()
    assert (friends.gift(number).status, friends.coins("ann")) == ("returned", [10])
    friends.assert_balanced()


# --- what may be given ---


def test_gifts_are_off_unless_the_settings_say_so(world: World) -> None:
    friends = friends_in(world, enabled=False)
    friends.credit("ann", 10)
    with pytest.raises(GiftsNotAllowed):
        friends.give("ann", "bob", 1, key="k")
    allowed = friends_in(world)
    assert allowed.give("ann", "bob", 1, key="k").status == "received", "that refusal is not kept for the key"


def test_nobody_gives_to_himself(friends: Friends) -> None:
    friends.credit("ann", 10)
    with pytest.raises(GiftToSelf):
        friends.give("ann", "ann", 1)


def test_a_frozen_giver_cannot_give_and_the_refusal_stays(friends: Friends) -> None:
    friends.credit("ann", 10)
    _freeze(friends, "ann")
    with pytest.raises(GiverFrozen):
        friends.give("ann", "bob", 1, key="k")
    _freeze(friends, "ann", frozen=False)
    with pytest.raises(DomainError) as refused:
        friends.give("ann", "bob", 1, key="k")
    assert refused.value.code == "wallet_frozen"
    assert friends.coins("ann", "bob") == [10, 0]
    friends.assert_balanced()


def test_held_and_expired_coins_cannot_be_given(friends: Friends) -> None:
    from app.domain.spending import HoldRequest
    from app.services.ledger import holds

    friends.credit("ann", 10)
    friends.credit("ann", 10, lot=Lot(bonus=True, expires_at=START + WEEK))
    request = HoldRequest("ann", "coin", 6, "h", 90 * 24 * 3600, environment=friends.environment)
    friends.world.core.whole.transact(lambda tx: holds.hold(tx, slot_of_user("ann"), request))
    with pytest.raises(TooFewToGive) as refused:
        friends.give("ann", "bob", 15)
    assert refused.value.members["available"] == 14
    friends.world.clock.advance(WEEK.total_seconds() + 1)
    with pytest.raises(TooFewToGive) as refused:
        friends.give("ann", "bob", 11)
    # The hold keeps six of the expired coins, so all ten others are free.
    assert refused.value.members["available"] == 10
    assert friends.give("ann", "bob", 10).status == "received"
    assert friends.lots("bob") == [LotSeen(10, False, None, "", "", 0)]
    friends.assert_balanced()


def test_where_only_bonus_may_be_given_paid_coins_stay(world: World) -> None:
    friends = friends_in(world, paid=False)
    friends.credit("ann", 60, lot=_bought(expires=START + timedelta(days=1)))
    friends.credit("ann", 10, lot=Lot(bonus=True))
    with pytest.raises(TooFewToGive) as refused:
        friends.give("ann", "bob", 11)
    assert refused.value.members["available"] == 10
    friends.give("ann", "bob", 7)
    assert [lot.bonus for lot in friends.lots("bob")] == [True]
    assert [(lot.bonus, lot.left) for lot in friends.lots("ann")] == [(False, 60), (True, 3)]
    friends.assert_balanced()


def test_limits_for_one_gift_for_a_day_of_the_giver_and_of_the_receiver(world: World) -> None:
    friends = friends_in(world, limits=LIMITS)
    for user in ("ann", "cem"):
        friends.credit(user, 500)
    with pytest.raises(GiftLimitReached) as refused:
        friends.give("ann", "bob", 51)
    assert refused.value.members["limit"] == "gift"
    friends.give("ann", "bob", 50)
    with pytest.raises(GiftLimitReached) as refused:
        friends.give("ann", "dan", 31)
    assert (refused.value.members["limit"], refused.value.members["sent"]) == ("day", 50)
    friends.give("ann", "dan", 30)
    gift = friends.give("cem", "bob", 11)
    assert (gift.status, gift.reason) == ("returned", "receiver_limit")
    assert friends.give("cem", "bob", 10).status == "received"
    assert friends.give("cem", "eve", 50).status == "received", "what came back does not count"
    friends.world.clock.advance(24 * 3600)
    assert friends.give("ann", "bob", 50).status == "received"
    friends.assert_balanced()


def test_a_gift_of_more_lots_than_one_may_have_is_refused(friends: Friends) -> None:
    for _ in range(MOST_PARTS + 1):
        friends.credit("ann", 1)
    with pytest.raises(GiftLimitReached) as refused:
        friends.give("ann", "bob", MOST_PARTS + 1)
    assert refused.value.members["limit"] == "lots"
    assert friends.give("ann", "bob", MOST_PARTS).status == "received"
    friends.assert_balanced()


def test_a_gift_does_not_count_for_spend_limits_and_repays_what_the_receiver_owes(friends: Friends) -> None:
    from tests.support.friends import buyer_in

    buyer = buyer_in(friends, "bob")
    buyer.spend(60)
    buyer.work(buyer.ask(600))
    assert buyer.debt == 60
    friends.credit("ann", 100)
    friends.give("ann", "bob", 70)
    assert (buyer.debt, friends.coins("bob")) == (0, [10])
    friends.assert_balanced()


def test_lists_show_what_a_user_gave_and_got(friends: Friends) -> None:
    friends.credit("ann", 100)
    numbers = []
    for amount in (1, 2, 3):
        friends.world.clock.advance(1)
        numbers.append(friends.give("ann", "bob", amount).id)
    friends.world.clock.advance(1)
    back = friends.give("bob", "ann", 6).id
    core = friends.world.core
    page = journey.list_gifts_of_user(core, "bob", None, 3)
    assert [row["id"] for row in page.rows] == [back, numbers[2], numbers[1]]
    assert [row["amount"] for row in page.rows] == [6, 3, 2]
    rest = journey.list_gifts_of_user(core, "bob", page.next, 3)
    assert ([row["id"] for row in rest.rows], rest.next) == ([numbers[0]], None)
