"""What a paid order credits: every coin and every minor unit of money is accounted for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.grants import grants_of, lengthened, shortened

PAID_AT = datetime(2026, 1, 2, tzinfo=UTC)
entries = st.lists(
    st.fixed_dictionaries(
        {
            "asset": st.sampled_from(["coin", "gem"]),
            "amount": st.integers(1, 10**12),
            "bonus": st.booleans(),
            "valid_days": st.none() | st.integers(1, 36_500),
        }
    ),
    min_size=1,
    max_size=16,
)


@given(entries, st.integers(1, 1000), st.integers(0, 2**62))
def test_coins_are_multiplied_and_the_money_is_split_without_loss(
    given_entries: list[dict[str, Any]], quantity: int, paid: int
) -> None:
    grants = grants_of(given_entries, quantity=quantity, paid_minor=paid, paid_at=PAID_AT)
    assert [grant.amount for grant in grants] == [entry["amount"] * quantity for entry in given_entries]
    bought = [grant.value_minor for grant in grants if not grant.bonus]
    assert sum(bought) == (paid if bought else 0)
    assert not bought or max(bought) - min(bought) <= 1
    assert all(grant.value_minor == 0 for grant in grants if grant.bonus)


def test_validity_runs_from_the_moment_of_payment() -> None:
    month = {"asset": "coin", "amount": 6, "bonus": True, "valid_days": 30}
    forever = {"asset": "coin", "amount": 60, "bonus": False, "valid_days": None}
    first, second = grants_of([month, forever], quantity=1, paid_minor=600, paid_at=PAID_AT)
    assert first.expires_at == PAID_AT + timedelta(days=30)
    assert second.expires_at is None


@given(entries)
def test_an_order_keeps_short_texts_and_gives_its_grants_back_whole(
    given_entries: list[dict[str, Any]],
) -> None:
    kept = shortened(given_entries)
    assert all(isinstance(one, str) for one in kept)
    assert lengthened(kept) == given_entries


COINS = {"asset": "coin", "amount": 6, "bonus": True, "valid_days": 90}


def test_the_short_text_is_one_that_a_person_can_read() -> None:
    assert shortened([COINS, COINS | {"bonus": False, "valid_days": None}]) == ["6 bonus coin 90d", "6 coin"]


@pytest.mark.parametrize(
    "entry",
    [{}, COINS | {"more": 1}, COINS | {"asset": "two words"}, COINS | {"amount": -1}, COINS | {"bonus": 1.5}],
)
def test_what_a_text_would_not_give_back_stays_whole(entry: dict[str, Any]) -> None:
    assert lengthened(shortened([entry])) == [entry]


@pytest.mark.parametrize("kept", [[COINS], [{}], "x", ["six coins"], 6, None])
def test_rows_of_before_and_rows_that_somebody_edited_are_read_as_they_are(kept: Any) -> None:
    assert lengthened(kept) == kept
