"""When two differences are the two sides of one payment or refund: a person decides, and these rules say what can be
decided. Amount and time alone never match anything."""

from __future__ import annotations

from app.domain.differences import Difference, DifferenceType
from app.domain.settling import POOL

OTHER_SIDE = {
    DifferenceType.OURS_NOT_THEIRS: DifferenceType.THEIRS_NOT_OURS,
    DifferenceType.THEIRS_NOT_OURS: DifferenceType.OURS_NOT_THEIRS,
    DifferenceType.REFUND_MISSING: DifferenceType.REFUND_EXTRA,
    DifferenceType.REFUND_EXTRA: DifferenceType.REFUND_MISSING,
}
"""What one side has alone, and what the other one would have to have alone."""


def why_no_pair(one: Difference, other: Difference) -> str:
    """Why the two cannot be one payment or refund; empty if they can."""
    if OTHER_SIDE.get(one.type) is not other.type:
        return f"{one.type} and {other.type} are no two sides of one thing"
    if one.is_between_bills != other.is_between_bills:
        return "one is between two bills, the other between a bill and the books"
    if None in (_sum(one), _sum(other)):
        return "they are about units, and not about one payment"
    if _sum(one) != _sum(other):
        return "they differ in amount or currency"
    if abs(one.at - other.at) > POOL:
        return f"they are more than {POOL.days} days apart"
    return ""


def _sum(one: Difference) -> tuple[int, str] | None:
    minor, currency = (
        (one.theirs_minor, one.theirs_currency) if one.ours_minor is None else (one.ours_minor, one.ours_currency)
    )
    return None if minor is None or currency is None else (minor, currency)
