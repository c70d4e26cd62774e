"""Every reason for which a fact waits has a sentence that says what to do."""

from __future__ import annotations

import pytest

from app.domain.deciding import ORDER_ALREADY_PAID, SECOND_TRADE
from app.domain.matching import Mismatch
from app.domain.remedies import REMEDIES, remedy


@pytest.mark.parametrize("reason", [*Mismatch, SECOND_TRADE, ORDER_ALREADY_PAID])
def test_every_reason_has_a_sentence(reason: str) -> None:
    assert len(remedy(reason).split()) > 5
    assert "  " not in remedy(reason), "two blanks divide the columns of a list"


def test_no_two_reasons_have_one_sentence() -> None:
    assert len(set(REMEDIES.values())) == len(REMEDIES)


def test_a_fact_without_a_reason_has_none() -> None:
    assert remedy("") == ""
