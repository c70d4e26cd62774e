"""The states of agreements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

from app.domain.agreements import (
    AGREEMENT_EDGES,
    IN_FORCE,
    STORE_EDGES,
    AgreementCause,
    AgreementStatus,
    is_later_word,
    next_agreement_status,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_what_is_not_in_the_table_changes_nothing() -> None:
    for status, cause in product(AgreementStatus, AgreementCause):
        after = next_agreement_status(status, cause)
        assert after == AGREEMENT_EDGES.get((status, cause))
        assert after is not status


def test_everything_can_end_and_only_what_the_payer_signs_comes_into_force() -> None:
    for status in AgreementStatus:
        for edges in (AGREEMENT_EDGES, STORE_EDGES):
            assert (status is AgreementStatus.ENDED) or edges[status, AgreementCause.ENDED] is AgreementStatus.ENDED
    begins = {
        cause for (status, cause), after in AGREEMENT_EDGES.items() if status not in IN_FORCE and after in IN_FORCE
    }
    assert begins == {AgreementCause.SIGNED}


def test_only_a_store_brings_an_agreement_back_by_a_payment() -> None:
    ended, paid = AgreementStatus.ENDED, AgreementCause.PAID
    assert next_agreement_status(ended, paid) is None
    assert next_agreement_status(ended, paid, by_store=True) is AgreementStatus.ACTIVE


def test_the_later_word_counts_and_of_one_moment_the_end() -> None:
    second = timedelta(seconds=1)
    assert is_later_word(NOW, None, has_ended=False, says_ended=False)
    assert is_later_word(NOW + second, NOW, has_ended=True, says_ended=False)
    assert not is_later_word(NOW - second, NOW, has_ended=False, says_ended=True)
    assert is_later_word(NOW, NOW, has_ended=False, says_ended=True)
    assert not is_later_word(NOW, NOW, has_ended=True, says_ended=False)
