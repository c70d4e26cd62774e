"""Gifts as rules: what a part of a lot is, what passes through transit, and how a clawback asks for what was given."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clawback import Step, Taken, step_to
from app.domain.gifts import Gift, part_of
from app.domain.ledger import InvalidTransfer, Lot
from app.domain.lots import unspent_value
from app.domain.proof.gifts import TransitSums, is_piece_of
from app.domain.refunding import Clawback

LOT = Lot(False, datetime(2027, 1, 1, tzinfo=UTC), "4711", "pack", 601, "CNY")


@given(value=st.integers(0, 10**6), granted=st.integers(1, 500), cuts=st.lists(st.integers(1, 100), max_size=20))
def test_a_lot_in_any_number_of_pieces_is_worth_what_it_was(value: int, granted: int, cuts: list[int]) -> None:
    lot = Lot(False, None, "4711", "pack", value, "CNY")
    left, pieces = granted, 0
    for cut in cuts:
        if cut > left:
            continue
        part = part_of(lot, granted, left, cut, 1)
        assert is_piece_of(part, lot, granted)
        left, pieces = left - cut, pieces + part.lot.value_minor
    assert pieces + unspent_value(value, granted, left) == value


def test_a_piece_bears_all_that_its_lot_says() -> None:
    part = part_of(LOT, 60, 60, 30, 7)
    assert (part.amount, part.source) == (30, 7)
    assert part.lot == Lot(False, LOT.expires_at, "4711", "pack", 300, "CNY")
    assert part_of(LOT, 6000, 6000, 1, 7).lot.currency == "", "what is worth nothing has no currency"


@pytest.mark.parametrize(
    "other",
    [
        Lot(True, LOT.expires_at, "4711", "pack", 300, "CNY"),
        Lot(False, None, "4711", "pack", 300, "CNY"),
        Lot(False, LOT.expires_at, "4712", "pack", 300, "CNY"),
        Lot(False, LOT.expires_at, "4711", "other", 300, "CNY"),
        Lot(False, LOT.expires_at, "4711", "pack", 302, "CNY"),
        Lot(False, LOT.expires_at, "4711", "pack", 299, "CNY"),
        Lot(False, LOT.expires_at, "4711", "pack", 300, "JPY"),
    ],
)
def test_what_differs_from_the_lot_is_no_piece_of_it(other: Lot) -> None:
    part = part_of(LOT, 60, 60, 30, 7)
    assert is_piece_of(part, LOT, 60)
    assert not is_piece_of(type(part)(30, 7, other), LOT, 60)


def test_a_gift_needs_two_users() -> None:
    with pytest.raises(InvalidTransfer):
        Gift(1, "ann", "ann", "coin", "live", 5, "", "")


def test_transit_is_what_left_less_what_came_by_heading() -> None:
    sums = TransitSums()
    sums.left["coin", "live"] += 30
    sums.came["coin", "live"] += 20
    assert sums.differences({("coin", "live"): 10}) == []
    assert len(sums.differences({("coin", "live"): 11})) == 1
    assert len(sums.differences({})) == 1
    assert len(sums.differences({("coin", "live"): 10, ("gem", "live"): 1})) == 1


# --- clawback ---


@pytest.mark.parametrize("policy", Clawback)
def test_every_coin_of_the_target_is_taken_asked_for_owed_or_forgiven(policy: Clawback) -> None:
    amounts = (0, 1, 20, 60)
    for available, own, elsewhere, before in product(amounts, amounts, amounts, (0, 15)):
        step = step_to(
            60, Taken(coins=before), available=available, debt=0, policy=policy, own=own, elsewhere=elsewhere
        )
        assert step.take + step.recall + step.owe + step.forgive == 60 - before
        assert step.take <= available
        assert step.recall <= elsewhere
        assert not (step.owe and step.take < available), "nobody owes what the wallet has"
        assert not (step.owe and step.recall < elsewhere), "nobody owes what others have"


def test_the_purchases_coins_go_first_wherever_they_are() -> None:
    step = step_to(60, Taken(), available=100, debt=0, policy=Clawback.DEBT, own=10, elsewhere=40)
    assert step == Step(take=20, recall=40)


def test_without_gifts_a_step_is_what_it_was() -> None:
    assert step_to(60, Taken(), available=40, debt=0, policy=Clawback.DEBT) == Step(take=40, owe=20)
    assert step_to(0, Taken(recalled=60), available=0, debt=0, policy=Clawback.DEBT) == Step(give_back=60)
