"""A purchase is refunded after its coins were given away: they are taken where they are, the rest from the buyer."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from app.domain.gifts import GiftClawback
from app.domain.numbers import slot_of_user
from app.domain.refunding import Clawback
from app.models.gifts import RECALLS
from app.models.slot_guard import sweep
from app.providers.facts import Kind
from app.services.ledger.consumption import consumed_share
from app.services.ledger.deferred import deferred_revenue
from app.services.refunds.requests import CoinsGivenAway
from tests.support.buyer import Buyer
from tests.support.friends import POLICIES, Friends, buyer_in, friends_in
from tests.support.world import World


@pytest.fixture
def friends(world: World) -> Friends:
    return friends_in(world)


def _refund(friends: Friends, buyer: Buyer, amount: int | None = None, **more: object) -> int:
    """Refund, and let the worker ask the coins back."""
    number = buyer.ask(amount, **more)  # type: ignore[arg-type]
    assert buyer.work(number) == "done"
    friends.work()
    return number


def _coins_of(buyer: Buyer, number: int) -> dict[str, int]:
    (entry,) = buyer.refund(number).coins
    return {name: entry[name] for name in ("taken", "debt", "forgiven")}


def _recalls(friends: Friends) -> list[tuple[int, int, str]]:
    everywhere = RECALLS.select().prefix_with(sweep("audit"))
    rows = friends.world.core.whole.read(lambda tx: tx.execute(everywhere).all())
    return sorted((row.wanted, row.taken, row.status) for row in rows)


def test_the_receiver_gives_the_coins_back_and_nobody_owes(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.credit("bob", 5)
    friends.give("ann", "bob", 66)
    number = _refund(friends, ann)
    assert (friends.coins("ann", "bob"), ann.debt) == ([0, 5], 0)
    assert _coins_of(ann, number) == {"taken": 66, "debt": 0, "forgiven": 0}
    assert friends.lines("bob")[-1].kind == "gift_recalled"
    assert friends.in_transit == 0
    friends.assert_balanced()


def test_what_the_receiver_has_spent_is_the_buyers_debt(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    friends.spend("bob", 20)
    number = _refund(friends, ann)
    assert (friends.coins("ann", "bob"), ann.debt) == ([0, 0], 20)
    assert _coins_of(ann, number) == {"taken": 46, "debt": 20, "forgiven": 0}
    assert friends.in_transit == 0
    friends.assert_balanced()


def test_the_purchase_is_taken_before_other_coins_of_the_buyer_and_of_the_receiver(friends: Friends) -> None:
    """First what is left of the purchase with the buyer, then what of it others have, then the buyer's other coins."""
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 30)
    friends.credit("ann", 100)
    friends.credit("bob", 100)
    friends.spend("bob", 10)  # out of the purchase's coins, which are older
    _refund(friends, ann)
    assert (friends.coins("ann", "bob"), ann.debt) == ([90, 100], 0)
    friends.assert_balanced()


def test_before_the_receiver_has_answered_the_books_are_balanced(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    friends.spend("bob", 20)
    number = ann.ask()
    assert ann.work(number) == "done"
    assert _coins_of(ann, number) == {"taken": 66, "debt": 0, "forgiven": 0}
    assert (friends.coins("ann", "bob"), ann.debt, friends.in_transit) == ([0, 46], 0, -66)
    friends.assert_balanced()


def test_with_giver_only_the_receiver_keeps_the_coins(world: World) -> None:
    friends = friends_in(world, clawback=GiftClawback.GIVER_ONLY)
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 40)
    number = _refund(friends, ann)
    assert (friends.coins("ann", "bob"), ann.debt) == ([0, 40], 40)
    assert _coins_of(ann, number) == {"taken": 26, "debt": 40, "forgiven": 0}
    assert _recalls(friends) == []
    friends.assert_balanced()


@pytest.mark.parametrize("policy", Clawback)
def test_the_policy_of_the_refund_is_that_for_what_nobody_has_any_more(friends: Friends, policy: Clawback) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    friends.spend("bob", 66)
    number = _refund(friends, ann, policy=policy)
    owed, forgiven = (0, 66) if policy is Clawback.FORGIVE else (66, 0)
    assert _coins_of(ann, number) == {"taken": 0, "debt": owed, "forgiven": forgiven}
    assert ann.debt == owed
    assert friends.balance("ann").frozen == (policy is Clawback.FREEZE)
    assert not friends.balance("bob").frozen
    friends.assert_balanced()


@pytest.mark.parametrize("clawback", POLICIES)
def test_a_chain_of_gifts_is_followed_to_where_the_coins_are(world: World, clawback: GiftClawback) -> None:
    friends = friends_in(world, clawback=clawback)
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 60)
    friends.give("bob", "cem", 50)
    friends.give("cem", "dan", 20)
    friends.spend("dan", 5)
    _refund(friends, ann)
    if clawback is GiftClawback.GIVER_ONLY:
        assert (friends.coins("ann", "bob", "cem", "dan"), ann.debt) == ([0, 10, 30, 15], 60)
    else:
        assert (friends.coins("ann", "bob", "cem", "dan"), ann.debt) == ([0, 0, 0, 0], 5)
    assert friends.in_transit == 0
    friends.assert_balanced()


def test_a_circle_of_gifts_ends(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    friends.give("bob", "ann", 66)
    friends.give("ann", "bob", 40)
    friends.spend("ann", 6)
    friends.spend("bob", 10)
    _refund(friends, ann)
    assert (friends.coins("ann", "bob"), ann.debt) == ([0, 0], 16)
    friends.assert_balanced()


def test_several_partial_refunds_take_each_coin_once(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    _refund(friends, ann, 300)
    assert (friends.coins("bob"), ann.debt) == ([33], 0)
    friends.spend("bob", 3)
    _refund(friends, ann, 300)
    assert (friends.coins("ann", "bob"), ann.debt) == ([0, 0], 3)
    assert {status for _, _, status in _recalls(friends)} == {"done"}
    friends.assert_balanced()


def test_two_refunds_whose_recalls_are_open_at_once_take_each_coin_once(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    friends.spend("bob", 10)
    for amount in (300, 300):
        number = ann.ask(amount)
        assert ann.work(number) == "done"
    friends.work()
    assert (friends.coins("ann", "bob"), ann.debt, friends.in_transit) == ([0, 0], 10, 0)
    friends.assert_balanced()


def test_a_refund_while_the_gift_is_under_way_finds_the_coins_with_the_receiver(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    number = friends.send_only("ann", "bob", 66)
    ann.tell(ann.paid())
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.assert_balanced()
    friends.work()
    assert friends.gift(number).status == "received"
    assert (friends.coins("ann", "bob"), ann.debt, friends.in_transit) == ([0, 0], 0, 0)
    friends.assert_balanced()


def test_a_refund_while_the_gift_is_under_way_to_a_frozen_receiver_takes_what_comes_back(friends: Friends) -> None:
    from app.services.ledger import freezes

    friends.credit("bob", 1)
    change = freezes.Change("bob", "sandbox", "coin", True, "a look at it", "operator:ann")
    friends.world.core.whole.transact(lambda tx: freezes.apply(tx, slot_of_user("bob"), change))
    ann = buyer_in(friends, "ann")
    number = friends.send_only("ann", "bob", 60)
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.work()
    assert friends.gift(number).status == "returned"
    assert (friends.coins("ann", "bob"), ann.debt, friends.in_transit) == ([0, 1], 0, 0)
    friends.assert_balanced()


def test_coins_that_expired_unused_with_the_receiver_count_as_taken(friends: Friends) -> None:
    """The six bonus coins of the pack are good for 30 days."""
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    friends.world.clock.advance(timedelta(days=31).total_seconds())
    friends.work()
    assert friends.coins("bob") == [60]
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.work()
    assert (friends.coins("ann", "bob"), ann.debt, friends.in_transit) == ([0, 0], 0, 0)
    friends.assert_balanced()


def test_expired_coins_count_for_one_refund_only(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 6)  # the bonus, which expires first
    friends.world.clock.advance(timedelta(days=31).total_seconds())
    for number, total in (("r1", 300), ("r2", 300)):
        ann.tell(ann.fact(Kind.REFUNDED, 1 if number == "r1" else 2, refund=number, money=total))
        friends.work()
        friends.assert_balanced()
    assert (friends.coins("ann", "bob"), ann.debt, friends.in_transit) == ([0, 0], 0, 0)


def test_an_undone_refund_gives_the_coins_to_the_buyer(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.work()
    ann.tell(ann.fact(Kind.REFUND_UNDONE, 2, refund="r1", money=600))
    friends.work()
    assert (friends.coins("ann", "bob"), ann.debt) == ([66, 0], 0)
    friends.assert_balanced()


def test_an_undone_refund_whose_recall_is_open_leaves_as_many_coins_as_were_bought(friends: Friends) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    friends.spend("bob", 26)
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    ann.tell(ann.fact(Kind.REFUND_UNDONE, 2, refund="r1", money=600))
    friends.assert_balanced()
    friends.work()
    assert (sum(friends.coins("ann", "bob")), ann.debt, friends.in_transit) == (40, 0, 0)
    friends.assert_balanced()


def test_where_given_coins_are_not_refundable_the_backend_is_refused_and_the_provider_is_not(world: World) -> None:
    friends = friends_in(world, refundable=False)
    ann, eve = buyer_in(friends, "ann"), buyer_in(friends, "eve")
    friends.give("ann", "bob", 1)
    with pytest.raises(CoinsGivenAway):
        ann.ask(600)
    assert eve.work(eve.ask(600)) == "done"
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.work()
    assert (friends.coins("ann", "bob"), ann.debt) == ([0, 0], 0)
    friends.assert_balanced()


def test_held_coins_of_a_receiver_stay_held_and_the_buyer_owes_them(friends: Friends) -> None:
    from app.domain.spending import HoldRequest
    from app.services.ledger import holds

    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    request = HoldRequest("bob", "coin", 16, "h", 3600 * 24, environment="sandbox")
    friends.world.core.whole.transact(lambda tx: holds.hold(tx, slot_of_user("bob"), request))
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.work()
    assert (friends.coins("ann", "bob"), ann.debt) == ([0, 16], 16)
    assert friends.balance("bob").held == 16
    friends.assert_balanced()


# --- what is deferred, and what was used ---


def _deferred(friends: Friends) -> tuple[int, int]:
    """Coins and money of all lots that are worth something."""
    found = friends.world.core.whole.read(deferred_revenue).values()
    return sum(each.coins for each in found), sum(each.value_minor for each in found)


def _receivers(friends: Friends, *, in_one_slot: bool) -> tuple[str, str]:
    """Two users, in the slot of ann or in others."""
    if not in_one_slot:
        return "bob", "cem"
    there = (f"user-{number}" for number in itertools.count() if slot_of_user(f"user-{number}") == slot_of_user("ann"))
    return next(there), next(there)


@pytest.mark.parametrize("in_one_slot", [False, True])
@pytest.mark.parametrize("refunded", [0, 1, 300, 599, 600])
def test_value_follows_the_money_to_wherever_the_coins_are(friends: Friends, refunded: int, in_one_slot: bool) -> None:
    ann = buyer_in(friends, "ann")
    bob, cem = _receivers(friends, in_one_slot=in_one_slot)
    friends.give("ann", bob, 36)
    friends.give(bob, cem, 10)
    assert _deferred(friends)[1] == 600
    if refunded:
        ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=refunded))
        friends.work()
    assert 0 <= 600 - refunded - _deferred(friends)[1] <= 2, "each lot is rounded down"
    assert ann.debt == 0
    friends.assert_balanced()


@pytest.mark.parametrize("in_one_slot", [False, True])
def test_what_a_receiver_keeps_of_a_refunded_purchase_is_worth_nothing(world: World, in_one_slot: bool) -> None:
    friends = friends_in(world, clawback=GiftClawback.GIVER_ONLY)
    ann = buyer_in(friends, "ann")
    bob, _ = _receivers(friends, in_one_slot=in_one_slot)
    friends.give("ann", bob, 66)
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    assert (_deferred(friends)[1], friends.coins(bob)) == (0, [66])


@pytest.mark.parametrize("in_one_slot", [False, True])
def test_given_coins_count_as_used_by_the_buyer(friends: Friends, in_one_slot: bool) -> None:
    ann = buyer_in(friends, "ann")
    bob, _ = _receivers(friends, in_one_slot=in_one_slot)
    friends.give("ann", bob, 33)
    share = friends.world.core.whole.read(lambda tx: consumed_share(tx, ann.slot, str(ann.payment_id)))
    assert share == 50_000
