"""A short quarter, with every type of what can go wrong: what is planted is found, repaired, closed and counted."""

from __future__ import annotations

from datetime import date

import pytest

from app.services.base.transaction import Sessions
from tests.quarter.whole import play_quarter

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.timeout(600),  # some 20 s of one core, which a busy machine makes minutes
]


def test_what_went_wrong_is_found_and_repaired_and_the_books_are_what_a_recount_says(sessions: Sessions) -> None:
    review = play_quarter(sessions, first=date(2026, 1, 28), days=6, sales=3, seed=15)
    assert len(review.quarter.diary.sales) > 18
