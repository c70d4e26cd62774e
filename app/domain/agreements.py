"""The states of agreements, and every legal way from one to another; each edge names its cause.

An agreement is a payer's standing consent: to be charged by us, or (a store's subscription) by the store, period after
period. What is not in the table does not happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum


class AgreementStatus(StrEnum):
    SIGNING = "signing"
    """Written down here; the payer has not signed."""
    ACTIVE = "active"
    """In force, and paid as far as it is due."""
    PAST_DUE = "past_due"
    """In force; the period that is due is not paid."""
    PAUSED = "paused"
    """In force, and not charged: the backend or a person wants it so."""
    ENDED = "ended"


class AgreementCause(StrEnum):
    """What moves an agreement."""

    SIGNED = "signed"
    """The provider says that it is in force."""
    REFUSED = "refused"
    """The provider says that this signing can never succeed."""
    LAPSED = "lapsed"
    """The time for signing is over and the provider, asked, knows of no agreement."""
    PAID = "paid"
    """A period was paid."""
    UNPAID = "unpaid"
    """A charge was refused, or a store could not collect."""
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"
    """The provider says that it is over."""


IN_FORCE = frozenset({AgreementStatus.ACTIVE, AgreementStatus.PAST_DUE, AgreementStatus.PAUSED})
CHARGEABLE = frozenset({AgreementStatus.ACTIVE, AgreementStatus.PAST_DUE})
NEVER_SIGNED = "never_signed"
"""How an agreement ended that nobody signed. All other ends are words of `app.domain.facts.Ending`."""

_S, _C = AgreementStatus, AgreementCause
AGREEMENT_EDGES: dict[tuple[AgreementStatus, AgreementCause], AgreementStatus] = {
    (_S.SIGNING, _C.SIGNED): _S.ACTIVE,
    (_S.SIGNING, _C.REFUSED): _S.ENDED,
    (_S.SIGNING, _C.LAPSED): _S.ENDED,
    (_S.SIGNING, _C.ENDED): _S.ENDED,
    (_S.ACTIVE, _C.UNPAID): _S.PAST_DUE,
    (_S.ACTIVE, _C.PAUSED): _S.PAUSED,
    (_S.ACTIVE, _C.ENDED): _S.ENDED,
    (_S.PAST_DUE, _C.PAID): _S.ACTIVE,
    (_S.PAST_DUE, _C.PAUSED): _S.PAUSED,
    (_S.PAST_DUE, _C.ENDED): _S.ENDED,
    (_S.PAUSED, _C.RESUMED): _S.ACTIVE,
    (_S.PAUSED, _C.ENDED): _S.ENDED,
    # Signed after our patience was over, or taken up again in the store.
    (_S.ENDED, _C.SIGNED): _S.ACTIVE,
}
STORE_EDGES: dict[tuple[AgreementStatus, AgreementCause], AgreementStatus] = {
    **AGREEMENT_EDGES,
    # A store says SIGNED again when it has collected after all; a period that it sold after the end is a new beginning.
    (_S.PAST_DUE, _C.SIGNED): _S.ACTIVE,
    (_S.ENDED, _C.PAID): _S.ACTIVE,
}
"""The ways of agreements that a store charges."""


def next_agreement_status(
    status: AgreementStatus, cause: AgreementCause, *, by_store: bool = False
) -> AgreementStatus | None:
    """Where the cause takes the agreement; None if it changes nothing."""
    return (STORE_EDGES if by_store else AGREEMENT_EDGES).get((status, cause))


COLLECTED_EARLY = timedelta(days=1)
"""So long before a period begins a store may collect its price, or fail to."""


def says_what_was(period_end: datetime | None, at: datetime) -> bool:
    """Whether a store's word of the moment `at`, in force until `period_end`, is about time that was over by then. A
    payer who switches the renewal off in a grace, or after the end, changes nothing about what is active."""
    return period_end is not None and period_end <= at


def is_end_of_newest(period_end: datetime | None, at: datetime, known_ends: Sequence[datetime | None]) -> bool:
    """Whether an end of the moment `at` is the natural end of the newest period that is known. A store dates it at the
    period's end, and what it said between that and this word (it tries to collect, the renewal is off) is no answer
    to it."""
    if period_end is None or at < period_end:
        return False
    return all(end is None or end <= period_end for end in known_ends)


def is_collected_since(at: datetime, paid_until: datetime | None) -> bool:
    """Whether the period that could not be collected, by a word of the moment `at`, was paid since: a store dates a
    renewal that it collected late at the end of the period before."""
    return paid_until is not None and paid_until > at + COLLECTED_EARLY


def answers_past_due(
    starts_at: datetime, ends_at: datetime, told_at: datetime | None, known_ends: Sequence[datetime | None]
) -> bool:
    """Whether a paid period is the one that could not be collected, by a word of the moment `told_at`: it follows all
    that was in force, and lasts longer than that moment. It is dated at its beginning, however late it was paid."""
    follows = all(end is None or end <= starts_at for end in known_ends)
    return follows and (told_at is None or ends_at > told_at)


def is_later_word(at: datetime, told_at: datetime | None, *, has_ended: bool, says_ended: bool) -> bool:
    """Whether the provider's word of the moment `at` counts against the newest one that is known: later ones do. Of two
    words of one moment (some providers tell whole seconds) an end counts, and nothing that follows it."""
    if told_at is None or at > told_at:
        return True
    return at == told_at and (says_ended or not has_ended)
