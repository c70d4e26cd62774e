"""Pools of coins: what they are worth, and when their money is revenue."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from app.domain.recognition import (
    Allocation,
    ChangeCause,
    LiabilityMove,
    Movement,
    Pool,
    PooledPurchase,
    PurchaseChange,
    RecognitionRules,
)

AT, DAY = datetime(2026, 1, 2, tzinfo=UTC), date(2026, 1, 2)


def change(cause: ChangeCause, coins: int = 0, **more: int) -> PurchaseChange:
    return PurchaseChange(AT, DAY, cause, "coin", coins, **more)


def sale(coins: int, price: int) -> PurchaseChange:
    return change(ChangeCause.SALE, coins, bought=coins, price_minor=price)


def purchase(expected: Fraction = Fraction(0)) -> PooledPurchase:
    return PooledPurchase({"coin": Pool("coin", expected)})


def moved(bought: PooledPurchase, *changes: PurchaseChange) -> dict[Movement, int]:
    sums = Counter[Movement]()
    for each in bought.follow(changes):
        sums[each.movement] += each.value_minor
    return {movement: value for movement, value in sums.items() if value}


def test_expected_breakage_is_recognised_in_proportion_to_use() -> None:
    """CAS 14, the guideline's example of stored value: 1 000 000 with 16 % VAT, 5 % never used, 400 000 used."""
    bought = purchase(Fraction(5, 100))
    sums = moved(bought, sale(1_000_000, 100_000_000), change(ChangeCause.USE, -400_000))
    assert sums[Movement.USED] == -40_000_000
    revenue = -sums[Movement.USED] - sums[Movement.ESTIMATED]
    assert round(Fraction(revenue, 100) / Fraction(116, 100)) == 362_976
    assert bought.value_minor == 100_000_000 - revenue


def test_more_use_than_was_expected_takes_the_estimate_back() -> None:
    bought = purchase(Fraction(1, 2))
    uses = [change(ChangeCause.USE, -10) for _ in range(10)]
    sums = moved(bought, sale(100, 1000), *uses)
    assert (sums[Movement.USED], sums.get(Movement.ESTIMATED, 0), bought.value_minor) == (-1000, 0, 0)


def test_what_expires_after_an_estimate_is_the_rest_of_it() -> None:
    bought = purchase(Fraction(1, 10))
    sums = moved(bought, sale(100, 1000), change(ChangeCause.USE, -45), change(ChangeCause.EXPIRY, -55))
    assert sums == {
        Movement.SOLD: 1000,
        Movement.USED: -450,
        Movement.ESTIMATED: -50,
        Movement.EXPIRED: -500,
    }


def test_a_refund_of_coins_that_expired_takes_their_breakage_back_and_then_revenue() -> None:
    bought = purchase()
    begun = (sale(100, 1000), change(ChangeCause.USE, -60), change(ChangeCause.EXPIRY, -40))
    assert moved(bought, *begun) == {Movement.SOLD: 1000, Movement.USED: -600, Movement.EXPIRED: -400}
    assert moved(bought, change(ChangeCause.REFUND, refunded_minor=700)) == {
        Movement.REFUNDED: -700,
        Movement.BREAKAGE_BACK: 400,
        Movement.TAKEN_BACK: 300,
    }
    undone = change(ChangeCause.REFUND, refunded_minor=-700)
    assert moved(bought, undone) == {
        Movement.REFUNDED: 700,
        Movement.BREAKAGE_BACK: -400,
        Movement.TAKEN_BACK: -300,
    }


def test_money_of_two_assets_goes_back_from_each_by_its_price() -> None:
    bought = PooledPurchase({"coin": Pool("coin"), "gem": Pool("gem")})
    gems = PurchaseChange(AT, DAY, ChangeCause.SALE, "gem", 3, bought=3, price_minor=200)
    sums = Counter[str]()
    for each in bought.follow([sale(10, 100), gems, change(ChangeCause.REFUND, refunded_minor=100)]):
        if each.movement is Movement.REFUNDED:
            sums[each.asset] += each.value_minor
    assert sums == {"coin": -33, "gem": -67}


def test_a_purchase_without_a_price_moves_coins_and_no_money() -> None:
    bought = purchase()
    found = list(bought.follow([sale(60, 0), change(ChangeCause.USE, -20), change(ChangeCause.EXPIRY, -40)]))
    assert [(each.movement, each.coins, each.value_minor) for each in found] == [
        (Movement.SOLD, 60, 0),
        (Movement.USED, -20, 0),
        (Movement.EXPIRED, -40, 0),
    ]


STEPS = st.lists(
    st.tuples(st.sampled_from([ChangeCause.USE, ChangeCause.EXPIRY, ChangeCause.REFUND]), st.integers(-20, 40)),
    max_size=25,
)


@given(st.integers(1, 60), st.integers(0, 1000), st.sampled_from([Fraction(0), Fraction(1, 3)]), STEPS)
def test_the_movements_add_up_to_what_the_coins_are_worth(
    coins: int, price: int, expected: Fraction, steps: list[tuple[ChangeCause, int]]
) -> None:
    bought = purchase(expected)
    value, left, back = 0, 0, 0

    def follow(*changes: PurchaseChange) -> None:
        nonlocal value, left
        found: list[LiabilityMove] = list(bought.follow(changes))
        value += sum(each.value_minor for each in found)
        left += sum(each.coins for each in found)
        assert (value, left) == (bought.value_minor, bought.pools["coin"].unspent)

    follow(sale(coins, price))
    for cause, size in steps:
        taken = max(min(size, left), left - coins)
        minor = max(min(size, price - back), -back) if cause is ChangeCause.REFUND else 0
        back += minor
        follow(change(cause, -taken, refunded_minor=minor))
        assert 0 <= bought.value_minor <= price - back


def test_the_settings_are_kept_as_a_text() -> None:
    rules = RecognitionRules(Allocation.ALL, {"b": Fraction(1, 20), "a": Fraction(1, 3)})
    assert RecognitionRules.from_text(rules.as_text()) == rules
    assert rules.as_text() != RecognitionRules().as_text()
