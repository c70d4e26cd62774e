"""Orders that the app's own backend fulfils, because its wallets live elsewhere. Pure rules.

Each revision of a fulfilment is one wish: how many units of each asset the user is to have from the order, all in all.
A wish is a total, so a backend that meets it twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any

from app.domain import representations
from app.domain.grants import grants_of
from app.domain.refunding import of_amount

ANSWERED_WITHIN = timedelta(hours=1)
"""A wish that is unanswered for longer is shown to a person, and alarmed once."""
REFUNDED_WITHIN = timedelta(days=3)
"""So long after a refusal that our rule refunds, the order is shown to a person unless its money is back by then."""


class FulfilledBy(StrEnum):
    """Where the coins of a product are."""

    WALLET = "wallet"
    """In our ledger."""
    EXTERNAL = "external"
    """With the app's backend."""


class FulfilmentStatus(StrEnum):
    """The backend's last word about an order of an external product that is paid."""

    WAITING = "waiting"
    """None yet, since it was paid, or since a refused order's refund was undone."""
    DELIVERED = "delivered"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"


class Wish(StrEnum):
    """What a revision asks the backend for."""

    DELIVERY = "delivery"
    TAKE_BACK = "take_back"


class RefusedFulfilment(StrEnum):
    """What happens to the money of an order that the backend refused to fulfil."""

    REFUND = "refund"
    HOLD = "hold"
    """A person decides."""


class FulfilmentCause(StrEnum):
    """What moves a fulfilment: the payment, an answer of the backend, or an undone refund."""

    PAID = "paid"
    DELIVERED = "delivered"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"
    RESTORED = "restored"
    """Money came back to the merchant: the user is to have more than before."""


_S, _C = FulfilmentStatus, FulfilmentCause
FULFILMENT_EDGES: dict[tuple[FulfilmentStatus | None, FulfilmentCause], FulfilmentStatus] = {
    (None, _C.PAID): _S.WAITING,
    (_S.WAITING, _C.DELIVERED): _S.DELIVERED,
    (_S.WAITING, _C.REFUSED): _S.REFUSED,
    (_S.WAITING, _C.TAKEN_BACK): _S.TAKEN_BACK,
    (_S.DELIVERED, _C.DELIVERED): _S.DELIVERED,
    (_S.DELIVERED, _C.TAKEN_BACK): _S.TAKEN_BACK,
    (_S.TAKEN_BACK, _C.DELIVERED): _S.DELIVERED,
    (_S.TAKEN_BACK, _C.TAKEN_BACK): _S.TAKEN_BACK,
    # Nothing of a refused order is with the user: a delivery is asked for anew.
    (_S.REFUSED, _C.RESTORED): _S.WAITING,
    # No (DELIVERED, REFUSED): the user has some of it, and a refund of all would ask for what is there.
}
ANSWERS: dict[Wish, frozenset[FulfilmentStatus]] = {
    Wish.DELIVERY: frozenset({FulfilmentStatus.DELIVERED, FulfilmentStatus.REFUSED}),
    Wish.TAKE_BACK: frozenset({FulfilmentStatus.TAKEN_BACK}),
}
"""The answers that fit a wish."""
_CAUSES = {
    FulfilmentStatus.DELIVERED: FulfilmentCause.DELIVERED,
    FulfilmentStatus.REFUSED: FulfilmentCause.REFUSED,
    FulfilmentStatus.TAKEN_BACK: FulfilmentCause.TAKEN_BACK,
}


def status_when_paid(fulfilled_by: str) -> FulfilmentStatus | None:
    """The status of an order when its money comes in; None where the coins are in our ledger."""
    return FULFILMENT_EDGES[None, FulfilmentCause.PAID] if fulfilled_by == FulfilledBy.EXTERNAL else None


def status_answered(status: FulfilmentStatus, answer: FulfilmentStatus) -> FulfilmentStatus | None:
    """Where an answer takes the order; None if the answer is none for an order of this status."""
    return FULFILMENT_EDGES.get((status, _CAUSES[answer]))


def status_restored(status: FulfilmentStatus) -> FulfilmentStatus:
    """The status of an order of which the user is to have more than before."""
    return FULFILMENT_EDGES.get((status, FulfilmentCause.RESTORED), status)


def units_of(
    grants: Sequence[Mapping[str, Any]], *, quantity: int, paid_minor: int, paid_at: datetime
) -> list[dict[str, Any]]:
    """What a paid order gives, and is due as a whole: a unit for each grant."""
    granted = grants_of(grants, quantity=quantity, paid_minor=paid_minor, paid_at=paid_at)
    return [
        {
            "asset": grant.asset,
            "bonus": grant.bonus,
            "granted": grant.amount,
            "due": grant.amount,
            "expires_at": representations.plain(grant.expires_at),
        }
        for grant in granted
    ]


def units_left(units: Sequence[Mapping[str, Any]], refunded: Fraction) -> list[dict[str, Any]]:
    """What is due when this part of the purchase is refunded, rounded as a clawback of coins of ours is."""
    return [{**unit, "due": unit["granted"] - of_amount(refunded, unit["granted"])} for unit in units]


def wish_for(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Wish | None:
    """What to ask the backend for when the units that are due change; None if they do not."""
    if any(new["due"] > old["due"] for old, new in zip(before, after, strict=True)):
        return Wish.DELIVERY
    return Wish.TAKE_BACK if list(before) != list(after) else None


def is_nothing_due(units: Sequence[Mapping[str, Any]]) -> bool:
    return not any(unit["due"] for unit in units)
