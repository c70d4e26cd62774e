"""Which words of a provider about an agreement count against what is known of that."""

from __future__ import annotations

from app.domain.agreements import IN_FORCE, AgreementStatus, is_collected_since, is_end_of_newest, is_later_word
from app.domain.facts import Fact, Kind
from app.models.base import AnyRow


def counts(row: AnyRow, fact: Fact, *, is_answer: bool) -> bool:
    """Whether that word about a locked agreement counts. `is_answer`: the provider says so, asked now."""
    if _is_of_another_consent(row, fact) or _is_of_another_period(row, fact, is_answer=is_answer):
        return False
    says_ended = fact.kind is Kind.ENDED
    has_ended = row.status == AgreementStatus.ENDED
    if is_later_word(fact.at, row.told_at, has_ended=has_ended, says_ended=says_ended):
        return True
    if not says_ended or row.status not in IN_FORCE:
        return False
    if not row.by_store:
        return is_answer  # dated by a clock that was behind
    is_natural = is_end_of_newest(fact.period_end, fact.at, (row.paid_until, row.valid_until))
    return is_natural or (is_answer and _is_taken_back(row, fact))


def _is_of_another_consent(row: AnyRow, fact: Fact) -> bool:
    """Whether an end names our number of an agreement, and another number of the provider's than the one under which
    that is charged: it was signed again, by the same payer or by another one who got the same link. The newest consent
    is the one that counts, and only its end is the end."""
    named = fact.ref.agreement
    is_named = not row.by_store and fact.kind is Kind.ENDED and None not in (row.theirs, named)
    return is_named and row.theirs != named


def _is_of_another_period(row: AnyRow, fact: Fact, *, is_answer: bool) -> bool:
    """Whether a failure to collect is about a period that was paid since, or about one that was sold after the end and
    is not known yet: it must not make the word of that sale stale."""
    if fact.kind is not Kind.PAST_DUE:
        return False
    return row.status == AgreementStatus.ENDED or (not is_answer and is_collected_since(fact.at, row.paid_until))


def _is_taken_back(row: AnyRow, fact: Fact) -> bool:
    """Whether a share in force was taken back since it came into force. The store may have said later that it stands,
    since it did not know yet: what it answers now counts."""
    return fact.shared and bool(fact.at > row.signed_at)
