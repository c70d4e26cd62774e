"""The settings by which revenue is recognised."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pydantic import ValidationError

from app.domain.recognition import Allocation, RecognitionRules
from app.finance_settings import FinanceSettings


def test_nothing_set_is_the_price_on_paid_coins_and_breakage_at_expiry() -> None:
    assert FinanceSettings().recognition() == RecognitionRules()


def test_an_estimate_is_taken_exactly_and_none_is_none() -> None:
    given = {"allocation": "all", "expected_breakage": {"a": "0.05", "b": "0"}}
    rules = FinanceSettings.model_validate(given).recognition()
    assert rules == RecognitionRules(Allocation.ALL, {"a": Fraction(1, 20)})


@pytest.mark.parametrize("part", ["1", "-0.01", "0.0000001", "NaN"])
def test_a_part_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(ValidationError):
        FinanceSettings.model_validate({"expected_breakage": {"a": part}})
